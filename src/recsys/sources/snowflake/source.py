"""Snowflake as a source: signs in, proves that the role only reads, and streams Arrow batches."""

from __future__ import annotations

import atexit
import logging
import math
import re
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from recsys.config import SnowflakeSettings
from recsys.errors import (
    DeadlineExceeded,
    MissingExtra,
    PrivilegeError,
    QueryFailed,
    RecsysError,
    SourceUnavailable,
    TruncatedResult,
)
from recsys.log import keys
from recsys.sources import QueryResult
from recsys.sources.snowflake import failures
from recsys.sources.snowflake.columns import cast, described, widen
from recsys.sources.snowflake.credentials import Credentials, SignIn
from recsys.sources.snowflake.deadline import Deadline, Prefetch, in_background
from recsys.sources.snowflake.privileges import refusal, secure

if TYPE_CHECKING:
    import pyarrow as pa

log = logging.getLogger(__name__)

T = TypeVar("T")

_CLOSING_S = 2.0
_LOOKING_S = 2.0
# The connector gives up signing in before our own limit does, so that it can say why.
_LOGIN_SHARE = 0.6
# What `AT(TIMESTAMP => …)` can be put behind: a query that ends with the name of its one table.
_PLAIN_SELECT = re.compile(r'\s*SELECT\s[^()]+\sFROM\s+[\w."$]+\s*', re.IGNORECASE)
_NOW = """SELECT TO_VARCHAR(CURRENT_TIMESTAMP(), 'YYYY-MM-DD"T"HH24:MI:SS.FF6TZH:TZM') AS NOW"""


def backoff() -> Iterator[int]:
    """Yield the seconds between the connector's attempts: short at first, then up to eight."""
    yield from (1, 1, 1, 2, 2, 4)
    while True:
        yield 8


class SnowflakeSource:
    """A session with Snowflake that reads and does nothing else.

    Everything that can hang happens in daemon threads; see
    :mod:`recsys.sources.snowflake.deadline`.

    Parameters
    ----------
    credentials
        Who signs in, and how.
    settings
        Timeouts, query tag and the demand on the role.
    backoff
        Makes an iterator of the seconds between the connector's attempts.

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
        settings: SnowflakeSettings = SnowflakeSettings(),  # noqa: B008 - frozen
        *,
        backoff: Callable[[], Iterator[float]] = backoff,
    ) -> None:
        self._credentials = credentials
        self._settings = settings
        self._deadline = Deadline(settings.deadline_s)
        self._moment: str | None = None
        self._one_moment = True
        self._connection: Any = self._connect(backoff)
        try:
            self._prove_read_only()
        except BaseException:
            self.close()
            raise

    @property
    def name(self) -> str:
        """Account and database; no secret."""
        database = self._credentials.database
        return f"snowflake:{self._credentials.account}" + (f"/{database}" if database else "")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the session, without waiting for a service that does not answer."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        ending = in_background(lambda: connection.close(retry=False), "snowflake: closing")
        try:
            ending.result(timeout=min(_CLOSING_S, self._deadline.left))
        except Exception as error:  # noqa: BLE001 - the session ends by itself; nothing is lost
            log.debug("the Snowflake session was left to expire", extra=keys(reason=type(error).__name__))

    def execute(self, sql: str) -> QueryResult:
        """Run one query.

        A query with integer columns of more than 18 digits (``NUMBER(38, 0)``, the type of every
        ``INTEGER``) has arrived in full when this returns, in the narrow types that the service
        chose: only then is it known whether int64 holds its values. Others stream.

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
        log.info(
            "query answered",
            extra=keys(query_id=query_id, rows=announced, as_of=self._moment, seconds=time.monotonic() - start),
        )
        tables = self._tables(cursor, announced) if announced != 0 else iter(())
        if undecided:
            held = list(tables)
            schema = widen(schema, undecided, held)
            tables = _released(held)
        return QueryResult(schema, _batches(tables, schema), announced, query_id)

    def _connect(self, backoff: Callable[[], Iterator[float]]) -> Any:
        try:
            import snowflake.connector
        except ImportError as error:
            raise MissingExtra("snowflake", "reading from Snowflake") from error
        if self._credentials.sign_in is SignIn.PASSWORD:
            log.warning(
                "signing in to Snowflake with a password: Snowflake is ending that for service users, and a leaked "
                "password works anywhere; use a key pair (docs/snowflake.md)"
            )
        arguments = {**self._credentials.arguments(), **self._session(), "backoff_policy": backoff}
        opening = in_background(lambda: snowflake.connector.connect(**arguments), "snowflake: signing in")
        try:
            connection = self._settled(opening, "signing in", self._settings.login_timeout_s)
        except RecsysError as failure:
            opening.add_done_callback(_discard)
            if isinstance(failure, SourceUnavailable):
                raise SourceUnavailable(f"{failure} ({self._look()})") from failure.__cause__
            raise
        # The connector would close the session when the interpreter ends, and wait for an answer to that.
        atexit.unregister(connection._close_at_exit)  # noqa: SLF001 - there is no public way
        log.info("signed in to Snowflake", extra=keys(account=self._credentials.account, user=self._credentials.user))
        return connection

    def _session(self) -> dict[str, Any]:
        """Return the connector's arguments that do not depend on who signs in."""
        settings = self._settings
        return {
            "login_timeout": max(1, math.floor(settings.login_timeout_s * _LOGIN_SHARE)),
            "network_timeout": settings.network_timeout_s,
            "client_session_keep_alive": False,
            # No questions to cloud metadata services about where this runs.
            "platform_detection_timeout_seconds": 0.0,
            "session_parameters": {
                "QUERY_TAG": settings.query_tag,
                "STATEMENT_TIMEOUT_IN_SECONDS": settings.statement_timeout_s,
                "ABORT_DETACHED_QUERY": True,
                "TIMEZONE": "UTC",
                "CLIENT_TELEMETRY_ENABLED": False,
                "PYTHON_CONNECTOR_QUERY_RESULT_FORMAT": "ARROW",
            },
        }

    def _look(self) -> str:
        """Say how the address looks from here, for the message of a failed sign-in."""
        host, port = self._credentials.address

        def look() -> str:
            try:
                socket.getaddrinfo(host, port)
            except OSError:
                return f"the name {host} does not resolve"
            try:
                socket.create_connection((host, port), timeout=_LOOKING_S).close()
            except OSError as error:
                return f"{host}:{port} does not accept connections: {error.strerror or error}"
            return f"{host}:{port} accepts connections"

        try:
            return in_background(look, "snowflake: looking").result(timeout=_LOOKING_S)
        except TimeoutError:
            return f"{host}:{port} does not answer"

    def _prove_read_only(self) -> None:
        demand = self._settings.require_read_only
        if demand is False:
            return
        role, excess = secure(self._rows)
        if excess and demand is True:
            raise PrivilegeError(refusal(role, excess))
        for right in excess:
            log.warning("the Snowflake role can do more than read", extra=keys(role=role, right=right))
        if not excess:
            log.info("the Snowflake role can only read", extra=keys(role=role))

    def _rows(self, sql: str) -> list[Mapping[str, Any]]:
        """Run a small statement and return its rows by lower-case column name."""

        def run() -> list[Mapping[str, Any]]:
            cursor = self._connection.cursor()
            cursor.execute(sql)
            names = [column.name.lower() for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

        return self._settled(in_background(run, "snowflake: asking"), f"running {sql!r}")

    def _query(self, sql: str) -> Any:
        """Run a query as of the run's one moment, where the account allows that."""
        if not (self._one_moment and _PLAIN_SELECT.fullmatch(sql)):
            return self._cursor(sql)
        moment = self._moment or self._now()
        try:
            cursor = self._cursor(_as_of(sql, moment), log_level=logging.DEBUG)
        except QueryFailed as refused:
            return self._query_now(sql, refused)
        self._moment = moment
        return cursor

    def _query_now(self, sql: str, refused: QueryFailed) -> Any:
        """Run a query that could not be answered as of the run's moment."""
        if self._moment is not None and self._answers(_as_of(sql, self._now())):
            raise QueryFailed(
                f"the first mart was read as of {self._moment}, and this one has no state of that moment "
                f"({refused}): it was replaced while the run was reading, so the two would not belong together. "
                "Run again when dbt is done"
            ) from refused
        cursor = self._cursor(sql)  # a table that cannot be read at all fails here, for a reason of its own
        log.warning("the marts are not read as of one moment", extra=keys(reason=str(refused)))
        self._moment, self._one_moment = None, False
        return cursor

    def _now(self) -> str:
        return str(self._rows(_NOW)[0]["now"])

    def _answers(self, sql: str) -> bool:
        try:
            self._settled(
                in_background(lambda: self._connection.cursor().describe(sql), "snowflake: describing"),
                "describing the query",
                log_level=logging.DEBUG,
            )
        except QueryFailed:
            return False
        return True

    def _cursor(self, sql: str, log_level: int = logging.ERROR) -> Any:
        def run() -> Any:
            cursor = self._connection.cursor()
            cursor.execute(sql)
            return cursor

        return self._settled(in_background(run, "snowflake: querying"), "running the query", log_level=log_level)

    def _tables(self, cursor: Any, announced: int | None) -> Iterator[pa.Table]:
        """Yield the chunks as they come, each with the rows that it promised."""
        batches, connection, query_id = cursor.get_result_batches(), self._connection, cursor.sfqid
        promised = [batch.rowcount for batch in batches]
        prefetch: Prefetch[pa.Table] = Prefetch(lambda batch: batch.to_arrow(connection=connection), batches)
        received = 0
        try:
            for number, rows in enumerate(promised):
                table = self._settled(prefetch.futures[number], f"fetching chunk {number + 1} of {len(promised)}")
                prefetch.delivered(number)
                if rows > 0 and table.num_rows != rows:
                    self._truncated(f"chunk {number + 1} of {len(promised)}", table.num_rows, rows, query_id)
                received += table.num_rows
                yield table
            if announced is not None and received != announced:
                self._truncated("the result", received, announced, query_id)
        finally:
            prefetch.stop()

    def _truncated(self, what: str, received: int, announced: int, query_id: str) -> None:
        log.error("Snowflake sent an incomplete result", extra=keys(query_id=query_id, what=what, rows=received))
        raise TruncatedResult(
            f"{what} came with {received:,} rows where Snowflake announced {announced:,} [query {query_id}]; nothing "
            "was trained on the incomplete data; run again"
        )

    def _settled(
        self, future: Future[T], doing: str, limit: float | None = None, *, log_level: int = logging.ERROR
    ) -> T:
        """Wait for work in the background; whatever it ends with is a result or one of our errors."""
        hidden = self._credentials.hidden
        try:
            return self._deadline.wait(future, doing, limit)
        except DeadlineExceeded as error:
            log.error("Snowflake hangs", extra=keys(doing=doing, deadline_s=self._deadline.seconds))  # noqa: TRY400
            raise error from None
        except RecsysError:
            raise
        except Exception as error:  # noqa: BLE001 - the connector raises far more than its own errors
            raise failures.translate(error, doing, hidden, log_level) from failures.cause(error, hidden)


def _as_of(sql: str, moment: str) -> str:
    return f"{sql.rstrip()} AT(TIMESTAMP => '{moment}'::TIMESTAMP_TZ)"


def _type_names() -> list[str]:
    from snowflake.connector.constants import FIELD_TYPES

    return [kind.name for kind in FIELD_TYPES]


def _released(held: list[pa.Table]) -> Iterator[pa.Table]:
    """Yield held tables, letting go of each."""
    held.reverse()
    while held:
        yield held.pop()


def _batches(tables: Iterator[pa.Table], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    for number, table in enumerate(tables, 1):
        yield from cast(table, schema, f"chunk {number} of the result").to_batches()


def _discard(opening: Future[Any]) -> None:
    """Close a session that came too late."""
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close(retry=False)
