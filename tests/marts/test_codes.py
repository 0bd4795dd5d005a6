"""Ids become codes batch by batch, the same whatever they are held as in between."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from recsys.marts import ENCODED, frame_of

ROWS = 1_200_000
"""More than one group."""


def of(column: pa.Array | pa.ChunkedArray, size: int = 100_000) -> pd.Series:
    """Return a column of ids as it stands in the frame."""
    table = pa.table({"USER_ID": column})
    return frame_of(table.schema, table.to_batches(max_chunksize=size), ENCODED)["USER_ID"]


@pytest.mark.parametrize(
    ("least", "step"), [(-1500, 1), (10**6, 7), (-(2**31) + 1, 10**6), (2**31 - 3001, 1), (2**31 - 1500, 1), (0, 2**40)]
)
@pytest.mark.parametrize("kind", [pa.int64(), pa.decimal128(38, 0)])
def test_integers_near_and_far_are_what_pandas_makes_of_them(least: int, step: int, kind: pa.DataType) -> None:
    """Close together or scattered, negative, up to 32 bits and beyond; with nulls."""
    rng = np.random.default_rng(3)
    numbers = pa.array(least + step * rng.integers(0, 3001, ROWS), mask=rng.random(ROWS) < 0.001)
    made = of(numbers.cast(kind))
    codes, uniques = pd.factorize(numbers.to_pandas(types_mapper=pd.ArrowDtype), sort=True)
    assert np.array_equal(made.cat.codes.to_numpy(), codes)
    assert made.cat.categories.tolist() == list(uniques)


@pytest.mark.parametrize("late", [-(2**31), 2**31, -(2**63), 10**37 + 1])
@pytest.mark.parametrize("size", [7, 100_000])
def test_a_late_id_of_more_bits_changes_no_other(late: int, size: int) -> None:
    """What was held as 32 bits so far stays exact, and so do nulls; the least number of 32 bits is no null."""
    rows = [3, None, -5, 3, *range(100), late, 3, None, -5]
    kind = pa.int64() if abs(late) < 2**64 else pa.decimal128(38, 0)
    made = of(pa.array(rows, pa.decimal128(38, 0)).cast(kind), size)
    assert [None if pd.isna(id_) else int(id_) for id_ in made.tolist()] == rows
    assert made.cat.categories.tolist() == sorted({id_ for id_ in rows if id_ is not None})


@pytest.mark.parametrize("kind", [pa.int8(), pa.uint16(), pa.uint64(), pa.decimal128(10, 0)])
def test_narrow_and_unsigned_integers(kind: pa.DataType) -> None:
    """Of any width; unsigned ones up to their greatest."""
    rows = [3, None, 100, *([2**64 - 1] if kind == pa.uint64() else [])] * 3
    made = of(pa.array(rows, pa.decimal128(38, 0)).cast(kind), 4)
    assert [None if pd.isna(id_) else int(id_) for id_ in made.tolist()] == rows


def test_nothing_but_nulls() -> None:
    """A column without an id has rows, and no category."""
    made = of(pa.array([None, None], pa.int64()))
    assert made.cat.codes.tolist() == [-1, -1]
    assert made.cat.categories.empty
