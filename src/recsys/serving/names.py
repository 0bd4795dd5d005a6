"""Games by name, forgivingly: case, accents, punctuation and typing errors do not count."""

from __future__ import annotations

import difflib
import re
import unicodedata
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from recsys.serving.trigrams import Trigrams

if TYPE_CHECKING:
    from collections.abc import Sequence

    from recsys.serving.catalogue import Catalogue

CERTAIN = 0.8
"""From this likeness on, and with nothing else near, a name that was mistyped is taken for the one it resembles."""

BEGINS = 0.95
"""Names that begin as asked are listed as if they were at least so alike: which of them is meant, the numbers of
ratings tell best. They are not taken for certain by that."""
_CLEARLY = 0.08
_WORDS = re.compile(r"\w+")
_LONGEST = 200
"""Letters of a name, and of a query, that are read."""


class Match(NamedTuple):
    """A game whose name resembles what was asked.

    Attributes
    ----------
    row
        The game's row in the catalogue.
    likeness
        1 for the same name but for case, accents and punctuation; else below 1.
    """

    row: int
    likeness: float


def plain(name: str) -> str:
    """Return a name without case, accents and punctuation: ``Café: 2nd!`` is ``cafe 2nd``."""
    letters = name.casefold()
    if letters.isascii():  # as most are, and nothing below changes these
        return " ".join(_WORDS.findall(letters))
    letters = unicodedata.normalize("NFKD", letters)
    return " ".join(_WORDS.findall("".join(c for c in letters if not unicodedata.combining(c)).casefold()))


def spelled(name: str) -> str:
    """Return what names are compared by: :func:`plain`, and where that leaves nothing, the signs: ``!!!``, ``+``."""
    return plain(name[:_LONGEST]) or _signs(name).replace(" ", "")


def _signs(name: str) -> str:
    letters = name[:_LONGEST].casefold()
    return " ".join((letters if letters.isascii() else unicodedata.normalize("NFKC", letters)).split())


class NameIndex:
    """Finds games by name.

    Parameters
    ----------
    catalogue
        The games of one release.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self._n_ratings = catalogue.n_ratings
        self._names = [spelled(name) for name in catalogue.names]
        self._as_written = [_signs(name) for name in catalogue.names]

    def find(self, text: str, k: int = 10) -> list[Match]:
        """Return up to ``k`` games whose names resemble ``text``, likeliest first, then as written, then most rated."""
        query, signs = spelled(text), _signs(text)
        if not query or k < 1:
            return []
        alike = [Match(row, likeness) for row in self._candidates(query) if (likeness := self._likeness(query, row))]
        return sorted(alike, key=lambda match: self._order(query, signs, match))[:k]

    def _order(self, query: str, signs: str, match: Match) -> tuple[float, bool, int, int]:
        begins, other = self._names[match.row].startswith(query), self._as_written[match.row] != signs
        return -max(match.likeness, BEGINS if begins else 0), other, -self._n_ratings[match.row], match.row

    def prepare(self) -> None:
        """Build what the first question would build."""
        _ = self._index

    def _likeness(self, query: str, row: int) -> float:
        """Compare two plain names: equal, begun with, containing all words, or spelled alike."""
        name = self._names[row]
        if name == query:
            return 1.0
        ratio = difflib.SequenceMatcher(None, query, name, autojunk=False).ratio()
        if name.startswith(query):
            return max(0.75, min(ratio, 0.99))
        if set(query.split()) <= set(name.split()):
            return max(0.65, min(ratio, 0.99))
        return min(ratio, 0.99) if ratio >= 0.5 else 0.0

    def _candidates(self, query: str) -> list[int]:
        """Return the rows that share most trigrams with ``query``, and those whose names begin with it."""
        shared = self._index.shared(query)
        # Long names share many trigrams by chance: count what is not shared against them.
        alike = {row: 2 * n / (len(query) + len(self._names[row]) + 2) for row, n in shared.items()}
        best = sorted(alike, key=lambda row: (-alike[row], -self._n_ratings[row]))[:100]
        begins = [row for row, name in enumerate(self._names) if name.startswith(query)]
        begins.sort(key=lambda row: -self._n_ratings[row])
        return list(dict.fromkeys([*begins[:200], *best]))

    @cached_property
    def _index(self) -> Trigrams:
        return Trigrams(self._names)


def certain(likenesses: Sequence[float]) -> bool:
    """Say whether the first of some matches is meant: the same name, or nearly so and nothing else near.

    Parameters
    ----------
    likenesses
        The likenesses of the matches, in their order.
    """
    if not likenesses or likenesses[0] < CERTAIN:
        return False
    first, second = likenesses[0], likenesses[1] if len(likenesses) > 1 else 0.0
    return first == 1 or first - second >= _CLEARLY
