"""Seconds an iteration of ``cf.solver = ials`` against implicit's conjugate gradients.

``python benchmarks/solver.py [--ratings 19e6] [--factors 64 128] [--threads 2] [--rounds 3]``

Both minimize the same objective (α₀ = 1 on unrated pairs, constant λ) from the same starting
factors on a synthetic long-tailed table of 411,000 users and 22,000 games. Rounds are interleaved
and ratios taken within a round, so that a busy machine slows both. The factors are compared after
the last iteration.
"""

from __future__ import annotations

import argparse
import resource
import time
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp
from implicit.cpu.als import AlternatingLeastSquares
from threadpoolctl import threadpool_limits

from recsys.models.solvers.ials import Factors, Objective, factorize, initial_factors

if TYPE_CHECKING:
    from collections.abc import Callable

ITERATIONS = 2
ALPHA, LAMBDA = 1.0, 10.0


def long_tail(ratings: int, users: int, items: int, seed: int = 7) -> sp.csr_matrix:
    """Draw users from a lognormal and games from a Zipf distribution; pairs drawn twice count once."""
    rng = np.random.default_rng(seed)
    activity = rng.lognormal(0, 1.2, users)
    popularity = 1 / np.arange(20, items + 20) ** 0.9
    rows = rng.choice(users, ratings, p=activity / activity.sum()).astype(np.int64)
    columns = rng.choice(items, ratings, p=popularity / popularity.sum())
    # Sorted and compared with its neighbour: np.unique hashes integers, which takes minutes.
    pairs = np.sort(rows * items + columns)
    pairs = pairs[np.append(True, pairs[1:] != pairs[:-1])]
    data = rng.integers(2, 11, len(pairs)).astype(np.float32)
    shape = (users, items)
    return sp.csr_matrix((data, ((pairs // items).astype(np.int32), (pairs % items).astype(np.int32))), shape=shape)


def seconds(work: Callable[[int], Factors]) -> tuple[float, Factors]:
    """Return the seconds of one more iteration (the set-up cancels out) and the last factors."""
    started = time.perf_counter()
    work(1)
    middle = time.perf_counter()
    factors = work(1 + ITERATIONS)
    ended = time.perf_counter()
    return ((ended - middle) - (middle - started)) / ITERATIONS, factors


def compare(matrix: sp.csr_matrix, factors: int, threads: int, rounds: int) -> None:
    """Print one line for each round and one for the factors."""
    start = initial_factors(*matrix.shape, factors, 42)

    def ours(iterations: int) -> Factors:
        return factorize(matrix, Objective(LAMBDA, 1.0, 0.0, "unrated"), start, iterations=iterations, threads=threads)

    def theirs(iterations: int) -> Factors:
        with threadpool_limits(1, "blas"):
            model = AlternatingLeastSquares(
                factors=factors, regularization=LAMBDA, alpha=ALPHA, iterations=iterations, num_threads=threads
            )
            model.user_factors, model.item_factors = start.users.copy(), start.items.copy()
            model.fit(matrix, show_progress=False)
        return Factors(model.user_factors, model.item_factors)

    ratios = []
    for _ in range(rounds):
        (mine, own), (implicit, other) = seconds(ours), seconds(theirs)
        ratios.append(mine / implicit)
        print(
            f"{factors:4d} factors: ials {mine:6.2f} s, implicit {implicit:6.2f} s, ratio {ratios[-1]:.2f}", flush=True
        )
    away = [float(np.linalg.norm(a - b) / np.linalg.norm(b)) for a, b in zip(own, other, strict=True)]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"{factors:4d} factors: median ratio {np.median(ratios):.2f} [{min(ratios):.2f}-{max(ratios):.2f}]; "
        f"relative difference of the factors: users {away[0]:.1e}, games {away[1]:.1e}; peak {peak:.1f} GiB"
    )


def main() -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ratings", type=float, default=20.4e6, help="drawn; about 7%% are duplicates")
    parser.add_argument("--users", type=int, default=411_000)
    parser.add_argument("--items", type=int, default=22_000)
    parser.add_argument("--factors", type=int, nargs="+", default=[64, 128])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    matrix = long_tail(int(given.ratings), given.users, given.items)
    print(f"{matrix.shape[0]:,} users x {matrix.shape[1]:,} games, {matrix.nnz:,} ratings, {given.threads} threads")
    for factors in given.factors:
        compare(matrix, factors, given.threads, given.rounds)


if __name__ == "__main__":
    main()
