"""Signing in through the real connector, in every way, rightly and wrongly."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import jwt
import pytest

from recsys.config import Settings, SnowflakeSettings
from recsys.errors import AuthenticationFailed, ConfigError
from recsys.sources import open_source
from recsys.sources.snowflake.source import SnowflakeSource
from standins.snowflake.canaries import ACCESS_TOKEN, IDENTITY_TOKEN, OAUTH_TOKEN, PASSPHRASE, PASSWORD, new_key

if TYPE_CHECKING:
    from pathlib import Path

    from standins.snowflake.fixtures import Warehouse

pytest_plugins = ["standins.snowflake.fixtures"]

SETTINGS = SnowflakeSettings(deadline_s=20, login_timeout_s=5)


def ways(key_file: Path, key_text: str) -> dict[str, dict[str, str]]:
    """Return the credentials of each way of signing in."""
    return {
        "key file": {"private_key_file": str(key_file), "private_key_passphrase": PASSPHRASE},
        "raw key": {"private_key_raw": key_text},
        "access token": {"token": ACCESS_TOKEN},
        "oauth token": {"token": OAUTH_TOKEN, "authenticator": "oauth"},
        "workload identity": {"workload_identity_provider": "OIDC", "token": IDENTITY_TOKEN},
        "password": {"password": PASSWORD},
    }


@pytest.mark.parametrize("way", ["key file", "raw key", "access token", "oauth token", "workload identity", "password"])
def test_each_way_signs_in(way: str, warehouse: Warehouse, key_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The service verifies signature, token or password, lets the user in, and answers a query."""
    # The connector hands a workload identity to Snowflake's own hosts only, unless told otherwise.
    monkeypatch.setenv("SNOWFLAKE_WIF_ALLOWED_HOST_SUFFIXES", "127.0.0.1")
    warehouse.table("MART_GAMES", "SELECT 1 AS GAME_ID")
    credentials = {**warehouse.address(), **ways(key_file, warehouse.key.plain)[way]}
    with open_source("snowflake", Settings(snowflake=SETTINGS), credentials) as source:
        assert sum(batch.num_rows for batch in source.execute("SELECT GAME_ID FROM ANALYTICS.MART_GAMES").batches) == 1
    assert len(warehouse.service.seen()["sign_ins"]) == 1


@pytest.mark.parametrize("way", ["raw key", "access token", "oauth token", "workload identity", "password"])
def test_a_wrong_secret_is_refused_once(way: str, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 77 after a single attempt: accounts lock after a few."""
    monkeypatch.setenv("SNOWFLAKE_WIF_ALLOWED_HOST_SUFFIXES", "127.0.0.1")
    secret = {
        "raw key": {"private_key_raw": new_key().plain},
        "access token": {"token": "canary"},
        "oauth token": {"token": "canary", "authenticator": "oauth"},
        "workload identity": {
            "workload_identity_provider": "OIDC",
            "token": jwt.encode({"iss": "x", "sub": "y"}, "k" * 32),
        },
        "password": {"password": "canary"},
    }[way]
    with pytest.raises(AuthenticationFailed, match=r"code 39") as caught:
        SnowflakeSource(warehouse.credentials(**secret), SETTINGS)
    assert caught.value.exit_code == 77
    assert len(warehouse.service.seen()["sign_ins"]) == 1


def test_a_password_is_warned_of(warehouse: Warehouse, caplog: pytest.LogCaptureFixture) -> None:
    """Snowflake is ending passwords of service users: whoever uses one is told."""
    SnowflakeSource(warehouse.credentials(password=PASSWORD), SETTINGS).close()
    warnings = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert any("password" in message and "key pair" in message for message in warnings)


def test_settings_reach_the_session(warehouse: Warehouse) -> None:
    """Query tag and statement timeout are parameters of the session that Snowflake itself enforces."""
    warehouse.open(query_tag="nightly", statement_timeout_s=77).close()
    session = warehouse.service.seen()["session"]
    assert session["QUERY_TAG"] == "nightly"
    assert session["STATEMENT_TIMEOUT_IN_SECONDS"] == 77


def test_the_environment_alone_is_enough(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """``open_source("snowflake")`` reads ``SNOWFLAKE_*``."""
    for name, value in {**warehouse.address(), "token": ACCESS_TOKEN}.items():
        monkeypatch.setenv(f"SNOWFLAKE_{name.upper()}", value)
    with open_source("snowflake") as source:
        assert source.name == "snowflake:standin/WAREHOUSE_DB"


def test_a_dictionary_replaces_the_environment(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """Given credentials are not completed by variables that happen to be set."""
    monkeypatch.setenv("SNOWFLAKE_TOKEN", ACCESS_TOKEN)
    with pytest.raises(ConfigError, match="no way of signing in"):
        open_source("snowflake", None, warehouse.address())


def test_connections_toml_is_not_read(warehouse: Warehouse, tmp_path: Path) -> None:
    """Neither a missing nor a given credential is taken from the connector's own files."""
    (tmp_path / "connections.toml").write_text(
        '[default]\naccount = "elsewhere"\nuser = "somebody"\npassword = "x"\nrole = "ACCOUNTADMIN"\n'
    )
    (tmp_path / "connections.toml").chmod(0o600)
    program = "from recsys.sources import open_source; print(open_source('snowflake').name)"
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith("SNOWFLAKE_")},
        **{f"SNOWFLAKE_{name.upper()}": value for name, value in warehouse.address().items()},
        "SNOWFLAKE_HOME": str(tmp_path),
    }
    without = subprocess.run([sys.executable, "-c", program], env=environ, capture_output=True, text=True, check=False)
    assert "no way of signing in is set" in without.stderr
    complete = subprocess.run(
        [sys.executable, "-c", program],
        env=environ | {"SNOWFLAKE_TOKEN": ACCESS_TOKEN},
        capture_output=True,
        text=True,
        check=True,
    )
    assert complete.stdout.strip() == "snowflake:standin/WAREHOUSE_DB"
