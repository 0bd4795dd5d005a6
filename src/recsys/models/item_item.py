"""The item-item half: what each game that somebody rated says for the others.

A ridge regression of every game on the others, over the same confidences as the factors::

    G = Σ_u (n̄/n_u)^{2a} c_u c_uᵀ,      b_j = (G_NN + λ ḡ I)⁻¹ G_Nj,      score of j = Σ_i c_ui B_ij

``c_u`` are a user's confidences, ``n_u`` their number, ``n̄`` its mean, ``ḡ`` the mean diagonal of G. Up to
:data:`DENSE` games N is all other games at once: B = -P / diag P with P = (G + λ ḡ I)⁻¹, diagonal 0 (Steck,
"Embarrassingly Shallow Autoencoders for Sparse Data", 2019, arXiv 1905.03375), of which the largest entries stay,
:data:`KEPT` a game. Beyond, N are the :data:`NEIGHBOURS` of the :data:`FEATURES` most rated games with the largest
G_ij / √G_ii, for each game its own (Ning and Karypis, "SLIM", 2011, keeps to neighbours likewise).

Every sum has one order, whatever the number of threads.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

from recsys.errors import Diverged
from recsys.marts import column_sums
from recsys.models.fading import dated, trend
from recsys.models.item_kernels import add_rows, find_words, gram_rows, solve_games
from recsys.release.arrays import ItemItemFile
from recsys.system import kernels
from recsys.system.cores import usable_cores
from recsys.system.pulse import progress

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt
    import scipy.sparse as sp

    from recsys.marts.ratings import Ratings
    from recsys.models.recipe import CfRecipe

    Floats = npt.NDArray[np.float32]

DENSE = 8_000
"""Games up to which all are solved at once."""
KEPT = 500
"""Entries that stay of a dense solution, a game: the largest of all, wherever they are. Of 7,720 citations 300 reach
NDCG@10 0.278 and 1,000 the 0.285 of all; the 300 largest of each column, 0.270. More entries make every list slower."""
FEATURES = 12_000
"""Games that may speak for others, where there are more than :data:`DENSE`: the most rated ones."""
NEIGHBOURS = 200
"""Games that speak for a game, likewise."""

_BLOCK = 64
"""Games that a thread takes at once."""
_SPARSE = 8
"""A row of fewer entries than one in so many is quicker to add entry by entry."""
_WHOLE_CELLS = 1 << 24
"""Cells of rows that are kept whole, 64 MB at most."""
_NEEDED_FOR = "the item-item half of the collaborative filter"


@dataclass(frozen=True, eq=False)
class ItemItem:
    """What is added to the factors' scores: what rated games say for others, and what is rated lately.

    Attributes
    ----------
    matrix
        The arrays of a CSR matrix, games × games, by rows: what a rated game speaks for. Empty where its weight is 0.
    trend
        float32, (games,): β times the trend; zeros where β is 0.
    usual
        float32, (games,): what the mean user's games say.
    """

    matrix: Rows
    trend: Floats
    usual: Floats

    @classmethod
    def fit(cls, weights: sp.csr_matrix, ratings: Ratings, recipe: CfRecipe, *, threads: int = 0) -> Self | None:
        """Learn both by a recipe; None where it asks for neither.

        Parameters
        ----------
        weights
            CSR, float32, users × games: positive confidences.
        ratings
            What they were made of, with their dates.
        recipe
            The recipe.
        threads
            0 means one for each core that this process may use.
        """
        if not recipe.item_weight and not recipe.trend:
            return None
        games = weights.shape[1]
        added = np.zeros(games, dtype=np.float32)
        if recipe.trend:
            rated_at = dated(ratings.rated_at, "trend", recipe.trend)
            added = np.float32(recipe.trend) * trend(ratings.matrix.indices, rated_at, games, recipe.trend_half_life)
        matrix, usual = Rows.empty(games), np.zeros(games, dtype=np.float32)
        if recipe.item_weight:
            found = fit_item_item(weights, recipe.item_exponent, recipe.item_regularization, threads=threads)
            matrix = Rows(found.indptr.astype(np.int64), found.indices, found.data)
            people = max(int(np.count_nonzero(np.diff(weights.indptr))), 1)
            mean = column_sums(weights.indices, weights.data, games) / people
            usual = np.asarray(mean @ found, dtype=np.float32)
        return cls(matrix, added, usual)

    @classmethod
    def of(cls, file: ItemItemFile) -> Self:
        """Take it from ``item_item.npz``."""
        return cls(Rows(file.indptr, file.indices, file.values), file.trend, file.usual)

    def compiled(self) -> Self:
        """Return the same with compiled sums."""
        return replace(self, matrix=CompiledRows(*self.matrix))

    def as_file(self) -> ItemItemFile:
        """Return it as ``item_item.npz`` holds it."""
        return ItemItemFile(self.matrix.indptr, self.matrix.indices, self.matrix.values, self.trend, self.usual)


class Rows(NamedTuple):
    """The arrays of a CSR matrix, for those who have no scipy: int64, int32, float32."""

    indptr: npt.NDArray[np.int64]
    indices: npt.NDArray[np.int32]
    values: Floats

    @classmethod
    def empty(cls, rows: int) -> Self:
        """Return a matrix without entries."""
        return cls(np.zeros(rows + 1, dtype=np.int64), np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.float32))

    def summed(self, rows: npt.NDArray[np.integer], weights: Floats) -> npt.NDArray[np.float64]:
        """Return the weighted sum of some rows; float64, (columns,), added up in one order."""
        starts, ends = self.indptr[rows], self.indptr[np.asarray(rows) + 1]
        counts = ends - starts
        total = int(counts.sum())
        if not total:
            return np.zeros(len(self.indptr) - 1)
        places = np.repeat(starts - (np.cumsum(counts) - counts), counts) + np.arange(total)
        values = self.values[places] * np.repeat(weights, counts)
        summed = np.bincount(self.indices[places], values, minlength=len(self.indptr) - 1)
        return summed.astype(np.float64, copy=False)

    def words(self, rows: npt.NDArray[np.integer], columns: npt.NDArray[np.integer]) -> Floats:
        """Return what some rows hold in some columns; float32, (columns, rows)."""
        words = np.zeros((len(columns), len(rows)), dtype=np.float32)
        row = np.zeros(len(self.indptr) - 1, dtype=np.float32)
        for place, at in enumerate(rows.tolist()):
            entries = slice(self.indptr[at], self.indptr[at + 1])
            row[self.indices[entries]] = self.values[entries]
            words[:, place] = row[columns]
            row[self.indices[entries]] = 0
        return words


class CompiledRows(Rows):
    """The same matrix, whose sums are compiled: the same bits in a tenth of the time, for those who have numba.

    Long rows are kept with their zeros too: to add nothing changes nothing, and to add in sequence is quick.
    """

    @cached_property
    def _whole(self) -> tuple[npt.NDArray[np.int32], Floats]:
        """Where each row is among those kept whole, -1 for the others; and these, float32 (n, columns)."""
        columns, counts = len(self.indptr) - 1, np.diff(self.indptr)
        long = np.flatnonzero(counts * _SPARSE > columns)
        long = long[np.argsort(-counts[long], kind="stable")[: _WHOLE_CELLS // max(columns, 1)]]
        places, whole = np.full(columns, -1, dtype=np.int32), np.zeros((len(long), columns), dtype=np.float32)
        places[long] = np.arange(len(long), dtype=np.int32)
        for place, row in enumerate(long.tolist()):
            entries = slice(self.indptr[row], self.indptr[row + 1])
            whole[place, self.indices[entries]] = self.values[entries]
        return places, whole

    def summed(self, rows: npt.NDArray[np.integer], weights: Floats) -> npt.NDArray[np.float64]:
        """Return the weighted sum of some rows; see :meth:`Rows.summed`."""
        summed = np.zeros(len(self.indptr) - 1)
        add = kernels.compiled(add_rows, needed_for="lists for many people at once", exact=True)
        add(rows, weights, *self, *self._whole, summed)
        return summed

    def words(self, rows: npt.NDArray[np.integer], columns: npt.NDArray[np.integer]) -> Floats:
        """Return what some rows hold in some columns; see :meth:`Rows.words`."""
        words = np.zeros((len(columns), len(rows)), dtype=np.float32)
        find = kernels.compiled(find_words, needed_for="lists for many people at once", exact=True)
        find(rows, columns, *self, words)
        return words


def fit_item_item(
    confidence: sp.csr_matrix, exponent: float, regularization: float, *, threads: int = 0, neighbours: int = NEIGHBOURS
) -> sp.csr_matrix:
    """Return B, by rows: what a rated game speaks for.

    Parameters
    ----------
    confidence
        CSR, float32, users × games: what was trained on; positive.
    exponent
        a: 0 counts every rating alike, ½ every user.
    regularization
        λ, as a multiple of the mean diagonal of G; positive.
    threads
        0 means one for each core that this process may use.
    neighbours
        Games that speak for a game, beyond :data:`DENSE` games.

    Returns
    -------
    scipy.sparse.csr_matrix
        float32, games × games, sorted; the diagonal is empty.

    Raises
    ------
    MissingExtra
        If numba is not installed.
    """
    import scipy.sparse as sp

    table = _Table(confidence, exponent)
    if table.games <= DENSE:
        return _largest(_dense(table.gram(threads), regularization), KEPT * table.games)
    columns, values = table.neighbours(regularization, neighbours, threads)
    games, width = values.shape
    of = np.repeat(np.arange(games, dtype=np.int32), width)
    kept = values.ravel() != 0
    matrix = sp.csr_matrix((values.ravel()[kept], (columns.ravel()[kept], of[kept])), shape=(games, games))
    matrix.sort_indices()
    return matrix


class _Table:
    """Confidences by rows and by columns, and the weight of each user."""

    def __init__(self, confidence: sp.csr_matrix, exponent: float) -> None:
        counts = np.diff(confidence.indptr)
        mean = counts[counts > 0].mean() if counts.any() else 1.0
        self.scale: Floats = ((mean / np.maximum(counts, 1)) ** (2 * exponent)).astype(np.float32)
        by_game = confidence.tocsc()
        by_game.sort_indices()
        self.rows = (confidence.indptr.astype(np.int64), confidence.indices, confidence.data)
        self.columns = (by_game.indptr.astype(np.int64), by_game.indices, by_game.data)
        self.games = confidence.shape[1]

    def gram(self, threads: int, features: npt.NDArray[np.int32] | None = None) -> Floats:
        """Return G; float32, (games, games), or of some games alone."""
        chosen = np.arange(self.games, dtype=np.int32) if features is None else features
        place = np.full(self.games, -1, dtype=np.int32)
        place[chosen] = np.arange(len(chosen))
        gram = np.zeros((len(chosen), len(chosen)), dtype=np.float32)
        _in_blocks("adding up", len(chosen), threads, lambda some: self._add_up(chosen[some], place, gram[some]))
        return gram

    def _add_up(self, games: npt.NDArray[np.int32], place: npt.NDArray[np.int32], rows: Floats) -> None:
        add = kernels.compiled(gram_rows, needed_for=_NEEDED_FOR)
        add(games, place, *self.columns, *self.rows, self.scale, rows)

    def neighbours(self, regularization: float, number: int, threads: int) -> tuple[npt.NDArray[np.int32], Floats]:
        """Return for each game those that speak for it, and how much; (games, number), 0 where there are fewer."""
        counts = np.diff(self.columns[0])
        most_rated = np.argsort(-counts, kind="stable")[:FEATURES]
        features = np.sort(most_rated[counts[most_rated] > 0]).astype(np.int32)
        gram = self.gram(threads, features)
        place = np.full(self.games, -1, dtype=np.int32)
        place[features] = np.arange(len(features))
        number = min(number, max(len(features) - 1, 1))
        columns = np.zeros((self.games, number), dtype=np.int32)
        values = np.zeros((self.games, number), dtype=np.float32)
        ridge = np.float32(regularization * float(gram.diagonal().mean(dtype=np.float64)))
        own = gram.diagonal()
        # A game whose faded ratings have all but vanished is close to none.
        closeness = np.where(own > 0, 1 / np.sqrt(np.where(own > 0, own, 1)), 0).astype(np.float32)
        solve = kernels.compiled(solve_games, needed_for=_NEEDED_FOR)

        def solved(some: slice) -> None:
            at = place[some]
            rows = np.where(at[:, None] >= 0, gram[at], np.float32(0))
            others = np.flatnonzero(at < 0)
            added = np.zeros((len(others), len(features)), dtype=np.float32)
            self._add_up((some.start + others).astype(np.int32), place, added)
            rows[others] = added
            solve(rows, at, features, gram, closeness, ridge, columns[some], values[some])

        _in_blocks("solving game by game", self.games, threads, solved)
        return columns, values


def _in_blocks(what: str, games: int, threads: int, work: Callable[[slice], None]) -> None:
    blocks = [slice(start, min(start + _BLOCK, games)) for start in range(0, games, _BLOCK)]
    with progress(what, games) as advance, ThreadPoolExecutor(threads or usable_cores()) as pool:
        for block, _ in zip(blocks, pool.map(work, blocks), strict=True):
            advance(block.stop - block.start)


def _dense(gram: Floats, regularization: float) -> Floats:
    """Return B, transposed; float32, (games, games), diagonal 0. The Gramian is overwritten."""
    from scipy.linalg import lapack
    from threadpoolctl import threadpool_limits

    games = len(gram)
    diagonal = np.arange(games)
    gram[diagonal, diagonal] += np.float32(regularization * float(gram.diagonal().mean(dtype=np.float64)))
    with threadpool_limits(1, "blas"):  # the same bytes on any number of cores
        factor, failed = lapack.spotrf(gram.T, lower=1, overwrite_a=1)
        inverse, singular = lapack.spotri(factor, lower=1, overwrite_c=1) if not failed else (factor, failed)
    if failed or singular:
        raise Diverged(
            f"the Gramian of {games:,} games has no inverse; raise cf.item_regularization ({regularization:g}) or set"
            " cf.item_weight to 0"
        )
    # Of the inverse the lower triangle was computed, in Fortran's order: the upper one of the transposed rows.
    whole: Floats = np.triu(inverse.T, 1)
    whole += whole.T
    spread = inverse.diagonal()
    whole /= -spread[:, None]  # symmetric: row j is the column of game j
    return whole


def _largest(transposed: Floats, number: int) -> sp.csr_matrix:
    """Return the entries of B with the largest magnitudes, and those that tie with the last; B is overwritten."""
    import scipy.sparse as sp

    if number < transposed.size:
        magnitudes = np.abs(transposed).ravel()
        magnitudes.partition(magnitudes.size - number)
        edge = magnitudes[magnitudes.size - number]
        del magnitudes
        transposed[(transposed < edge) & (transposed > -edge)] = 0
    return sp.csr_matrix(transposed.T)
