"""Settings that find themselves: confidence, relative scales, the inner hold-out and the search."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import scipy.sparse as sp
from scipy import stats

from factories.tables import ratings as shelves
from recsys.config import CfSettings, load_settings
from recsys.errors import ConfigError, Diverged
from recsys.evaluation.bootstrap import surely_better
from recsys.models import CollaborativeFilter
from recsys.models.confidence import confidence, like_threshold
from recsys.models.recipe import CfRecipe
from recsys.models.solvers import Factors, solver_of
from recsys.tuning import hold_out, nightly, space
from recsys.tuning.hold_out import InnerSplit, Scored
from recsys.tuning.scorer import RecipeScorer
from recsys.tuning.stages import Stages
from recsys.tuning.work import Budget

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from recsys.tuning import Search

SMALL = CfSettings(factors=8, threads=1)


def search(ratings: sp.csr_matrix, settings: CfSettings, work: float = 1e15) -> Search | None:
    """Search with so much work and no clock."""
    return nightly.search(ratings, settings, Budget(work, 1e9, itertools.count(0, 0).__next__))


@pytest.fixture(scope="module")
def ratings() -> sp.csr_matrix:
    """Ratings 1-10 of 400 users and 60 games in three taste groups, some games more popular."""
    rng = np.random.default_rng(9)
    group = np.arange(400)[:, None] % 3 == np.arange(60) % 3
    rated = rng.random((400, 60)) < np.where(group, 0.3, 0.06) * rng.uniform(0.3, 1.5, 60)
    values = np.clip(np.round(np.where(group, 8, 5) + rng.normal(0, 1.5, rated.shape)), 1, 10)
    matrix = sp.csr_matrix(np.where(rated, values, 0).astype(np.float32))
    matrix.sort_indices()
    return matrix


@pytest.mark.parametrize(
    ("lowest", "highest", "step", "liked"),
    [(1, 5, 1, 4), (0.5, 5, 0.5, 3.5), (1, 10, 1, 7), (1, 10, 0.1, 7), (1, 100, 1, 70), (1, 1, 1, 1)],
)
def test_like_threshold_fits_the_scale(lowest: float, highest: float, step: float, liked: float) -> None:
    """`auto` reads the threshold off the scale that the ratings are on; a given one stays."""
    values = np.arange(lowest, highest + step / 2, step, dtype=np.float32).round(2)
    assert like_threshold("auto", values) == pytest.approx(liked)
    assert like_threshold(6.5, values) == 6.5


@pytest.mark.parametrize("factor", [0.5, 1.0, 10.0])
def test_graded_confidence_means_the_same_on_every_scale(factor: float) -> None:
    """On 1-10 it is clip((r - 3) / 4, ¼, 2); the same tastes on 0.5-5 and 10-100 weigh the same."""
    points = np.array([[1, 2, 4, 5, 7, 9, 10]], dtype=np.float32)
    graded = confidence(sp.csr_matrix(points * np.float32(factor)), "graded", 7 * factor)
    np.testing.assert_allclose(graded.data, np.clip((points[0] - 3) / 4, 0.25, 2), rtol=1e-5)


def test_liked_and_rating_confidence() -> None:
    """`liked` leaves out what is not liked; `rating` is the rating; neither touches the ratings."""
    matrix = sp.csr_matrix(np.array([[2, 7, 0], [9, 0, 6.5]], dtype=np.float32))
    assert confidence(matrix, "liked", 7).toarray().tolist() == [[0, 1, 0], [1, 0, 0]]
    assert confidence(matrix, "rating", 7).toarray().tolist() == matrix.toarray().tolist()
    assert matrix.nnz == 4


def test_unobserved_weigh_a_multiple_of_the_ratings(ratings: sp.csr_matrix) -> None:
    """α₀ over all pairs sums to ρ times the confidence, whatever the table's size and density."""
    rule = replace(CfRecipe.by_rule(SMALL, ratings.data), unobserved=6.0)
    kept = sp.csr_matrix(sp.random(400, 60, 0.4, random_state=1).toarray() > 0)
    for table in (ratings, ratings[:50], ratings.multiply(kept).tocsr()):
        used = table[np.diff(table.indptr) > 0]
        used = used[:, np.unique(used.indices)]
        alpha = solver_of(rule).objective(rule, used).unobserved
        assert alpha * used.shape[0] * used.shape[1] == pytest.approx(6 * used.data.sum(), rel=1e-5)


def test_regularization_is_relative_to_chance() -> None:
    """κ = 1 is the largest singular value of a normalized matrix without any taste in it."""
    rng = np.random.default_rng(3)
    noise = sp.csr_matrix((rng.random((600, 400)) < 0.05).astype(np.float32))
    recipe = replace(CfRecipe.by_rule(SMALL, noise.data), regularization=1.0, unobserved=4.0)
    objective = solver_of(recipe).objective(recipe, noise)
    rows, columns = (np.asarray(noise.sum(axis)).ravel() for axis in (1, 0))
    rows, columns = rows + objective.unobserved * 400, columns + objective.unobserved * 600
    normalized = (noise.toarray() - noise.mean()) / np.sqrt(rows[:, None] * columns)
    assert np.linalg.norm(normalized, 2) == pytest.approx(objective.regularization, rel=0.1)


def test_scaling_every_confidence_changes_nothing(ratings: sp.csr_matrix) -> None:
    """Ratings on 10-100 give the scores of ratings on 1-10."""
    scores = []
    for factor in (1, 10):
        frame_free = CollaborativeFilter(CfSettings(factors=6, tuning="off", iterations=4))
        frame_free.ratings = (ratings * factor).astype(np.float32)
        recipe = CfRecipe.by_rule(frame_free.settings, frame_free.ratings.data)
        weights = confidence(frame_free.ratings, recipe.confidence, recipe.like_threshold)
        scores.append((solver_of(recipe).objective(recipe, weights), weights.data))
    assert scores[0][0].regularization == pytest.approx(scores[1][0].regularization, rel=1e-5)
    np.testing.assert_allclose(scores[0][1], scores[1][1], rtol=1e-5)


def test_the_inner_hold_out_parts_the_ratings(ratings: sp.csr_matrix) -> None:
    """Scored users lose a fifth, others nothing; relevant are held-out likes, and never trained on."""
    split = InnerSplit.draw(ratings, 7, 0, max_ratings=10**9, scored=Scored(50))
    lost = np.diff(ratings.indptr) - np.diff(split.train.indptr)
    assert 0 < np.count_nonzero(lost) <= 50
    expected = np.round(0.2 * np.diff(ratings.indptr))
    assert np.all((lost == 0) | (lost == expected))
    assert set(split.users) <= set(np.flatnonzero(lost))
    assert split.train.multiply(split.relevant).nnz == 0
    assert split.relevant.data.min() >= 7
    assert split.train.nnz + lost.sum() == ratings.nnz


def strewn(users: int, games: int, number: int) -> sp.csr_matrix:
    """Return so many ratings, at random places."""
    draw = np.random.default_rng(5)
    places = np.unique(draw.integers(0, users, number) * games + draw.integers(0, games, number))
    matrix = sp.csr_matrix((np.full(len(places), 8, np.float32), divmod(places, games)), (users, games))
    matrix.sort_indices()
    return matrix


@pytest.mark.parametrize(("users", "games", "thinned"), [(2000, 2000, True), (8000, 100, False), (400, 4000, True)])
def test_a_sample_is_as_dense_as_the_table(users: int, games: int, *, thinned: bool) -> None:
    """Where games have as few ratings as users, both are sampled alike; where they have many, all of them stay."""
    table = strewn(users, games, 40_000)
    shares = hold_out.shares(table, 10_000)
    assert shares.users * shares.games == pytest.approx(10_000 / table.nnz)
    assert (shares.games < 1) is thinned
    split = InnerSplit.draw(table, 7, 0, max_ratings=10_000, scored=Scored(1))
    rows, columns = len(split.train.indptr) - 1, len(np.unique(split.train.indices))
    assert split.train.nnz == pytest.approx(10_000, rel=0.1)
    assert split.train.nnz / (rows * columns) == pytest.approx(table.nnz / (users * games), rel=0.1)
    assert columns == pytest.approx(shares.games * games, rel=0.1)


@pytest.mark.parametrize(("users", "games"), [(50, 900), (900, 50), (300, 300)])
def test_a_small_table_is_seen_whole(users: int, games: int) -> None:
    """Nothing is left out where all ratings may be seen, whichever side is longer."""
    assert hold_out.shares(strewn(users, games, 5_000), 10**6) == (1, 1)


def test_the_inner_score_is_ndcg(ratings: sp.csr_matrix) -> None:
    """NDCG@10 of every scored user, against a plain loop over the ranking."""
    split = InnerSplit.draw(ratings, 7, 0, max_ratings=10**9, scored=Scored(40))
    rng = np.random.default_rng(0)
    factors = Factors(rng.normal(size=(400, 5)).astype(np.float32), rng.normal(size=(60, 5)).astype(np.float32))
    expected = []
    for user in split.users:
        seen = set(split.train[user].indices)
        order = [game for game in np.argsort(-(factors.items @ factors.users[user])) if game not in seen][:10]
        relevant = set(split.relevant[user].indices)
        gain = sum(1 / np.log2(rank + 2) for rank, game in enumerate(order) if game in relevant)
        expected.append(gain / sum(1 / np.log2(rank + 2) for rank in range(min(10, len(relevant)))))
    np.testing.assert_allclose(split.score(factors), expected, rtol=1e-6)


@pytest.mark.parametrize("people", [20, 200])
def test_sure_is_what_a_paired_test_over_people_calls_sure(people: int) -> None:
    """Against scipy's paired t-test over the mean of each person's draws, on both sides of two standard errors."""
    rng = np.random.default_rng(people)
    who = rng.permutation(np.repeat(np.arange(people), rng.integers(1, 5, people)))
    theirs = rng.random(len(who))
    noise = rng.normal(0, 0.3, people)[who] + rng.normal(0, 0.05, len(who))
    verdicts = set()
    for lead in np.linspace(0, 0.3, 301):
        ours = theirs + noise + lead
        means = [np.array([side[who == person].mean() for person in range(people)]) for side in (ours, theirs)]
        sure = stats.ttest_rel(means[0], means[1]).statistic > 2
        assert surely_better(ours, theirs, who) == sure
        verdicts.add(sure)
    assert verdicts == {True, False}


def test_few_people_make_nothing_sure() -> None:
    """One person or nineteen, however large the lead and however often they were drawn: not sure; twenty: sure."""
    for people, draws in ((1, 1), (19, 1), (19, 4), (20, 1)):
        who = np.tile(np.arange(people), draws)
        assert surely_better(np.ones(len(who)), np.zeros(len(who)), who) is (people == 20)


def test_who_is_scored_is_known_by_the_rows_of_the_table(ratings: sp.csr_matrix) -> None:
    """Each scored user's training and held-out ratings are those of the person that they are said to be."""
    scorer = RecipeScorer(ratings, SMALL, 7)
    people = scorer.people
    assert len(people) == scorer.users
    assert len(set(people)) < len(people)
    split = InnerSplit.draw(ratings, 7, 0, max_ratings=2000, scored=Scored(50))
    for row, person in zip(split.users, split.people, strict=True):
        whole = ratings[person].toarray()
        for part in (split.train[row], split.relevant[row]):
            places = part.toarray() > 0
            assert np.array_equal(part.toarray()[places], whole[places])
        assert split.train[row].nnz == ratings[person].nnz - np.round(0.2 * ratings[person].nnz)


def test_the_search_is_repeatable(ratings: sp.csr_matrix) -> None:
    """The same ratings and seed give the same trials and scores, with any number of threads."""
    one, two = (search(ratings, SMALL.model_copy(update={"threads": threads})) for threads in (1, 2))
    assert one is not None
    assert one == two


def test_given_settings_are_never_searched(ratings: sp.csr_matrix) -> None:
    """What is set explicitly has one value in all trials; the rest has several."""
    outcome = search(ratings, CfSettings(factors=8, unobserved=5.0, confidence="liked", threads=1))
    assert outcome is not None
    tried = [trial.recipe for trial in outcome.trials]
    assert {(recipe.factors, recipe.unobserved, recipe.confidence) for recipe in tried} == {(8, 5.0, "liked")}
    assert len({recipe.regularization for recipe in tried}) >= 5


@pytest.mark.parametrize(
    "settings",
    [
        CfSettings(solver="implicit"),
        CfSettings(factors=8, regularization=0.5, unobserved=4.0, confidence="graded", iterations=9),
    ],
)
def test_nothing_to_search(ratings: sp.csr_matrix, settings: CfSettings) -> None:
    """With implicit's solver, or when all is given, there is no search."""
    assert search(ratings, settings) is None


def test_the_winner_beats_far_off_settings(ratings: sp.csr_matrix) -> None:
    """The best trial is well above the worst, and the winner no worse than the rule."""
    outcome = search(ratings, SMALL)
    assert outcome is not None
    scores = [trial.ndcg for trial in outcome.trials]
    assert max(scores) > 1.1 * min(scores)
    assert outcome.best >= outcome.rule
    assert outcome.complete


def test_good_trials_are_prolonged(ratings: sp.csr_matrix) -> None:
    """Every scale is tried for a few iterations; only the best third goes on, from where it stood."""
    outcome = search(ratings, SMALL)
    assert outcome is not None
    first = [trial for trial in outcome.trials if trial.stage == "scales" and trial.iterations == 4]
    longer = [trial for trial in outcome.trials if trial.stage == "scales" and trial.iterations == 10]
    assert len(first) == len(space.UNOBSERVED) * len(space.REGULARIZATION)
    best = sorted(first, key=lambda trial: -trial.ndcg)[: len(first) // 3 + 1]
    assert {trial.recipe for trial in longer} <= {trial.recipe for trial in best}
    began = {trial.recipe for trial in outcome.trials if trial.stage == "start"}
    assert len(longer) == len(first) // 3 + 1 - len(began & {trial.recipe for trial in first})


@pytest.mark.parametrize("factors", [8, 32])
def test_training_stops_where_more_iterations_bring_nothing(ratings: sp.csr_matrix, factors: int) -> None:
    """The winner is tried after more and fewer iterations; as few are taken as cost a thousandth at most."""
    outcome = search(ratings, SMALL.model_copy(update={"factors": factors}))
    assert outcome is not None
    alike = [
        trial
        for trial in outcome.trials
        if replace(trial.recipe, iterations=0) == replace(outcome.winner, iterations=0)
    ]
    score = {trial.iterations: trial.ndcg for trial in alike}
    best = max(score[number] for number in space.ITERATIONS)
    assert outcome.winner.iterations == min(n for n in space.ITERATIONS if score[n] >= 0.999 * best)
    given = search(ratings, SMALL.model_copy(update={"iterations": 5}))
    assert given is not None
    assert given.winner.iterations == 5


class Diverging(RecipeScorer):
    """Scores as ever, but that no recipe that reads ratings as they are has finite factors."""

    def score(self, recipe: CfRecipe, iterations: int, *, keep: bool, watch: Callable[[], None] = lambda: None) -> Any:
        """Return scores, or diverge."""
        if recipe.confidence == "rating":
            raise Diverged("the factors became infinite")
        return super().score(recipe, iterations, keep=keep, watch=watch)


def test_a_trial_that_diverges_ends_no_search(ratings: sp.csr_matrix, caplog: pytest.LogCaptureFixture) -> None:
    """It is tried once, scores nothing, is logged as a warning, and the search runs to its end."""
    rule = CfRecipe.by_rule(SMALL, ratings.data)
    scorer = Diverging(ratings, SMALL, rule.like_threshold)
    stages = Stages(scorer, rule, None, SMALL, Budget(1e15, 1e9))
    with caplog.at_level("WARNING", "recsys"):
        outcome = stages.search(frozenset({"unobserved", "confidence", "iterations"}))
    (failed,) = (trial for trial in outcome.trials if trial.recipe.confidence == "rating")
    assert failed.ndcg == 0
    assert [record.getMessage() for record in caplog.records] == ["a trial diverged"]
    assert outcome.complete
    assert {trial.stage for trial in outcome.trials} >= {"refine", "iterations"}


def test_fit_alone_finds_its_settings() -> None:
    """`CollaborativeFilter().fit(frame)` searches by itself, keeps to the recipe, and finds the shelves."""
    model = CollaborativeFilter().fit(shelves())
    assert model.tuning is not None
    assert model.recipe == model.tuning.winner
    assert model.item_factors.shape == (40, model.recipe.factors)
    hits = [game.game_id % 4 == user % 4 for user in range(80) for game in model.recommend(user, 4)]
    assert np.mean(hits) > 0.95


def test_a_remembered_recipe_is_not_searched_again() -> None:
    """Pinned settings train by their recipe, and nothing is searched."""
    recipe = replace(CfRecipe.by_rule(CfSettings(), np.array([10], np.float32)), factors=5, unobserved=3.3)
    pinned = CfRecipe.from_json(recipe.as_json()).pin(CfSettings())
    model = CollaborativeFilter(pinned).fit(shelves())
    assert model.tuning is None
    assert model.recipe == recipe
    assert model.pinned == pinned
    assert model.item_factors.shape[1] == 5


def test_the_recipe_survives_the_disk(tmp_path: Path) -> None:
    """A loaded model knows what it was trained by."""
    model = CollaborativeFilter(CfSettings(factors=4, tuning="off")).fit(shelves())
    model.save(tmp_path)
    assert CollaborativeFilter.load(tmp_path).recipe == model.recipe


def test_implicits_regularization_is_refused_with_ials() -> None:
    """λ = 200 belongs to implicit; with ials the error says what to write instead."""
    with pytest.raises(ConfigError, match=r"shrink everything.*about 0\.5"):
        load_settings(overrides=["cf.regularization=200"], environ={})
    assert load_settings(overrides=["cf.solver=implicit", "cf.regularization=200"], environ={}).cf.factors == "auto"
