"""The text columns of a catalogue, read cell by cell and repaired."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from recsys.marts.cells import Cell, Misfits, read_cells
from recsys.marts.lists import parse_tags
from recsys.marts.notations import Notations, Unread
from recsys.marts.repairs import Repair, clean_text, is_clean
from recsys.marts.schema import NAME, TAG_COLUMNS, TEXT_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pandas as pd

_NULL = "\\N"
"""What an unload to CSV writes for NULL: Snowflake's, MySQL's and PostgreSQL's."""
_NO_TAGS = frozenset({_NULL, "null", "undefined"})
"""A cell of tags without any: a VARIANT that holds JSON's null has no other text."""


@dataclass(frozen=True)
class Texts:
    """What the text columns of a catalogue hold.

    Attributes
    ----------
    columns
        Clean text by column, a cell for each row; misfits are empty.
    repaired
        In how many cells each :class:`~recsys.marts.repairs.Repair` was made.
    misfits
        Cells that hold no text, by column and type.
    unread
        Columns of tags that look like lists in a notation that is not read.
    """

    columns: dict[str, list[str]]
    repaired: Counter[str]
    misfits: list[Misfits]
    unread: list[Unread]


def read_texts(
    games: pd.DataFrame, columns: Sequence[str] = TEXT_COLUMNS, types: Mapping[str, str] | None = None
) -> Texts:
    """Read and repair the text columns of a catalogue, and find what is no text; see ``text.clean_games``.

    Parameters
    ----------
    games
        Any frame.
    columns
        Those that are read, as far as the frame has them.
    types
        By column, the type that it arrived in: ``attrs[ARROW_TYPES]`` of a frame that comes from a
        source. In others the values tell.
    """
    texts = Texts({}, Counter(), [], [])
    for name in columns:
        if name in games.columns:
            kind = (types or {}).get(name) or str(getattr(games[name].dtype, "pyarrow_dtype", ""))
            cells, misfits = read_cells(games[name], name, lists=name in TAG_COLUMNS, kind=kind)
            texts.misfits.extend(misfits)
            texts.columns[name] = _clean_column(cells, name, texts)
    return texts


def _clean_column(cells: Iterable[Cell], name: str, texts: Texts) -> list[str]:
    cleaned = []
    notations = Notations()
    for cell in cells:
        if name in TAG_COLUMNS:
            text, kinds = _clean_tags(cell, notations)
        else:
            text, kinds = _clean_prose(cell, single_line=name == NAME)
        if kinds:
            texts.repaired.update(kinds)
        cleaned.append(text)
    if unread := notations.unread(name, sum(map(bool, cleaned))):
        texts.unread.append(unread)
    return cleaned


def _clean_prose(cell: Cell, *, single_line: bool) -> tuple[str, frozenset[Repair]]:
    assert not isinstance(cell, list)
    if not cell:
        return "", frozenset()
    if cell.strip() == _NULL:
        return "", frozenset({Repair.MISSING})
    return clean_text(cell, single_line=single_line)


def _clean_tags(cell: Cell, notations: Notations) -> tuple[str, frozenset[Repair]]:
    """Return the tags of a cell joined; it may be text, a list given as text, or a list."""
    if not cell:
        return "", frozenset()
    tags: list[str] | None
    if isinstance(cell, list):
        tags, kinds = cell, frozenset[Repair]()
    else:
        if cell.strip() in _NO_TAGS:
            return "", frozenset({Repair.MISSING})
        tags, text, kinds = _listed(cell)
        if tags is None:
            notations.look(cell, text)
            return text, kinds
    if _NULL in tags:
        tags, kinds = [tag for tag in tags if tag != _NULL], kinds | {Repair.MISSING}
    joined = ", ".join(tag for tag in tags if tag)
    if is_clean(joined, single_line=True):
        return joined, kinds
    cleaned = [clean_text(tag, single_line=True) for tag in tags]
    return ", ".join(tag for tag, _ in cleaned if tag), kinds.union(*(repairs for _, repairs in cleaned))


def _listed(cell: str) -> tuple[list[str] | None, str, frozenset[Repair]]:
    """Read a list given as text; return its tags, or None and the clean text of a cell that is no list."""
    # A list is read before its entries are repaired: a decoded quote would end an entry early.
    if cell.startswith(("[", "(")) and (tags := parse_tags(cell)) is not None:
        return tags, "", frozenset({Repair.LISTS})
    text, kinds = clean_text(cell, single_line=True)
    if kinds and text.startswith(("[", "(")) and (tags := parse_tags(text)) is not None:
        return tags, "", kinds | {Repair.LISTS}
    return None, text, kinds
