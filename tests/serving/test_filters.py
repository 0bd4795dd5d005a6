"""Filters compare numbers as numbers and texts as texts."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from recsys.errors import ConfigError
from recsys.serving import Filter
from recsys.serving.catalogue import Catalogue
from recsys.serving.filters import Filters

YEARS = {"INT": [2017, None, 2**60 + 1], "FLOAT": [2017.0, None, 4.1], "TEXT": ["2017", None, "2017.0"]}
MONEY = [Decimal("4.10"), None, Decimal("2017.00")]


@pytest.mark.parametrize(
    ("condition", "met"),
    [
        ("INT=2017", [0]),
        ("INT=2017.0", [0]),
        ("INT= 2.017e3 |5", [0]),
        ("INT!=2017.0", [1, 2]),
        (f"INT={2**60 + 1}", [2]),
        (f"INT={2**60}", []),
        (f"INT>={2**60 + 1}", [2]),
        (f"INT>={2**60 + 2}", []),
        ("FLOAT=2017", [0]),
        ("FLOAT=2017.0", [0]),
        ("FLOAT=4.1", [2]),
        ("FLOAT=4.10|2017", [0, 2]),
        ("FLOAT>=4.1", [0, 2]),
        ("MONEY=4.1", [0]),
        ("MONEY=2017", [2]),
        ("MONEY<=4.1", [0]),
        ("TEXT=2017", [0]),
        ("TEXT=2017.0", [2]),
        ("TEXT!=2017", [1, 2]),
    ],
)
def test_numbers_are_compared_as_numbers(condition: str, met: list[int]) -> None:
    """Exactly, however they are spelled, where a column is of numbers; a column of texts is compared by text."""
    mask = filters_of_years().mask((Filter.parse(condition),))
    assert mask is not None
    assert np.flatnonzero(mask).tolist() == met


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ("INT=many", "INT holds numbers, and 'many' is no number"),
        ("FLOAT=2017|", "FLOAT holds numbers, and '' is no number"),
        ("MONEY!=nan", "'nan' is no number"),
        ("TEXT>=2017", "TEXT holds text; >= compares numbers"),
    ],
)
def test_a_filter_that_compares_no_numbers_is_refused(condition: str, words: str) -> None:
    """With the column's name, and what is in it."""
    with pytest.raises(ConfigError, match=words):
        filters_of_years().mask((Filter.parse(condition),))


def filters_of_years() -> Filters:
    """Return the filters of three games with columns of every type."""
    names = {"NAME": ["a", "b", "c"], "N_RATINGS": [1, 1, 1]}
    return Filters(Catalogue(pa.table(names | YEARS | {"MONEY": MONEY}), range(3)))
