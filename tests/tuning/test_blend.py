"""The search for what is added to the factors: what it finds, what it leaves alone, and what it never sees."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from factories.tastes import ratings_of, tastes
from recsys.config import CfSettings, EvaluationSettings
from recsys.errors import ConfigError
from recsys.evaluation.bootstrap import surely_better
from recsys.evaluation.holdout import split
from recsys.models.recipe import BLENDED, CfRecipe
from recsys.tuning import find_recipe, lately_half_life
from recsys.tuning.blend import BlendSearch
from recsys.tuning.hold_out import InnerSplit, Scored
from recsys.tuning.work import Budget

if TYPE_CHECKING:
    from recsys.marts.ratings import Ratings

MONTH = int(30.4375 * 86_400e6)
GIVEN = {"factors": 8, "regularization": 0.5, "unobserved": 4.0, "confidence": "graded", "iterations": 6}


def settings(**more: object) -> CfSettings:
    """Return settings whose factors are given, so that the rest alone is searched."""
    return CfSettings.model_validate({**GIVEN, "threads": 1, "like_threshold": 7.0, **more})


def waves(seed: int = 0, users: int = 500, months: int = 40) -> Ratings:
    """Return ratings of games that come up one after the other and are forgotten: only what is new is rated."""
    draw = np.random.default_rng(seed)
    triples = set()
    for user in range(users):
        for at in draw.integers(0, months, 25):
            game = int(at * 2 + draw.integers(0, 8))
            triples.add((user, game, int(at)))
    first: dict[tuple[int, int], int] = {}
    for user, game, at in sorted(triples):
        first.setdefault((user, game), at)
    rows = [(user, game, 8.0, at * MONTH) for (user, game), at in first.items()]
    return ratings_of(*map(list, zip(*rows, strict=True)))


def test_what_is_rated_lately_is_found() -> None:
    """Planted: games have their time; the search lets confidence fade or adds a trend, and says so."""
    recipe, search = find_recipe(waves(), settings(), None)
    assert search is not None
    assert recipe.trend > 0 or recipe.half_life > 0
    best = max(trial.ndcg for trial in search.trials)
    alone = next(trial.ndcg for trial in search.trials if trial.stage == "alone")
    assert best > 1.5 * alone


def test_without_dates_nothing_fades() -> None:
    """Half-life and trend stay 0 where nobody knows when games were rated; the item-item half is tried."""
    recipe, search = find_recipe(tastes(users=300, items=60), settings(), None)
    assert (recipe.half_life, recipe.trend) == (0, 0)
    assert search is not None
    assert {trial.stage for trial in search.trials} == {"alone", "items"}


def test_what_is_not_better_stays_out() -> None:
    """Planted: ratings are strewn at random over equal games; whatever is added to the factors helps nobody."""
    draw = np.random.default_rng(1)
    users, games = np.nonzero(draw.random((300, 60)) < 0.3)
    recipe, _ = find_recipe(ratings_of(users, games, np.full(len(users), 8.0)), settings(), None)
    assert recipe.item_weight == 0


def test_many_decide_what_few_have_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trials score few people; what they found stays in only where it is better for several times as many."""
    monkeypatch.setattr("recsys.tuning.blend.PEOPLE", 200)  # never fewer
    monkeypatch.setattr("recsys.tuning.blend._DRAWS", 1)
    seen = dict[str, tuple[int, int]]()

    def judged(ours: np.ndarray, theirs: np.ndarray, people: np.ndarray, *, errors: float) -> bool:
        seen["decided"] = len(ours), len(set(people.tolist()))
        return surely_better(ours, theirs, people, errors=errors)

    monkeypatch.setattr("recsys.tuning.blend.surely_better", judged)
    search = find_recipe(tastes(users=1000, items=60), settings(), None).search
    assert search is not None
    drawn = InnerSplit.draw(tastes(users=1000, items=60).matrix, 7.0, 1, max_ratings=10**6, scored=Scored(9999, 0.5))
    assert seen["decided"][0] == seen["decided"][1]
    assert 400 < seen["decided"][0] <= 500
    few = drawn.some(200, 3)
    assert (len(few.users), few.train.nnz) == (200, drawn.train.nnz)
    assert set(few.people.tolist()) < set(drawn.people.tolist())


@pytest.mark.parametrize("name", ["item_weight", "half_life", "trend"])
def test_what_is_given_is_not_searched(name: str) -> None:
    """A setting that somebody gave stays as it is, and what hangs together with it is not varied either."""
    ratings = waves(users=200)
    recipe, _ = find_recipe(ratings, settings(**{name: 0.0}), None)
    assert getattr(recipe, name) == 0


def test_the_same_ratings_give_the_same_recipe() -> None:
    """Whatever the number of threads is."""
    found = [find_recipe(tastes(users=300, items=60), settings(threads=threads), None).recipe for threads in (1, 2)]
    assert found[0] == found[1]


def test_the_hold_out_of_the_gate_is_not_seen() -> None:
    """Canary: other held-out ratings, the same search, trial by trial."""
    ratings = waves(users=200)
    parts = split(ratings, EvaluationSettings(), 7.0)
    turned = replace(ratings, matrix=ratings.matrix.copy())
    assert ratings.rated_at is not None
    late = ratings.rated_at > (parts.cut or 0)
    turned.matrix.data[late] = 2.0
    outcomes = []
    for table in (ratings, turned):
        train = split(table, EvaluationSettings(), 7.0).train
        search = find_recipe(train, settings(), None).search
        assert search is not None
        outcomes.append([(trial.stage, trial.ndcg) for trial in search.trials])
    assert outcomes[0] == outcomes[1]


def test_the_time_limit_ends_it_with_the_best_so_far() -> None:
    """When the time is up nothing is lost: the recipe is the start's, or surely better."""
    ticks = iter(range(10_000))
    start = CfRecipe.by_rule(settings(), np.array([10.0], dtype=np.float32))
    search = BlendSearch(
        waves(users=200), start, frozenset(BLENDED), settings(), Budget(1e15, 5, lambda: float(next(ticks)))
    )
    assert search.search().factors == 8
    assert len(search.trials) < 10


def test_the_half_life_of_what_is_popular_lately() -> None:
    """Planted: what was rated two months ago is forgotten; the shortest half-life foretells best."""
    assert lately_half_life(waves(), 7.0, 42) == 2.0


def test_when_the_time_is_up_the_best_so_far_stays() -> None:
    """Planted: the clock ends the search in the middle of the trends; what was found by then is kept, and said."""
    ratings, chosen = waves(users=300), settings()
    ticks = iter(range(10_000))
    start = CfRecipe.by_rule(chosen, ratings.matrix.data)
    search = BlendSearch(ratings, start, frozenset(BLENDED), chosen, Budget(1e15, 160, lambda: float(next(ticks))))
    found = search.search()
    best = max(search.trials, key=lambda trial: trial.ndcg)
    assert not search.complete
    assert found == best.recipe != start


def test_a_trend_that_is_given_needs_dates() -> None:
    """The search says so as training does."""
    with pytest.raises(ConfigError, match=r"cf\.trend = 0\.5 needs to know when"):
        find_recipe(tastes(users=200, items=40), settings(trend=0.5), None)


def test_dates_that_are_mostly_one_are_held_out_by_lot() -> None:
    """Years alone, or one import: the newest date holds more than the hold-out takes, and part of it goes."""
    ratings = tastes(users=300, items=60)
    one_day = replace(ratings, rated_at=np.zeros(ratings.matrix.nnz, dtype=np.int64))
    cut = InnerSplit.after_a_cut(one_day, 7.0, 42, max_ratings=10**6, max_users=1000)
    assert len(cut.users) > 100
    assert cut.train.nnz == pytest.approx(0.8 * ratings.matrix.nnz, rel=0.01)
