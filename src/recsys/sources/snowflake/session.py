"""A session with Snowflake in which nothing waits for ever, and every failure is one of our errors."""

from __future__ import annotations

import atexit
import math
import socket
from typing import TYPE_CHECKING, Any, TypeVar

from recsys.errors import DeadlineExceeded, MissingExtra, QueryFailed, RecsysError, SourceUnavailable
from recsys.sources.snowflake import failures
from recsys.sources.snowflake.credentials import Credentials, SignIn
from recsys.sources.snowflake.deadline import Deadline
from recsys.system import events, keys
from recsys.system.background import in_background

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from concurrent.futures import Future

    from recsys.config import SnowflakeSettings

log = events(__name__)

T = TypeVar("T")

_CLOSING_S = 2.0
_LOOKING_S = 2.0
# The connector gives up signing in before our own limit does, so that it can say why.
_LOGIN_SHARE = 0.6


def backoff() -> Iterator[int]:
    """Yield the seconds between the connector's attempts: short at first, then up to eight."""
    yield from (1, 1, 1, 2, 2, 4)
    while True:
        yield 8


class Session:
    """One signed-in connection; its calls return or raise within the deadline.

    Parameters
    ----------
    credentials
        Who signs in, and how.
    settings
        Timeouts and query tag.
    backoff
        Makes an iterator of the seconds between the connector's attempts.

    Raises
    ------
    AuthenticationFailed
        If Snowflake does not let the user in.
    SourceUnavailable, DeadlineExceeded
        If it cannot be reached, or does not answer.
    """

    def __init__(
        self,
        credentials: Credentials,
        settings: SnowflakeSettings,
        backoff: Callable[[], Iterator[float]] = backoff,
    ) -> None:
        self._credentials = credentials
        self._settings = settings
        self._deadline = Deadline(settings.deadline_s)
        self.connection: Any = self._connect(backoff)

    def settled(
        self,
        future: Future[T],
        doing: str,
        *,
        limit: float | None = None,
        query_id: str | None = None,
        expected: type[RecsysError] | None = None,
    ) -> T:
        """Wait for work in the background; whatever it ends with is its result or one of our errors.

        Parameters
        ----------
        future
            The future of the work.
        doing
            What it does, as it reads in "Snowflake failed while …".
        limit
            Seconds, if it may not take all that is left of the deadline.
        query_id
            Id of the query that the work belongs to, where its own errors do not know it.
        expected
            The failure that the caller deals with: an event for debugging only.
        """
        try:
            return self._deadline.wait(future, doing, limit)
        except DeadlineExceeded as error:
            log.warning("Snowflake hangs", extra=keys(doing=doing, query_id=query_id))
            raise error from None
        except RecsysError:
            raise
        except Exception as error:  # noqa: BLE001 - the connector raises far more than its own errors
            hidden = self._credentials.hidden
            failure = failures.translate(error, doing, hidden, query_id=query_id, expected=expected)
            raise failure from failures.cause(error, hidden)

    def rows(self, sql: str) -> list[Mapping[str, Any]]:
        """Run a small statement and return its rows by lower-case column name."""

        def run() -> list[Mapping[str, Any]]:
            cursor = self.connection.cursor()
            cursor.execute(sql)
            names = [column.name.lower() for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

        return self.settled(in_background(run, "snowflake: asking"), f"running {sql!r}")

    def cursor(self, sql: str, expected: type[RecsysError] | None = None) -> Any:
        """Run a query and return its cursor, the result still to be fetched."""

        def run() -> Any:
            cursor = self.connection.cursor()
            cursor.execute(sql)
            return cursor

        return self.settled(in_background(run, "snowflake: querying"), "running the query", expected=expected)

    def described(self, sql: str) -> list[Any]:
        """Return the description of a query's answer, without running it.

        Raises
        ------
        QueryFailed
            If Snowflake would not accept it.
        """
        describing = in_background(lambda: self.connection.cursor().describe(sql), "snowflake: describing")
        description: list[Any] = self.settled(describing, "describing the query", expected=QueryFailed)
        return description

    def compiles(self, sql: str) -> bool:
        """Tell whether Snowflake would accept a query, without running it."""
        try:
            self.described(sql)
        except QueryFailed:
            return False
        return True

    def close(self) -> None:
        """End the session, without waiting for a service that does not answer; may be called twice."""
        connection, self.connection = self.connection, None
        if connection is None:
            return
        ending = in_background(lambda: connection.close(retry=False), "snowflake: closing")
        try:
            ending.result(timeout=min(_CLOSING_S, self._deadline.left))
        except Exception as error:  # noqa: BLE001 - the session ends by itself; nothing is lost
            log.debug("the Snowflake session was left to expire", extra=keys(reason=type(error).__name__))

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
        arguments = {**self._credentials.arguments(), **self._arguments(), "backoff_policy": backoff}
        opening = in_background(lambda: snowflake.connector.connect(**arguments), "snowflake: signing in")
        try:
            connection = self.settled(opening, "signing in", limit=self._settings.login_timeout_s)
        except RecsysError as failure:
            opening.add_done_callback(_discard)
            if isinstance(failure, SourceUnavailable):
                raise SourceUnavailable(f"{failure} ({_look(*self._credentials.address)})") from failure.__cause__
            raise
        # The connector would end the session when the interpreter ends, and wait for an answer to that.
        atexit.unregister(connection._close_at_exit)  # noqa: SLF001 - there is no public way
        log.info("signed in to Snowflake", extra=keys(account=self._credentials.account, user=self._credentials.user))
        return connection

    def _arguments(self) -> dict[str, Any]:
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


def _discard(opening: Future[Any]) -> None:
    """End a session that came too late."""
    if opening.exception() is None:
        opening.result().close(retry=False)


def _look(host: str, port: int) -> str:
    """Say how an address looks from here, for the message of a failed sign-in."""

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
