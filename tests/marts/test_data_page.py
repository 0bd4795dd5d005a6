"""``docs/data.md`` says what the code does: its tables are read and its messages compared."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from recsys.config import DataSettings
from recsys.marts.columns import read_texts
from recsys.marts.contract import ContractReport
from recsys.marts.frames import frame_of
from recsys.marts.games import read_games
from recsys.marts.ids import IdMap
from recsys.marts.join import join
from recsys.marts.ratings import read_ratings
from recsys.marts.tags import split_tags
from recsys.marts.text import clean_games, tell_unread
from recsys.marts.times import read_times
from recsys.system.log import _Human

PAGE = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
STRUCT = pa.struct({"id": pa.int64(), "value": pa.string()})


def rows(heading: str) -> list[list[str]]:
    """Return the cells of the table whose first line holds ``heading``, without their backquotes."""
    table = PAGE[PAGE.index(heading) :].split("\n\n")[0].splitlines()[2:]
    return [
        [cell.strip().strip("`").replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in table
    ]


@pytest.mark.parametrize(("cell", "tags", "_"), rows("| the cell | its tags |"))
def test_notations_are_read_as_the_page_says(cell: str, tags: str, _: str) -> None:
    """Each cell of the table gives the tags beside it."""
    cleaned, _repaired = clean_games(pd.DataFrame({"CATEGORIES": [cell]}))
    assert split_tags(cleaned["CATEGORIES"])[0] == [tag for tag in tags.split("; ") if tag]


@pytest.mark.parametrize(("cell", "notation"), rows("| the cell | reported as |"))
def test_notations_are_reported_as_the_page_says(cell: str, notation: str) -> None:
    """Each cell of the table stays whole, and is reported by the name beside it."""
    texts = read_texts(pd.DataFrame({"CATEGORIES": [cell]}))
    assert split_tags(texts.columns["CATEGORIES"]) == [[cell]]
    assert [unread.notation for unread in texts.unread] == [notation]


def test_the_warning_is_printed_as_the_page_says(caplog: pytest.LogCaptureFixture) -> None:
    """Word for word, behind the time."""
    tell_unread(read_texts(pd.DataFrame({"CATEGORIES": ["Economic|Card Game"] * 40})).unread)
    (record,) = caplog.records
    assert f"\n{_Human().format(record).split(' ', 1)[1]}\n" in PAGE


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("NAME", pa.array([17, 18])),
        ("NAME", pa.array([b"Go", "Café".encode("latin-1")])),
        ("NAME", pa.array(["Go", "\\N"])),
        ("DESCRIPTION", pa.array([{"text": "Trade."}, None])),
        ("CATEGORIES", pa.array([[{"id": 1, "value": "Economic"}], None], pa.list_(STRUCT))),
        ("MECHANICS", pa.array([[("Dice", True)], []], pa.map_(pa.string(), pa.bool_()))),
    ],
)
def test_refusals_are_printed_as_the_page_says(name: str, column: pa.Array) -> None:
    """Word for word."""
    texts = pa.array(["x", "y"])
    columns = {"NAME": texts, "DESCRIPTION": texts, "CATEGORIES": texts, "MECHANICS": texts, name: column}
    table = pa.table({"GAME_ID": [1, 2], **columns})
    report = ContractReport()
    frame = frame_of(table.schema, table.to_batches(), frozenset())
    read_games(frame, DataSettings(min_games=1), report, "ANALYTICS.MART_GAMES")
    assert [f"\n{violation}\n" in PAGE for violation in report.violations] == [True], report.violations


GAMES = pd.DataFrame({"GAME_ID": [1, 2, 3], "NAME": "Go", "DESCRIPTION": "", "CATEGORIES": "", "MECHANICS": ""})
RATINGS = pd.DataFrame({"USER_ID": ["ann", "bob", "cy"], "GAME_ID": [1, 2, 3], "RATING": [7.0, 8.0, 9.0]})
LENIENT = DataSettings(min_users=1, min_games=1, min_ratings=1)
MARTS = ("ANALYTICS.MART_GAMES", "ANALYTICS.MART_USER_RATINGS")


@pytest.mark.parametrize(
    ("games", "ratings"),
    [
        ({"GAME_ID": [1, None, 3]}, {}),
        ({"GAME_ID": [1, 7, 7]}, {}),
        ({"GAME_ID": ["1", "1.0", "2"]}, {}),
        ({}, {"USER_ID": ["ann", " ", None]}),
        ({}, {"GAME_ID": [1.5, 2.0, 3.0]}),
        ({}, {"USER_ID": pd.Timestamp("2026-11-01")}),
        ({}, {"GAME_ID": ["1", "2", "promo"]}),
        ({"GAME_ID": ["bgg-1", "bgg-2", "bgg-3"]}, {}),
        ({}, {"RATING": [7.0, None, None]}),
        ({}, {"RATING": ["7", "8", "good"]}),
        ({}, {"RATING": [7.0, 8.0, float("inf")]}),
        ({}, {"RATING": [7.0, 8.0, 11.0]}),
        ({}, {"RATING": [True, False, True]}),
    ],
)
def test_refusals_of_ids_and_ratings_are_printed_as_the_page_says(
    games: dict[str, Any], ratings: dict[str, Any]
) -> None:
    """Word for word, whichever mart breaks the rule."""
    report = ContractReport()
    checked = read_games(GAMES.assign(**games), LENIENT, report, MARTS[0])
    rated = read_ratings(RATINGS.assign(**ratings), LENIENT, report, mart=MARTS[1])
    if checked is not None and rated is not None:
        join(rated, IdMap.of(checked["GAME_ID"].tolist()), report, LENIENT.max_unknown, MARTS)
    (violation,) = report.violations
    assert f"\n{violation}\n" in PAGE, str(violation)


DAYS = [dt.date(2020, 1, 1), dt.date(2020, 1, 2), dt.date(2020, 1, 3)]


@pytest.mark.parametrize(
    "times",
    [
        [DAYS[0], None, DAYS[1]],
        ["03/04/2020", "04/04/2020", "05/04/2020"],
        ["2020-01-01", "2020-01-02", "2020-01-03 10:00"],
        ["2020-01-01", "2020-01-02", "soon"],
        ["2020-01-01", "2020-01-02", "2020-02-30"],
        [DAYS[0], DAYS[1], dt.date(9999, 12, 31)],
        [1_600_000_000, 1_600_000_001, 0],
        [True, False, True],
        [DAYS[0]] * 3,
    ],
)
def test_refusals_of_times_are_printed_as_the_page_says(times: list[Any]) -> None:
    """Word for word."""
    report = ContractReport()
    read_ratings(RATINGS.assign(RATED_AT=times), LENIENT, report, mart=MARTS[1], time_column="RATED_AT")
    (violation,) = report.violations
    assert f"\n{violation}\n" in PAGE, str(violation)


def test_the_forms_of_times_are_read_as_the_page_says() -> None:
    """Each example of the table is a time."""
    examples = [example for _, cell, _ in rows("| the column | example |")[1:] for example in cell.split("`, `")]
    for example in examples:
        values: list[Any] = [int(example)] if example.isdigit() and len(example) != 8 else [example]
        assert read_times(pd.Series(values), "RATED_AT").faults == [], example
    assert len(examples) == 22


def test_how_times_were_read_is_printed_as_the_page_says(caplog: pytest.LogCaptureFixture) -> None:
    """Word for word, behind the time."""
    caplog.set_level("INFO")
    read_ratings(
        RATINGS.assign(RATED_AT=[20240131, 20240201, 20240201]), LENIENT, ContractReport(), time_column="RATED_AT"
    )
    (record,) = caplog.records
    assert f"\n{_Human().format(record).split(' ', 1)[1]}\n" in PAGE
