"""Cells of tags that look like lists in a notation that is not read: kept whole, and reported."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

SHARE = 0.05
"""Of a column's cells that may look like lists by chance: a tag may hold a semicolon."""

_LONGEST = 80
_QUOTE = "[bu]?[\"']"
# Of a list that is written by these, one cell is enough.
_LISTS = (
    ("JSON objects", re.compile(r"""\[?\s*\{\s*(["'])[^"']*\1\s*:|\[\s*\{""")),
    ('{A,"B"}', re.compile(rf"\{{\s*(?:{_QUOTE}|\{{)|\{{[^{{}}]*,[^{{}}]*(?:\}}$|$)")),
    ('c("A", "B")', re.compile(rf"[A-Za-z_][\w.]*+[\[(][\[({{\s]*{_QUOTE}")),
    ("half or nested lists", re.compile(rf"[\[(][\s\[(]*(?:{_QUOTE}|\[)")),
)
# These may be names of tags as well: "[Redacted]", "(Unofficial)".
_PERHAPS = (
    ("{A}", re.compile(r"\{[^{}]*(?:\}$|$)")),
    ("[A, B]", re.compile(r"\[[^\[\]]*(?:\]$|$)")),
    ("(A, B)", re.compile(r"\([^()]*(?:\)$|$)")),
    ("Array(A, B)", re.compile(r"[A-Za-z_][\w.]*+(?:\([^()]*,[^()]*(?:\)$|$)|\[[^\[\]]*,[^\[\]]*(?:\]$|$))")),
    ('"A", "B"', re.compile(r"""(["'])(?:(?!\1).)*\1(?:\s*,\s*\1(?:(?!\1).)*\1)*$""")),
)
_OPENS = re.compile(r"""[\[({"']|[A-Za-z_][\w.]*+[\[(]""")
_LINES = re.compile(r"[\n\r\t]")
_SEPARATOR = re.compile(r"[|;、，；]|(?<!\d),(?=\S)|,(?=[^\s\d])")


@dataclass(frozen=True)
class Unread:
    """A column of tags that looks like lists in a notation that is not read.

    Attributes
    ----------
    column
        Its name.
    notation
        The most frequent one, as an example.
    cells, of
        How many cells look like that, of all that are not empty.
    such_as
        One of them.
    """

    column: str
    notation: str
    cells: int
    of: int
    such_as: str


def list_notation(text: str) -> str:
    """Return the notation of a text that is or begins a list without being readable as one; or nothing."""
    # Scans in C decide for most texts of a catalogue.
    if not ("(" in text or "[" in text or "{" in text or '"' in text or "'" in text) or not _OPENS.match(text):
        return ""
    return next((name for name, pattern in (*_LISTS, *_PERHAPS) if pattern.match(text)), "")


class Notations:
    """Counts, over the cells of one column that were not read as lists, those that look like some."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._samples: dict[str, str] = {}

    def look(self, cell: str, text: str) -> None:
        """Look at a cell as it came, and at its clean text."""
        name = list_notation(text) or _separator(cell, text)
        if name:
            self._counts[name] += 1
            self._samples.setdefault(name, text)

    def unread(self, column: str, filled: int) -> Unread | None:
        """Return what to report of the column; None if there is nothing.

        Parameters
        ----------
        column
            Its name.
        filled
            How many of its cells are not empty.
        """
        certain = {name for name, _ in _LISTS}
        doubtful = sum(count for name, count in self._counts.items() if name not in certain)
        kinds = Counter(
            {name: n for name, n in self._counts.items() if name in certain or doubtful > SHARE * filled}
        ).most_common()
        if not kinds:
            return None
        name, sample = kinds[0][0], self._samples[kinds[0][0]]
        short = sample if len(sample) <= _LONGEST else f"{sample[: _LONGEST - 1]}…"
        return Unread(column, name, sum(count for _, count in kinds), filled, short)


def _separator(cell: str, text: str) -> str:
    """Return by what other than ``", "`` the tags of a cell seem to be joined, as an example; or nothing."""
    if ", " in text:
        return ""
    if _LINES.search(cell.strip()):
        return "one tag a line"
    separator = _SEPARATOR.search(text)
    return f"A{separator[0]}B" if separator else ""
