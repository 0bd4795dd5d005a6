"""Lists of the best of many scores: who may be among them, and who is, in the one order."""

from __future__ import annotations

from math import isqrt
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from recsys.ranking.top import best_columns

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float32]


class Lists(NamedTuple):
    """The best of many rows for some vectors.

    Attributes
    ----------
    columns
        int32, (queries, k): rows, best first; -1 where no more may be listed.
    scores
        float32, (queries, k): theirs; ``-inf`` for padding.
    """

    columns: npt.NDArray[np.int32]
    scores: Floats


def near_the_best_of(
    scores: Floats, k: int, slack: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], Floats]:
    """Return rows and columns, in order, of what is at most ``slack`` below the best ``k`` of its row, and the floors.

    A few more may be among them. The columns are dealt into stripes; the k-th best of the stripes' highest scores is no
    higher than the k-th best of all, so that only the few stripes that reach it are looked into.
    """
    rows, columns = scores.shape
    width = min(max(isqrt(k * columns), k), columns)
    if not rows or not k or not width:
        nothing = np.zeros(0, dtype=np.intp)
        return nothing, nothing, np.full(rows, np.inf, dtype=np.float32)
    whole = columns // width * width
    highest = scores[:, :whole].reshape(rows, -1, width).max(axis=1)
    rest = columns - whole
    np.maximum(highest[:, :rest], scores[:, whole:], out=highest[:, :rest])
    floor = np.partition(highest, width - k, axis=1)[:, width - k] if k < width else highest.min(axis=1)
    floor = np.maximum(floor - slack, np.finfo(np.float32).min).astype(np.float32)  # nothing that may not be listed
    row, first = np.nonzero(highest >= floor[:, None])
    column = first[:, None] + width * np.arange(-(-columns // width))
    inside = column < columns
    near = inside & (scores[row[:, None], np.where(inside, column, 0)] >= floor[row][:, None])
    places = np.sort((row[:, None] * columns + column)[near])
    return places // columns, places % columns, floor


def lists_of(
    places: npt.NDArray[np.intp], columns: npt.NDArray[np.intp], scores: Floats, shape: tuple[int, int]
) -> Lists:
    """Return the best of scored entries, which go row by row and, within a row, column by column."""
    counts = np.bincount(places, minlength=shape[0])
    at = np.arange(len(places)) - np.repeat(np.cumsum(counts) - counts, counts)
    size = shape[0], int(counts.max(initial=0))
    values, whose = np.full(size, -np.inf, dtype=np.float32), np.zeros(size, dtype=np.int32)
    values[places, at], whose[places, at] = scores, columns
    order = best_columns(values, shape[1])
    if not size[1]:
        return Lists(order, np.full(shape, -np.inf, dtype=np.float32))
    row, listed = np.arange(shape[0])[:, None], order >= 0
    return Lists(np.where(listed, whose[row, order], -1), np.where(listed, values[row, order], np.float32(-np.inf)))
