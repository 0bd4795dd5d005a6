"""The best k, in one order, never padded."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recsys.ranking.top import one_faiss_thread, top_k


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
