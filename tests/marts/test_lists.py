"""Lists given as text: read to the last character, or left whole."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.marts.tags import parse_tags, split_tags

WORDS = st.one_of(st.text(st.sampled_from("ab',\"[](){}\\ é7"), min_size=1), st.sampled_from(["None", "undefined"]))


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("['Economic', None]", ["Economic"]),
        ("['Economic', nan, 'Dice']", ["Economic", "Dice"]),
        ("['Economic', 7, 7.0, 2.5, 1e3]", ["Economic", "7", "7", "2.5", "1000"]),
        ("['A', 'B',]", ["A", "B"]),
        ("[ 'A', 'B' ]\n", ["A", "B"]),
        ("['A' 'B' None]", ["A", "B"]),
        ("['A'\n 'B']", ["A", "B"]),
        ("[1. 2.5]", ["1", "2.5"]),
        ("('A', 'B')", ["A", "B"]),
        ("('A',)", ["A"]),
        ("()", []),
        ('[\n  "A",\n  undefined,\n  "B"\n]', ["A", "B"]),
        ('["undefined", undefined, "a, undefined"]', ["undefined", "a, undefined"]),
        ("[u'A', b'B']", ["A", "B"]),
        ('["\\ud83c\\udfb2", "a\\/b"]', ["🎲", "a/b"]),
        ("[None, nan]", []),
    ],
)
def test_notations_that_are_read(text: str, tags: list[str]) -> None:
    """JSON with Snowflake's ``undefined``, Python's lists and tuples, numpy's arrays; null entries are left out."""
    assert parse_tags(text) == tags


@pytest.mark.parametrize(
    "text",
    [
        "['A', {}]",
        "['A', ['B']]",
        "['A', True]",
        '["A", false]',
        '[{"id": 1, "value": "A"}]',
        "['A', 'B",
        '["A", "B',
        "['A', 'B'",
        "['Children''s Game', 'Dice']",
        "['A', 'B' 'C']",
        "['A' 'B',]",
        "['A', ..., 'Z']",
        "['A']['B']",
        "['A'], ['B']",
        "('A')",
        "('A' 'B')",
        "('A']",
        "[A, B]",
        "[Nonesuch]",
        "[007]",
        "[3D]",
        "[1e999]",
        "[" + "9" * 5000 + "]",
        "[b'\\xe9']",
        "['\\N']",
        "[",
        "[,]",
    ],
)
def test_what_is_not_read_whole_is_no_list(text: str) -> None:
    """Nested or cut off, separated in two ways, or of anything but words and numbers: None."""
    assert parse_tags(text) is None


@given(st.lists(WORDS, min_size=1), st.data())
def test_a_list_that_is_cut_off_is_never_read(tags: list[str], data: st.DataObject) -> None:
    """Of JSON and of Python's print, no beginning passes for a list, nor for other tags than its own."""
    for whole in (json.dumps(tags), repr(tags)):
        assert parse_tags(whole) == tags
        beginning = whole[: data.draw(st.integers(1, len(whole) - 1))]
        assert parse_tags(beginning) is None
        assert len(split_tags([beginning])[0]) == 1


@given(st.lists(WORDS, min_size=1, max_size=50))
def test_numpys_print_is_read_back(tags: list[str]) -> None:
    """Whatever the words hold; the oracle is numpy's own print."""
    assert parse_tags(str(np.array(tags, dtype=object))) == tags


@pytest.mark.parametrize(
    "cell",
    [
        '[{"id": 1, "value": "Economic"}, {"id": 2, "value": "Card Game"}]',
        "['Economic', 'Card Ga",
        '[ "Economic", "Card Game", ["Dice"] ]',
        '{Economic, "Card Game"}',
        'c("Economic", "Card Game")',
        "array(['Economic', 'Card Game'], dtype=object)",
        "[Economic, Card Game]",
        "[Economic, Card Ga",
        "WrappedArray(Economic, Card Game)",
        '"Economic, Card Game"',
    ],
)
def test_a_list_that_is_not_read_is_one_tag(cell: str) -> None:
    """It is not split at its commas: the pieces would be no tags."""
    assert split_tags([cell, "Dice, Math"]) == [[cell], ["Dice", "Math"]]


@pytest.mark.parametrize(
    "cell",
    ["[Redacted], Economic", "(Unofficial), Economic", "Player(s), Economic", '"Best of" Box, Economic', "'Tis, Math"],
)
def test_joined_tags_may_hold_brackets_and_quotes(cell: str) -> None:
    """A text that merely begins like a list is split as ever."""
    assert split_tags([cell]) == [cell.split(", ")]
