"""Searches across nights: what they see, what is remembered, and what asks for the next one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from factories.tastes import tastes
from recsys.config import CfSettings, GateSettings, Settings
from recsys.evaluation.current import CurrentRelease
from recsys.evaluation.drift import Change, Drift
from recsys.evaluation.history import TuningHistory
from recsys.evaluation.holdout import split
from recsys.models.recipe import FOUND, CfRecipe
from recsys.pipeline.proving import Trial
from recsys.system.steps import Steps
from recsys.tuning import plan

MEASURE = {"metric": "ndcg@10", "hold_out": "hash", "fraction": 0.2, "seed": 42}
RECIPE = CfSettings(
    factors=48, regularization=0.4, unobserved=5.0, confidence="rating", iterations=9, like_threshold=7.0
)


def test_the_search_never_sees_the_hold_out() -> None:
    """Canary: whatever the held-out ratings say, the search tries and finds the same, trial by trial.

    The same pairs are held out of both tables (that depends on ids alone), and every held-out
    rating is turned over in the second: who looked at one of them would score another number.
    """
    ratings = tastes(users=300, items=60)
    settings = Settings(cf=CfSettings(factors=8, threads=1))
    held_out = split(ratings, settings.evaluation, 7.0).held_out.tocsr()
    turned = ratings.matrix.copy()
    places = np.asarray(held_out[np.repeat(np.arange(300), np.diff(turned.indptr)), turned.indices]).ravel() > 0
    turned.data[places] = 11 - turned.data[places]
    assert np.count_nonzero(places) > 500
    results = []
    for table in (ratings, replace(ratings, matrix=turned)):
        trial = Trial(settings, None, Steps()).hold(table)
        assert trial.tuning is not None
        search = trial.tuning["search"]
        results.append(([(t["recipe"], t["iterations"], t["ndcg"]) for t in search["trials"]], search["winner"]))
    assert results[0] == results[1]


def test_a_search_knows_nothing_of_one_that_saw_its_hold_out() -> None:
    """Canary: with another seed of the hold-out, the search of an earlier night changes nothing in this one's."""
    settings = Settings(cf=CfSettings(factors=8, threads=1))
    results = []
    for ratio in (3.3, 7.7):
        recipe = RECIPE.model_copy(update={"factors": 8, "unobserved": ratio})
        memory = TuningHistory({"trials": []}, "first", 0, 0.30, FOUND[1:], MEASURE | {"seed": 7})
        current = CurrentRelease("r1", recipe, measure={**MEASURE, "seed": 7, "score": 0.30}, tuning=memory)
        tuning = Trial(settings, current, Steps()).hold(tastes(users=300, items=60)).tuning
        assert tuning is not None
        assert tuning["measure"]["seed"] == 42
        results.append(
            (tuning["search"]["winner"], [(trial["recipe"], trial["ndcg"]) for trial in tuning["search"]["trials"]])
        )
    assert results[0] == results[1]


def test_a_later_night_reuses_the_winner() -> None:
    """With a memory and unchanged settings nothing is searched; the memory grows older by a release."""
    settings = CfSettings(threads=1)
    memory = TuningHistory({"trials": []}, "no earlier search is remembered", 3, 0.30, FOUND, MEASURE)
    current = CurrentRelease("r1", RECIPE, measure={**MEASURE, "score": 0.29}, tuning=memory)
    planned = plan(settings, GateSettings(), current, None, MEASURE)
    assert (planned.settings.factors, planned.settings.confidence, planned.because) == (48, "rating", "")
    assert planned.remember(None, 0.29, MEASURE) == replace(memory, age=4)


@pytest.mark.parametrize(
    ("settings", "score", "age", "drift", "because"),
    [
        (CfSettings(), 0.30, 29, "", "30 releases since the last search"),
        (CfSettings(tuning_every=0), 0.20, 500, "", "the score fell from 0.3000"),
        (CfSettings(), 0.30, 0, "rating_histogram", "the data drifted"),
        (CfSettings(factors=64), 0.30, 0, "", "other settings than those of r1: cf.factors"),
        (CfSettings(factors=48), 0.30, 0, "", "other settings are left open than for r1: cf.factors"),
    ],
)
def test_a_search_is_asked_for_again(settings: CfSettings, score: float, age: int, drift: str, because: str) -> None:
    """By age, by a falling score, by drift, and by settings given since, even where they equal the search's."""
    memory = TuningHistory({"trials": []}, "first", age, 0.30, FOUND, MEASURE)
    current = CurrentRelease("r1", RECIPE, measure={**MEASURE, "score": score}, tuning=memory)
    changes = (Change(drift, None, None, 1.0, None, 0.1),) if drift else ()
    planned = plan(settings, GateSettings(), current, Drift("r1", changes), MEASURE)
    assert planned.because.startswith(because)
    assert planned.settings == settings
    assert planned.current_recipe == CfRecipe.by_rule(RECIPE, np.empty(0, np.float32))


@pytest.mark.parametrize(
    ("other", "asks"),
    [({"seed": 7}, True), ({"fraction": 0.3}, True), ({"hold_out": "time"}, True), ({"metric": "recall@10"}, False)],
)
def test_another_hold_out_asks_for_a_search(other: dict[str, Any], asks: bool) -> None:  # noqa: FBT001 - of the table
    """Where other ratings are held out, the result of a search on the others is neither reused nor a start."""
    memory = TuningHistory({"trials": []}, "first", 0, 0.30, FOUND, MEASURE)
    current = CurrentRelease("r1", RECIPE, measure={**MEASURE, "score": 0.30}, tuning=memory)
    planned = plan(CfSettings(), GateSettings(), current, None, MEASURE | other)
    assert planned.because.startswith("ratings are held out that the last search saw") is asks
    assert (planned.reused is None) is asks
    assert planned.current_recipe is None


def test_scores_of_two_measures_are_no_fall() -> None:
    """A lower number of another metric says nothing about the settings; the same number of the same one does."""
    memory = TuningHistory({"trials": []}, "first", 0, 0.30, FOUND, MEASURE)
    recall = MEASURE | {"metric": "recall@10"}
    for measure, fell in ((recall, False), (MEASURE, True)):
        current = CurrentRelease("r1", RECIPE, measure={**measure, "score": 0.20}, tuning=memory)
        planned = plan(CfSettings(), GateSettings(), current, None, measure)
        assert planned.because.startswith("the score fell from 0.3000") is fell


@pytest.mark.parametrize(
    ("recipe", "taken"),
    [(RECIPE, True), (RECIPE.model_copy(update={"factors": "auto"}), False), (CfSettings(solver="implicit"), False)],
)
def test_a_search_begins_with_the_current_recipe(recipe: CfSettings, taken: bool) -> None:  # noqa: FBT001 - of the table
    """Also without a memory, as where it was given; not where it is another solver's, or leaves something open."""
    planned = plan(CfSettings(), GateSettings(), CurrentRelease("r1", recipe), None, MEASURE)
    assert planned.because == "no earlier search is remembered"
    assert (planned.current_recipe is not None) is taken


def test_without_tuning_nothing_is_remembered() -> None:
    """`tuning = "off"` sets `auto` by rule every night, whatever a release remembers."""
    current = CurrentRelease("r1", CfSettings(factors=48), tuning=TuningHistory({"trials": []}, "first"))
    planned = plan(CfSettings(tuning="off"), GateSettings(), current, None, MEASURE)
    assert planned.settings.factors == "auto"
    assert planned.remember(None, 0.3, MEASURE) is None
