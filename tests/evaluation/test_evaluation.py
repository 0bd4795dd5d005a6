"""Contenders scored by full ranking: numbers by brute force, leaks caught, failures told."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pytest

from factories.tastes import ratings_of, tastes
from recsys.config import CfSettings, EvaluationSettings, Settings
from recsys.errors import QualityGateFailed
from recsys.evaluation.contenders import ContentProfile, Factors, Popularity
from recsys.evaluation.current import CurrentRelease
from recsys.evaluation.holdout import Split, split
from recsys.evaluation.scores import evaluate
from recsys.pipeline.proving import Trial
from recsys.system.steps import Steps

if TYPE_CHECKING:
    import scipy.sparse as sp

    from recsys.evaluation.result import Evaluation

SETTINGS = EvaluationSettings(users=0, resamples=200)
Matrix = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Table:
    """A contender whose scores are written down."""

    name: str
    table: Matrix

    def scores(self, users: npt.NDArray[np.int32]) -> Matrix:
        """Return the written rows."""
        return self.table[users]


def memory_of(name: str, matrix: sp.csr_matrix) -> Table:
    """Return a model that knows the ratings it is given by heart, and nothing else."""
    return Table(name, matrix.toarray())


def item_item(name: str, matrix: sp.csr_matrix) -> Table:
    """Count co-occurrences: a simple model that learns taste where there is any."""
    liked = (matrix >= 7).astype(np.float32)
    return Table(name, (liked @ (liked.T @ liked)).toarray().astype(np.float32))


def test_scores_equal_brute_force() -> None:
    """NDCG, recall and coverage are those of sorting each user's unseen games one by one."""
    parts = split(tastes(users=80, items=40), SETTINGS, 7.0)
    table = np.random.default_rng(0).normal(size=parts.held_out.shape).astype(np.float32)
    scored = evaluate([Table("random", table)], parts, SETTINGS).contenders["random"]
    shown = set()
    for place, user in enumerate(parts.users):
        seen = set(parts.train.matrix[user].indices)
        relevant = set(parts.relevant[user].indices)
        order = sorted(set(range(40)) - seen, key=lambda item: -table[user, item])
        gains = [item in relevant for item in order[:10]]
        dcg = sum(1 / np.log2(rank + 2) for rank, hit in enumerate(gains) if hit)
        ideal = sum(1 / np.log2(rank + 2) for rank in range(min(10, len(relevant))))
        assert scored.per_user["ndcg@10"][place] == pytest.approx(dcg / ideal)
        assert scored.per_user["recall@20"][place] == len(relevant & set(order[:20])) / min(20, len(relevant))
        shown |= set(order[:10])
    assert scored.coverage == len(shown) / 40


def test_coverage_is_the_share_of_what_can_be_recommended() -> None:
    """A game that the catalogue lacks counts neither as shown nor as one that could be."""
    parts = split(tastes(users=80, items=40), SETTINGS, 7.0)
    popular = Popularity.of(parts.train)
    known = np.zeros(40, dtype=bool)
    known[np.argsort(-popular.counts)[:2]] = known[np.argsort(popular.counts)[:6]] = True
    scored = evaluate([popular], parts, SETTINGS, recommendable=known).contenders["popularity"]
    shown = {item for games in scored.lists for item in games[:10]}
    assert scored.coverage == len(shown & set(np.flatnonzero(known))) / 8
    nothing = evaluate([popular], parts, SETTINGS, recommendable=np.zeros(40, dtype=bool))
    assert np.isnan(nothing.contenders["popularity"].coverage)


def test_small_blocks_give_the_same_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    """How users are cut into blocks is a matter of memory, not of numbers."""
    parts = split(tastes(), SETTINGS, 7.0)
    contender = item_item("items", parts.train.matrix)
    whole = evaluate([contender], parts, SETTINGS)
    for name in ("BLOCK_CELLS", "_CELLS"):
        monkeypatch.setattr(f"recsys.evaluation.scores.{name}", 500)
    cut = evaluate([contender], parts, SETTINGS)
    np.testing.assert_array_equal(whole.contenders["items"].lists, cut.contenders["items"].lists)
    np.testing.assert_array_equal(
        whole.contenders["items"].per_user["ndcg@10"], cut.contenders["items"].per_user["ndcg@10"]
    )


def test_the_number_of_cores_changes_no_list(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of users are ranked side by side; each contender's lists are the same from one core and from four."""
    monkeypatch.setattr("recsys.evaluation.scores._CELLS", 300)
    parts = split(tastes(users=120, items=40), SETTINGS, 7.0)
    draw = np.random.default_rng(5)
    factors = Factors("factors", *(draw.normal(size=(n, 7)).astype(np.float32) for n in parts.held_out.shape))
    lists = []
    for cores in (1, 4):
        monkeypatch.setattr("recsys.evaluation.scores.usable_cores", itertools.repeat(cores).__next__)
        lists.append(evaluate([factors], parts, SETTINGS).contenders["factors"].lists)
    np.testing.assert_array_equal(lists[0], lists[1])


def test_games_of_the_training_part_are_never_listed() -> None:
    """A model that only repeats what a user rated finds nothing: those games are left out."""
    parts = split(tastes(), SETTINGS, 7.0)
    scored = evaluate([memory_of("parrot", parts.train.matrix)], parts, SETTINGS).contenders["parrot"]
    for user, games in zip(parts.users, scored.lists, strict=True):
        assert not set(games) & set(parts.train.matrix[user].indices)


def test_short_catalogues_end_lists_early() -> None:
    """Where fewer than 2k games are unseen, lists are padded and scores stay in [0, 1]."""
    parts = split(tastes(users=60, items=15), SETTINGS, 7.0)
    scored = evaluate([Popularity.of(parts.train)], parts, SETTINGS).contenders["popularity"]
    assert (scored.lists[:, -1] == -1).all()
    assert scored.mean("recall@20") == 1.0


def test_a_model_that_saw_the_hold_out_is_caught() -> None:
    """Where there is no taste to learn, honest models cannot beat popularity, and a leak can.

    The ratings have no structure but popularity, so any surplus over it was copied from the
    hold-out. The same model passes or fails by nothing but the part it was given.
    """
    parts = split(tastes(groups=4, loyalty=0.25, users=1500), SETTINGS, 7.0)
    everything = parts.train.matrix + parts.held_out
    scored = evaluate(
        [
            Popularity.of(parts.train),
            item_item("honest", parts.train.matrix),
            memory_of("leak", everything),
            item_item("half a leak", everything),
        ],
        parts,
        SETTINGS,
    )
    gain = {name: scored.difference(name, "popularity", "ndcg@10") for name in ("honest", "leak", "half a leak")}
    assert gain["honest"].low <= 0
    assert gain["leak"].low > 0.3
    assert gain["half a leak"].low > gain["honest"].high


def test_the_content_profile_is_the_mean_of_the_liked_games() -> None:
    """Scores are cosines with the mean embedding of liked training games; disliked ones do not count."""
    ratings = ratings_of([1, 1, 1, 2, 2], [1, 2, 3, 1, 3], [9, 8, 2, 3, 4])
    draw = np.random.default_rng(0)
    embeddings = draw.normal(size=(3, 8)).astype(np.float32)
    embeddings[2] = 0.0
    scores = ContentProfile(ratings, embeddings, 7.0).scores(np.array([0, 1], dtype=np.int32))
    profile = (embeddings[0] + embeddings[1]) / 2
    np.testing.assert_allclose(scores[0], embeddings @ profile, rtol=1e-6)
    assert scores[1].tolist() == [0.0, 0.0, 0.0]


def test_factors_score_by_inner_product() -> None:
    """Users are rows of the first factors, games rows of the second."""
    draw = np.random.default_rng(0)
    users, items = draw.normal(size=(5, 3)).astype(np.float32), draw.normal(size=(4, 3)).astype(np.float32)
    scores = Factors("cf", users, items).scores(np.array([3, 1], dtype=np.int32))
    np.testing.assert_allclose(scores, [[u @ i for i in items] for u in users[[3, 1]]], rtol=1e-5)


def test_popularity_is_learnt_from_the_training_part() -> None:
    """Ratings of the hold-out are not counted."""
    parts = split(tastes(), SETTINGS, 7.0)
    counts = Popularity.of(parts.train).scores(parts.users[:1])[0]
    np.testing.assert_array_equal(counts, parts.train.matrix.getnnz(axis=0))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_diverged_model_is_refused_by_name(bad: float) -> None:
    """NaN or infinite scores end the evaluation with the contender's name and what to do."""
    parts = split(tastes(), SETTINGS, 7.0)
    table = np.zeros(parts.held_out.shape, dtype=np.float32)
    table[parts.users[3], 5] = bad
    with pytest.raises(QualityGateFailed, match=r"cf scores games with NaN or infinity.*regularization"):
        evaluate([Table("cf", table)], parts, SETTINGS)


@pytest.mark.parametrize("wild", [{"unobserved": 1e38}, {"solver": "implicit", "alpha": 1e38}])
def test_a_candidate_that_diverges_is_refused(wild: dict[str, Any]) -> None:
    """Given settings that suit no factors end the trial as a refusal, not as a wrong configuration."""
    settings = Settings(cf=CfSettings(factors=8, tuning="off", threads=1, **wild))
    with pytest.raises(QualityGateFailed, match=r"cf\.regularization"):
        Trial(settings, None, Steps()).hold(tastes(users=300, items=60))


@pytest.mark.parametrize("wild", [{"unobserved": 1e38}, {"solver": "implicit", "alpha": 1e38}])
def test_a_current_recipe_that_diverges_does_not_compete(wild: dict[str, Any]) -> None:
    """Tonight's ratings may be none for the settings of an earlier night: the candidate is judged without them."""
    settings = Settings(cf=CfSettings(factors=8, tuning="off", threads=1, unobserved=1.5))
    recipe = CfSettings(factors=8, regularization=1.0, iterations=5, confidence="graded", like_threshold=7.0, threads=1)
    current = CurrentRelease("r1", CfSettings.model_validate(recipe.model_dump() | {"unobserved": 4.0} | wild))
    trial = Trial(settings, current, Steps()).hold(tastes(users=300, items=60))
    assert trial.verdict.passed
    assert "not compared with the recipe of the current release r1: on these ratings" in trial.verdict.reason


def test_nobody_to_score_is_told() -> None:
    """A like threshold beyond the scale leaves nobody, and the message names the settings to look at."""
    parts = split(tastes(), SETTINGS, 11.0)
    with pytest.raises(QualityGateFailed, match=r"evaluation\.fraction and cf\.like_threshold"):
        evaluate([Popularity.of(parts.train)], parts, SETTINGS)


@pytest.fixture(scope="module")
def scored() -> tuple[Split, Evaluation]:
    """Popularity and co-occurrence on ratings of four groups of taste."""
    parts = split(tastes(), SETTINGS, 7.0)
    return parts, evaluate([Popularity.of(parts.train), item_item("cf", parts.train.matrix)], parts, SETTINGS)


def test_scores_are_kept_by_user_and_told_as_json(scored: tuple[Split, Evaluation]) -> None:
    """Means, intervals, numbers of users and the split survive strict JSON."""
    parts, evaluation = scored
    stored = json.loads(json.dumps(evaluation.as_json(), allow_nan=False))
    row = stored["contenders"]["cf"]["ndcg@10"]
    assert row["low"] < row["value"] < row["high"]
    assert row["value"] == pytest.approx(evaluation.contenders["cf"].per_user["ndcg@10"].mean(), abs=1e-6)
    assert stored["users"] == len(parts.users)
    assert stored["split"]["held_out_ratings"] == parts.held_out.nnz
    assert stored["split"]["fraction"] == 0.2


def test_taste_beats_popularity_where_there_is_taste(scored: tuple[Split, Evaluation]) -> None:
    """Co-occurrence finds the four groups; its paired interval lies above 0."""
    _, evaluation = scored
    assert evaluation.difference("cf", "popularity", "ndcg@10").low > 0


def test_contenders_need_distinct_names(scored: tuple[Split, Evaluation]) -> None:
    """Two contenders of one name would overwrite each other's lists."""
    parts, _ = scored
    one = Popularity.of(parts.train)
    with pytest.raises(ValueError, match="distinct names"):
        evaluate([one, replace(one)], parts, SETTINGS)
