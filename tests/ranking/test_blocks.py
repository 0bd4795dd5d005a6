"""Full rankings: the best columns of a block of scores, and how users are cut into blocks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.ranking.blocks import best_columns, blocks


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(1, 12), st.integers(1, 15), st.integers(1, 5))
def test_ties_go_to_the_lower_column(seed: int, rows: int, columns: int, k: int, levels: int) -> None:
    """With few distinct scores, the lists are those of a full stable sort, padded where -inf was left."""
    scores = np.random.default_rng(seed).integers(-1, levels, size=(rows, columns)).astype(np.float32)
    scores[scores < 0] = -np.inf
    expected = np.full((rows, k), -1)
    for row, values in enumerate(scores):
        order = [column for column in sorted(range(columns), key=lambda c: (-values[c], c)) if values[column] > -np.inf]
        expected[row, : len(order[:k])] = order[:k]
    assert best_columns(scores, k).tolist() == expected.tolist()


def test_scores_are_left_as_they_were() -> None:
    """Ranking reads its input and nothing else."""
    scores = np.random.default_rng(0).normal(size=(5, 30)).astype(np.float32)
    before = scores.copy()
    best_columns(scores, 7)
    np.testing.assert_array_equal(scores, before)


@pytest.mark.parametrize(("users", "items", "cells"), [(10, 3, 9), (10, 100, 9), (0, 5, 9), (7, 1, 100)])
def test_blocks_hold_each_user_once_and_stay_small(users: int, items: int, cells: int) -> None:
    """Blocks follow one another without a gap, within the bound unless one user alone is beyond it."""
    codes = np.arange(users, dtype=np.int32)
    cut = [codes[block] for block in blocks(codes, items, cells)]
    assert [code for block in cut for code in block] == list(range(users))
    assert all(len(block) * items <= max(cells, items) for block in cut)
