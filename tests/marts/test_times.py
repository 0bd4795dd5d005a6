"""Times of ratings: the forms that are read, each decided for a whole column, and what is refused by name."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from recsys.errors import DataContractError
from recsys.marts import ENCODED, Ratings, frame_of
from recsys.marts.times import read_times

if TYPE_CHECKING:
    from collections.abc import Sequence

MOMENTS = tuple(map(dt.datetime.fromisoformat, ("2020-02-29T10:30:00", "2021-01-01T00:00:00", "2022-12-31T23:59:59")))
MICROS = [int(moment.replace(tzinfo=dt.UTC).timestamp()) * 1_000_000 for moment in MOMENTS]
DAYS = [micros // 86_400_000_000 * 86_400_000_000 for micros in MICROS]
SECONDS = [micros // 1_000_000 for micros in MICROS]


def written(form: str) -> list[str]:
    """Return the moments as texts."""
    return [moment.strftime(form) for moment in MOMENTS]


def rules(values: Any) -> str:
    """Return each broken rule, its rows before and their cells behind it."""
    times = read_times(pd.Series(values), "RATED_AT")
    return "; ".join(
        f"{int(fault.rows.sum())} {fault.rule} {', '.join(times.samples(np.flatnonzero(fault.rows)))}"
        for fault in times.faults
    )


@pytest.mark.parametrize(
    ("values", "micros"),
    [
        (pd.Series(MOMENTS, dtype="datetime64[s]"), MICROS),
        (pd.Series(MOMENTS, dtype="datetime64[ns]"), MICROS),
        (pd.Series(MOMENTS).dt.tz_localize("UTC").dt.tz_convert("Europe/Berlin"), MICROS),
        (pd.Series(np.array(MOMENTS, ">M8[us]")), MICROS),
        (pd.Series(MOMENTS, dtype=object), MICROS),
        (pd.Series([np.datetime64(moment) for moment in MOMENTS], dtype=object), MICROS),
        (pd.Series([moment.date() for moment in MOMENTS]), DAYS),
        (pd.Series(MOMENTS).astype("category"), MICROS),
        (SECONDS, MICROS),
        ([float(second) for second in SECONDS], MICROS),
        ([second * 1_000 for second in SECONDS], MICROS),
        ([second * 1_000_000 for second in SECONDS], MICROS),
        ([second * 1_000_000_000 for second in SECONDS], MICROS),
        ([20200229, 20210101, 20221231], DAYS),
        ([20200229103000, 20210101000000, 20221231235959], MICROS),
        (written("%Y-%m-%d"), DAYS),
        (written("%Y/%m/%d"), DAYS),
        (written("%Y%m%d"), DAYS),
        (written("%Y-%m-%dT%H:%M:%S"), MICROS),
        (written("%Y-%m-%d %H:%M:%S.000"), MICROS),
        (written("%Y%m%dT%H%M%SZ"), MICROS),
        (written("%Y-%m-%d %H:%M:%S UTC"), MICROS),
        (written("%a, %d %b %Y %H:%M:%S +0000"), MICROS),
        (written("%B %d, %Y"), DAYS),
        ([str(second) for second in SECONDS], MICROS),
    ],
)
def test_each_form_is_read_to_its_moments(values: Any, micros: list[int]) -> None:
    """Types, numbers and texts, against Python's own calendar."""
    times = read_times(pd.Series(values), "RATED_AT")
    assert [fault.rule for fault in times.faults] == []
    assert times.micros.tolist() == micros


def test_years_are_their_first_days() -> None:
    """A column of years orders by the year."""
    times = read_times(pd.Series([2015, 2016, 2014]), "RATED_AT")
    assert times.form == "years"
    assert times.micros.astype("datetime64[us]").astype(str).tolist() == [
        f"{year}-01-01T00:00:00.000000" for year in (2015, 2016, 2014)
    ]


def test_an_offset_from_utc_is_counted() -> None:
    """Offsets and Z may differ from row to row, since all of them name a moment."""
    times = read_times(pd.Series(["2020-01-01T12:00:00+02:00", "2020-01-01 10:00:00.5Z", "2020-01-01T06:30-0330"]), "T")
    assert times.micros.tolist() == [1577872800000000, 1577872800500000, 1577872800000000]


def test_a_fraction_and_the_letter_between_are_no_other_form() -> None:
    """A source prints a fraction only where there is one; T and a blank say the same."""
    texts = ["2020-01-01 10:00:00", "2020-01-01T10:00:00.25", "2020-01-01 10:00"]
    assert read_times(pd.Series(texts), "T").micros.tolist() == [1577872800000000, 1577872800250000, 1577872800000000]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (["2020-01-01", "03/04/2020"], "1 ratings whose RATED_AT has day and month that may stand either way round"),
        (["03/04/2020", "13/04/2020"], "'03/04/2020', '13/04/2020'"),
        (["2020-01-01", "2020-01-02", "2020-01-01 10:00"], "2024-01-31; write all in one form '2020-01-01 10:00'"),
        (["2020-01-01 10:00", "2020-01-02 10:00", "2020-01-01 10:00Z"], "in one form '2020-01-01 10:00Z'"),
        (["2020-01-01", "2020-01-02", "2020/01/03"], "in one form '2020/01/03'"),
        (["2020-01-01", "20200102", "2020-01-03"], "in one form '20200102'"),
        (["2020-01-01", "soon"], "text in no form that is read; write 2024-01-31, or 2024-01-31 10:00:00 'soon'"),
        (["2020-01-01", "infinity"], "'infinity'"),
        (["2020-02-28", "2020-02-30"], "a day or time that does not exist '2020-02-30'"),
        (["2020-02-28 10:00", "2020-02-28 24:00"], "does not exist '2020-02-28 24:00'"),
        (["2020-02-28", "9999-12-31"], "not within 1900-01-01 to 2099-12-31; mend it, or leave such ratings out '9999"),
        (["2020-02-28", " "], "1 ratings whose RATED_AT is null or blank ' '"),
        (["2020-02-28", "\\N", None], "2 ratings whose RATED_AT is null or blank"),
        ([dt.date(9999, 12, 31), dt.date(2020, 1, 1)], "out 9999-12-31"),
        ([dt.date(1899, 12, 30), dt.date(2020, 1, 1)], "out 1899-12-30"),
        (pd.array([2**63 - 1, 1, -(2**63) + 1]).to_numpy(np.int64).astype("M8[us]"), "2 ratings whose RATED_AT is not"),
        ([1_600_000_000, 1_600_000_001, 0], "a number, and not Unix seconds as most are"),
        ([1_600_000_000, 1_600_000_001, 1_600_000_000_000], "1600000000000"),
        ([20240131, 20240132, 20240101], "not days written as 20240131 as most are"),
        ([43831, 43832], "2 ratings whose RATED_AT is a number that is no time"),
        ([202401, 202402], "2 ratings whose RATED_AT is a number that is no time"),
        ([2**70, 2**71], "2 ratings whose RATED_AT is a number that is no time"),
        ([np.inf, 1.6e9, 1.7e9], "not Unix seconds as most are"),
        (np.array([1.6e9, 1.7e9], np.float32), "float, which has too few digits for a time"),
        ([True, False], "2 ratings whose RATED_AT is bool, not a time"),
        (pd.to_timedelta([1, 2], unit="s"), "duration[ns], not a time"),
        ([dt.time(10), dt.time(11)], "time64[us], not a time"),
        ([1j, 2j], "complex128, not a time"),
        ([[1], [2]], "list<item: int64>, not a time"),
        (pd.period_range("2020", periods=2, freq="D"), "period"),
        ([b"2020-01-01", b"2020-01-02"], "binary, not a time"),
        ([MOMENTS[0], "2020-01-01"], "of mixed types (datetime, str), not a time"),
        ([MOMENTS[0], 5], "of mixed types (datetime, int), not a time"),
        ([MOMENTS[0], MOMENTS[0].replace(tzinfo=dt.UTC)], "with a zone in one row and without one"),
        (["\ud800", "2020-01-01"], "half a character"),
        (["2020-01-01", "2020-01-01"], "one and the same time, which orders nothing"),
    ],
)  # fmt: skip
def test_what_is_no_time_is_named(values: Any, words: str) -> None:
    """The rule says what was seen, and the cell itself stands beside it."""
    if isinstance(values, list):
        values = pd.Series(values, dtype=None if isinstance(values[0], bool | complex | float) else object)
    assert words in rules(values)


def test_infinite_times_are_called_infinite() -> None:
    """As the source writes them, not as a year that no calendar has."""
    values = np.array([2**63 - 1, -(2**63) + 1, 10**15], np.int64).astype("M8[us]")
    assert rules(values).endswith(" infinity, -infinity")


def from_duckdb(time: str) -> pd.DataFrame:
    """Fetch two ratings whose time is an expression of ``n``, 0 and 1."""
    query = f"select n as USER_ID, n as GAME_ID, 7.0 as RATING, {time} as RATED_AT from range(2) as numbers(n)"
    table = duckdb.connect().sql(query).to_arrow_table()
    return frame_of(table.schema, table.to_batches(), ENCODED)


@pytest.mark.parametrize(
    ("time", "seconds"),
    [
        ("to_timestamp(1600000000 + n)", [1600000000, 1600000001]),
        ("(1600000000 + n)::double", [1600000000, 1600000001]),
        ("(1600000000 + n)::hugeint", [1600000000, 1600000001]),
        ("(1600000000 + n)::decimal(20, 3)", [1600000000, 1600000001]),
        ("date '2020-01-01' + n::int", [1577836800, 1577923200]),
        ("(timestamp '2020-01-01' + to_seconds(n))::timestamp_s", [1577836800, 1577836801]),
        ("(timestamp '2020-01-01' + to_seconds(n))::timestamp_ns", [1577836800, 1577836801]),
    ],
)
def test_times_come_exactly_from_a_source(time: str, seconds: Sequence[int]) -> None:
    """Through Arrow batches and the frame; a second of a number is not rounded away."""
    rated_at = Ratings.from_frame(from_duckdb(time), time_column="RATED_AT").rated_at
    assert rated_at is not None
    assert rated_at.tolist() == [second * 1_000_000 for second in seconds]


@pytest.mark.parametrize(
    ("time", "words"),
    [
        ("case n when 0 then 'infinity'::date else date '2020-01-01' end", "1 rating whose RATED_AT is not within"),
        ("case n when 0 then '-infinity'::timestamptz else now() end", "game 0 RATED_AT -infinity"),
        ("(1.6e9 + n)::float", "float, which has too few digits"),
        ("interval 1 day", "interval, not a time"),
    ],
)
def test_a_source_without_times_is_refused(time: str, words: str) -> None:
    """Naming the game, and the time that it came with."""
    with pytest.raises(DataContractError, match=words):
        Ratings.from_frame(from_duckdb(time), time_column="RATED_AT")


def test_a_zone_that_nobody_knows_does_no_harm() -> None:
    """A moment is the same in every zone."""
    column = pa.array([0, 10**15], pa.timestamp("us", "Nowhere/Land"))
    table = pa.table({"USER_ID": [1, 2], "GAME_ID": [1, 2], "RATING": [1.0, 2.0], "RATED_AT": column})
    frame = frame_of(table.schema, table.to_batches(), ENCODED)
    assert str(frame["RATED_AT"].dtype) == "datetime64[us, UTC]"


def test_how_numbers_and_texts_were_read_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """An event names the column, the form, and the first and last moment; a type that says it needs none."""
    caplog.set_level("INFO")
    frame = pd.DataFrame({"USER_ID": [1, 2], "GAME_ID": [1, 2], "RATING": [1.0, 2.0], "RATED_AT": [20240131, 20240201]})
    Ratings.from_frame(frame, time_column="RATED_AT")
    assert [record.message for record in caplog.records] == ["times read"]
    Ratings.from_frame(frame.assign(RATED_AT=pd.to_datetime(["2024-01-31", "2024-02-01"])), time_column="RATED_AT")
    assert len(caplog.records) == 1
