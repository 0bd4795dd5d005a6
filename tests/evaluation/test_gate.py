"""The gate: cases with known outcomes, rule by rule."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache

import numpy as np
import numpy.typing as npt
import pytest

from factories.tastes import ratings_of, tastes
from recsys.config import CfSettings, EvaluationSettings, GateSettings
from recsys.errors import ConfigError
from recsys.evaluation.contenders import CF, CURRENT, LATELY, Factors, Popularity
from recsys.evaluation.current import CurrentRelease
from recsys.evaluation.gate import Verdict, judge
from recsys.evaluation.holdout import Split, split
from recsys.evaluation.result import ContenderScores, Evaluation
from recsys.evaluation.scores import evaluate
from recsys.models.cf import CollaborativeFilter

Matrix = npt.NDArray[np.float32]
SETTINGS = EvaluationSettings(users=0, resamples=300)
GATE = GateSettings()
GOOD = CfSettings(solver="implicit", factors=8, regularization=20.0, threads=1)
POOR = CfSettings(solver="implicit", factors=1, regularization=20.0, iterations=1, threads=1)


@pytest.fixture(scope="module")
def parts() -> Split:
    """Ratings of four groups of taste, split."""
    return split(tastes(users=1200), SETTINGS, 7.0)


@cache
def factors(parts: Split, settings: CfSettings) -> tuple[Matrix, Matrix]:
    """Train a collaborative filter on the training part."""
    model = CollaborativeFilter(settings).fit(parts.train)
    return model.user_factors, model.item_factors


def trained(name: str, parts: Split, settings: CfSettings) -> Factors:
    """Enter such a filter under a name."""
    return Factors(name, *factors(parts, settings))


def verdict(
    parts: Split, *contenders: Factors, current: CurrentRelease | None = None, gate: GateSettings = GATE
) -> Verdict:
    """Evaluate contenders beside popularity, and ask the gate."""
    evaluation = evaluate([Popularity.of(parts.train), *contenders], parts, SETTINGS)
    return judge(evaluation, gate, current, recipe=GOOD, measure={"fraction": 0.2})


def scored(score: float, recipe: CfSettings = POOR, fraction: float = 0.2) -> CurrentRelease:
    """Return a current release with a recorded score."""
    return CurrentRelease("r1", recipe, measure={"fraction": fraction, "score": score})


def failed(judged: Verdict) -> set[str]:
    """Return the rules that a candidate broke."""
    return {check.rule for check in judged.checks if not check.passed}


def test_a_better_candidate_passes(parts: Split) -> None:
    """A good recipe replaces a poor one; the reason names scores and intervals."""
    judged = verdict(parts, trained(CF, parts, GOOD), trained(CURRENT, parts, POOR), current=scored(0.05))
    assert judged.passed
    assert "popularity" in judged.reason
    assert "interval" in judged.reason


def test_a_worse_candidate_is_refused(parts: Split) -> None:
    """A poor recipe does not replace a good one, even where it beats popularity."""
    judged = verdict(parts, trained(CF, parts, POOR), trained(CURRENT, parts, GOOD), current=CurrentRelease("r1"))
    assert "current recipe" in failed(judged)
    assert "surely more than 1.0% below" in judged.reason
    assert "r1" in judged.reason


@pytest.mark.parametrize("seed", range(20))
def test_a_candidate_that_differs_by_its_seed_passes(parts: Split, seed: int) -> None:
    """Luck is no reason to refuse: the same recipe with another seed is within the margin."""
    current = trained(CURRENT, parts, GOOD)
    candidate = trained(CF, parts, GOOD.model_copy(update={"seed": 1000 + seed}))
    assert verdict(parts, candidate, current, current=CurrentRelease("r1")).passed


def test_noise_is_refused(parts: Split) -> None:
    """Random factors do not beat popularity."""
    draw = np.random.default_rng(0)
    users, items = (draw.normal(size=(n, 8)).astype(np.float32) for n in parts.held_out.shape)
    judged = verdict(parts, Factors(CF, users, items))
    assert failed(judged) == {"popularity"}
    assert "not surely above popularity's" in judged.reason


def test_a_mart_whose_user_ids_were_shuffled_is_refused() -> None:
    """When ratings no longer belong to the people who gave them, nothing can be learnt, and the gate sees it."""
    whole = tastes(users=1200)
    places = whole.matrix.tocoo()
    users = np.random.default_rng(0).permutation(places.row)
    _, first = np.unique(users.astype(np.int64) * 10_000 + places.col, return_index=True)
    parts = split(ratings_of(users[first], places.col[first], places.data[first]), SETTINGS, 7.0)
    assert "popularity" in failed(verdict(parts, trained(CF, parts, GOOD)))


def test_identical_settings_are_not_trained_again(parts: Split) -> None:
    """Without a contender for the current recipe the rule passes, and says why."""
    judged = verdict(parts, trained(CF, parts, GOOD), current=CurrentRelease("r1", GOOD))
    assert judged.passed
    assert "the settings are those of the current release r1" in judged.reason


@pytest.mark.parametrize(("share", "passes"), [(1.04, True), (1.06, False), (0.5, True)])
def test_the_score_may_not_fall_far_below_the_recorded_one(parts: Split, share: float, passes: bool) -> None:  # noqa: FBT001 - a case of the table
    """Down to 5% below what the current release was published with is accepted, further is not."""
    candidate = trained(CF, parts, GOOD)
    score = verdict(parts, candidate).score.value
    judged = verdict(parts, candidate, current=scored(score * share, GOOD))
    assert judged.passed is passes
    assert failed(judged) == (set() if passes else {"recorded score"})


def test_a_score_that_cannot_be_compared_is_not(parts: Split) -> None:
    """The reason for which there is no comparison is told; nothing is compared in silence."""
    judged = verdict(parts, trained(CF, parts, GOOD), current=scored(0.3, fraction=0.3))
    assert judged.passed
    assert (
        "no recorded score to compare with: the current release r1 was scored with fraction 0.3 instead of"
        in judged.reason
    )


def test_recommending_the_same_few_games_is_refused(parts: Split) -> None:
    """A candidate that shows fewer games than gate.min_coverage asks for is refused."""
    model = trained(CF, parts, GOOD)
    narrow = model.item_factors.copy()
    narrow[45:] = 0.0  # the least rated: they score 0
    judged = verdict(parts, replace(model, item_factors=narrow), gate=GateSettings(min_coverage=0.5))
    assert failed(judged) == {"coverage"}
    assert "fewer than gate.min_coverage 50.0%" in judged.reason
    assert verdict(parts, model, gate=GateSettings(min_coverage=0.5)).passed


def test_the_floor_is_off_until_it_is_set(parts: Split) -> None:
    """No floor by default; one above the score refuses, with both numbers."""
    candidate = trained(CF, parts, GOOD)
    assert "floor" not in {check.rule for check in verdict(parts, candidate).checks}
    judged = verdict(parts, candidate, gate=GateSettings(floor=0.99))
    assert failed(judged) == {"floor"}
    assert "below gate.floor 0.99" in judged.reason


def test_a_first_run_may_be_refused(parts: Split) -> None:
    """gate.require_current guards machines that should have restored their releases."""
    candidate = trained(CF, parts, GOOD)
    assert verdict(parts, candidate).passed
    judged = verdict(parts, candidate, gate=GateSettings(require_current=True))
    assert failed(judged) == {"current release"}
    assert "gate.require_current" in judged.reason


def test_an_override_publishes_and_is_recorded(parts: Split) -> None:
    """The reason is kept with the verdict, which still says what was broken; a pass needs no override."""
    refused = verdict(parts, trained(CF, parts, GOOD), gate=GateSettings(floor=0.99))
    assert not refused.published
    forced = refused.overridden("new scale, agreed with product")
    assert forced.published
    assert not forced.passed
    stored = json.loads(json.dumps(forced.as_json(), allow_nan=False))
    assert stored["override"] == "new scale, agreed with product"
    assert stored["checks"][-1]["bound"] == 0.99
    assert verdict(parts, trained(CF, parts, GOOD)).overridden("no need").override is None


def test_every_broken_rule_is_named_at_once(parts: Split) -> None:
    """A candidate that is wrong in three ways is told so in one line."""
    draw = np.random.default_rng(0)
    users, items = (draw.normal(size=(n, 8)).astype(np.float32) for n in parts.held_out.shape)
    judged = verdict(
        parts,
        Factors(CF, users, items),
        current=scored(0.9),
        gate=GateSettings(floor=0.5, min_coverage=1),
    )
    assert {"popularity", "recorded score", "floor"} <= failed(judged)
    assert "\n" not in judged.reason


def test_another_contender_or_metric_may_decide(parts: Split) -> None:
    """gate.contender and gate.metric choose; a name that was not evaluated is a wrong setting."""
    cf, other = trained(CF, parts, POOR), trained("other", parts, GOOD)
    judged = verdict(parts, cf, other, gate=GateSettings(contender="other", metric="recall"))
    assert (judged.contender, judged.metric) == ("other", "recall@10")
    with pytest.raises(ConfigError, match="'nobody' was not evaluated; the contenders are popularity, cf"):
        verdict(parts, cf, gate=GateSettings(contender="nobody"))


def scores_of(values: npt.NDArray[np.float64]) -> dict[str, npt.NDArray[np.float64]]:
    """Return per-user scores as an evaluation keeps them."""
    return {"ndcg@10": values}


def test_a_lead_that_may_be_luck_is_refused() -> None:
    """Better on average is not enough: the interval must lie above 0. With a hundred times the users it passes."""
    draw = np.random.default_rng(0)
    for users, passes in ((400, False), (40_000, True)):
        lists = np.tile(np.arange(20, dtype=np.int32), (users, 1))
        popular = draw.random(users)
        lead = draw.normal(0.01, 0.3, users)
        lead += 0.01 - lead.mean()  # the lead itself is the same
        entries = {"popularity": popular, CF: popular + lead}
        contenders = {
            name: ContenderScores(name, scores_of(values), lists, coverage=1.0) for name, values in entries.items()
        }
        judged = judge(Evaluation(contenders, SETTINGS, {}, 0.0), GATE, None)
        assert judged.passed is passes
        assert "difference +0.0100" in judged.reason


@pytest.mark.parametrize(("rule", "passes"), [("refuse", False), ("warn", True)])
def test_what_was_popular_lately_must_be_beaten(parts: Split, rule: str, passes: bool) -> None:  # noqa: FBT001 - a case of the table
    """Where it competes, a candidate that is not surely better is refused, or warned of; the reason says what helps."""
    candidate = trained(CF, parts, GOOD)
    twin = replace(candidate, name=LATELY)
    found = verdict(parts, twin, candidate, gate=GATE.model_copy(update={"popular_lately": rule}))
    assert found.passed is passes
    assert failed(found) == (set() if passes else {"popular lately"})
    (check,) = (check for check in found.checks if check.rule == "popular lately")
    assert "not surely above" in check.reason
    assert "cf.half_life and cf.trend help" in check.reason
    assert verdict(parts, trained(LATELY, parts, POOR), candidate).passed
