"""What the embedding model reads of a game: cleaned fields, in an order that fits its 256 tokens."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from recsys.errors import DataContractError
from recsys.repairs import Repair, clean_text, is_clean
from recsys.tags import parse_tags, split_tags

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "DEFAULT_RECIPE",
    "Repair",
    "TextRecipe",
    "clean_games",
    "clean_text",
    "embedding_text",
    "parse_tags",
    "split_tags",
]

TEXT_COLUMNS = ("NAME", "DESCRIPTION", "CATEGORIES", "MECHANICS")
"""Columns of the games frame that hold text."""

_TAG_COLUMNS = ("CATEGORIES", "MECHANICS")
_PREFIXES = {"NAME": "Name", "CATEGORIES": "Categories", "MECHANICS": "Mechanics", "DESCRIPTION": "Description"}


@dataclass(frozen=True)
class TextRecipe:
    """How a game becomes text.

    Attributes
    ----------
    fields
        Columns in the order in which the model reads them. It stops after 256 tokens: with the
        description second, a third of real games lose their categories and mechanics.
    version
        Changes whenever prefixes, separators or cleaning change what comes out.
    """

    fields: tuple[str, ...] = ("NAME", "CATEGORIES", "MECHANICS", "DESCRIPTION")
    version: str = "1"

    @property
    def key(self) -> str:
        """Names the recipe in cache keys and manifests."""
        return f"text-{self.version}:{','.join(self.fields)}"


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
        If ``games`` lacks a field of the recipe.
    """
    import pandas as pd

    missing = [field for field in recipe.fields if field not in games.columns]
    if missing:
        raise DataContractError(
            f"games lack {', '.join(missing)}; the columns are {', '.join(map(str, games.columns))}"
        )
    cleaned, _ = clean_games(games)
    columns = [[_flat(text) for text in cleaned[field]] for field in recipe.fields]
    prefixes = [_PREFIXES[field] for field in recipe.fields]
    texts = [
        "; ".join(f"{prefix}: {text}" for prefix, text in zip(prefixes, row, strict=True) if text)
        for row in zip(*columns, strict=True)
    ]
    return pd.Series(texts, index=games.index, name="embedding_text", dtype=object)


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
        A new frame, and in how many cells each :class:`~recsys.repairs.Repair` was made.
    """
    repaired: Counter[str] = Counter()
    columns = {name: _clean_column(games[name], name, repaired) for name in TEXT_COLUMNS if name in games.columns}
    return games.assign(**columns), repaired


def _clean_column(column: pd.Series[Any], name: str, repaired: Counter[str]) -> list[str]:
    cleaned = []
    cells = column.astype(object)
    for cell in cells.where(column.notna(), None):
        if name in _TAG_COLUMNS:
            text, kinds = _clean_tags(cell)
        else:
            text, kinds = clean_text(_as_text(cell), single_line=name == "NAME")
        repaired.update(kinds)
        cleaned.append(text)
    return cleaned


def _clean_tags(cell: Any) -> tuple[str, frozenset[Repair]]:
    """Return the tags of a cell joined; it may be text, a list given as text, or a list."""
    if isinstance(cell, str) or not hasattr(cell, "__len__"):
        text = _as_text(cell)
        # A list is read before its entries are repaired: a decoded quote would end an entry early.
        tags = parse_tags(text) if text.startswith("[") else None
        if tags is None:
            text, kinds = clean_text(text, single_line=True)
            if not (kinds and text.startswith("[")) or (tags := parse_tags(text)) is None:
                return text, kinds
        else:
            kinds = frozenset()
        kinds |= {Repair.LISTS}
    else:
        tags, kinds = [_as_text(tag) for tag in cell], frozenset()
    joined = ", ".join(tag for tag in tags if tag)
    if is_clean(joined, single_line=True):
        return joined, kinds
    cleaned = [clean_text(tag, single_line=True) for tag in tags]
    return ", ".join(tag for tag, _ in cleaned if tag), kinds.union(*(found for _, found in cleaned))


def _as_text(cell: Any) -> str:
    return "" if cell is None else str(cell)


def _flat(text: str) -> str:
    return text.replace("\n\n", " ").replace("\n", " ") if "\n" in text else text
