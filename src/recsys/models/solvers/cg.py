"""The inner loop of iALS: conjugate gradients for a block of rows, fused into few passes.

Plain Python that numba compiles on first use. Each row is solved by itself and in one fixed order
of operations, so neither the number of threads nor the split into blocks changes a single bit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from recsys.system import kernels

Kernel: TypeAlias = Callable[..., None]

_SMALL = np.float32(1e-20)
"""Squared residual below which a row is solved, as in implicit."""


def solve_rows(
    start: int,
    stop: int,
    indptr: Any,
    indices: Any,
    confidence: Any,
    overlap: Any,
    fixed: Any,
    solved: Any,
    diagonal: Any,
    ridge: Any,
    steps: int,
) -> None:
    """Improve ``solved[start:stop]`` in place by ``steps`` conjugate-gradient steps.

    Row ``u`` minimizes ``½ xᵀA x - bᵀx`` with ``A = diag(diagonal) + ridge[u]·I + Σ w·y yᵀ`` and
    ``b = Σ c·y``; the sums run over the row's entries, ``y`` is the entry's row of ``fixed``,
    ``c`` its confidence and ``w = c - overlap``. Entries are taken four at a time: their vectors
    are read from memory once for both the product and the update.

    Parameters
    ----------
    start, stop
        Rows to solve.
    indptr, indices, confidence
        CSR arrays: int64, int32, float32.
    overlap
        float32 weight that an entry has already in ``diagonal``.
    fixed
        float32 (columns, factors), in the eigenbasis of its Gramian.
    solved
        float32 (rows, factors), in the same basis; starting point and result. Rows without
        entries become zero.
    diagonal
        float32 (factors,): the weighted Gramian of ``fixed``, diagonal in this basis.
    ridge
        float32 (rows,).
    steps
        At most so many steps a row.
    """
    n_factors = fixed.shape[1]
    residual = np.empty(n_factors, np.float32)
    direction = np.empty(n_factors, np.float32)
    product = np.empty(n_factors, np.float32)
    for row in range(start, stop):
        x = solved[row]
        first, last = indptr[row], indptr[row + 1]
        if first == last:
            x[:] = 0
            continue
        norm = np.float32(0)
        for step in range(steps + 1):  # step 0 computes the residual A x - b
            v = x if step == 0 else direction
            for k in range(n_factors):
                product[k] = (diagonal[k] + ridge[row]) * v[k]
            entry = first
            while entry + 4 <= last:
                y0, y1 = fixed[indices[entry]], fixed[indices[entry + 1]]
                y2, y3 = fixed[indices[entry + 2]], fixed[indices[entry + 3]]
                s0, s1, s2, s3 = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
                for k in range(n_factors):
                    s0 += y0[k] * v[k]
                    s1 += y1[k] * v[k]
                    s2 += y2[k] * v[k]
                    s3 += y3[k] * v[k]
                c0, c1, c2, c3 = confidence[entry], confidence[entry + 1], confidence[entry + 2], confidence[entry + 3]
                s0, s1, s2, s3 = s0 * (c0 - overlap), s1 * (c1 - overlap), s2 * (c2 - overlap), s3 * (c3 - overlap)
                if step == 0:
                    s0, s1, s2, s3 = s0 - c0, s1 - c1, s2 - c2, s3 - c3
                for k in range(n_factors):
                    product[k] += s0 * y0[k] + s1 * y1[k] + s2 * y2[k] + s3 * y3[k]
                entry += 4
            while entry < last:
                y0 = fixed[indices[entry]]
                s0 = np.float32(0)
                for k in range(n_factors):
                    s0 += y0[k] * v[k]
                s0 *= confidence[entry] - overlap
                if step == 0:
                    s0 -= confidence[entry]
                for k in range(n_factors):
                    product[k] += s0 * y0[k]
                entry += 1
            if step == 0:
                for k in range(n_factors):
                    residual[k] = direction[k] = -product[k]
                    norm += product[k] * product[k]
                if norm < _SMALL:
                    break
                continue
            curvature = np.float32(0)
            for k in range(n_factors):
                curvature += direction[k] * product[k]
            length = norm / curvature
            before, norm = norm, np.float32(0)
            for k in range(n_factors):
                x[k] += length * direction[k]
                residual[k] -= length * product[k]
                norm += residual[k] * residual[k]
            if norm < _SMALL:
                break
            turn = norm / before
            for k in range(n_factors):
                direction[k] = residual[k] + turn * direction[k]


def compiled() -> Kernel:
    """Return :func:`solve_rows` compiled for this machine.

    Raises
    ------
    MissingExtra
        If numba is not installed.
    """
    return kernels.compiled(solve_rows, needed_for="training with cf.solver = ials")
