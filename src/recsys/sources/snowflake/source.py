"""Snowflake as a source: proves that the role only reads, and sends both marts as Arrow batches."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NoReturn

from recsys.errors import PrivilegeError, QueryFailed, SourceChanged, TruncatedResult
from recsys.marts import MartQuery
from recsys.sources import QueryResult, Source
from recsys.sources.snowflake.columns import cast, described, widen
from recsys.sources.snowflake.deadline import Prefetch
from recsys.sources.snowflake.privileges import refusal, secure
from recsys.sources.snowflake.session import Session, backoff
from recsys.system import events, keys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pyarrow as pa

    from recsys.config import SnowflakeSettings
    from recsys.sources.snowflake.credentials import Credentials

log = events(__name__)

_NOW = """SELECT TO_VARCHAR(CURRENT_TIMESTAMP(), 'YYYY-MM-DD"T"HH24:MI:SS.FF6TZH:TZM') AS NOW"""


class SnowflakeSource(Source):
    """A session with Snowflake that reads and does nothing else.

    Parameters
    ----------
    credentials
        Who signs in, and how.
    settings
        Timeouts, query tag and the demand on the role.
    backoff
        Makes an iterator of the seconds between the connector's attempts.
    read_at
        The moment as of which the marts are read, and no other; that of the first query when not given.

    Raises
    ------
    AuthenticationFailed
        If Snowflake does not let the user in.
    SourceUnavailable, DeadlineExceeded
        If it cannot be reached, or does not answer.
    PrivilegeError
        If the role can do more than read, and the settings do not allow that.
    """

    def __init__(
        self,
        credentials: Credentials,
        settings: SnowflakeSettings,
        *,
        backoff: Callable[[], Iterator[float]] = backoff,
        read_at: str | None = None,
    ) -> None:
        self._name = f"snowflake:{credentials.account}" + (f"/{credentials.database}" if credentials.database else "")
        self._read_at = read_at
        self._moment: str | None = None
        self._one_moment = True
        self._session = Session(credentials, settings, backoff)
        try:
            self._prove_read_only(settings)
        except BaseException:
            self.close()
            raise

    @property
    def name(self) -> str:
        """The account, and the database where one is named."""
        return self._name

    def close(self) -> None:
        """End the session; may be called twice."""
        self._session.close()

    def execute(self, sql: str) -> QueryResult:
        """Run one query.

        The rows stream. An integer column of more than 18 digits (``NUMBER(38, 0)``, which is what
        Snowflake makes of ``INTEGER``) is int64 up to the first chunk that it does not fit, and
        ``decimal128(38, 0)`` from there on.

        Raises
        ------
        QueryFailed
            If a table, column or right is missing, or a mart was replaced between two queries.
        SourceUnavailable, DeadlineExceeded, TruncatedResult
            If the service fails, hangs, or sends less than it announced; also while the batches
            are consumed.
        """
        start = time.monotonic()
        cursor = self._query(sql)
        announced, query_id = cursor.rowcount, cursor.sfqid
        schema, undecided = described(cursor.description, _type_names())
        seconds = time.monotonic() - start
        log.info(
            "query answered",
            extra=keys(query_id=query_id, rows=announced, as_of=self._moment or "now", seconds=seconds),
        )
        tables = self._tables(cursor, announced) if announced != 0 else iter(())
        return QueryResult(schema, _batches(tables, schema, undecided), announced, query_id, self._moment)

    def column_types(self, table: str) -> dict[str, str]:
        """Return the type of each column of a table, in Snowflake's words; nothing runs in a warehouse.

        Raises
        ------
        QueryFailed
            If the role cannot read the table.
        """
        names = _type_names()
        return {column.name: names[column.type_code] for column in self._session.described(f"SELECT * FROM {table}")}

    def _prove_read_only(self, settings: SnowflakeSettings) -> None:
        if settings.require_read_only is False:
            return
        role, excess = secure(self._session.rows)
        if excess and settings.require_read_only is True:
            raise PrivilegeError(refusal(role, excess))
        for right in excess:
            log.warning("the Snowflake role can do more than read", extra=keys(role=role, right=right))
        if not excess:
            log.info("the Snowflake role can only read", extra=keys(role=role))

    def _query(self, sql: str) -> Any:
        """Run a query as of the run's one moment, where the account allows that."""
        query = MartQuery.read(sql)
        if query is None or not self._one_moment:
            return self._session.cursor(sql)
        if self._read_at is not None:
            return self._query_then(query, self._read_at)
        moment = self._moment or self._now()
        try:
            cursor = self._session.cursor(_as_of(query, moment), expected=QueryFailed)
        except QueryFailed as refused:
            return self._query_now(query, refused)
        self._moment = moment
        return cursor

    def _query_then(self, query: MartQuery, moment: str) -> Any:
        """Run a query as of a moment that somebody named: rows of another are not what was asked for."""
        try:
            cursor = self._session.cursor(_as_of(query, moment), expected=QueryFailed)
        except QueryFailed as refused:
            raise QueryFailed(
                f"{query.table} cannot be read as of {moment} ({refused}): the past of a mart is kept for its"
                " DATA_RETENTION_TIME_IN_DAYS, and ends where the mart is replaced; name a copy of the marts of then"
            ) from refused
        self._moment = moment
        return cursor

    def _query_now(self, query: MartQuery, refused: QueryFailed) -> Any:
        """Run a query that could not be answered as of the run's moment."""
        if self._moment is not None and self._session.compiles(_as_of(query, self._now())):
            raise SourceChanged(
                f"the first mart was read as of {self._moment}, and this one has no state of that moment "
                f"({refused}): it was replaced while the run was reading, so the two would not belong together. "
                "Run again when dbt is done"
            ) from refused
        cursor = self._session.cursor(query)  # a table that cannot be read at all fails here, for a reason of its own
        log.warning("the marts are not read as of one moment", extra=keys(reason=str(refused)))
        self._moment, self._one_moment = None, False
        return cursor

    def _now(self) -> str:
        return str(self._session.rows(_NOW)[0]["now"])

    def _tables(self, cursor: Any, announced: int | None) -> Iterator[pa.Table]:
        """Yield the chunks in order, each with the rows that it promised."""
        batches, query_id = _arrow_batches(cursor), cursor.sfqid
        connection, promised = self._session.connection, [batch.rowcount for batch in batches]
        prefetch: Prefetch[pa.Table] = Prefetch(lambda batch: _owned(batch.to_arrow(connection=connection)), batches)
        received = 0
        try:
            for number, rows in enumerate(promised):
                chunk = f"chunk {number + 1} of {len(promised)}"
                table = self._session.settled(prefetch.futures[number], f"fetching {chunk}", query_id=query_id)
                prefetch.delivered(number)
                if rows > 0 and table.num_rows != rows:
                    _truncated(chunk, table.num_rows, rows, query_id)
                received += table.num_rows
                yield table
            if announced is not None and received != announced:
                _truncated("the result", received, announced, query_id)
        finally:
            prefetch.stop()


def _arrow_batches(cursor: Any) -> list[Any]:
    from snowflake.connector.result_batch import ArrowResultBatch

    batches: list[Any] = cursor.get_result_batches()
    if not all(isinstance(batch, ArrowResultBatch) for batch in batches):
        raise QueryFailed(
            "Snowflake sent the rows as JSON, which does not keep types apart; let the account or the user have "
            f"PYTHON_CONNECTOR_QUERY_RESULT_FORMAT = 'ARROW' [query {cursor.sfqid}]"
        )
    return batches


def _truncated(what: str, received: int, announced: int, query_id: str) -> NoReturn:
    log.warning("Snowflake sent an incomplete result", extra=keys(query_id=query_id, what=what, rows=received))
    raise TruncatedResult(
        f"{what} came with {received:,} rows where Snowflake announced {announced:,} [query {query_id}]; nothing "
        "was trained on the incomplete data; run again"
    )


def _as_of(query: MartQuery, moment: str) -> str:
    # A query of one table alone: what stands behind it stands behind the table's name.
    return f"{query} AT(TIMESTAMP => '{moment}'::TIMESTAMP_TZ)"


def _type_names() -> list[str]:
    from snowflake.connector.constants import FIELD_TYPES

    return [kind.name for kind in FIELD_TYPES]


def _owned(table: pa.Table) -> pa.Table:
    """Copy a chunk out of the connector's memory into the system's, which is given back at once."""
    import pyarrow as pa

    return table.combine_chunks(pa.system_memory_pool())


def _batches(tables: Iterator[pa.Table], schema: pa.Schema, undecided: list[str]) -> Iterator[pa.RecordBatch]:
    for number, table in enumerate(tables, 1):
        schema = widen(schema, undecided, table)
        yield from cast(table, schema, f"chunk {number} of the result").to_batches()
