"""Rankings by inner products that are scaled and shifted: against all of them, and in ties."""

from __future__ import annotations

import numpy as np
import pytest

from recsys.ranking.scorer import Scorer, scores_for


@pytest.mark.parametrize("k", [1, 10, 500])
@pytest.mark.parametrize("seed", range(3))
def test_it_is_the_ranking_of_all_settled_scores(k: int, seed: int) -> None:
    """Scale times the settled product plus what is added, rounded once; ties go to the lower row."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(500, 16)).astype(np.float32)
    rows[200:300] = rows[0]
    query, added = rng.normal(size=16).astype(np.float32), rng.normal(size=500)
    added[200:300] = added[0]
    scale = np.where(np.arange(500) % 3, 1.0, 0.4)
    allowed = rng.random(500) < 0.8
    scores = (scale * scores_for(query, rows).astype(np.float64) + added).astype(np.float32)
    scores[~allowed] = -np.inf
    expected = [row for row in np.argsort(-scores, kind="stable")[:k] if allowed[row]]
    found, values = Scorer(rows).shifted(query, allowed, scale, added)(k)
    assert found.tolist() == expected
    np.testing.assert_array_equal(values, scores[expected])
