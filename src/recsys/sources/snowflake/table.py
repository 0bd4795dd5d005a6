"""One table in Snowflake that is replaced as a whole: filled beside it, and put in its place by one statement."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from recsys.errors import ConfigError, TruncatedResult
from recsys.sources.snowflake.session import Session
from recsys.system import events, keys

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from recsys.config import SnowflakeSettings
    from recsys.sources.snowflake.credentials import Credentials

log = events(__name__)

_STAGING = "__EXPORT"
"""Ending of the name of the table that is filled first. One that a killed export has left is made anew by the next; two
exports at once count each other's rows, and fail."""
_NAME = r"[A-Za-z_][A-Za-z0-9_$]*"


class SnowflakeTable:
    """A session that replaces one table.

    Parameters
    ----------
    credentials, settings
        Who signs in, and how Snowflake is asked.
    table
        ``TABLE``, ``SCHEMA.TABLE`` or ``DATABASE.SCHEMA.TABLE``; what is left out is as the credentials say.

    Raises
    ------
    AuthenticationFailed
        If Snowflake does not let the user in.
    SourceUnavailable, DeadlineExceeded
        If it cannot be reached, or does not answer.
    QueryFailed
        If the role lacks a right.
    ConfigError
        If a name is none.
    """

    def __init__(self, credentials: Credentials, settings: SnowflakeSettings, table: str) -> None:
        given = table.split(".")
        defaults = [credentials.database or "", credentials.schema or ""]
        self._database, self._schema, self._table = [*defaults[: 3 - len(given)], *given]
        self.name = f"{self._database}.{self._schema}.{self._table}"
        if not re.fullmatch(rf"{_NAME}\.{_NAME}\.{_NAME}", self.name):
            raise ConfigError(
                f"{self.name} is no name of a table: database, schema and table are words of letters, digits and _"
            )
        self._staging = self.name + _STAGING
        self._session = Session(credentials, settings)
        try:
            # The named role alone: what it may not do, no other role of the user's does for it.
            self._run("USE SECONDARY ROLES NONE")
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the session; may be called twice."""
        self._session.close()

    def columns(self) -> dict[str, str] | None:
        """Return the columns of the table that is there, in order, and their types; None if there is none."""
        rows = self._session.rows(
            f"SELECT COLUMN_NAME, DATA_TYPE FROM {self._database}.INFORMATION_SCHEMA.COLUMNS "
            f"WHERE TABLE_SCHEMA = '{self._schema.upper()}' AND TABLE_NAME = '{self._table.upper()}' "
            "ORDER BY ORDINAL_POSITION"
        )
        return {row["column_name"]: row["data_type"] for row in rows} or None

    def begin(self, columns: Mapping[str, str]) -> None:
        """Make the empty staging table.

        Parameters
        ----------
        columns
            Type of each column, in order.
        """
        definitions = ", ".join(f"{name} {kind}" for name, kind in columns.items())
        self._run(f"CREATE OR REPLACE TRANSIENT TABLE {self._staging} ({definitions})")

    def load(self, file: Path, rows: int) -> None:
        """Send a Parquet file, and copy its rows into the staging table.

        Raises
        ------
        TruncatedResult
            If not all rows arrived.
        """
        stage = f"@{self._database}.{self._schema}.%{self._table}{_STAGING}"
        self._run(f"PUT 'file://{file}' {stage} AUTO_COMPRESS = FALSE OVERWRITE = TRUE")
        answer = self._run(
            f"COPY INTO {self._staging} FROM {stage} FILE_FORMAT = (TYPE = PARQUET USE_LOGICAL_TYPE = TRUE) "
            "MATCH_BY_COLUMN_NAME = CASE_INSENSITIVE PURGE = TRUE"
        )
        loaded = sum(int(row.get("rows_loaded") or 0) for row in answer)
        if loaded != rows:
            raise TruncatedResult(
                f"Snowflake loaded {loaded:,} of the {rows:,} rows of {file.name}; {self.name} is as it was; run again"
            )
        log.info("sent rows to Snowflake", extra=keys(rows=rows, table=self.name))

    def replace(self, columns: Mapping[str, str], rows: int, *, there: bool, recreate: bool) -> None:
        """Let the rows of the staging table take the place of the table's, in one statement.

        Parameters
        ----------
        columns
            Type of each column, in order.
        rows
            How many there must be.
        there
            Whether the table exists: its grants stay.
        recreate
            Whether it gets new columns.

        Raises
        ------
        TruncatedResult
            If the staging table does not hold that many.
        """
        counted = int(self._run(f"SELECT COUNT(*) AS STAGED FROM {self._staging}")[0]["staged"])
        if counted != rows:
            raise TruncatedResult(f"Snowflake holds {counted:,} of {rows:,} rows; {self.name} is as it was; run again")
        names = ", ".join(columns)
        selected = f"SELECT {names} FROM {self._staging}"
        if not there:
            self._run(f"CREATE TABLE {self.name} AS {selected}")
        elif recreate:
            self._run(f"CREATE OR REPLACE TABLE {self.name} COPY GRANTS AS {selected}")
        else:
            self._run(f"INSERT OVERWRITE INTO {self.name} ({names}) {selected}")
        self._run(f"DROP TABLE IF EXISTS {self._staging}")

    def _run(self, sql: str) -> list[Mapping[str, Any]]:
        return self._session.rows(sql)
