"""What a search costs is counted, the same on every machine; the clock only brakes."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import scipy.sparse as sp

from factories.tastes import tastes
from recsys.config import CfSettings, load_settings
from recsys.errors import ConfigError
from recsys.models.recipe import CfRecipe
from recsys.tuning import find_recipe
from recsys.tuning.nightly import budget_of, search
from recsys.tuning.scorer import RecipeScorer
from recsys.tuning.work import UNIT, Budget, BudgetSpent, of_item_item, of_scores, of_sweeps

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from recsys.tuning import Search

RATINGS = tastes(users=400, items=60)
SETTINGS = CfSettings(factors=8, threads=1)
RULE = CfRecipe.by_rule(SETTINGS, RATINGS.matrix.data)


def searched(work: float, seconds: float = 1e9, clock: Callable[[], float] | None = None) -> tuple[Search, Budget]:
    """Search the factors' settings with so much work, and a clock that stands unless another is given."""
    budget = Budget(work, seconds, clock or itertools.count(0, 0).__next__)
    outcome = search(RATINGS.matrix, SETTINGS, budget)
    assert outcome is not None
    return outcome, budget


def test_the_formula_by_hand() -> None:
    """3 ratings of 2 users and 4 games, 64 factors, 5 sweeps; and what ranking and the item-item half cost."""
    table = sp.csr_matrix(np.array([[1, 0, 2, 0], [0, 3, 0, 0]], dtype=np.float32))
    assert of_sweeps(table, 64, 5) == 5 * 64 * (3 + 6 * 2)
    assert of_scores(10, 4, 96) == 10 * 4 * 3
    assert of_item_item(table, 100) == pytest.approx(3 * 1.5 / 4 + 64 / 64)


def test_work_is_what_the_trials_add_up_to() -> None:
    """The sum over the trials of their own sweeps and scores, where a prolonged trial costs only what is added."""
    outcome, budget = searched(1e15)
    scorer = RecipeScorer(RATINGS.matrix, SETTINGS, RULE.like_threshold)
    done = dict[CfRecipe, int]()
    expected = 0.0
    for trial in outcome.trials:
        before = done.get(trial.recipe, 0)
        if trial.stage == "iterations" and before == 10:
            before = 0  # its factors were not kept
        for split in scorer.splits:
            expected += of_sweeps(split.train, 8, trial.iterations - (before if before < trial.iterations else 0))
        expected += of_scores(scorer.users, 60, 8)
        done[trial.recipe] = trial.iterations
    assert budget.spent == pytest.approx(expected, rel=0.05)
    assert outcome.work == budget.spent / UNIT
    assert (outcome.complete, outcome.ended_by) == (True, "")


@pytest.mark.parametrize("share", [0.02, 0.3, 0.9])
def test_no_trial_overruns_the_budget(share: float) -> None:
    """A trial that would is not begun: whatever the budget, no more is spent, and the search says what ended it."""
    whole = searched(1e15)[1].spent
    outcome, budget = searched(share * whole)
    assert budget.spent <= share * whole
    assert (outcome.complete, outcome.ended_by) == (False, "work")
    assert outcome.as_json()["ended_by"] == "work"
    assert len(outcome.trials) < len(searched(1e15)[0].trials)


def test_how_fast_the_machine_is_changes_nothing() -> None:
    """The same trials and the same winner on a clock a thousand times slower, as long as it does not brake."""
    whole = searched(1e15)[1].spent
    quick, slow = (searched(0.4 * whole, clock=itertools.count(0, step).__next__)[0] for step in (1, 1000))
    tried = [[(trial.recipe, trial.ndcg) for trial in outcome.trials] for outcome in (quick, slow)]
    assert tried[0] == tried[1]
    assert quick.winner == slow.winner


def test_the_clock_cuts_a_trial_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    """A look at the clock takes a second: the search ends in the middle of a trial, and a warning says so."""
    with caplog.at_level("WARNING", "recsys"):
        outcome, _ = searched(1e15, 60, itertools.count().__next__)
    assert (outcome.complete, outcome.ended_by) == (False, "clock")
    (said,) = (record for record in caplog.records if record.getMessage().startswith("the clock ended a search"))
    assert said.levelname == "WARNING"
    looks = sum(trial.seconds for trial in outcome.trials)
    assert looks < 60


def test_more_work_never_loses_what_less_had_found() -> None:
    """The winner's score on the inner hold-out never falls as the budget grows, and is the rule's at first."""
    whole = searched(1e15)[1].spent
    outcomes = [searched(share * whole)[0] for share in (0.001, 0.1, 0.3, 0.6, 1.0)]
    assert replace(outcomes[0].winner, iterations=12) == RULE
    best = [outcome.best for outcome in outcomes[1:]]
    assert best == sorted(best)


def test_a_share_is_kept_for_what_is_added() -> None:
    """The search for factors cannot spend all: cut off by its share, it leaves enough to try the item-item half."""
    whole = find_recipe(RATINGS, SETTINGS).search
    assert whole is not None
    factors = sum(1 for trial in whole.trials if trial.stage not in {"alone", "items"})
    less = find_recipe(RATINGS, SETTINGS.model_copy(update={"tuning_work": 0.5 * whole.work})).search
    assert less is not None
    stages = [trial.stage for trial in less.trials]
    assert "items" in stages
    assert sum(1 for stage in stages if stage not in {"alone", "items"}) < factors
    assert (less.complete, less.ended_by) == (False, "work")
    assert less.work <= 0.5 * whole.work


def test_a_budget_that_is_kept_back_is_released() -> None:
    """Half kept: half can be spent; released, the rest can; a spend that fails costs nothing."""
    budget = Budget(100, 1e9)
    budget.keep(0.5)
    budget.spend(40)
    with pytest.raises(BudgetSpent):
        budget.spend(20)
    budget.keep(0)
    budget.spend(60)
    assert budget.spent == 100


@pytest.mark.parametrize("where", ["file", "--set", "environment"])
def test_the_setting_before_is_refused_with_what_to_do(where: str, tmp_path: Path) -> None:
    """`cf.tuning_seconds` in an old recsys.toml ends with an error that names the two settings instead."""
    given: dict[str, Any] = {"environ": {}}
    if where == "file":
        given["config"] = tmp_path / "recsys.toml"
        given["config"].write_text("[cf]\ntuning_seconds = 120\n")
    elif where == "--set":
        given["overrides"] = ["cf.tuning_seconds=120"]
    else:
        given["environ"] = {"RECSYS_CF__TUNING_SECONDS": "120"}
    with pytest.raises(ConfigError, match=r"cf\.tuning_seconds = 120 is gone: .*cf\.tuning_work.*cf\.tuning_brake_s"):
        load_settings(**given)


def test_settings_that_a_release_recorded_are_read_without_it() -> None:
    """A recipe of an earlier version holds the setting; it decided nothing, and the recipe is read."""
    stored = CfSettings(factors=9).model_dump() | {"tuning_seconds": 180.0}
    assert CfSettings.recorded(stored).factors == 9


def test_a_budget_is_the_settings() -> None:
    """Thousand millions, and seconds."""
    budget = budget_of(CfSettings(tuning_work=3.5, tuning_brake_s=7))
    assert (budget.work, budget.seconds) == (3.5e9, 7)
