"""Both marts as of one moment, so that a dbt run in mid-flight cannot tear them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from recsys.errors import QueryFailed, SourceChanged

if TYPE_CHECKING:
    from standins.snowflake.fixtures import Warehouse

pytest_plugins = ["standins.snowflake.fixtures"]

GAMES = "SELECT N FROM ANALYTICS.MART_GAMES"
RATINGS = "SELECT N FROM ANALYTICS.MART_USER_RATINGS"


@pytest.fixture
def marts(warehouse: Warehouse) -> Warehouse:
    """Return a warehouse with both marts."""
    for name in ("MART_GAMES", "MART_USER_RATINGS"):
        warehouse.table(name, "SELECT range AS N FROM range(10)")
    return warehouse


def moments(marts: Warehouse) -> list[str]:
    """Return the moment that each query of a mart was asked for; empty for the present."""
    asked = [sql for sql in marts.service.seen()["statements"] if "ANALYTICS.MART" in sql]
    return [match[1] if (match := re.search(r"AT\(TIMESTAMP => '(.+)'::", sql)) else "" for sql in asked]


def test_both_marts_are_read_as_of_one_moment(marts: Warehouse) -> None:
    """The moment of the first query is the moment of the second."""
    with marts.open() as source:
        source.execute(GAMES)
        source.execute(RATINGS)
    first, second = moments(marts)
    assert first == second != ""


def test_an_account_without_time_travel_is_read_as_it_is_now(
    marts: Warehouse, caplog: pytest.LogCaptureFixture
) -> None:
    """The run goes on, and the log says once that the marts may not belong together."""
    marts.service.set(as_of=False)
    with marts.open() as source:
        rows = [source.execute(sql).rows_announced for sql in (GAMES, RATINGS)]
    assert rows == [10, 10]
    assert len([record for record in caplog.records if "not read as of one moment" in record.message]) == 1
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
    assert [bool(moment) for moment in moments(marts)] == [True, False, False]


def test_a_mart_replaced_between_the_queries_ends_the_run(marts: Warehouse) -> None:
    """Games of yesterday with ratings of today are not trained on; exit code 69, run again."""
    with marts.open() as source:
        source.execute(GAMES)
        replaced = source.execute(GAMES.replace("N", "N", 1)).query_id
        assert replaced
        marts.service.set(replaced={"MART_USER_RATINGS": moments(marts)[-1].replace("+00:00", "9+00:00")})
        with pytest.raises(SourceChanged, match="replaced while the run was reading"):
            source.execute(RATINGS)


def test_a_second_mart_that_has_no_past_is_read_as_it_is_now(
    marts: Warehouse, caplog: pytest.LogCaptureFixture
) -> None:
    """A mart whose past is never kept is no sign of a replacement: it is read, and the log says so."""
    with marts.open() as source:
        source.execute(GAMES)
        marts.service.set(replaced={"MART_USER_RATINGS": "9999"})
        assert source.execute(RATINGS).rows_announced == 10
    assert any("not read as of one moment" in record.message for record in caplog.records)


def test_a_missing_mart_is_reported_as_missing(marts: Warehouse) -> None:
    """The refusal of the moment does not hide the real reason."""
    marts.service.duckdb("DROP TABLE WAREHOUSE_DB.ANALYTICS.MART_USER_RATINGS")
    with marts.open() as source:
        source.execute(GAMES)
        with pytest.raises(QueryFailed, match="code 2003"):
            source.execute(RATINGS)


def test_other_statements_are_left_alone(marts: Warehouse) -> None:
    """Only a plain query of one table can be put into the past."""
    with marts.open() as source:
        source.execute("SELECT COUNT(*) AS N FROM ANALYTICS.MART_GAMES")
    assert moments(marts) == [""]


def test_marts_are_read_as_of_a_named_moment(marts: Warehouse) -> None:
    """Both, and the answer says so; whoever reads the present hears which moment that was."""
    with marts.open() as source:
        now = source.execute(GAMES).read_at
    assert now == moments(marts)[0]
    with marts.open(read_at=now) as source:
        assert [source.execute(sql).read_at for sql in (GAMES, RATINGS)] == [now, now]
    assert moments(marts) == [now] * 3


def test_a_named_moment_that_is_past_its_retention_is_refused(marts: Warehouse) -> None:
    """Rows of another moment are not what was asked for: no query runs without it."""
    then = "2026-11-01T05:00:00.000000+00:00"
    marts.service.set(replaced={"MART_USER_RATINGS": "2026-11-02T05:00:00.000000+00:00"})
    with marts.open(read_at=then) as source:
        source.execute(GAMES)
        with pytest.raises(QueryFailed, match=f"MART_USER_RATINGS cannot be read as of {re.escape(then)}.*RETENTION"):
            source.execute(RATINGS)
    assert "" not in moments(marts)
