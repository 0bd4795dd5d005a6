"""Sums and draws by fixed blocks of rows, so that no number of threads, no size and no split decides a bit.

A sum of floats depends on its order. Here rows fall into blocks of :data:`ROWS`, and blocks into groups of
:data:`GROUP`: what is summed is summed within its block, then block after block within the group, then group after
group. Whoever holds some whole groups can sum them alone. numpy alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import numpy.typing as npt
    from scipy.sparse import csr_matrix

    Doubles: TypeAlias = npt.NDArray[np.float64]
    Block: TypeAlias = tuple[int, int]
    Run: TypeAlias = Callable[[Callable[[Block], Doubles], list[Block]], Iterable[Doubles]]

ROWS = 8192
"""Rows of a block."""
GROUP = 64
"""Blocks of a group."""


def blocks(rows: int) -> list[Block]:
    """Return where the blocks of so many rows begin and end."""
    return [(start, min(start + ROWS, rows)) for start in range(0, rows, ROWS)]


def summed(part: Callable[[Block], Doubles], parts: list[Block], shape: tuple[int, ...], run: Run = map) -> Doubles:
    """Return the sum over some blocks, group after group.

    Parameters
    ----------
    part
        Returns a block's part of the sum, float64 of ``shape``.
    parts
        The :func:`blocks`.
    shape
        That of the sum.
    run
        Applies a function to blocks, the results in their order: ``map``, or that of a pool. It holds the parts of
        one group at a time.
    """
    total = np.zeros(shape)
    for first in range(0, len(parts), GROUP):
        total = total + sum(run(part, parts[first : first + GROUP]), np.zeros(shape))
    return total


def gramian(factors: npt.NDArray[np.float32], run: Run = map, *, exact: bool = False) -> Doubles:
    """Return Σ y yᵀ over the rows of some factors; float64, (factors, factors).

    Parameters
    ----------
    factors
        float32, (rows, factors).
    run
        As for :func:`summed`.
    exact
        Whether a block is multiplied in float64; otherwise in float32, as fast as it can be.
    """

    def part(block: Block) -> Doubles:
        rows = factors[slice(*block)]
        if exact:
            rows = rows.astype(np.float64)
        return (rows.T @ rows).astype(np.float64, copy=False)

    width = factors.shape[1]
    return summed(part, blocks(len(factors)), (width, width), run)


def row_sums(matrix: csr_matrix) -> Doubles:
    """Return the sum of each row of a CSR matrix, which depends on that row alone; float64, (rows,)."""
    sums = np.zeros(matrix.shape[0])
    for start, stop in blocks(len(sums)):
        ends = matrix.indptr[start : stop + 1]
        filled = np.flatnonzero(ends[1:] > ends[:-1])
        if len(filled):
            entries = matrix.data[ends[0] : ends[-1]].astype(np.float64)
            sums[start + filled] = np.add.reduceat(entries, ends[filled] - ends[0])
    return sums


def total(sums: Doubles) -> float:
    """Return the sum of what :func:`row_sums` returned."""
    return float(summed(lambda block: sums[slice(*block)].sum(), blocks(len(sums)), ()))


def normal_rows(rows: int, factors: int, scale: float, seed: list[int]) -> npt.NDArray[np.float32]:
    """Draw normal numbers, those of a block from its own stream; float32, (rows, factors).

    Parameters
    ----------
    rows, factors
        How many.
    scale
        Standard deviation.
    seed
        Numbers that, with that of the block, begin its stream.
    """
    drawn = np.empty((rows, factors), dtype=np.float32)
    for number, (start, stop) in enumerate(blocks(rows)):
        some = drawn[start:stop]
        np.random.default_rng([*seed, number]).standard_normal(dtype=np.float32, out=some)
        some *= np.float32(scale)
    return drawn
