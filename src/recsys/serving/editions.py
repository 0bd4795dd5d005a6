"""Editions and reprints of one game, which need not fill a list."""

from __future__ import annotations

import re
from collections import Counter
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from recsys.serving.names import plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

SAME_TEXT = 0.97
"""Cosine of embeddings from which on two texts tell of the same game."""

_SUBTITLE = re.compile(r"\s*[:(\[–—]|\s-\s")
_EDITION = re.compile(
    r"\b(the|a|an|(?:\w+ )?(?:edition|printing|anniversary)|deluxe|revised|collectors?|limited|classic|new|big box|"
    r"\d+(?:st|nd|rd|th)|(?:18|19|20)\d\d)\b"
)


def stem(name: str) -> str:
    """Return what editions of one game have in common: ``Catan: 3D Edition`` and ``CATAN (2015)`` are ``catan``.

    Games of one series have it in common too (``Star Wars: Rebellion``, ``Star Wars: X-Wing``): names do
    not tell them apart from editions, and on real catalogues neither do the texts.
    """
    main = plain(_SUBTITLE.split(name.strip(), maxsplit=1)[0]) or plain(name) or name.strip()
    bare = " ".join(_EDITION.sub(" ", main).split())
    return bare or main


class Shown:
    """The games of a list so far, and whether one more would be an edition too many.

    Parameters
    ----------
    stems
        Of all games.
    vectors
        float32, (games, dimension): their embeddings, unit rows.
    most
        How many editions of one game there may be.
    """

    def __init__(self, stems: Sequence[str], vectors: npt.NDArray[np.float32], most: int) -> None:
        self._stems, self._vectors, self._most = stems, vectors, most
        self._rows: list[int] = []
        self._kept = np.empty((16, vectors.shape[1]), dtype=np.float32)
        self._number_of = Counter[str]()

    def takes(self, row: int) -> bool:
        """Say whether there is room for a game; where there is, it is counted."""
        stem = self._stems[row]
        if self._number_of[stem] >= self._most:
            return False
        alike = self._kept[: len(self._rows)] @ self._vectors[row] >= SAME_TEXT
        others = sum(self._stems[self._rows[place]] != stem for place in np.flatnonzero(alike))
        if self._number_of[stem] + others >= self._most:
            return False
        self.add([row])
        return True

    def add(self, rows: Sequence[int]) -> None:
        """Count games, whether there is room or not."""
        number = len(self._rows)
        if number + len(rows) > len(self._kept):
            more = np.empty((number + 2 * len(rows), self._kept.shape[1]), dtype=np.float32)
            self._kept = np.concatenate([self._kept[:number], more])
        self._kept[number : number + len(rows)] = self._vectors[rows]
        self._rows += rows
        self._number_of.update(self._stems[row] for row in rows)


class Editions:
    """Tells which games of a catalogue are one game.

    Parameters
    ----------
    names
        Names of all games, in the order of ``vectors``.
    vectors
        float32, (games, dimension): their embeddings, unit rows.
    """

    def __init__(self, names: Sequence[str], vectors: npt.NDArray[np.float32]) -> None:
        self._names = names
        self._vectors = vectors

    def shown(self, most: int) -> Shown:
        """Return what counts editions in a list of which at most so many may be of one game."""
        return Shown(self._stems, self._vectors, most)

    def prepare(self) -> None:
        """Build what the first question would build."""
        _ = self._stems

    @cached_property
    def _stems(self) -> list[str]:
        return [stem(name) for name in self._names]
