"""The contracts of both marts: every rule has its bad row, and one message tells them all."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from recsys.config import DataSettings, SourceSettings
from recsys.errors import DataContractError, EmptyResult
from recsys.marts.check import check_marts
from recsys.marts.contract import ContractReport
from recsys.marts.frames import frame_of
from recsys.marts.games import read_games
from recsys.marts.ratings import Ratings, read_ratings
from recsys.marts.schema import ENCODED

LENIENT = DataSettings(min_users=1, min_games=1, min_ratings=1)
"""The ordinary bounds of values, for tables of any size."""


def games(**changes: Any) -> pd.DataFrame:
    """Return three good games, with columns replaced."""
    columns: dict[str, Any] = {
        "GAME_ID": [3, 1, 2],
        "NAME": ["Catan", "Azul", "Pandemic"],
        "DESCRIPTION": ["Trade.", "Tiles.", "Cure."],
        "CATEGORIES": ["Economic", "Abstract", "Medical"],
        "MECHANICS": ["Trading", "Drafting", "Cooperative"],
    }
    return pd.DataFrame({**columns, **changes})


def ratings(**changes: Any) -> pd.DataFrame:
    """Return three good ratings, with columns replaced."""
    columns: dict[str, Any] = {"USER_ID": [9, 8, 8], "GAME_ID": [3, 1, 3], "RATING": [7.0, 8.0, 2.5]}
    return pd.DataFrame({**columns, **changes})


def violations_of_games(frame: pd.DataFrame, settings: DataSettings = LENIENT) -> list[str]:
    """Return the broken rules of a games frame as texts."""
    report = ContractReport()
    read_games(frame, settings, report)
    return [str(violation) for violation in report.violations]


def violations_of_ratings(frame: pd.DataFrame, settings: DataSettings = LENIENT) -> list[str]:
    """Return the broken rules of a ratings frame as texts."""
    report = ContractReport()
    read_ratings(frame, settings, report)
    return [str(violation) for violation in report.violations]


def test_good_games_come_sorted_by_id() -> None:
    """Rows in any order leave in ascending order of their ids, each with its own texts."""
    report = ContractReport()
    checked = read_games(games(), LENIENT, report)
    assert checked is not None
    assert checked["GAME_ID"].tolist() == [1, 2, 3]
    assert checked["NAME"].tolist() == ["Azul", "Pandemic", "Catan"]


@pytest.mark.parametrize(
    ("frame", "rule"),
    [
        (games().drop(columns=["MECHANICS", "NAME"]), "2 columns missing: NAME, MECHANICS; the columns are GAME_ID"),
        (games(GAME_ID=[1, None, 2]), r"1 game with a null or blank GAME_ID \(such as Azul\)"),
        (games(GAME_ID=[5, 5, 2]), r"1 duplicate GAME_ID \(such as 5\)"),
        (games(NAME=["Catan", None, " "]), r"2 games with a null or empty NAME \(such as 1, 2\)"),
        (games(GAME_ID=[1.5, 2, 3]), "is no id: numbers with a fraction"),
        (games(GAME_ID=["1", " ", "2"]), r"1 game with a null or blank GAME_ID \(such as Azul\)"),
        (games(GAME_ID=["1", "1.0", "2"]), r"1 group of GAME_IDs that are spellings of one id.*'1' and '1.0'"),
    ],
)
def test_each_rule_of_the_games_finds_its_bad_row(frame: pd.DataFrame, rule: str) -> None:
    """One broken rule, one violation, with its count and samples."""
    (violation,) = violations_of_games(frame)
    assert re.search(rule, violation), violation


@pytest.mark.parametrize(
    ("frame", "rule"),
    [
        (ratings().drop(columns="RATING"), "1 column missing: RATING"),
        (ratings(USER_ID=[9, None, 8]), r"1 rating with a null or blank USER_ID"),
        (ratings(GAME_ID=[None, 1, 3]), "1 rating with a null or blank GAME_ID (such as game NULL rating 7.0)"),
        (ratings(RATING=[7, None, 3]), "1 rating whose RATING is null or NaN (such as game 1 rating NULL)"),
        (ratings(RATING=[np.nan, np.nan, 3]), "2 ratings whose RATING is null or NaN"),
        (ratings(RATING=[np.inf, 3, -np.inf]), "2 ratings whose RATING is infinite"),
        (
            ratings(RATING=["7", "good", "2"]),
            "1 rating whose RATING is not a number (such as game 1 rating good)",
        ),
        (ratings(RATING=[0, 11, 3]), "2 ratings outside 0 < rating <= 10"),
        (ratings(USER_ID=["a", 1, 2]), "USER_ID is no id: values of mixed kinds"),
        (ratings(USER_ID=["a", "", "b"]), "1 rating with a null or blank USER_ID (such as game 1 rating 8.0)"),
        (ratings(GAME_ID=["1", " ", "2"]), "1 rating with a null or blank GAME_ID (such as game ' ' rating 8.0)"),
        (ratings(GAME_ID=["1", "1 ", "2"]), "1 group of GAME_IDs that are spellings of one id"),
    ],
)
def test_each_rule_of_the_ratings_finds_its_bad_row(frame: pd.DataFrame, rule: str) -> None:
    """One broken rule, one violation, with its count and samples."""
    (violation,) = violations_of_ratings(frame)
    assert rule.replace("\\", "") in violation


def test_too_few_of_anything_is_refused() -> None:
    """The smallest sizes are settings."""
    (few_games,) = violations_of_games(games(), DataSettings(min_games=4))
    assert "3 games, fewer than the 4" in few_games
    settings = DataSettings(min_users=3, min_ratings=4)
    few_ratings, few_users = violations_of_ratings(ratings(), settings)
    assert "3 ratings, fewer than the 4" in few_ratings
    assert "2 users, fewer than the 3" in few_users


def test_the_range_is_a_setting() -> None:
    """A mart that rates to 100, or from 0, says so in the settings; the message names the ones to change, no others."""
    (high,) = violations_of_ratings(ratings(RATING=[70, 80, 25]))
    assert "3 ratings outside 0 < rating <= 10; where the scale is wider, raise data.rating_max (such as" in high
    (low,) = violations_of_ratings(ratings(RATING=[0, 10, 5]))
    assert "where the scale is wider, lower data.rating_min (such as" in low
    (both,) = violations_of_ratings(ratings(RATING=[0, 100, 5]))
    assert "lower data.rating_min and raise data.rating_max" in both
    wider = LENIENT.model_copy(update={"rating_min": -1.0, "rating_max": 100.0})
    assert not violations_of_ratings(ratings(RATING=[70, 80, 0]), wider)


def test_one_message_names_every_broken_rule() -> None:
    """Both marts' broken rules stand in one error, with at most five samples each."""
    report = ContractReport()
    read_games(games(GAME_ID=[5, 5, 2]), LENIENT, report, "MART_GAMES")
    many = pd.DataFrame({"USER_ID": range(9), "GAME_ID": 1, "RATING": 12})
    read_ratings(many, LENIENT, report, mart="MART_USER_RATINGS")
    with pytest.raises(DataContractError) as caught:
        report.sound(None)
    message = str(caught.value)
    assert "MART_GAMES: 1 duplicate GAME_ID (such as" in message
    assert "MART_USER_RATINGS: 9 ratings outside" in message
    assert message.count("game 1 rating 12") == 5
    assert isinstance(caught.value, ValueError)


def test_people_are_named_to_those_who_debug_alone(caplog: pytest.LogCaptureFixture) -> None:
    """Whose rows break a rule is an event for debugging; no message and no default event has a user's id."""
    with caplog.at_level("DEBUG", logger="recsys"):
        (violation,) = violations_of_ratings(ratings(USER_ID=["ann", "bob", "cy"], RATING=[7, 99, 3]))
    assert "bob" not in violation
    naming_bob = [record for record in caplog.records if "bob" in str(vars(record))]
    assert [record.levelname for record in naming_bob] == ["DEBUG"]


@pytest.mark.parametrize("check", [read_games, read_ratings])
def test_an_empty_mart_is_an_empty_result(check: Any) -> None:
    """No rows at all is told apart from broken ones."""
    with pytest.raises(EmptyResult, match="no rows"):
        check((games() if check is read_games else ratings()).iloc[:0], LENIENT, ContractReport())


def test_the_matrix_equals_a_dense_pivot() -> None:
    """Against pandas' own pivot table, on shuffled rows with string ids."""
    rng = np.random.default_rng(1)
    pairs = rng.permutation(40 * 25)[:300]
    frame = pd.DataFrame(
        {
            "USER_ID": [f"u{pair // 25:02}" for pair in pairs],
            "GAME_ID": pairs % 25,
            "RATING": rng.integers(1, 11, 300).astype(np.float32),
        }
    )
    checked = Ratings.from_frame(frame)
    pivot = frame.pivot_table(index="USER_ID", columns="GAME_ID", values="RATING", fill_value=0)
    assert checked.users.ids() == pivot.index.tolist()
    assert checked.items.ids() == pivot.columns.tolist()
    np.testing.assert_array_equal(checked.matrix.toarray(), pivot.to_numpy())
    assert checked.matrix.has_sorted_indices


def test_of_duplicate_ratings_the_highest_stays() -> None:
    """Duplicates are not summed; what is dropped is counted."""
    report = ContractReport()
    frame = ratings(USER_ID=[8, 8, 8], GAME_ID=[3, 3, 1], RATING=[4.0, 9.0, 5.0])
    checked = read_ratings(frame, LENIENT, report)
    assert checked is not None
    assert checked.matrix.toarray().tolist() == [[5.0, 9.0]]
    assert report.repairs == {"duplicate ratings": 1}


def test_times_stay_with_their_ratings() -> None:
    """A time column is sorted along with the ratings; a missing time is a broken rule."""
    days = pd.to_datetime(["2020-01-03", "2020-01-01", "2020-01-02"])
    checked = read_ratings(ratings(RATED_AT=days), LENIENT, ContractReport(), time_column="RATED_AT")
    assert checked is not None
    assert checked.rated_at is not None
    assert pd.to_datetime(checked.rated_at, unit="us").day.tolist() == [1, 2, 3]
    report = ContractReport()
    read_ratings(ratings(RATED_AT=[days[0], None, days[1]]), LENIENT, report, time_column="RATED_AT")
    assert "1 rating whose RATED_AT is null or blank" in str(report.violations[0])


@pytest.mark.parametrize(
    "ids", [[2**53 + 1, 2**53, 7], [2**70, 1, 2], ["010", "10", "b"], [Decimal(4), Decimal(2), Decimal(3)]]
)
def test_ids_survive_the_way_from_batches_to_codes(ids: list[Any]) -> None:
    """Through Arrow batches, dictionary codes, a frame and the contract, ids stay what they were."""
    column = pa.array(ids, pa.decimal128(38, 0) if 2**70 in ids else None)
    table = pa.table({"USER_ID": column, "GAME_ID": column[::-1], "RATING": [1.0, 2.0, 3.0]})
    frame = frame_of(table.schema, table.to_batches(max_chunksize=2), ENCODED)
    assert str(frame["USER_ID"].dtype) == "category"
    checked = Ratings.from_frame(frame)
    order = sorted(ids)
    assert checked.users.ids() == checked.items.ids() == order
    for row, (user, game) in enumerate(zip(ids, ids[::-1], strict=True)):
        assert checked.matrix[order.index(user), order.index(game)] == row + 1


def test_batches_may_be_any_size() -> None:
    """How a source cuts its batches changes nothing."""
    rng = np.random.default_rng(0)
    table = pa.table(
        {"USER_ID": rng.integers(0, 50, 500), "GAME_ID": rng.permutation(500), "RATING": rng.random(500) + 1}
    )
    whole, cut = (frame_of(table.schema, table.to_batches(size), ENCODED) for size in (500, 7))
    pd.testing.assert_frame_equal(whole, cut)
    assert whole["USER_ID"].astype(np.int64).tolist() == table["USER_ID"].to_pylist()


@pytest.mark.parametrize("rows", [0, 1 << 20])
def test_empty_batches_change_nothing(rows: int) -> None:
    """A source may send batches without rows: alone, or after the last full group of ids."""
    table = pa.table({"USER_ID": np.arange(rows) % 50, "RATING": np.ones(rows)})
    batches = table.to_batches()
    empty = pa.RecordBatch.from_arrays([column.chunk(0).slice(0, 0) for column in table.columns], schema=table.schema)
    made = frame_of(table.schema, [empty, *batches, empty, empty], ENCODED)
    assert made["USER_ID"].astype(np.int64).tolist() == table["USER_ID"].to_pylist()


@pytest.mark.parametrize("kind", ["int64", "string", "decimal128(38, 0)"])
def test_ids_of_millions_of_rows_are_what_pandas_makes_of_them(kind: str) -> None:
    """Rows beyond the first group of a million share one dictionary with it, nulls and all."""
    rng = np.random.default_rng(3)
    numbers = pa.array(rng.integers(10**6, 10**6 + 3000, 1_200_000), mask=rng.random(1_200_000) < 0.001)
    column = numbers.cast({"int64": pa.int64(), "string": pa.string()}.get(kind, pa.decimal128(38, 0)))
    table = pa.table({"USER_ID": column})
    made = frame_of(table.schema, table.to_batches(max_chunksize=100_000), ENCODED)["USER_ID"]
    values = numbers.to_pandas(types_mapper=pd.ArrowDtype) if kind != "string" else column.to_pandas()
    codes, uniques = pd.factorize(values, sort=True)
    assert np.array_equal(made.cat.codes.to_numpy(), codes)
    assert made.cat.categories.tolist() == list(uniques)


def test_integers_beside_nulls_keep_their_digits() -> None:
    """A null beside 2^53 + 1 does not turn the column into floats."""
    table = pa.table({"GAME_ID": [2**53 + 1, None]})
    assert frame_of(table.schema, table.to_batches(), frozenset())["GAME_ID"].tolist() == [2**53 + 1, None]


def test_nothing_of_no_batches() -> None:
    """An empty answer is a frame with its columns and no rows."""
    schema = pa.schema({"USER_ID": pa.int64(), "RATING": pa.float64()})
    frame = frame_of(schema, [], ENCODED)
    assert list(frame.columns) == ["USER_ID", "RATING"]
    assert frame.empty


def test_results_are_handed_out_only_if_no_rule_is_broken() -> None:
    """Of sound games beside ratings that break a rule nothing can be had."""
    report = ContractReport()
    sound = read_games(games(), LENIENT, report)
    assert report.sound(sound) is sound
    assert read_ratings(ratings(RATING=[0, 11, 3]), LENIENT, report) is None
    with pytest.raises(DataContractError, match="outside 0 < rating"):
        report.sound(sound)


def test_both_marts_are_checked_in_one_pass() -> None:
    """The broken rules of both stand in one error, under the names of the settings; sound ones are joined."""
    source = SourceSettings(games_table="G", ratings_table="R")
    with pytest.raises(DataContractError, match=r"G: 1 duplicate GAME_ID.*; R: 2 ratings outside"):
        check_marts(games(GAME_ID=[5, 5, 2]), ratings(RATING=[0, 11, 3]), LENIENT, source)
    with pytest.raises(DataContractError, match=r"R: 3 ratings \(100\.0% of them\) of games that G lacks"):
        check_marts(games(GAME_ID=[5, 6, 7]), ratings(), LENIENT, source)
    twice = pd.concat([ratings(GAME_ID=["3", "1", "3"])] * 2)
    marts = check_marts(games(NAME=["Catan &amp; Co", "Azul", "Pandemic"]), twice, LENIENT, source)
    assert marts.games["GAME_ID"].tolist() == [1, 2, 3]
    assert marts.ratings.items.ids() == [1, 3]
    assert marts.repairs == {"HTML entities": 1, "duplicate ratings": 3, "game ids spelled otherwise": 3}
