"""Which names share three letters in a row, in arrays: a list for each trigram would be half a million objects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

_WIDTH = np.uint64(21)
"""Bits of a letter: Unicode has no more."""


class Trigrams:
    """The trigrams of some names, each name with two blanks before it and one after it.

    Parameters
    ----------
    names
        Plain names.
    """

    def __init__(self, names: Sequence[str]) -> None:
        lengths = np.array([len(name) + 1 for name in names], dtype=np.int64)
        codes = _codes("".join(f"  {name} " for name in names))
        # A name of n letters has n + 1 trigrams, and its padding two places more, where none begins.
        ends = np.cumsum(lengths + 2)
        inside = np.ones(len(codes), dtype=bool)
        inside[ends - 1] = inside[ends - 2] = False
        packed = _packed(codes)[inside[: len(codes) - 2]] if len(codes) else _packed(codes)
        rows = np.repeat(np.arange(len(names), dtype=np.int32), lengths)
        order = np.lexsort((rows, packed))
        packed, rows = packed[order], rows[order]
        first = np.ones(len(packed), dtype=bool)  # of each name's trigrams alike
        first[1:] = (packed[1:] != packed[:-1]) | (rows[1:] != rows[:-1])
        packed, self._rows = packed[first], rows[first]
        self._trigrams, starts = np.unique(packed, return_index=True)
        self._starts = np.append(starts, len(packed))

    def shared(self, query: str) -> dict[int, int]:
        """Return how many different trigrams each name shares with a query, for the names that share any, by row."""
        asked = np.unique(_packed(_codes(f"  {query} ")))
        places = np.searchsorted(self._trigrams, asked)
        known = places < len(self._trigrams)
        known[known] = self._trigrams[places[known]] == asked[known]
        found = [self._rows[self._starts[place] : self._starts[place + 1]] for place in places[known]]
        rows, counts = np.unique(np.concatenate(found) if found else self._rows[:0], return_counts=True)
        return dict(zip(rows.tolist(), counts.tolist(), strict=True))


def _codes(text: str) -> npt.NDArray[np.uint64]:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(np.uint64)


def _packed(codes: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    packed: npt.NDArray[np.uint64] = (codes[:-2] << (_WIDTH + _WIDTH)) | (codes[1:-1] << _WIDTH) | codes[2:]
    return packed
