"""What the embedding model reads of a game: cleaned fields, in an order that fits its 256 tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from recsys.errors import DataContractError
from recsys.marts.cells import Misfits, halved, read_cells
from recsys.marts.columns import read_texts
from recsys.marts.contract import SAMPLES, counted
from recsys.marts.headings import refuse_twins
from recsys.marts.lists import parse_tags
from recsys.marts.plain import require_columns
from recsys.marts.repairs import Repair, clean_text
from recsys.marts.schema import CATEGORIES, DESCRIPTION, GAME_ID, MECHANICS, NAME, TEXT_COLUMNS
from recsys.marts.tags import split_tags
from recsys.system import events, keys

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable

    import pandas as pd

    from recsys.marts.notations import Unread

__all__ = [
    "DEFAULT_RECIPE",
    "TEXT_COLUMNS",
    "Repair",
    "TextRecipe",
    "clean_games",
    "clean_text",
    "embedding_text",
    "given_texts",
    "joined_fields",
    "parse_tags",
    "split_tags",
    "tell_unread",
]

log = events(__name__)

_PREFIXES = {NAME: "Name", CATEGORIES: "Categories", MECHANICS: "Mechanics", DESCRIPTION: "Description"}


@dataclass(frozen=True)
class TextRecipe:
    """How a game becomes text.

    Attributes
    ----------
    fields
        Columns in the order in which the model reads them. It stops after 256 tokens: with the
        description second, a third of real games lose their categories and mechanics.
    """

    fields: tuple[str, ...] = (NAME, CATEGORIES, MECHANICS, DESCRIPTION)


DEFAULT_RECIPE = TextRecipe()
"""Short fields first, then the description: of many ways the best at finding likes (docs/quality.md)."""


def embedding_text(games: pd.DataFrame, recipe: TextRecipe = DEFAULT_RECIPE) -> pd.Series[str]:
    """Return one text a game, such as ``Name: Catan; Categories: Economic; Description: …``.

    Fields are cleaned as by :func:`clean_games`; those that are empty are left out with their
    prefix, and line breaks become spaces.

    Parameters
    ----------
    games
        With the columns that the recipe names.
    recipe
        Which fields, in which order.

    Returns
    -------
    pandas.Series
        Strings named ``embedding_text``, on the index of ``games``.

    Raises
    ------
    DataContractError
        If ``games`` lacks a field of the recipe, or a field holds something that is no text.
    """
    require_columns(games, recipe.fields, "games")
    refuse_twins("the games", games.columns, recipe.fields)
    texts = read_texts(games, recipe.fields)
    _raise_misfits(texts.misfits, games)
    tell_unread(texts.unread)
    return joined_fields(games.assign(**texts.columns), recipe)


def joined_fields(games: pd.DataFrame, recipe: TextRecipe = DEFAULT_RECIPE) -> pd.Series[str]:
    """Return what :func:`embedding_text` does, of games whose texts are clean."""
    import pandas as pd

    columns = [[_flat(text) for text in games[field]] for field in recipe.fields]
    prefixes = [_PREFIXES[field] for field in recipe.fields]
    texts = [
        "; ".join(f"{prefix}: {text}" for prefix, text in zip(prefixes, row, strict=True) if text)
        for row in zip(*columns, strict=True)
    ]
    return pd.Series(texts, index=games.index, name="embedding_text", dtype=object)


def given_texts(games: pd.DataFrame, column: str) -> list[str]:
    """Return a column of texts that are embedded as they are.

    Raises
    ------
    DataContractError
        If a cell is null or holds something that is no text.
    """
    cells, misfits = read_cells(games[column], column, lists=False)
    _raise_misfits(misfits, games)
    texts = [cell for cell in cells if isinstance(cell, str)]
    if len(texts) < len(cells):
        raise DataContractError(f"{len(cells) - len(texts):,} games have a null {column}; give each a text")
    if some := [row for row, text in enumerate(texts) if halved(text)]:
        samples = ", ".join(f"game {id_}: {texts[row]!r}" for row, id_ in _named(games, some))
        rule = f"games whose {column} holds half a character (a lone surrogate); mend it where it is made"
        raise DataContractError(f"the games break the data contract: {counted(len(some), rule)} (such as {samples})")
    return texts


def clean_games(games: pd.DataFrame) -> tuple[pd.DataFrame, Counter[str]]:
    """Repair the text columns of a catalogue.

    Names and tags become single lines, tags ``", "``-joined; missing text becomes empty text.

    Parameters
    ----------
    games
        Any frame; of :data:`TEXT_COLUMNS` those that it has are repaired, the others stay.

    Returns
    -------
    tuple[pandas.DataFrame, Counter[str]]
        A new frame, and in how many cells each :class:`~recsys.marts.repairs.Repair` was made.

    Raises
    ------
    DataContractError
        If a cell holds something that is no text; in tag columns lists of words and numbers are.
    """
    require_columns(games, [column for column in TEXT_COLUMNS if column in games.columns], "games")
    texts = read_texts(games)
    _raise_misfits(texts.misfits, games)
    return games.assign(**texts.columns), texts.repaired


def tell_unread(unread: Iterable[Unread]) -> None:
    """Warn of each column of tags that looks like lists in a notation that is not read."""
    for column in unread:
        log.warning(
            "tags look like lists in a notation that is not read, so each such cell is one tag: "
            "send lists, or join the tags by ', '",
            extra=keys(
                column=column.column, notation=column.notation, cells=column.cells, of=column.of, such_as=column.such_as
            ),
        )  # fmt: skip


def _named(games: pd.DataFrame, rows: list[int]) -> list[tuple[int, object]]:
    """Return the first few of some rows, each with its game's id."""
    ids = games[GAME_ID] if GAME_ID in games.columns else games.index.to_series()
    return [(row, ids.iloc[row]) for row in rows[:SAMPLES]]


def _raise_misfits(misfits: Iterable[Misfits], games: pd.DataFrame) -> None:
    ids = games[GAME_ID].tolist() if GAME_ID in games.columns else list(games.index)
    rules = [f"{counted(len(some.rows), some.rule)} (such as {', '.join(some.samples(ids))})" for some in misfits]
    if rules:
        raise DataContractError(f"the games break the data contract: {'; '.join(rules)}")


def _flat(text: str) -> str:
    return text.replace("\n\n", " ").replace("\n", " ") if "\n" in text else text
