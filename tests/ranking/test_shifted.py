"""Rankings by inner products that are scaled and shifted: against all of them, and in ties."""

from __future__ import annotations

import numpy as np
import pytest

from recsys.ranking.scorer import Scorer, scores_for


@pytest.mark.parametrize("k", [1, 10, 500])
@pytest.mark.parametrize("games", [500, 4000])
@pytest.mark.parametrize("seed", range(3))
def test_it_is_the_ranking_of_all_settled_scores(k: int, games: int, seed: int) -> None:
    """Scale times the settled product plus what is added, rounded once; ties go to the lower row.

    Of many rows, those that cannot be among the best are not looked at, however long or short they are.
    """
    rng = np.random.default_rng(seed)
    rows = (rng.normal(size=(games, 16)) * rng.lognormal(sigma=0.7, size=(games, 1))).astype(np.float32)
    rows[200:300] = rows[0]
    query, added = rng.normal(size=16).astype(np.float32), rng.normal(size=games)
    added[200:300] = added[0]
    scale = np.where(np.arange(games) % 3, 1.0, 0.4)
    allowed = rng.random(games) < 0.8
    scores = (scale * scores_for(query, rows).astype(np.float64) + added).astype(np.float32)
    scores[~allowed] = -np.inf
    expected = [row for row in np.argsort(-scores, kind="stable")[:k] if allowed[row]]
    found, values = Scorer(rows).shifted(query, allowed, scale, added)(k)
    assert found.tolist() == expected
    np.testing.assert_array_equal(values, scores[expected])


def test_what_is_added_alone_can_lift_the_shortest_row() -> None:
    """Far from the longest rows, which are scored first; a vector of zeros ranks by what is added."""
    rng = np.random.default_rng(5)
    rows = rng.normal(size=(4000, 8)).astype(np.float32)
    rows[3999] *= 1e-3
    added = np.zeros(4000)
    added[3999] = 100
    allowed = np.ones(4000, dtype=bool)
    for query in (rng.normal(size=8).astype(np.float32), np.zeros(8, dtype=np.float32)):
        found, scores = Scorer(rows).shifted(query, allowed, 1.0, added)(3)
        assert found[0] == 3999
        assert scores[0] == pytest.approx(100, abs=0.1)
    assert found[1:].tolist() == [0, 1]
    allowed[3999] = False
    assert 3999 not in Scorer(rows).shifted(query, allowed, 1.0, added)(4000)[0]
