"""iALS: factors for implicit feedback with any confidence, unobserved weight and scaled λ.

What is minimized over user factors ``x`` and game factors ``y``::

    Σ_(u,i) rated  c_ui (1 - x_u·y_i)²                                   rated entries are wanted
    + α₀ Σ_(u,i)   (x_u·y_i)²                                            everything else less so
    + λ Σ_u (w_u + α₀·games)^ν |x_u|² + λ Σ_i (w_i + α₀·users)^ν |y_i|²  no factor grows for free

``c_ui`` is any positive confidence, ``w`` the sum of a row's confidences: where all are 1, as in
the paper, its number of ratings. The second sum runs over all pairs (``overlap="all"``: Rendle,
Krichene, Zhang and Koren, "Revisiting the Performance of iALS on Item Recommendation Benchmarks",
arXiv 2110.14037) or over the pairs without a rating only
(``overlap="unrated"``: Hu, Koren and Volinsky, "Collaborative Filtering for Implicit Feedback
Datasets", 2008; with α₀ = 1, ν = 0 it is what the library implicit minimizes).

Users and games without any entry are no part of the table: their factors are zero, and ``users``
and ``games`` are the numbers of the others (:func:`recsys.models.solvers.objective.table_size`), here and
wherever somebody is folded in.

Users and games are solved in turn by a few conjugate-gradient steps from where they were. Before
each turn both sides are rotated into the eigenbasis of the fixed side's Gramian: the objective
does not see rotations, and the term of the unobserved, the costliest of a step, becomes diagonal.
The rotation is undone at the end.

:class:`Ials` is what recipes of ``solver = "ials"`` are trained by; its scales mean the same on every table
(:mod:`recsys.models.recipe`).
"""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from recsys.errors import DataContractError, Diverged
from recsys.models.solvers.blocks import blocks, gramian, normal_rows, row_sums, total
from recsys.models.solvers.cg import Kernel, compiled
from recsys.models.solvers.objective import Factors, Objective, table_size
from recsys.system.cores import usable_cores

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from scipy.sparse import csr_matrix

    from recsys.models.recipe import CfRecipe

Array: TypeAlias = NDArray[np.float32]

_BLOCK_WORK = 200_000
"""Ratings (plus a share for each row) of one block that a thread solves."""
_CG_STEPS = 3
"""Steps a row and turn; factors are warm, more bring nothing (implicit does the same)."""


class Ials:
    """The solver of this module, with scales that mean the same on every table."""

    searchable = True
    defaults: Mapping[str, object] = {
        "factors": 128,
        "regularization": 0.5,
        "unobserved": 4.0,
        "confidence": "graded",
        "iterations": 12,
    }

    def objective(self, recipe: CfRecipe, confidence: csr_matrix) -> Objective:
        """Return α₀ and λ for a table; see :mod:`recsys.models.recipe`.

        With ν < 1 a row of mean weight keeps its λ, so that the exponent changes how λ is spread
        over the rows, and not how strong it is (Rendle et al. 2021, section 4.3).
        """
        users, items = (max(number, 1) for number in self.table_size(confidence))
        entries = max(len(confidence.data), 1)
        sum_ = total(row_sums(confidence)) or 1.0
        alpha = recipe.unobserved * sum_ / (users * items)
        noise = (np.sqrt(users / entries) + np.sqrt(items / entries)) / (1 + recipe.unobserved)
        weight = (1 + recipe.unobserved) * sum_ / np.sqrt(users * items)
        return Objective(float(recipe.regularization * noise * weight ** (1 - recipe.exponent)), alpha, recipe.exponent)

    def table_size(self, confidence: csr_matrix) -> tuple[int, int]:
        """Return how many users and games have an entry: only they are part of the table."""
        return table_size(confidence.indptr, confidence.indices)

    def scale(self, recipe: CfRecipe) -> float:
        """Return 1: a confidence counts as it is."""
        return 1.0

    def fit(
        self,
        confidence: csr_matrix,
        recipe: CfRecipe,
        start: int | Factors,
        *,
        threads: int = 0,
        watch: Callable[[int, Factors], None] = lambda *_: None,
    ) -> Factors:
        """Run :func:`factorize`; see :class:`recsys.models.solvers.Solver`."""
        if not isinstance(start, Factors):
            start = initial_factors(*confidence.shape, recipe.factors, start)
        return factorize(
            confidence,
            self.objective(recipe, confidence),
            start,
            iterations=recipe.iterations,
            threads=threads,
            progress=watch,
            overwrite_start=True,
        )


def initial_factors(users: int, items: int, factors: int, seed: int) -> Factors:
    """Draw small normal factors, of the size of Rendle et al. (standard deviation 0.1/√d)."""
    drawn = [
        normal_rows(rows, factors, 0.1 / np.sqrt(factors), [seed, side]) for side, rows in enumerate((users, items))
    ]
    return Factors(*drawn)


def factorize(  # noqa: PLR0913 - the last four have defaults
    confidence: csr_matrix,
    objective: Objective,
    start: Factors,
    *,
    iterations: int,
    threads: int = 0,
    progress: Callable[[int, Factors], None] = lambda *_: None,
    overwrite_start: bool = False,
) -> Factors:
    """Alternate over users and games ``iterations`` times.

    The same arguments give the same bytes on the same machine, whatever ``threads`` is. Going on
    from a result continues the same descent: twice five iterations are ten.

    Parameters
    ----------
    confidence
        Users × games, float32, no duplicates; every stored entry positive and finite.
    objective
        What to minimize.
    start
        Where to start from: :func:`initial_factors`, or an earlier result.
    iterations
        Sweeps over both sides.
    threads
        0 means one for each core that this process may use.
    progress
        Called with the number of iterations done and the factors, in a basis of their own that changes
        from call to call: scores are right, single factors mean nothing. Must not change them.
    overwrite_start
        Whether the result may take the place of ``start``, which saves the memory of both; otherwise
        that is not changed.

    Raises
    ------
    DataContractError
        If a confidence is not positive and finite.
    Diverged
        If the factors became infinite.
    MissingExtra
        If numba is not installed.
    """
    data = confidence.data
    if len(data) and not (np.isfinite(data).all() and data.min() > 0):
        wrong = int((~(np.isfinite(data) & (data > 0))).sum())
        raise DataContractError(f"{wrong} of {len(data)} confidences are not positive and finite; leave them out")
    solver = _Solver(confidence, objective, start if overwrite_start else Factors(*map(np.copy, start)))
    with _pool(threads) as pool:
        for done in range(iterations):
            solver.sweep(pool)
            progress(done + 1, Factors(solver.users.factors, solver.items.factors))
        result = solver.factors(pool)
    if not all(np.isfinite(side).all() for side in result):
        raise Diverged(
            f"the factors became infinite with λ {objective.regularization:g} and α₀ {objective.unobserved:g}; "
            "cf.regularization about 0.5 and cf.unobserved about 4 suit most tables: set them so, or leave them out to "
            "have them searched"
        )
    return result


@contextmanager
def _pool(threads: int) -> Iterator[ThreadPoolExecutor]:
    """Open the threads of one fit; BLAS gets one thread in each, or they fight for the cores."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, "blas"), ThreadPoolExecutor(threads or usable_cores()) as pool:
        yield pool


class _Side:
    """The factors of users or of games, and what solving them needs."""

    def __init__(self, confidence: csr_matrix, factors: Array, objective: Objective, others: int) -> None:
        self.factors: Array = np.require(factors, np.float32, "C")
        self.indptr = confidence.indptr.astype(np.int64)
        self.factors[np.diff(self.indptr) == 0] = 0  # or the first turn of the other side would see them
        self.indices = confidence.indices.astype(np.int32, copy=False)
        self.data = confidence.data.astype(np.float32, copy=False)
        self.ridge = objective.ridge(row_sums(confidence), others)
        work = self.indptr + 8 * np.arange(len(self.indptr))
        cuts = np.searchsorted(work, np.arange(0, work[-1], _BLOCK_WORK))
        self.blocks = _pairs(np.unique(np.append(cuts, len(self.factors))))
        self.dense = blocks(len(self.factors))

    def rotate(self, pool: ThreadPoolExecutor, basis: Array) -> None:
        def one(block: tuple[int, int]) -> None:
            with np.errstate(invalid="ignore"):  # infinite factors are found at the end
                self.factors[slice(*block)] = self.factors[slice(*block)] @ basis

        list(pool.map(one, self.dense))

    def solve(self, pool: ThreadPoolExecutor, kernel: Kernel, fixed: Array, diagonal: Array, overlap: float) -> None:
        def one(block: tuple[int, int]) -> None:
            kernel(
                *block, self.indptr, self.indices, self.data, np.float32(overlap),
                fixed, self.factors, diagonal, self.ridge, _CG_STEPS,
            )  # fmt: skip

        list(pool.map(one, self.blocks))


class _Solver:
    """Both sides of one fit, in a common rotated basis."""

    def __init__(self, confidence: csr_matrix, objective: Objective, start: Factors) -> None:
        self.kernel = compiled()
        self.objective = objective
        users, items = table_size(confidence.indptr, confidence.indices)
        self.users = _Side(confidence, start.users, objective, items)
        self.items = _Side(confidence.T.tocsr(), start.items, objective, users)
        self.basis = np.eye(start.users.shape[1])

    def sweep(self, pool: ThreadPoolExecutor) -> None:
        self._turn(pool, self.users, self.items)
        self._turn(pool, self.items, self.users)

    def factors(self, pool: ThreadPoolExecutor) -> Factors:
        """Return both sides in the basis they started in; the end of the solver."""
        back = np.ascontiguousarray(self.basis.T, dtype=np.float32)
        for side in (self.users, self.items):
            side.rotate(pool, back)
        return Factors(self.users.factors, self.items.factors)

    def _turn(self, pool: ThreadPoolExecutor, solved: _Side, fixed: _Side) -> None:
        squares = gramian(fixed.factors, pool.map)
        if not np.isfinite(squares).all():
            return  # diverged: `factorize` says so in the words of the settings
        weights, vectors = np.linalg.eigh(squares)
        self.basis = self.basis @ vectors
        rotation = vectors.astype(np.float32)
        for side in (solved, fixed):
            side.rotate(pool, rotation)
        alpha = self.objective.unobserved
        diagonal = (alpha * np.maximum(weights, 0)).astype(np.float32)
        solved.solve(pool, self.kernel, fixed.factors, diagonal, alpha if self.objective.overlap == "unrated" else 0.0)


def _pairs(cuts: NDArray[np.int64]) -> list[tuple[int, int]]:
    return [(int(a), int(b)) for a, b in itertools.pairwise(cuts)]
