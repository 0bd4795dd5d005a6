"""The best k of one row and of many, in one order; and how users are cut into blocks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.ranking.top import best_columns, blocks, one_faiss_thread, top_k


@given(st.lists(st.integers(-3, 3), max_size=30), st.integers(0, 40))
def test_top_k_equals_a_full_sort(scores: list[int], k: int) -> None:
    """With many ties: the k best by score, then by place, as sorting everything gives them."""
    expected = sorted(range(len(scores)), key=lambda place: (-scores[place], place))[:k]
    assert top_k(np.array(scores, dtype=np.float32), k).tolist() == expected


def test_forbidden_places_never_fill_a_list() -> None:
    """Where fewer than k scores are finite, fewer come back."""
    assert top_k(np.array([-np.inf, 2, -np.inf, 1], dtype=np.float32), 3).tolist() == [1, 3]


def test_a_single_query_leaves_the_number_of_threads_alone() -> None:
    """FAISS has one thread within, and as many as before after it."""
    import faiss

    before = faiss.omp_get_max_threads()
    with one_faiss_thread():
        assert faiss.omp_get_max_threads() == 1
    assert faiss.omp_get_max_threads() == before


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
