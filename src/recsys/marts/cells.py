"""Cells of a catalogue's text columns: text, for tags also lists of words and numbers, and nothing else.

The columns of a mart have a type each; a data frame that somebody hands over has only values, which
may be of mixed types. So the values decide, and the type is asked where values do not tell: an
empty map looks like an empty list, and an ``OBJECT`` of Snowflake arrives as text.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import pandas as pd

Cell: TypeAlias = str | list[str] | None
"""Text, a list of tags, or nothing."""

ARROW_TYPES = "arrow_types"
"""Key of a data frame's ``attrs``: by column, the type that it arrived in, in words."""
DECLARED_TYPE = b"declared_type"
"""Key of an Arrow field's metadata: what the warehouse calls the type, where Arrow's says less."""

_SAMPLES = 3
_LONGEST = 60
_EXACT = 2.0**53


class NotText(ValueError):
    """A value that is no text; the message says what it is."""


class NotUtf8(NotText):
    """Bytes that are no text either."""


def halved(text: str) -> bool:
    """Tell whether a text holds half a character (a lone surrogate), which no file and no model takes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


@dataclass(frozen=True)
class Misfits:
    """Cells of a column that hold no text.

    Attributes
    ----------
    rule
        What they are, what was expected, and what to do.
    rows
        Their places in the column.
    values
        What the first few hold.
    """

    rule: str
    rows: list[int]
    values: list[str]

    def samples(self, ids: Sequence[object]) -> list[str]:
        """Name the first few games, with what their cells hold."""
        return [f"game {ids[row]}: {value}" for row, value in zip(self.rows, self.values, strict=False)]


def read_cells(column: pd.Series[Any], name: str, *, lists: bool, kind: str = "") -> tuple[list[Cell], list[Misfits]]:
    """Read a column of text, or of tags.

    Parameters
    ----------
    column
        Strings, or bytes in UTF-8; any value that pandas takes for null is nothing.
    name
        What messages call the column.
    lists
        Whether a cell may be a list of words and numbers too; its null entries are left out.
    kind
        The type that the column arrived in, if it is known.

    Returns
    -------
    cells
        One for each row; None also where a cell is a misfit.
    misfits
        The cells that hold something else, by type.
    """
    cells: list[Cell] = []
    misfits: dict[str, list[tuple[int, Any]]] = {}
    never = _never_text(kind, lists=lists)
    objects = column.astype(object)
    for row, value in enumerate(objects.where(column.notna(), None)):
        if value is None or (type(value) is str and not never):
            cells.append(value)
            continue
        try:
            if never:
                raise NotText(kind)
            cells.append(_read(value, lists=lists))
        except NotText as error:
            cells.append(None)
            misfits.setdefault(_rule(name, error, kind, lists=lists), []).append((row, value))
    if kind == "VARIANT":
        cells = [_unquoted(cell) for cell in cells]
    return cells, [
        Misfits(rule, [row for row, _ in some], [_short(value) for _, value in some[:_SAMPLES]])
        for rule, some in misfits.items()
    ]


def text_of(value: Any) -> str:
    """Return a string, or bytes that are strictly UTF-8, as text.

    Raises
    ------
    NotText
        If it is anything else.
    """
    if isinstance(value, str):
        return str.__str__(value)  # an enum's or numpy's string is its text, not its own print
    if isinstance(value, bytes | bytearray | memoryview):
        try:
            return bytes(value).decode("utf-8")
        except UnicodeDecodeError:
            raise NotUtf8("binary") from None
    raise NotText(type(value).__name__)


def entry_text(entry: Any) -> str | None:
    """Return one entry of a list as text, None where it is null; whole numbers have no fraction: 7.0 is ``7``.

    Raises
    ------
    NotText
        If it is neither text nor a finite number.
    """
    if entry is None or isinstance(entry, str):
        return None if entry is None else text_of(entry)
    kind = getattr(getattr(entry, "dtype", None), "kind", "")
    if isinstance(entry, bool) or kind == "b":
        raise NotText("bool")
    if isinstance(entry, int) or kind in {"i", "u"}:
        return str(int(entry))
    if isinstance(entry, float | Decimal) or kind == "f":
        return _number(entry)
    if type(entry).__name__ in {"NAType", "NaTType"}:  # pandas' own nulls
        return None
    return text_of(entry)


def _number(number: Any) -> str | None:
    if math.isnan(number):
        return None
    if math.isinf(number):
        raise NotText("infinite float")
    if abs(number) < _EXACT and number == int(number):
        return str(int(number))
    return str(number)


def _never_text(kind: str, *, lists: bool) -> bool:
    """Say that no cell of a type can be a text here, whatever its value looks like."""
    return kind.startswith("map<") or kind == "OBJECT" or (not lists and kind in {"ARRAY", "VARIANT"})


def _read(value: Any, *, lists: bool) -> Cell:
    if not _is_list(value):
        return text_of(value)
    if not lists:
        raise NotText(type(value).__name__)
    entries = []
    for entry in value:
        try:
            text = entry_text(entry)
        except NotUtf8:
            raise
        except NotText as error:
            raise NotText(f"list of {error}") from None
        if text is not None:
            entries.append(text)
    return entries


def _is_list(value: Any) -> bool:
    if isinstance(value, str | bytes | bytearray | memoryview):
        return False
    return isinstance(value, Sequence) or getattr(value, "ndim", 0) == 1


def _unquoted(cell: Cell) -> Cell:
    """Return the text of a VARIANT: it arrives as JSON, a string of it between quotes."""
    if not (isinstance(cell, str) and cell.startswith('"')):
        return cell
    try:
        return str(json.loads(cell))
    except ValueError:
        return cell


def _rule(name: str, error: NotText, kind: str, *, lists: bool) -> str:
    if isinstance(error, NotUtf8):
        return f"games whose {name} is {error} and not UTF-8; decode it to text where its encoding is known"
    seen = kind or str(error)
    if lists:
        remedy = "send the names alone, as lists or as text joined by ', '"
        return f"games whose {name} is {seen}, neither text nor a list of words or numbers; {remedy}"
    return f"games whose {name} is {seen}, not text; cast it to text"


def _short(value: Any) -> str:
    listed = value.tolist() if hasattr(value, "tolist") and _is_list(value) else value
    text = " ".join(repr(listed).split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
