"""Every metric against an independent oracle: trec_eval through ir-measures, or brute force."""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

import ir_measures
import numpy as np
import numpy.typing as npt
import pytest
from ir_measures import AP, RR, R, Success, nDCG

from recsys.ranking import metrics

ITEMS = 40
DEPTH = 20


class Case(NamedTuple):
    """Random rankings and judgements of a few users."""

    lists: npt.NDArray[np.int32]
    is_relevant: npt.NDArray[np.bool_]

    @property
    def hits(self) -> npt.NDArray[np.bool_]:
        """Whether each place of each list is relevant."""
        return np.take_along_axis(self.is_relevant, self.lists, axis=1)

    @property
    def relevant(self) -> npt.NDArray[np.intp]:
        """How many games are relevant to each user."""
        return self.is_relevant.sum(axis=1, dtype=np.intp)  # type: ignore[no-any-return]

    def oracle(self, measure: object) -> npt.NDArray[np.float64]:
        """Return ir-measures' value for each user."""
        users = range(len(self.lists))
        judged = {str(u): {str(i): 1 for i in np.flatnonzero(self.is_relevant[u])} for u in users}
        run = {str(u): {str(i): float(-rank) for rank, i in enumerate(self.lists[u])} for u in users}
        by_user = {m.query_id: m.value for m in ir_measures.iter_calc([measure], judged, run)}
        return np.array([by_user[str(u)] for u in users])


@pytest.fixture(params=range(5))
def case(request: pytest.FixtureRequest) -> Case:
    """60 users, 1 to all 40 games relevant to each, lists of 20."""
    draw = np.random.default_rng(request.param)
    lists = np.argsort(draw.random((60, ITEMS)), axis=1)[:, :DEPTH].astype(np.int32)
    is_relevant = draw.random((60, ITEMS)) < draw.random((60, 1)) ** 2
    is_relevant[np.arange(60), draw.integers(0, ITEMS, 60)] = True
    return Case(lists, is_relevant)


@pytest.mark.parametrize("k", [1, 5, 10, 20])
def test_ndcg_equals_trec_eval(case: Case, k: int) -> None:
    """NDCG@k is trec_eval's, also for users with fewer than k relevant games."""
    np.testing.assert_allclose(metrics.ndcg(case.hits, case.relevant, k), case.oracle(nDCG @ k), rtol=0, atol=1e-9)


@pytest.mark.parametrize("k", [1, 5, 10, 20])
def test_recall_equals_trec_eval_after_rescaling(case: Case, k: int) -> None:
    """Recall@k is trec_eval's once its denominator is changed from relevant to min(k, relevant)."""
    rescaled = case.oracle(R @ k) * case.relevant / np.minimum(case.relevant, k)
    np.testing.assert_allclose(metrics.recall(case.hits, case.relevant, k), rescaled, rtol=0, atol=1e-9)


@pytest.mark.parametrize("k", [1, 5, 10, 20])
def test_average_precision_equals_trec_eval_after_rescaling(case: Case, k: int) -> None:
    """AP@k is trec_eval's once its denominator is changed from relevant to min(k, relevant)."""
    rescaled = case.oracle(AP @ k) * case.relevant / np.minimum(case.relevant, k)
    np.testing.assert_allclose(metrics.average_precision(case.hits, case.relevant, k), rescaled, rtol=0, atol=1e-9)


@pytest.mark.parametrize("k", [1, 5, 10])
def test_reciprocal_rank_and_hit_rate_equal_the_oracle(case: Case, k: int) -> None:
    """RR@k and the hit rate are ir-measures' RR and Success."""
    np.testing.assert_allclose(
        metrics.reciprocal_rank(case.hits, case.relevant, k), case.oracle(RR @ k), rtol=0, atol=1e-9
    )
    np.testing.assert_allclose(metrics.hit_rate(case.hits, case.relevant, k), case.oracle(Success @ k), rtol=0, atol=0)


ACCURACY = [metrics.ndcg, metrics.recall, metrics.average_precision, metrics.reciprocal_rank, metrics.hit_rate]


@pytest.mark.parametrize("metric", ACCURACY)
def test_a_user_without_relevant_games_has_no_score(metric: object) -> None:
    """Nothing relevant means NaN, which the mean leaves out; a miss is 0 and stays in."""
    hits = np.array([[False, False], [True, True], [False, False]])
    scores = metric(hits, np.array([0, 2, 1]), 2)  # type: ignore[operator]
    assert math.isnan(scores[0])
    assert scores[1:].tolist() == [1.0, 0.0]
    assert metrics.mean(scores) == 0.5


@pytest.mark.parametrize("metric", ACCURACY)
@pytest.mark.parametrize("relevant", [1, 3, 10, 30])
def test_the_best_possible_list_scores_one(metric: object, relevant: int) -> None:
    """A list that opens with everything relevant is perfect, however many games are relevant."""
    hits = np.arange(10)[None, :] < relevant
    assert metric(hits, np.array([relevant]), 10) == pytest.approx([1.0])  # type: ignore[operator]


def test_the_mean_over_nobody_is_nan() -> None:
    """Without a scored user there is no mean, and no warning either."""
    assert math.isnan(metrics.mean(np.array([np.nan])))


def test_gini_is_half_the_relative_mean_difference() -> None:
    """Against the definition by all pairs; 0 where all are shown alike, 1 − 1/n where one has all."""
    counts = np.random.default_rng(3).integers(0, 50, 40)
    pairs = np.abs(counts[:, None] - counts).sum()
    assert metrics.gini(counts) == pytest.approx(pairs / (2 * len(counts) * counts.sum()))
    assert metrics.gini(np.full(7, 3)) == 0
    assert metrics.gini(np.array([0, 0, 9, 0])) == pytest.approx(0.75)
    assert np.isnan(metrics.gini(np.zeros(3, dtype=int)))


def test_coverage_counts_distinct_recommended_items() -> None:
    """Two of four games were ever recommended, one of them often."""
    assert metrics.coverage(np.array([7, 0, 1, 0]), 4) == 0.5


def test_novelty_is_the_mean_self_information_in_bits() -> None:
    """A game that a quarter of the users rated holds 2 bits; a game nobody rated counts as rated by one."""
    lists = np.array([[0, 1], [1, -1], [2, -1], [-1, -1]])
    scores = metrics.novelty(lists, np.array([8, 2, 0]), 8)
    np.testing.assert_allclose(scores, [1.0, 2.0, 3.0, np.nan])


def test_popular_share_counts_the_most_rated_fifth() -> None:
    """Of ten games the two with the most raters are popular; ties go to the lower code."""
    raters = np.array([1, 9, 5, 5, 1, 1, 1, 1, 1, 1])
    scores = metrics.popular_share(np.array([[1, 2, 3, 0], [3, 4, -1, -1], [-1, -1, -1, -1]]), raters)
    np.testing.assert_allclose(scores, [0.5, 0.0, np.nan])


def test_diversity_equals_the_mean_over_all_pairs() -> None:
    """The closed form equals 1 − cosine averaged over pairs one by one; unknown items are left out."""
    draw = np.random.default_rng(3)
    embeddings = draw.normal(size=(9, 16)).astype(np.float32)
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    embeddings[8] = 0.0
    lists = np.array([[0, 1, 2, 3], [4, 5, -1, -1], [6, 7, 8, -1], [0, 8, -1, -1], [-1, -1, -1, -1]])
    expected = []
    for row in lists:
        known = [i for i in row if i not in {-1, 8}]
        distances = [1.0 - float(embeddings[a] @ embeddings[b]) for a, b in itertools.combinations(known, 2)]
        expected.append(float(np.mean(distances)) if distances else math.nan)
    assert metrics.intra_list_diversity(lists, embeddings) == pytest.approx(expected, abs=1e-6, nan_ok=True)
