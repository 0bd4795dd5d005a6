"""Ids come back exactly as they went in, and codes follow their order."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.marts.codes import categories
from recsys.marts.frames import codes_of
from recsys.marts.ids import DECIMAL, IdMap, NotAnId, encode, id_array, id_array_of, rivals, sort_codes

BEYOND_FLOAT = 2**53 + 1
BEYOND_INT64 = 2**63 + 5


@pytest.mark.parametrize(
    ("column", "ids"),
    [
        ([3, 1, 2], [1, 2, 3]),
        ([BEYOND_FLOAT, BEYOND_FLOAT - 1], [BEYOND_FLOAT - 1, BEYOND_FLOAT]),
        ([BEYOND_INT64, 1], [1, BEYOND_INT64]),
        ([Decimal(7), Decimal(5)], [5, 7]),
        ([Decimal("7.00"), 5], [5, 7]),
        (["b", "a", "010"], ["010", "a", "b"]),
        ([2.0, 1.0], [1, 2]),
        (np.array([2, 1], dtype=np.uint64), [1, 2]),
        (np.array([2**63 + 9], dtype=np.uint64), [2**63 + 9]),
    ],
)
def test_ids_are_kept_exactly(column: list[object], ids: list[object]) -> None:
    """Integers of any width, Decimals, whole floats and strings come back as integers and strings."""
    assert IdMap.of(id_array_of(column)).ids() == ids


@pytest.mark.parametrize(
    ("column", "reason"),
    [
        ([1.5, 2.0], "fraction"),
        ([Decimal("1.5")], "fraction"),
        ([1, "a"], "mixed kinds"),
        ([True, False], "bool"),
        ([2.0**54], "no longer exact"),
        ([10**40], "38 digits"),
        ([b"x"], "binary"),
    ],
)
def test_what_is_no_id_is_refused(column: list[object], reason: str) -> None:
    """A column that cannot be kept exactly is refused with the reason."""
    with pytest.raises(NotAnId, match=reason):
        id_array_of(column)


@given(st.lists(st.one_of(st.none(), st.integers(-(2**100), 2**100)), max_size=60))
def test_codes_follow_the_order_of_integers(column: list[int | None]) -> None:
    """Codes into the sorted distinct ids give the column back; null is -1."""
    codes, ids = encode(id_array_of(column))
    expected = sorted({id_ for id_ in column if id_ is not None})
    assert ids.ids() == expected
    assert [None if code < 0 else expected[code] for code in codes] == column


@given(st.lists(st.text(max_size=4), min_size=1, max_size=40))
def test_codes_follow_the_order_of_strings(column: list[str]) -> None:
    """Strings are ordered by their UTF-8 bytes, and codes give the column back; blanks and unloaded nulls are none."""
    codes, ids = encode(pa.array(column, pa.string()))
    kept = [id_ for id_ in column if id_.strip() not in {"", "\\N"}]
    assert ids.ids() == sorted(set(kept), key=str.encode)
    assert [ids.id_of(code) for code in codes if code >= 0] == kept


@pytest.mark.parametrize("blank", ["", "  ", "\t", "\u3000", r"\N", r" \N "])
def test_a_blank_text_is_no_id(blank: str) -> None:
    """What is empty, of blanks alone, or an unloaded null counts as null, in every way that codes are made."""
    column = pa.array(["7", blank, "x"])
    assert id_array_of(column).null_count == 1
    assert id_array_of(pd.Series(["7", blank, "x"])).null_count == 1
    codes, ids = encode(column.dictionary_encode())
    assert (codes.tolist(), ids.ids()) == ([0, -1, 1], ["7", "x"])
    assert IdMap.of(["7", blank]).ids() == ["7"]


@pytest.mark.parametrize(
    ("ids", "alike"),
    [
        (["1", "1.0", "2"], [["1", "1.0"]]),
        (["a", "a ", "\ta"], [["\ta", "a", "a "]]),
        (["1", " 1", "1.", "01"], [[" 1", "1", "1."]]),
        (["007", "7"], []),
        (["1.5", "1"], []),
        (["-0", "0", "+1", "1"], []),
        (["A", "a"], []),
        ([1, 2], []),
        ([10**30, 1], []),
        (["1" + "0" * 30, "1" + "0" * 30 + ".00"], [["1" + "0" * 30, "1" + "0" * 30 + ".00"]]),
    ],
)
def test_ids_that_mean_the_same_are_rivals(ids: list[int | str], alike: list[list[str]]) -> None:
    """Spellings of one number, and blanks around, are one id; leading zeros, signs and case make another."""
    assert rivals(IdMap.of(ids)) == alike


def test_unused_entries_of_a_dictionary_are_left_out() -> None:
    """A category that no row has is no id."""
    codes, ids = sort_codes(np.array([2, 0, -1], dtype=np.int32), pa.array(["c", "unused", "a"]))
    assert ids.ids() == ["a", "c"]
    assert codes.tolist() == [0, 1, -1]


def test_categorical_and_plain_columns_agree() -> None:
    """A column is coded alike whether it is categorical, in any order of categories, or not."""
    plain = pd.Series(["b", "a", "c", "a"])
    odd = plain.astype(pd.CategoricalDtype(["z", "c", "b", "a"]))
    for column in (plain, odd, plain.astype("category")):
        codes, ids = codes_of(column)
        assert codes.tolist() == [1, 0, 2, 0]
        assert ids.ids() == ["a", "b", "c"]


def test_look_up_knows_the_kinds_apart() -> None:
    """A numpy or Decimal 5 is the id 5; '5', 5.0 and True are not."""
    ids = IdMap.of([5, 1, BEYOND_INT64])
    assert ids.values.type == DECIMAL
    assert [ids.code_of(id_) for id_ in (1, np.int64(5), Decimal(5), BEYOND_INT64)] == [0, 1, 1, 2]
    assert [ids.code_of(id_) for id_ in ("5", 5.0, True, None, 6)] == [None] * 5
    assert ids.codes_of([5, 7]).tolist() == [1, -1]


def test_locate_finds_one_map_in_another() -> None:
    """Codes of another map's ids, -1 where unknown, also between widths of integers."""
    assert IdMap.of([1, 2, 4]).locate(IdMap.of([2, 3, 4])).tolist() == [1, -1, 2]
    assert IdMap.of([1, BEYOND_INT64]).locate(IdMap.of([1, 7])).tolist() == [0, -1]


@pytest.mark.parametrize("ids", [[1, BEYOND_FLOAT], [1, BEYOND_INT64], ["1", "é", "01"]])
def test_a_map_survives_json_keys(ids: list[int | str]) -> None:
    """Written as texts and read back with its kind, a map is the same."""
    original = IdMap.of(ids)
    assert IdMap.from_texts([str(id_) for id_ in original.ids()], original.kind) == original


def test_categories_keep_ids_exact() -> None:
    """As categories of a frame, ids beyond int64 are Python integers."""
    assert categories(IdMap.of([BEYOND_INT64, 3])).tolist() == [3, BEYOND_INT64]


def test_an_empty_column_has_no_ids() -> None:
    """No rows, no ids, no codes."""
    codes, ids = encode(id_array(pa.array([], pa.int32())))
    assert len(ids) == 0
    assert codes.tolist() == []
