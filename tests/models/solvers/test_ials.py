"""The iALS solver: its optimum, its agreement with implicit, its determinism, its errors."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.config import CfSettings
from recsys.errors import DataContractError, Diverged
from recsys.models.recipe import CfRecipe
from recsys.models.solvers import Factors, Objective
from recsys.models.solvers.ials import Ials, factorize, initial_factors

if TYPE_CHECKING:
    from pathlib import Path

USERS, ITEMS, DEPTH = 300, 80, 10


@pytest.fixture(scope="module")
def confidence() -> sp.csr_matrix:
    """Confidences of a small table with two taste groups; one user and one game have none."""
    rng = np.random.default_rng(5)
    chance = np.where(np.arange(USERS)[:, None] % 2 == np.arange(ITEMS) % 2, 0.25, 0.05) * rng.random(ITEMS)
    rated = rng.random((USERS, ITEMS)) < chance
    rated[17] = rated[:, 31] = False
    matrix = sp.csr_matrix(np.where(rated, rng.uniform(0.25, 3, rated.shape), 0).astype(np.float32))
    matrix.sort_indices()
    return matrix


def loss(confidence: sp.csr_matrix, factors: Factors, objective: Objective) -> float:
    """Evaluate the docstring's objective cell by cell."""
    c = confidence.toarray().astype(np.float64)
    x, y = (side.astype(np.float64) for side in factors)
    scores, rated = x @ y.T, c > 0
    weight = objective.unobserved * np.where(rated & (objective.overlap == "unrated"), 0, 1)
    fit = (c * (1 - scores) ** 2).sum() + (weight * scores**2).sum()
    users, items = (int(rated.any(axis).sum()) for axis in (1, 0))
    scale = [(c.sum(1), items, x), (c.sum(0), users, y)]
    ridge = sum(((n + objective.unobserved * m) ** objective.exponent * (z**2).sum(1)).sum() for n, m, z in scale)
    return float(fit + objective.regularization * ridge)


def exact(confidence: sp.csr_matrix, start: Factors, objective: Objective, iterations: int) -> Factors:
    """Alternate with a dense float64 solve of each row's normal equations."""
    c = confidence.toarray().astype(np.float64)
    x, y = (side.astype(np.float64) for side in start)
    for _ in range(iterations):
        x = exact_side(c, y, objective)
        y = exact_side(c.T, x, objective)
    return Factors(x, y)  # type: ignore[arg-type] # the oracle is in double precision


def exact_side(c: np.ndarray, y: np.ndarray, objective: Objective) -> np.ndarray:
    """Solve every row's normal equations for fixed ``y``."""
    rows = []
    for row in c:
        rated = row > 0
        weight = row + objective.unobserved * (1 if objective.overlap == "all" else ~rated)
        others = np.count_nonzero(c.any(axis=0))
        ridge = objective.regularization * (row.sum() + objective.unobserved * others) ** objective.exponent
        rows.append(np.linalg.solve(y.T @ (weight[:, None] * y) + ridge * np.eye(y.shape[1]), y.T @ row))
    return np.array(rows)


@pytest.mark.parametrize("overlap", ["all", "unrated"])
@pytest.mark.parametrize("exponent", [0.0, 0.5, 1.0])
def test_descends_to_the_optimum_of_exact_solves(confidence: sp.csr_matrix, exponent: float, overlap: str) -> None:
    """After many sweeps the loss is that of exact alternating least squares, for every form of the objective."""
    # λ at which only the strongest directions survive: the optimum is then unique up to rotation.
    objective = Objective({0.0: 4.0, 0.5: 0.7, 1.0: 0.12}[exponent], 0.3, exponent, overlap)  # type: ignore[arg-type]
    start = initial_factors(USERS, ITEMS, DEPTH, 1)
    ours = factorize(confidence, objective, start, iterations=40, threads=2)
    oracle = exact(confidence, start, objective, 40)
    assert loss(confidence, ours, objective) == pytest.approx(loss(confidence, oracle, objective), rel=1e-4)
    np.testing.assert_allclose(ours.users @ ours.items.T, oracle.users @ oracle.items.T, atol=0.02)


def test_equals_implicit_for_its_objective(confidence: sp.csr_matrix) -> None:
    """With α₀ = 1 on unrated pairs and a constant λ, the factors are implicit's own, number by number."""
    from implicit.cpu.als import AlternatingLeastSquares

    start = initial_factors(USERS, ITEMS, DEPTH, 1)
    theirs = AlternatingLeastSquares(factors=DEPTH, regularization=5.0, alpha=1.0, iterations=5, num_threads=1)
    theirs.user_factors, theirs.item_factors = start.users.copy(), start.items.copy()
    theirs.item_factors[31] = 0  # nobody has rated it: ours does not look at where it starts
    theirs.fit(confidence, show_progress=False)
    ours = factorize(confidence, Objective(5.0, 1.0, 0.0, "unrated"), start, iterations=5, threads=1)
    np.testing.assert_allclose(ours.users, theirs.user_factors, atol=1e-4)
    np.testing.assert_allclose(ours.items, theirs.item_factors, atol=1e-4)


def test_threads_change_no_bit(confidence: sp.csr_matrix, monkeypatch: pytest.MonkeyPatch) -> None:
    """One thread and three give the same bytes, also where rows are solved in many blocks."""
    monkeypatch.setattr("recsys.models.solvers.ials._BLOCK_WORK", 500)
    monkeypatch.setattr("recsys.models.solvers.blocks.ROWS", 37)
    start = initial_factors(USERS, ITEMS, DEPTH, 3)
    one, three = (factorize(confidence, Objective(0.1), start, iterations=3, threads=n) for n in (1, 3))
    assert one.users.tobytes() == three.users.tobytes()
    assert one.items.tobytes() == three.items.tobytes()


def test_goes_on_from_an_earlier_result(confidence: sp.csr_matrix) -> None:
    """Four iterations and then four more end where eight end, and the start is not changed."""
    start = initial_factors(USERS, ITEMS, DEPTH, 3)
    kept = start.items.copy()
    once = factorize(confidence, Objective(0.1), start, iterations=8)
    first = factorize(confidence, Objective(0.1), start, iterations=4)
    twice = factorize(confidence, Objective(0.1), first, iterations=4)
    np.testing.assert_allclose(twice.users @ twice.items.T, once.users @ once.items.T, atol=1e-4)
    np.testing.assert_array_equal(start.items, kept)


def test_the_start_can_be_overwritten(confidence: sp.csr_matrix) -> None:
    """The result is the same to the bit, in the memory of the start."""
    start = initial_factors(USERS, ITEMS, DEPTH, 3)
    apart = factorize(confidence, Objective(0.1), start, iterations=2)
    in_place = factorize(confidence, Objective(0.1), start, iterations=2, overwrite_start=True)
    assert np.shares_memory(in_place.users, start.users)
    assert not np.shares_memory(apart.users, start.users)
    np.testing.assert_array_equal(in_place.users, apart.users)


def test_rows_without_ratings_become_zero(confidence: sp.csr_matrix) -> None:
    """A user or game without ratings has no taste: its factors are zero, not what they started with."""
    ours = factorize(confidence, Objective(0.1), initial_factors(USERS, ITEMS, DEPTH, 3), iterations=2)
    assert not ours.users[17].any()
    assert not ours.items[31].any()
    assert ours.users[16].any()


@pytest.mark.parametrize("exponent", [0.0, 0.5, 1.0])
@settings(max_examples=10, deadline=None)
@given(users=st.lists(st.integers(0, USERS), max_size=90), items=st.lists(st.integers(0, ITEMS), max_size=90))
def test_empty_users_and_games_change_nothing(
    confidence: sp.csr_matrix, exponent: float, users: list[int], items: list[int]
) -> None:
    """Wherever users and games without ratings are put in, all others have the factors that they have without."""
    recipe = CfRecipe.by_rule(CfSettings(factors=DEPTH, exponent=exponent), confidence.data)
    start = initial_factors(USERS, ITEMS, DEPTH, 3)
    expected = factorize(confidence, Ials().objective(recipe, confidence), start, iterations=3)
    rows, columns = np.insert(np.arange(USERS), users, -1), np.insert(np.arange(ITEMS), items, -1)
    wider = confidence.toarray()[rows][:, columns]
    wider[rows < 0], wider[:, columns < 0] = 0, 0
    table = sp.csr_matrix(wider)
    factors = factorize(
        table, Ials().objective(recipe, table), Factors(start.users[rows], start.items[columns]), iterations=3
    )
    np.testing.assert_allclose(factors.users[rows >= 0], expected.users, atol=1e-5)
    np.testing.assert_allclose(factors.items[columns >= 0], expected.items, atol=1e-5)
    assert not factors.users[rows < 0].any()
    assert not factors.items[columns < 0].any()


def test_reports_every_iteration(confidence: sp.csr_matrix) -> None:
    """`progress` hears of each iteration once it is done."""
    heard: list[int] = []
    factorize(
        confidence,
        Objective(0.1),
        initial_factors(USERS, ITEMS, 4, 0),
        iterations=3,
        progress=lambda done, _: heard.append(done),
    )
    assert heard == [1, 2, 3]


@pytest.mark.parametrize("wrong", [0.0, -1.0, np.nan, np.inf])
def test_refuses_confidence_that_is_not_positive(confidence: sp.csr_matrix, wrong: float) -> None:
    """A zero, negative or infinite confidence is named as an error before any work."""
    broken = confidence.copy()
    broken.data[3] = wrong
    with pytest.raises(DataContractError, match=r"1 of .* confidences are not positive and finite"):
        factorize(broken, Objective(0.1), initial_factors(USERS, ITEMS, DEPTH, 3), iterations=1)


def test_infinite_factors_are_an_error(confidence: sp.csr_matrix) -> None:
    """A fit that diverged never comes back as a model."""
    start = initial_factors(USERS, ITEMS, DEPTH, 3)
    start.items[0, 0] = np.inf
    with pytest.raises(Diverged, match=r"became infinite with λ 0\.1 and α₀ 1; cf\.regularization about 0\.5"):
        factorize(confidence, Objective(0.1), start, iterations=1)


def test_compiles_into_a_private_folder_only(tmp_path: Path) -> None:
    """Compiled code is kept under XDG_CACHE_HOME, and not at all where others could write it."""
    private, shared = tmp_path / "private", tmp_path / "shared"
    (shared / "recsys" / "numba").mkdir(parents=True)
    (shared / "recsys" / "numba").chmod(0o777)
    code = "from recsys.system.kernels import _private_folder as f; print(f())"
    seen = []
    for home in (private, shared):
        environment = {**os.environ, "XDG_CACHE_HOME": str(home)}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        seen.append(done.stdout.strip())
    assert seen == [str(private / "recsys" / "numba"), "None"]
    assert (private / "recsys" / "numba").stat().st_mode & 0o777 == 0o700
