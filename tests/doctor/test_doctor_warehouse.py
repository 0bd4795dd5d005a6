"""``recsys doctor`` beside a warehouse: signed in, proved read-only, asked for little, waited for a bounded time."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from factories.examined import PATIENT, closed_port, examined, only_failure
from recsys import errors
from recsys.cli import run
from standins.snowflake.canaries import ACCESS_TOKEN, PASSWORD
from standins.snowflake.roles import READER, Roles

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from standins.snowflake.fixtures import Warehouse

    Capture = pytest.CaptureFixture[str]
    Broken = tuple[Callable[[Warehouse], object], str, type[errors.RecsysError], str]

pytest_plugins = ["standins.snowflake.fixtures", "factories.fit"]


@pytest.fixture
def snowflake(warehouse: Warehouse, here: Path, monkeypatch: pytest.MonkeyPatch) -> Warehouse:
    """Return a warehouse with both marts, named by the variables of the environment."""
    for name, value in {**warehouse.address(), "token": ACCESS_TOKEN}.items():
        monkeypatch.setenv(f"SNOWFLAKE_{name.upper()}", value)
    for mart in ("mart_games", "mart_user_ratings"):
        warehouse.table(mart.upper(), f"SELECT * FROM read_parquet('{here}/marts/{mart}.parquet')")
    return warehouse


def test_a_warehouse_that_is_fit_passes(snowflake: Warehouse, capsys: Capture) -> None:
    """The role is proved; of the marts no more is asked for than columns, counts and ids."""
    code, found = examined(capsys)
    assert code == 0, found
    assert found["role"]["text"] == "it can only read"
    assert found["games"]["facts"] == {"rows": 40}
    assert found["ids"]["facts"]["in_catalogue"] == 40
    asked = [sql for sql in snowflake.service.seen()["statements"] if "MART_" in sql]
    assert asked
    assert all("LIMIT" in sql or "count(*)" in sql or sql.startswith("SELECT * FROM") for sql in asked)
    assert [sql for sql in asked if sql.startswith("SELECT *")] == [
        sql for sql in snowflake.service.seen()["described"] if "MART_" in sql
    ], "what asks for all is described, and not run"


WRITER = Roles(
    grants={'ROLE "TRAINER"': [*READER, ["INSERT", "TABLE", "WAREHOUSE_DB.ANALYTICS.T"]], 'ROLE "PUBLIC"': []}
)


BROKEN: dict[str, Broken] = {
    "role that writes": (
        lambda warehouse: warehouse.service.set(roles=WRITER),
        "role",
        errors.PrivilegeError,
        "INSERT on table",
    ),
    "missing table": (
        lambda warehouse: warehouse.service.duckdb("DROP TABLE WAREHOUSE_DB.ANALYTICS.MART_USER_RATINGS"),
        "ratings",
        errors.QueryFailed,
        "source.ratings_table",
    ),
    "missing column": (
        lambda warehouse: warehouse.service.duckdb("ALTER TABLE WAREHOUSE_DB.ANALYTICS.MART_GAMES DROP MECHANICS"),
        "games",
        errors.DataContractError,
        "lacks MECHANICS",
    ),
    "no warehouse to run in": (
        lambda warehouse: warehouse.service.fault("query", "code", code="000606", message="no warehouse"),
        "games",
        errors.QueryFailed,
        "SNOWFLAKE_WAREHOUSE",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_warehouse_is_named(case: str, snowflake: Warehouse, capsys: Capture) -> None:
    """The first failure is the one that a run would end with."""
    spoil, check, kind, words = BROKEN[case]
    spoil(snowflake)
    code, found = examined(capsys)
    first = next(row for row in found.values() if row["state"] == "failed")
    assert (first["check"], first["error"], code) == (check, kind.__name__, kind.exit_code)
    assert words in first["text"]


REFUSED: dict[str, tuple[dict[str, str], type[errors.RecsysError], str]] = {
    "wrong password": (
        {"TOKEN": "", "PASSWORD": "canary-wrong"},
        errors.AuthenticationFailed,
        "user name or password is wrong",
    ),
    "unreachable": ({"PORT": "closed"}, errors.SourceUnavailable, "does not accept connections"),
    "not named": ({"ACCOUNT": "", "TOKEN": ""}, errors.ConfigError, "SNOWFLAKE_ACCOUNT is not set"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_sign_in_that_fails_is_named(
    case: str, snowflake: Warehouse, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wrong password, unreachable host, missing variable: tried once, told without the secret."""
    changed, kind, words = REFUSED[case]
    for name, value in changed.items():
        monkeypatch.setenv(f"SNOWFLAKE_{name}", str(closed_port()) if value == "closed" else value)
    code = run(["doctor", "--set", "snowflake.login_timeout_s=5", *PATIENT])
    captured = capsys.readouterr()
    found = {row["check"]: row for row in json.loads(captured.out)["checks"]}
    only_failure(found, "source", kind, words)
    assert code == kind.exit_code
    assert len(snowflake.service.seen()["sign_ins"]) == (kind is errors.AuthenticationFailed)
    assert "canary" not in captured.out + captured.err
    assert PASSWORD not in captured.out + captured.err


def test_a_warehouse_that_hangs_is_waited_for_no_longer_than_the_limit(snowflake: Warehouse, capsys: Capture) -> None:
    """Whatever the settings allow; the answer says so, and that it was the doctor's limit."""
    snowflake.service.fault("login", "hang")
    assert run(["doctor", "--limit", "20", "--json", "--set", "snowflake.login_timeout_s=1000"]) == 75
    found = {row["check"]: row for row in json.loads(capsys.readouterr().out)["checks"]}
    assert found["source"]["error"] == "DeadlineExceeded"
    assert "--limit" in found["source"]["text"]
