"""Scores by inner product whose bits belong to the two vectors alone, and lists of the best of them.

BLAS sums in another order for one query than for many, at the edge of a block than within it, and with other threads:
the last bits of a score, and with them the order of equal games, would depend on who else is asked for. So BLAS only
chooses who may be among the best, with a margin that no rounding exceeds; what counts is then summed anew, in one
order, from the two vectors. A list and its scores are the same for one user, in any batch, and on any machine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from recsys.ranking.lists import Lists, lists_of, near_the_best_of
from recsys.ranking.near_kernel import near_the_best, settle
from recsys.ranking.top import BLOCK_CELLS, blocks, top_k
from recsys.system import kernels

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import numpy.typing as npt

    Floats = npt.NDArray[np.float32]
    Doubles = npt.NDArray[np.float64]
    Ranked = tuple[npt.NDArray[np.intp], Floats]
    Ranking: TypeAlias = Callable[[int], Ranked]
    """From a length to the best so many rows, best first, and their scores; never padded."""

_WORTH_THREADS = 1 << 20
"""Multiplications from which on BLAS, with its threads, is quicker."""
_REACH = 1024
"""Rows that are scored first for one vector; on real catalogues hardly a list needs more."""
_ROUNDING = 1 + 1e-5
"""What rounding may add to a length."""
_LOWEST = float(np.finfo(np.float32).min)
"""Below it is only what may not be listed."""
_ROUNDED = 2.0**-22
"""What rounding to float32 may bring two scores together by, as a share of them."""
_SUMMED_AT_ONCE = 1 << 20
"""Products held at once, 8 MiB as float64."""

_NOTHING = np.zeros(0, dtype=np.intp), np.zeros(0, dtype=np.intp), np.zeros(0, dtype=np.float32)


class Shift(NamedTuple):
    """What makes a score of an inner product s: ``scale · s + added``.

    Attributes
    ----------
    scale
        Not negative.
    added
        float64, (rows,).
    without
        intp, (n,): rows that are left out.
    """

    scale: float
    added: Doubles
    without: npt.NDArray[np.intp]


def inner_products(rows: Floats, query: Floats) -> Floats:
    """Return the inner products of rows with one vector, quickly; float32, (n,).

    Their last bits depend on the number of rows and threads: to estimate and to choose by, not to show;
    :func:`scores_for` is for that. Small ones are not left to BLAS: where other work keeps the cores busy, waking its
    threads takes a hundred times as long as the sums.
    """
    products: Floats = rows @ query if rows.size >= _WORTH_THREADS else np.einsum("ij,j->i", rows, query)
    return products


def scores_for(query: Floats, rows: Floats) -> Floats:
    """Return the inner products of one vector with some rows, each the same bits whatever the others are.

    The products are exact in float64; they are added in pairs, in an order that the number of factors alone fixes, and
    the sum is rounded once.

    Parameters
    ----------
    query
        float32, (factors,); or (n, factors), a vector for each row.
    rows
        float32, (n, factors).

    Returns
    -------
    numpy.ndarray
        float32, (n,).
    """
    sums = np.multiply(rows, query, dtype=np.float64)
    width = sums.shape[1]
    if not width:
        return np.zeros(len(rows), dtype=np.float32)
    while width > 1:
        half = width // 2
        sums[:, :half] += sums[:, width - half : width]
        width -= half
    return sums[:, 0].astype(np.float32)


class Scorer:
    """Ranks rows for vectors by :func:`scores_for`.

    Parameters
    ----------
    rows
        float32, (rows, factors): what is ranked, such as the factors of games.
    """

    def __init__(self, rows: Floats) -> None:
        self.rows = rows
        lengths = np.linalg.norm(rows, axis=1)
        self._longest_first = np.argsort(-lengths, kind="stable")
        self._ordered: Floats = rows[self._longest_first]
        self._lengths: Floats = lengths[self._longest_first]
        self._negative_lengths: Floats = -self._lengths
        self._longest = float(lengths.max(initial=0))
        self._by_row = lengths.astype(np.float64)

    def best(
        self,
        queries: Floats,
        k: int,
        allowed: npt.NDArray[np.bool_] | None = None,
        seen: tuple[npt.NDArray[np.integer], npt.NDArray[np.integer]] | None = None,
    ) -> Lists:
        """Return the ``k`` best rows for each of some vectors; ties go to the lower row.

        A vector of zeros prefers nothing: its list is empty.

        Parameters
        ----------
        queries
            float32, (n, factors).
        k
            Length of the lists.
        allowed
            bool, (rows,): rows that may be listed; all when not given.
        seen
            Rows that are left out for each vector: ``indptr``, (n + 1,), and ``indices`` of a CSR matrix.
        """
        lists = Lists(
            np.full((len(queries), k), -1, dtype=np.int32), np.full((len(queries), k), -np.inf, dtype=np.float32)
        )
        codes = np.arange(len(queries), dtype=np.int32)
        for block in blocks(codes, len(self.rows), BLOCK_CELLS):
            part = queries[block]
            rough = part @ self.rows.T if len(part) > 1 else inner_products(self.rows, part[0])[None]
            if allowed is not None:
                rough[:, ~allowed] = -np.inf
            if seen is not None:
                ends = seen[0][block.start : block.stop + 1]
                places = np.repeat(np.arange(len(part)), np.diff(ends))
                rough[places, seen[1][ends[0] : ends[-1]]] = -np.inf
            lists.columns[block], lists.scores[block] = self._settled(part, rough, k)
        return lists

    def ranking(self, query: Floats, allowed: npt.NDArray[np.bool_]) -> Ranking:
        """Return the ranking for one vector, the same as :meth:`best` gives it.

        No inner product exceeds the product of both lengths: the longest rows are scored first, and most of the others
        need not be looked at.

        Parameters
        ----------
        query
            float32, (factors,).
        allowed
            bool, (rows,): rows that may be listed.

        Returns
        -------
        callable
            From a length to the best so many rows and their scores, best first; never padded.
        """
        size = float(np.linalg.norm(query))
        slack, length = float(2 * self._error(size)), size * _ROUNDING

        def rough(start: int, stop: int) -> Floats:
            some = inner_products(self._ordered[start:stop], query)
            some[~allowed[self._longest_first[start:stop]]] = -np.inf
            return some

        def floor_of(scores: Floats, k: int) -> float:
            edge = float(np.partition(scores, len(scores) - k)[len(scores) - k]) if k <= len(scores) else -np.inf
            return max(edge - slack, _LOWEST)

        def rank(k: int) -> Ranked:
            if not size or k < 1:
                return np.zeros(0, dtype=np.intp), np.zeros(0, dtype=np.float32)
            reach = min(max(_REACH, 8 * k), len(self.rows))
            scores = rough(0, reach)
            floor = floor_of(scores, k)
            possible = int(np.searchsorted(self._negative_lengths, -floor / length, side="right"))
            if possible > reach:
                scores = np.append(scores, rough(reach, possible))
                floor = floor_of(scores, k)
            rows = np.sort(self._longest_first[np.flatnonzero(scores >= floor)])
            scores = scores_for(query, self.rows[rows])
            best = top_k(scores, k)
            return rows[best], scores[best]

        return rank

    def shifted(self, query: Floats, allowed: npt.NDArray[np.bool_], scale: float | Doubles, added: Doubles) -> Ranking:
        """Return the ranking by ``scale · s + added``, with s the settled inner product; rounded to float32 once.

        Parameters
        ----------
        query, allowed
            As for :meth:`ranking`.
        scale
            Not negative; or float64, (rows,).
        added
            float64, (rows,).
        """
        size = float(np.linalg.norm(query))
        error = float(self._error(size)) * float(np.max(scale, initial=0))

        def rough(rows: npt.NDArray[np.intp]) -> Doubles:
            factor = scale if isinstance(scale, float) else scale[rows]
            # To gather most of the rows would cost more than to multiply them all.
            many = len(rows) > len(self.rows) // 4
            products = inner_products(self.rows, query)[rows] if many else inner_products(self.rows[rows], query)
            scores: Doubles = factor * products.astype(np.float64) + added[rows]
            return scores

        def floor_of(scores: Doubles, k: int) -> float:
            edge = float(np.partition(scores, len(scores) - k)[len(scores) - k]) if k <= len(scores) else -np.inf
            return max(edge - (2 * error + abs(edge) * _ROUNDED if np.isfinite(edge) else 0.0), _LOWEST)

        def rank(k: int) -> Ranked:
            if k < 1 or not len(self.rows):
                return np.zeros(0, dtype=np.intp), np.zeros(0, dtype=np.float32)
            reach = max(_REACH, 8 * k)
            if reach < len(self.rows):
                longest = self._longest_first[:reach]
                floor = floor_of(rough(longest[allowed[longest]]), k) - error
                # No inner product exceeds the product of both lengths: most rows are below the floor whatever it is.
                possible = np.flatnonzero((self._by_row * (scale * (size * _ROUNDING)) + added >= floor) & allowed)
            else:
                possible = np.flatnonzero(allowed)
            scores = rough(possible)
            rows = possible[scores >= floor_of(scores, k)]
            settled = scores_for(query, self.rows[rows]).astype(np.float64)
            scores = (scale if isinstance(scale, float) else scale[rows]) * settled + added[rows]
            listed = scores.astype(np.float32)
            best = top_k(listed, k)
            return rows[best], listed[best]

        return rank

    def best_shifted(self, queries: Floats, k: int, shifts: Iterable[Shift], allowed: npt.NDArray[np.bool_]) -> Lists:
        """Return the ``k`` best rows for each of some vectors, the same as :meth:`shifted` gives them.

        Many lists are chosen from by compiled loops: it needs numba.

        Parameters
        ----------
        queries
            float32, (n, factors).
        k
            Length of the lists.
        shifts
            What the scores of each vector are made of, in their order: each is taken at its turn, and let go of.
        allowed
            bool, (rows,): rows that may be listed for anybody.
        """
        if not self.rows.size or not len(queries) or k < 1:
            return lists_of(*_NOTHING, shape=(len(queries), k))
        choose, sum_up = (
            kernels.compiled(loop, needed_for="lists for many people at once", exact=True)
            for loop in (near_the_best, settle)
        )
        errors, barred, depth = self.error(queries), np.flatnonzero(~allowed), min(k, len(self.rows))
        rough = queries @ self.rows.T
        room, sums = (np.empty(len(self.rows)), np.empty(depth)), np.empty(self.rows.shape[1])
        near = np.empty(len(self.rows), dtype=np.intp)
        columns, scores = [], []
        for place, (query, shift) in enumerate(zip(queries, shifts, strict=True)):
            limits = float(errors[place]) * shift.scale, _ROUNDED, _LOWEST
            count: Any = choose(
                rough[place], shift.scale, shift.added, barred, shift.without, depth, *limits, *room, near
            )
            columns.append(near[:count].copy())
            scores.append(np.empty(count, dtype=np.float32))
            sum_up(query, self.rows, columns[-1], shift.scale, shift.added, sums, scores[-1])
        places = np.repeat(np.arange(len(queries)), [len(some) for some in columns])
        return lists_of(places, np.concatenate(columns), np.concatenate(scores), shape=(len(queries), k))

    def error(self, queries: Floats) -> npt.NDArray[np.float64]:
        """Return how far a rough score may be from the settled one; float64, (n,).

        Whatever the order of a sum of n products, its rounding stays below n·2^-24 times the product of both lengths
        (Higham, "Accuracy and Stability of Numerical Algorithms", 2002, section 3.1).
        """
        error: npt.NDArray[np.float64] = self._error(np.linalg.norm(queries.astype(np.float64), axis=1))
        return error

    def _error(self, lengths: Any) -> Any:
        factors = self.rows.shape[1]
        bound = 1.01 * (factors + 2) * 2.0**-24 * lengths * self._longest
        return bound + factors * float(np.finfo(np.float32).tiny)

    def _settled(self, queries: Floats, rough: Floats, k: int) -> Lists:
        """Return the lists by settled scores, from rough ones, ``-inf`` where a row may not be listed."""
        places, columns, _ = near_the_best_of(rough, k, 2 * self.error(queries))
        some = np.any(queries, axis=1, keepdims=True)[places, 0]
        places, columns = places[some], columns[some]
        scores = np.empty(len(places), dtype=np.float32)
        step = max(1, _SUMMED_AT_ONCE // max(self.rows.shape[1], 1))
        for start in range(0, len(places), step):
            part = slice(start, start + step)
            scores[part] = scores_for(queries[places[part]], self.rows[columns[part]])
        return lists_of(places, columns, scores, shape=(len(queries), k))
