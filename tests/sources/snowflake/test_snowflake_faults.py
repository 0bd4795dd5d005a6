"""Every fault of the service is one of our errors, in time, and never a wrong result."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

import pytest

from recsys.errors import (
    AuthenticationFailed,
    ConfigError,
    DeadlineExceeded,
    QueryFailed,
    RecsysError,
    SourceUnavailable,
    TruncatedResult,
)
from recsys.sources.snowflake.failures import translate

if TYPE_CHECKING:
    from standins.snowflake.fixtures import Warehouse

pytest_plugins = ["standins.snowflake.fixtures"]

QUERY = "SELECT N FROM ANALYTICS.MART_GAMES"
DEADLINE_S = 4.0

FAULTS: list[tuple[str, str, type[RecsysError]]] = [
    *[("login", kind, SourceUnavailable) for kind in ("403", "404", "503", "cut", "garbage")],
    *[("query", kind, SourceUnavailable) for kind in ("403", "404", "503", "cut", "garbage", "gone")],
    *[
        (chunk, kind, SourceUnavailable)
        for chunk in ("first", "later")
        for kind in ("403", "503", "missing", "cut", "garbage")
    ],
    *[(place, "short", TruncatedResult) for place in ("inline", "first", "later")],
    *[(place, "hang", DeadlineExceeded) for place in ("login", "query", "first", "later")],
]

CODES: list[tuple[str, str, type[RecsysError]]] = [
    ("login", "390100", AuthenticationFailed),  # user name or password
    ("login", "390144", AuthenticationFailed),  # key-pair token
    ("login", "390101", AuthenticationFailed),  # user locked
    ("login", "390189", AuthenticationFailed),  # role not granted
    ("login", "390422", AuthenticationFailed),  # network policy
    ("login", "394400", AuthenticationFailed),  # access token
    ("login", "390201", QueryFailed),  # database of the sign-in
    ("query", "002003", QueryFailed),  # missing object
    ("query", "000904", QueryFailed),  # missing column
    ("query", "003001", QueryFailed),  # missing right
    ("query", "000606", QueryFailed),  # no warehouse
    ("query", "090105", QueryFailed),  # no database
    ("query", "000630", DeadlineExceeded),  # statement timeout
    ("query", "000604", DeadlineExceeded),  # cancelled
    ("query", "390111", SourceUnavailable),  # session gone
    ("query", "390114", SourceUnavailable),  # master token expired
]


def fail(warehouse: Warehouse, **settings: Any) -> tuple[RecsysError, float]:
    """Fetch, and return the error that ends it and the seconds until then."""
    start = time.monotonic()
    with pytest.raises(RecsysError) as caught:
        warehouse.fetch(QUERY, **settings)
    return caught.value, time.monotonic() - start


@pytest.fixture
def games(warehouse: Warehouse) -> Warehouse:
    """Return a warehouse with a mart in five chunks."""
    warehouse.table("MART_GAMES", "SELECT range AS N FROM range(1000)")
    warehouse.service.set(chunks=5)
    return warehouse


@pytest.mark.parametrize(("place", "kind", "error"), FAULTS)
def test_each_fault_is_its_error_in_time(place: str, kind: str, error: type[RecsysError], games: Warehouse) -> None:
    """The class says what to do next, and the run is over two seconds after its deadline at the latest."""
    games.service.fault(place, kind)
    limits = {"deadline_s": DEADLINE_S, "login_timeout_s": 3, "network_timeout_s": 1}
    raised, seconds = fail(games, quick=place in {"first", "later"}, **limits)
    assert type(raised) is error, raised
    assert seconds < DEADLINE_S + 2


@pytest.mark.parametrize(("place", "code", "error"), CODES)
def test_each_of_snowflakes_codes_is_its_error(
    place: str, code: str, error: type[RecsysError], games: Warehouse, caplog: pytest.LogCaptureFixture
) -> None:
    """The code stands in the message, and in the log beside the query id."""
    games.service.fault(place, "code", code=code, message="refused on demand")
    raised, _ = fail(games)
    assert type(raised) is error, raised
    assert f"[code {int(code)}]" in str(raised)
    assert "refused on demand" in str(raised)
    # What is tried once more is told below INFO, which is seen where another test has lowered the level.
    failed = [record for record in caplog.records if record.message == "Snowflake failed"]
    events = [record.__dict__["recsys_keys"] for record in failed if record.levelno >= logging.INFO]
    assert [event["code"] for event in events if event] == [int(code)]
    if place == "query":
        assert events[0]["query_id"]
        assert events[0]["query_id"] in str(raised)


def test_a_fault_that_passes_is_survived(games: Warehouse) -> None:
    """One 503 at the query and one at a chunk cost a second each, not the run."""
    for place in ("query", "first", "later"):
        games.service.fault(place, "503", times=1)
        assert games.fetch(QUERY).num_rows == 1000


def test_an_expired_session_is_renewed(games: Warehouse) -> None:
    """The connector asks for a new token and the query goes on."""
    games.service.fault("query", "expired", times=1)
    assert games.fetch(QUERY).num_rows == 1000


def test_a_missing_table_is_named(games: Warehouse) -> None:
    """The real refusal of a table that is not there: code 2003, and what to check."""
    with pytest.raises(QueryFailed, match=r"code 2003.*source\.games_table"), games.open() as source:
        source.execute("SELECT N FROM ANALYTICS.MART_NOBODY")


def test_a_missing_column_is_named(games: Warehouse) -> None:
    """The real refusal of a column that is not there."""
    with pytest.raises(QueryFailed, match="NOBODY"), games.open() as source:
        source.execute("SELECT NOBODY FROM ANALYTICS.MART_GAMES")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ConnectionResetError("cut"), SourceUnavailable),
        (OSError(113, "No route to host"), SourceUnavailable),
        (ValueError("not JSON"), SourceUnavailable),
        (TypeError("neither"), SourceUnavailable),
        (KeyError("data"), SourceUnavailable),
        (RecursionError(), SourceUnavailable),
    ],
)
def test_what_is_no_error_of_the_connector_is_still_one_of_ours(error: Exception, kind: type[RecsysError]) -> None:
    """The connector lets its libraries' exceptions through; none of them is a bug of this package."""
    assert type(translate(error, "testing")) is kind


def test_every_error_class_of_the_connector_is_translated() -> None:
    """The map is complete: each class that the connector exports becomes a source's error of ours."""
    from snowflake.connector import errors as vendor

    classes: list[Any] = [
        kind for kind in vars(vendor).values() if isinstance(kind, type) and issubclass(kind, vendor.Error)
    ]
    assert len(classes) > 20
    for kind in classes:
        error = kind.__new__(kind)  # their constructors differ; none is needed
        error.msg = error.raw_msg = "x"
        ours = type(translate(error, "testing"))
        assert ours in {SourceUnavailable, QueryFailed, ConfigError}, kind


def test_an_error_of_ours_passes_unchanged() -> None:
    """Nothing is translated twice."""
    error = TruncatedResult("short")
    assert translate(error, "testing") is error


def test_secrets_in_the_vendors_text_are_masked(caplog: pytest.LogCaptureFixture) -> None:
    """A service or a library may quote what it was sent."""
    caplog.set_level(logging.DEBUG)
    error = translate(ValueError("Invalid token 'canary'"), "signing in", ["canary"])
    assert "canary" not in str(error)
    assert "'***'" in str(error)
    assert "canary" not in str([record.__dict__ for record in caplog.records])
