"""A score is the same bits whoever else is asked for, and a list is that of a full sort of such scores."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.ranking.scorer import Scorer, scores_for

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float32]


def vectors(seed: int, rows: int, factors: int) -> Floats:
    """Return vectors of very different lengths, every third one a copy of an earlier one."""
    rng = np.random.default_rng(seed)
    made = rng.standard_normal((rows, factors)) * rng.exponential(size=(rows, 1))
    made[2::3] = made[rng.integers(0, max(rows // 2, 1), size=len(made[2::3]))]
    return made.astype(np.float32)


def sorted_list(query: Floats, rows: Floats, allowed: npt.NDArray[np.bool_], k: int) -> list[tuple[int, float]]:
    """Return the best by exact arithmetic, rounded once: equal ones by row."""
    exact = []
    for row in np.flatnonzero(allowed):
        total = sum(
            (Fraction(float(a)) * Fraction(float(b)) for a, b in zip(query, rows[row], strict=True)), Fraction()
        )
        exact.append((int(row), float(np.float32(float(total)))))
    return sorted(exact, key=lambda entry: (-entry[1], entry[0]))[:k]


def listed(columns: npt.NDArray[np.integer], scores: Floats) -> list[tuple[int, float]]:
    """Return a list without its padding."""
    return [(int(row), float(score)) for row, score in zip(columns, scores, strict=True) if row >= 0]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.integers(1, 9), st.integers(1, 70))
def test_lists_are_those_of_exact_arithmetic(seed: int, rows: int, factors: int, k: int) -> None:
    """Alone and in a batch: the best by score, equal ones by row, with games left out that may not be listed."""
    table, queries = vectors(seed, rows, factors), vectors(seed + 1, 4, factors)
    allowed = np.random.default_rng(seed).random(rows) < 0.8
    scorer = Scorer(table)
    lists = scorer.best(queries, k, allowed)
    for number, query in enumerate(queries):
        expected = sorted_list(query, table, allowed, k)
        assert listed(*scorer.ranking(query, allowed)(k)) == expected
        assert listed(lists.columns[number], lists.scores[number]) == expected


@pytest.mark.parametrize(("rows", "factors"), [(5_000, 33), (20_000, 128)])
def test_no_bit_depends_on_the_batch(rows: int, factors: int) -> None:
    """One user's list is the same alone, in any company, in any order, and after other lists."""
    table, queries = vectors(0, rows, factors), vectors(1, 460, factors)
    everything, scorer = np.ones(rows, dtype=bool), Scorer(table)
    whole = scorer.best(queries, 10)
    for company in (slice(3, 4), slice(3, 5), slice(0, 459, 3), slice(None, None, -1)):
        part = scorer.best(queries[company], 10)
        np.testing.assert_array_equal(part.columns, whole.columns[company])
        np.testing.assert_array_equal(part.scores.view(np.int32), whole.scores[company].view(np.int32))
    for user in range(0, 460, 23):
        columns, scores = scorer.ranking(queries[user], everything)(10)
        np.testing.assert_array_equal(columns, whole.columns[user])
        np.testing.assert_array_equal(scores.view(np.int32), whole.scores[user].view(np.int32))
        np.testing.assert_array_equal(scores_for(queries[user], table)[columns], scores)


def test_equal_rows_have_equal_scores_and_stand_in_their_order() -> None:
    """Copies at any edge of a block tie, where BLAS sums them in another order; the lower row comes first."""
    table = np.tile(vectors(3, 1, 127), (4_099, 1))
    scorer, query = Scorer(table), vectors(4, 2, 127)
    assert len(np.unique(scores_for(query[0], table))) == 1
    assert scorer.ranking(query[0], np.ones(4_099, dtype=bool))(50)[0].tolist() == list(range(50))
    assert scorer.best(query, 50).columns.tolist() == [list(range(50))] * 2


def test_what_a_user_has_seen_is_left_out_of_their_own_list() -> None:
    """Each has rows of their own, over all blocks."""
    table, queries = vectors(5, 30_000, 8), vectors(6, 300, 8)
    rng, scorer = np.random.default_rng(7), Scorer(table)
    before = scorer.best(queries, 3).columns
    sizes = rng.integers(0, 4, size=300)
    indices = np.concatenate([before[user, :size] for user, size in enumerate(sizes)])
    lists = scorer.best(queries, 3, seen=(np.append(0, np.cumsum(sizes)), indices))
    for user, size in enumerate(sizes):
        allowed = np.ones(30_000, dtype=bool)
        allowed[before[user, :size]] = False
        assert lists.columns[user].tolist() == scorer.ranking(queries[user], allowed)(3)[0].tolist()


def test_who_prefers_nothing_has_an_empty_list() -> None:
    """A vector of zeros scores every game alike: that is no ranking."""
    table, nothing = vectors(8, 20, 4), np.zeros((2, 4), dtype=np.float32)
    assert (Scorer(table).best(nothing, 5).columns == -1).all()
    assert not len(Scorer(table).ranking(nothing[0], np.ones(20, dtype=bool))(5)[0])


def test_lists_end_where_nothing_is_left() -> None:
    """Fewer games than places: padded by -1 in a batch, shorter alone."""
    table, query = vectors(9, 3, 4)[:2], vectors(10, 1, 4)
    lists = Scorer(table).best(query, 4)
    assert sorted(lists.columns[0].tolist()) == [-1, -1, 0, 1]
    assert np.isneginf(lists.scores[0, 2:]).all()
    assert len(Scorer(table).ranking(query[0], np.ones(2, dtype=bool))(4)[0]) == 2
    assert (Scorer(table[:0]).best(query, 4).columns == -1).all()
