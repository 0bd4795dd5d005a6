"""Compiled loops rank many lists: the same games and bits as one list at a time."""

from __future__ import annotations

import numpy as np
import pytest

from recsys.models.item_item import CompiledRows, Rows
from recsys.ranking.scorer import Scorer, Shift

NOBODY = np.zeros(0, dtype=np.intp)


@pytest.mark.parametrize("k", [1, 10, 499, 500, 700])
@pytest.mark.parametrize("factors", [1, 7, 16, 33])
def test_many_lists_are_those_of_one_at_a_time(k: int, factors: int) -> None:
    """With ties, rows that nobody may see, rows that one has seen, and lists that end early."""
    rng = np.random.default_rng(factors)
    rows = rng.normal(size=(500, factors)).astype(np.float32)
    rows[200:300] = rows[0]
    queries, added = rng.normal(size=(9, factors)).astype(np.float32), rng.normal(size=(9, 500))
    added[:, 200:300] = added[:, :1]
    queries[4] = 0
    allowed = rng.random(500) < 0.8
    seen = [rng.choice(500, size, replace=False) for size in (0, 3, 50, 499, 500, 1, 2, 0, 7)]
    scorer, scales = Scorer(rows), [float(scale) for scale in rng.random(9)]
    scales[7] = 0.0
    lists = scorer.best_shifted(queries, k, map(Shift, scales, added, seen), allowed)
    for number, query in enumerate(queries):
        mine = allowed.copy()
        mine[seen[number]] = False
        expected, scores = scorer.shifted(query, mine, scales[number], added[number])(k)
        count = len(expected)
        assert lists.columns[number, :count].tolist() == expected.tolist()
        np.testing.assert_array_equal(lists.scores[number, :count].view(np.int32), scores.view(np.int32))
        assert (lists.columns[number, count:] == -1).all()


def test_no_list_of_nobody_or_of_no_game() -> None:
    """Empty tables answer with empty lists."""
    no_rows, no_queries = np.zeros((0, 4), dtype=np.float32), np.zeros((0, 4), dtype=np.float32)
    some, everything = np.ones((2, 4), dtype=np.float32), np.ones(2, dtype=bool)
    empty = Scorer(no_rows).best_shifted(some, 3, [Shift(1.0, np.zeros(0), NOBODY)] * 2, np.zeros(0, dtype=bool))
    assert (empty.columns == -1).all()
    assert Scorer(some).best_shifted(no_queries, 3, [], everything).columns.shape == (0, 3)


@pytest.mark.parametrize("seed", range(4))
def test_compiled_sums_are_those_of_numpy(seed: int) -> None:
    """Rows of a matrix, weighted and added up: every bit, with cancelling entries and values of all sizes."""
    rng = np.random.default_rng(seed)
    counts = np.append(rng.integers(0, 300, 395), [0, 400, 400, 399, 1])
    indptr = np.append(0, np.cumsum(counts)).astype(np.int64)
    indices = np.concatenate([np.sort(rng.choice(400, count, replace=False)) for count in counts]).astype(np.int32)
    values = (rng.normal(size=len(indices)) * 10.0 ** rng.integers(-12, 4, len(indices))).astype(np.float32)
    rows, weights = rng.integers(0, 400, 60).astype(np.int32), rng.exponential(size=60).astype(np.float32)
    plain, compiled = Rows(indptr, indices, values), CompiledRows(indptr, indices, values)
    for count in (0, 1, 60):
        expected, got = plain.summed(rows[:count], weights[:count]), compiled.summed(rows[:count], weights[:count])
        np.testing.assert_array_equal(got.view(np.int64), expected.view(np.int64))


def test_compiled_look_ups_are_those_of_numpy() -> None:
    """What some rows hold in some columns, in any order, with columns that a row lacks and rows that are empty."""
    rng = np.random.default_rng(3)
    counts = rng.integers(0, 30, 80)
    indptr = np.append(0, np.cumsum(counts)).astype(np.int64)
    indices = np.concatenate([np.sort(rng.choice(80, count, replace=False)) for count in counts]).astype(np.int32)
    values = rng.normal(size=len(indices)).astype(np.float32)
    dense = np.zeros((80, 80), dtype=np.float32)
    dense[np.repeat(np.arange(80), counts), indices] = values
    rows, columns = rng.permutation(80)[:20], rng.permutation(80)[:30]
    for matrix in (Rows(indptr, indices, values), CompiledRows(indptr, indices, values)):
        np.testing.assert_array_equal(matrix.words(rows, columns), dense[np.ix_(rows, columns)].T)
