"""Names of games are one name however they are spelled, and none is without a spelling."""

from __future__ import annotations

import pyarrow as pa
import pytest

from recsys.serving.catalogue import Catalogue
from recsys.serving.editions import stem
from recsys.serving.names import NameIndex, certain
from recsys.serving.trigrams import Trigrams

EARTH = "\N{EARTH GLOBE EUROPE-AFRICA}"


@pytest.mark.parametrize(
    ("text", "row"),
    [
        ("!!!", 0),
        ("! ! !", 0),
        ("+", 1),
        ("7", 2),
        (" 7 ", 2),
        ("C", 3),
        ("c++", 4),
        ("C#", 5),
        (EARTH, 6),
        ("x" * 300, 7),
    ],
)
def test_names_of_signs_and_numbers_are_names(text: str, row: int) -> None:
    """They are found, and taken for certain; of names that are alike but for signs, the one as it is written."""
    names = ["!!!", "+", "7", "C", "C++", "C#", EARTH, "X" * 300]
    found = NameIndex(Catalogue(pa.table({"NAME": names, "N_RATINGS": [*range(8)]}), range(8))).find(text)
    assert found[0].row == row
    assert certain([match.likeness for match in found])


def test_names_of_other_signs_are_not_alike() -> None:
    """Names without letters are compared by their signs, and are no editions of each other."""
    index = NameIndex(Catalogue(pa.table({"NAME": ["!!!", "+"], "N_RATINGS": [1, 1]}), range(2)))
    assert index.find("???") == []
    assert stem("!!!") != stem("+")


@pytest.mark.parametrize("query", ["catan", "a", "", "grosse", "日本", "aaaa", "x\U0001f3b2y", "\ud800"])
def test_shared_trigrams_are_those_of_brute_force(query: str) -> None:
    """Different trigrams that each name has in common with a query; each counts once."""
    names = ["catan", "catan card game", "", "a", "aaa", "日本語", "grosse welt", "x\U0001f3b2y", "\ud800", "catan"]

    def trigrams(name: str) -> set[str]:
        padded = f"  {name} "
        return {padded[at : at + 3] for at in range(len(padded) - 2)}

    expected = {row: len(trigrams(name) & trigrams(query)) for row, name in enumerate(names)}
    assert Trigrams(names).shared(query) == {row: count for row, count in expected.items() if count}
    assert Trigrams([]).shared(query) == {}
