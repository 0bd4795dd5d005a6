"""The loops of the scorer for many lists at once, in plain Python for numba to compile."""

from __future__ import annotations

from typing import Any

import numpy as np


def near_the_best(
    products: Any,
    scale: float,
    added: Any,
    barred: Any,
    without: Any,
    k: int,
    error: float,
    rounded: float,
    lowest: float,
    scores: Any,
    best: Any,
    near: Any,
) -> int:
    """Write the rows that may be among the best ``k`` by ``scale · product + added``, in order; return how many.

    Parameters
    ----------
    products
        float32, (rows,): inner products, roughly.
    scale, added
        As for :meth:`recsys.ranking.scorer.Scorer.shifted`.
    barred, without
        Rows that may not be listed: for anybody, and for this one.
    k
        From 1 to the number of rows.
    error
        How far a score may be off; twice that below the k-th best, nothing is among the best.
    rounded, lowest
        What rounding may bring scores together by, as a share of them; and the score below which nothing is listed.
    scores, best, near
        Room: float64 (rows,), float64 (k,), and int64 (rows,) for the result.
    """
    rows = len(products)
    for row in range(rows):
        scores[row] = scale * np.float64(products[row]) + added[row]
    for row in barred:
        scores[row] = -np.inf
    for row in without:
        scores[row] = -np.inf
    # The best k so far as a heap, the least of them on top.
    for place in range(k):
        best[place] = -np.inf
    least = -np.inf
    for row in range(rows):
        score = scores[row]
        if score <= least:
            continue
        place = 0
        while True:
            lower = 2 * place + 1
            if lower >= k:
                break
            if lower + 1 < k and best[lower + 1] < best[lower]:
                lower += 1
            if best[lower] >= score:
                break
            best[place] = best[lower]
            place = lower
        best[place] = score
        least = best[0]
    edge = best[0]
    floor = max(edge - 2 * error - abs(edge) * rounded, lowest) if edge > -np.inf else lowest
    count = 0
    for row in range(rows):
        if scores[row] >= floor:
            near[count] = row
            count += 1
    return count


def settle(query: Any, table: Any, rows: Any, scale: float, added: Any, sums: Any, scores: Any) -> None:
    """Write ``scale · s + added`` for some rows, with s as :func:`recsys.ranking.scorer.scores_for` sums it.

    Parameters
    ----------
    query, table
        float32, (factors,) and (all rows, factors).
    rows
        (n,): which.
    scale, added
        As for :func:`near_the_best`.
    sums
        Room: float64, (factors,).
    scores
        float32, (n,), for the result.
    """
    for place in range(len(rows)):
        row = rows[place]
        width = len(query)
        for factor in range(width):
            sums[factor] = np.float64(table[row, factor]) * np.float64(query[factor])
        while width > 1:
            half = width // 2
            first = width - half
            for factor in range(half):
                sums[factor] += sums[first + factor]
            width = first
        scores[place] = np.float32(scale * np.float64(np.float32(sums[0])) + added[row])
