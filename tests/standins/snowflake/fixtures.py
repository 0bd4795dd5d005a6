"""Fixtures: one stand-in for each test process, wiped for each test."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from recsys.config import SnowflakeSettings
from recsys.sources.snowflake.credentials import Credentials
from recsys.sources.snowflake.session import backoff
from recsys.sources.snowflake.source import SnowflakeSource
from standins.snowflake.canaries import ACCESS_TOKEN, IDENTITY_TOKEN, OAUTH_TOKEN, PASSWORD, KeyPair, new_key
from standins.snowflake.identity import Identity
from standins.snowflake.process import StandIn

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pyarrow as pa


@dataclass
class Warehouse:
    """A test's view of the stand-in.

    Attributes
    ----------
    service
        To set chunks, roles and faults, and to see what arrived.
    key
        Of the user.
    """

    service: StandIn
    key: KeyPair

    def address(self) -> dict[str, str]:
        """Return the credentials without a way of signing in."""
        return {
            "account": "standin",
            "user": "trainer",
            "role": "TRAINER",
            "warehouse": "TRAINING_WH",
            "database": "WAREHOUSE_DB",
            "schema": "ANALYTICS",
            "host": "127.0.0.1",
            "port": str(self.service.port),
            "protocol": "http",
        }

    def credentials(self, **changed: str) -> Credentials:
        """Return credentials that are let in, with an access token if no other way is given."""
        ways = {"private_key_raw", "token", "password", "workload_identity_provider"}
        default = {} if ways & changed.keys() else {"token": ACCESS_TOKEN}
        return Credentials.from_mapping({**self.address(), **default, **changed})

    def open(self, *, quick: bool = False, read_at: str | None = None, **settings: Any) -> SnowflakeSource:
        """Open a source; ``quick`` retries chunks without pauses, ``read_at`` is the moment of the marts."""
        chosen = SnowflakeSettings(**{"deadline_s": 20, "login_timeout_s": 5, "network_timeout_s": 2, **settings})
        pauses = (lambda: itertools.repeat(0.01)) if quick else backoff
        return SnowflakeSource(self.credentials(), chosen, backoff=pauses, read_at=read_at)

    def table(self, name: str, select: str) -> None:
        """Create a table of ``ANALYTICS`` from a query in DuckDB's SQL."""
        self.service.duckdb(f"CREATE OR REPLACE TABLE WAREHOUSE_DB.ANALYTICS.{name} AS {select}")

    def fetch(self, sql: str, **settings: Any) -> pa.Table:
        """Run a query in a session of its own and return everything."""
        with self.open(**settings) as source:
            result = source.execute(sql)
            table = result.table()
        assert result.rows_announced == table.num_rows
        return table


@pytest.fixture(scope="session")
def snowflake_service() -> Iterator[tuple[StandIn, KeyPair]]:
    """Run the stand-in as long as the tests do."""
    key = new_key()
    with StandIn("--chunks", "1") as service:
        identity = Identity(
            public_key=key.public,
            access_token=ACCESS_TOKEN,
            oauth_token=OAUTH_TOKEN,
            identity_token=IDENTITY_TOKEN,
            password=PASSWORD,
        )
        service.set(identity=identity)
        yield service, key


@pytest.fixture
def warehouse(snowflake_service: tuple[StandIn, KeyPair]) -> Warehouse:
    """Return a stand-in without faults, and with a role that can only read."""
    service, key = snowflake_service
    service.reset()
    return Warehouse(service, key)


@pytest.fixture
def key_file(snowflake_service: tuple[StandIn, KeyPair], tmp_path: Path) -> Path:
    """Write the user's key, encrypted, into a file."""
    path = tmp_path / "rsa_key.p8"
    path.write_text(snowflake_service[1].encrypted)
    return path
