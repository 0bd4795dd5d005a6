"""Places of relevant games, counted without making lists."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from recsys.ranking.places import placed
from recsys.ranking.top import best_columns, hits


@pytest.mark.parametrize("levels", [3, 1000])
@pytest.mark.parametrize("columns", [7, 300])
def test_places_are_those_of_the_lists(columns: int, levels: int) -> None:
    """With many ties and with few, with columns that must not be ranked: to the place what the lists hold."""
    draw = np.random.default_rng(columns + levels)
    scores = draw.integers(0, levels, (50, columns)).astype(np.float32)
    scores[draw.random(scores.shape) < 0.3] = -np.inf
    relevant = sp.csr_matrix((draw.random((80, columns)) < 0.1).astype(np.float32))
    rows = draw.permutation(80)[:50]
    expected = hits(best_columns(scores, 10), relevant, rows)
    assert expected.any()
    np.testing.assert_array_equal(placed(scores, relevant, rows, 10), expected)


def test_nothing_is_relevant() -> None:
    """A row without relevant columns hits nothing."""
    nothing = sp.csr_matrix(np.zeros((4, 5), np.float32))
    assert not placed(np.ones((2, 5), np.float32), nothing, np.array([1, 3]), 3).any()
