"""How many threads there are where nobody gave a number."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import scipy.sparse as sp

from recsys.config import CfSettings
from recsys.models.recipe import CfRecipe
from recsys.models.solvers import Objective
from recsys.models.solvers.ials import factorize, initial_factors
from recsys.models.solvers.implicit import Implicit
from recsys.models.training import train
from recsys.system.cores import usable_cores

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(("quota", "at_most"), [("100000 100000", 1), ("50000 100000", 1), ("max 100000", 10**6)])
def test_a_containers_quota_bounds_the_threads(tmp_path: Path, quota: str, at_most: int) -> None:
    """One CPU of a machine with many means one thread; an unlimited quota, or none, means all."""
    (tmp_path / "cpu.max").write_text(quota)
    assert 1 <= usable_cores({}, tmp_path / "cpu.max") <= at_most
    if at_most > 1:
        assert usable_cores({}, tmp_path / "cpu.max") == usable_cores({}, tmp_path / "none")


def test_omp_num_threads_bounds_the_threads(tmp_path: Path) -> None:
    """What schedulers set for every numerical library counts here too; nonsense in it does not."""
    assert usable_cores({"OMP_NUM_THREADS": "1"}, tmp_path / "none") == 1
    assert usable_cores({"OMP_NUM_THREADS": "many"}, tmp_path / "none") == usable_cores({}, tmp_path / "none")


def test_the_solver_takes_the_cores_that_it_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a number it starts as many threads as are allowed, however many the machine has."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    wide = sp.csr_matrix(np.ones((40_000, 1), dtype=np.float32))  # several blocks of rows: work for many threads
    before, seen = threading.active_count(), []
    factorize(
        wide,
        Objective(0.1),
        initial_factors(*wide.shape, 2, 0),
        iterations=1,
        progress=lambda *_: seen.append(threading.active_count() - before),
    )
    assert seen == [1]


def test_implicit_is_told_the_cores_that_it_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """It knows nothing of containers: its 0 would be every core. The model that is kept names no machine's number."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    given: list[int] = []

    def make(_recipe: CfRecipe, _seed: int, threads: int) -> Any:
        given.append(threads)
        return SimpleNamespace(fit=lambda *_, **__: None, user_factors=np.ones(1), item_factors=np.ones(1))

    settings, ratings = CfSettings(solver="implicit"), sp.csr_matrix(np.full((1, 1), 10, dtype=np.float32))
    recipe = CfRecipe.by_rule(settings, ratings.data)
    Implicit(make).fit(ratings, recipe, 0)
    assert given == [1]
    assert train(ratings, recipe, settings).num_threads == 0
