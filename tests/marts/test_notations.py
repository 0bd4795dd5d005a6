"""Columns of tags that look like lists in a notation that is not read are told, once each."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from factories.readers import reader
from factories.tables import games, write_marts
from recsys.marts.columns import read_texts
from recsys.marts.notations import Unread
from recsys.marts.text import embedding_text
from recsys.sources import open_source
from recsys.system.log import _KEYS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def unread(cells: Sequence[str | None]) -> list[Unread]:
    """Return what is told of a column of categories."""
    return read_texts(pd.DataFrame({"CATEGORIES": cells})).unread


@pytest.mark.parametrize(
    ("cell", "notation"),
    [
        ('[{"id": 1, "value": "Economic"}]', "JSON objects"),
        ('{"Economic": true}', "JSON objects"),
        ('{Economic,"Card Game"}', '{A,"B"}'),
        ("{Economic,Math}", '{A,"B"}'),
        ('c("Economic", "Math")', 'c("A", "B")'),
        ("['Economic', 'Card Ga", "half or nested lists"),
        ("[['Economic']]", "half or nested lists"),
        ("[Economic, Math]", "[A, B]"),
        ('"Economic, Math"', '"A", "B"'),
        ("Economic|Math", "A|B"),
        ("Economic;Math", "A;B"),
        ("Economic,Math", "A,B"),
        ("経済、数学", "A、B"),
        ("Economic\nMath", "one tag a line"),
    ],
)
def test_each_notation_is_told(cell: str, notation: str) -> None:
    """With the column, how many cells of those that are not empty, and one of them."""
    (finding,) = unread(["Dice", cell, None, cell, ""])
    assert finding == Unread("CATEGORIES", notation, 2, 3, " ".join(cell.split()))


def test_one_cell_that_is_surely_a_list_is_told() -> None:
    """Of a list that was cut off at a column's width, one in ten thousand is enough."""
    (finding,) = unread(["Dice, Math"] * 9999 + ["['Dice', 'Ma"])
    assert (finding.cells, finding.of) == (1, 10_000)


def test_a_few_odd_tags_are_not_told() -> None:
    """A tag may hold a semicolon, a bracket or a comma without a blank: it is told from one cell in twenty on."""
    ordinary = ["Dice, Math"] * 97
    assert unread([*ordinary, "Win;Lose", "[Redacted]", "Rock,Paper"]) == []
    assert (
        unread(["Deck, Bag, and Pool Building", "1,000 Pieces", "Player(s), Math", "[Redacted], Math; and more"]) == []
    )


def test_a_column_of_two_notations_is_told_once() -> None:
    """With the more frequent one, and the cells of both."""
    (finding,) = unread(["A|B", "C|D", "c('A', 'B')"])
    assert (finding.notation, finding.cells, finding.such_as) == ("A|B", 3, "A|B")


def test_good_columns_are_not_told(real_data: Path) -> None:
    """Joined texts and lists as text of real games, and the built-in sample's."""
    for name in ("mart_games", "games_raw_sample"):
        assert read_texts(pd.read_parquet(real_data / f"{name}.parquet")).unread == []
    with open_source("sample") as source:
        answer = source.execute("SELECT CATEGORIES, MECHANICS FROM ANALYTICS.MART_GAMES")
        sample = pd.concat([batch.to_pandas() for batch in answer.batches])
    assert read_texts(sample).unread == []


def test_the_trainer_tells_once_and_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A warning a column, with a sample and what to do; the texts are what they were."""
    frame = games()
    frame["CATEGORIES"] = frame["CATEGORIES"] + "|Card Game"
    marts = reader(str(write_marts(tmp_path / "marts", frame)))
    with caplog.at_level(logging.WARNING, "recsys"):
        checked = marts.both().games
    (event,) = (record for record in caplog.records if "notation" in record.getMessage())
    assert "send lists, or join the tags by ', '" in event.getMessage()
    assert vars(event)[_KEYS] == {
        "column": "CATEGORIES",
        "notation": "A|B",
        "cells": 40,
        "of": 40,
        "such_as": frame["CATEGORIES"].iloc[0],
    }
    assert sorted(checked["CATEGORIES"]) == sorted(frame["CATEGORIES"])


def test_a_frame_of_ones_own_is_told_of_too(caplog: pytest.LogCaptureFixture) -> None:
    """What ``fit`` makes of it is logged where the text is made."""
    with caplog.at_level(logging.WARNING, "recsys"):
        embedding_text(games().assign(MECHANICS="Trading;Bluffing"))
    assert [vars(record)[_KEYS]["column"] for record in caplog.records] == ["MECHANICS"]
