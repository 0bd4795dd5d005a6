"""The one place where the connector's exceptions become ours.

The connector raises more than ``snowflake.connector.Error``: connections that are cut end as its
vendored HTTP library's exceptions (``OSError``), bodies that cannot be read as ``ValueError`` and
the like. All of them pass through :func:`translate`; each is logged once, with Snowflake's own code
and query id, and no text of it may carry a secret.
"""

from __future__ import annotations

import logging
import traceback
from typing import TYPE_CHECKING, Any

from recsys.errors import (
    AuthenticationFailed,
    ConfigError,
    DeadlineExceeded,
    QueryFailed,
    RecsysError,
    SourceUnavailable,
    TruncatedResult,
)
from recsys.system import events, keys

if TYPE_CHECKING:
    from collections.abc import Sequence

log = events(__name__)

# By Snowflake's code, or the connector's (from 250000 to 300000).
_BY_CODE: dict[frozenset[int], type[RecsysError]] = {
    frozenset({252013}): TruncatedResult,
    frozenset({604, 630}): DeadlineExceeded,  # cancelled, by a timeout or by somebody
    frozenset({390103, 390104, 390108, 390111, 390112, 390113, 390114, 390115}): SourceUnavailable,  # session gone
    frozenset({252005, 255004, 255005}): SourceUnavailable,  # rows that cannot be read
    frozenset({390201}): QueryFailed,  # database, schema or warehouse of the sign-in
    frozenset({251001, 251004, 251005, 251006, 251007, 251017}): ConfigError,
    frozenset({251008, 251010, 251018, 251021}): AuthenticationFailed,
}
_LOGIN_CODES = (390100, 400000)

# What to do about the refusals that people meet most, by Snowflake's code.
_ADVICE = {
    606: "set SNOWFLAKE_WAREHOUSE, and grant the role USAGE on that warehouse",
    609: "resume the warehouse, or let it resume by itself (AUTO_RESUME = TRUE)",
    904: "the mart lacks that column: has dbt been run with the current models?",
    1003: "the service did not understand the query: check source.games_table and source.ratings_table",
    2003: "check SNOWFLAKE_DATABASE, source.games_table and source.ratings_table, and the role's USAGE and SELECT",
    2043: "check the columns of the mart, and that the role has USAGE and SELECT",
    3001: "the role lacks a right: docs/snowflake.md has the grants that it needs",
    90105: "set SNOWFLAKE_DATABASE",
    390100: "user name or password is wrong",
    390101: "the user is locked: wait, or ask an administrator",
    390102: "the user is disabled: ask an administrator",
    390144: "the public key of the user does not match this private key (ALTER USER … SET RSA_PUBLIC_KEY), "
    "or SNOWFLAKE_ACCOUNT or SNOWFLAKE_USER is wrong, or this machine's clock",
    390189: "the role of SNOWFLAKE_ROLE does not exist or is not granted to the user",
    390201: "the database, schema or warehouse does not exist, or the role has no USAGE on it",
    390303: "the OAuth token is invalid: fetch a new one",
    390318: "the OAuth token has expired: fetch a new one",
    390422: "a network policy refuses this machine's address",
    394400: "the access token is invalid, expired or revoked: make a new one",
}


def translate(
    error: BaseException,
    doing: str,
    hidden: Sequence[str] = (),
    *,
    query_id: str | None = None,
    expected: type[RecsysError] | None = None,
) -> RecsysError:
    """Return our error for one of the connector's, and log it.

    Parameters
    ----------
    error
        Whatever was raised.
    doing
        What was being done, as it reads in "Snowflake failed while …".
    hidden
        Secrets, replaced by ``***`` wherever the vendor's text quotes them.
    query_id
        Where the error itself does not know it.
    expected
        What the caller deals with: such a failure is an event for debugging only.

    Returns
    -------
    RecsysError
        The error itself if it is ours already.
    """
    if isinstance(error, RecsysError):
        return error
    code, query_id = _code(error), getattr(error, "sfqid", None) or query_id
    kind = _kind(error, code)
    text = mask(_text(error), hidden)
    event = keys(doing=doing, error=kind.__name__, code=code, query_id=query_id, message=text)
    log.log(logging.DEBUG if expected and kind is expected else logging.WARNING, "Snowflake failed", extra=event)
    advice = _ADVICE.get(code or 0) or _HINT.get(kind, "")
    number = f" [code {code}]" if code else ""
    query = f" [query {query_id}]" if query_id else ""
    return kind(f"Snowflake failed while {doing}: {text}{number}{query}{'; ' if advice else ''}{advice}")


def cause(error: BaseException, hidden: Sequence[str]) -> BaseException | None:
    """Return ``error`` for ``raise … from``, or None if its traceback would show a secret."""
    whole = "".join(traceback.format_exception(error))
    return None if any(secret in whole for secret in hidden) else error


def mask(text: str, hidden: Sequence[str]) -> str:
    """Replace every secret in ``text``."""
    for secret in hidden:
        text = text.replace(secret, "***")
    return text


_HINT: dict[type[RecsysError], str] = {
    AuthenticationFailed: "check the SNOWFLAKE_* variables; do not retry, Snowflake locks accounts",
    SourceUnavailable: "check SNOWFLAKE_ACCOUNT or SNOWFLAKE_HOST, network and status.snowflake.com; then run again",
    TruncatedResult: "nothing was trained on the incomplete data; run again",
    DeadlineExceeded: "run again; if the query is only slow, raise snowflake.statement_timeout_s",
}


def _code(error: BaseException) -> int | None:
    code: Any = getattr(error, "errno", None)
    # An OSError's errno is the system's, not Snowflake's.
    return int(code) if isinstance(code, int) and code > 0 and not isinstance(error, OSError) else None


def _text(error: BaseException) -> str:
    message = getattr(error, "raw_msg", None) or str(error) or type(error).__name__
    return " ".join(str(message).split())


def _kind(error: BaseException, code: int | None) -> type[RecsysError]:
    """Choose the branch of our tree by code, then by class."""
    from snowflake.connector import errors as vendor

    for codes, kind in _BY_CODE.items():
        if code in codes:
            return kind
    if isinstance(error, vendor.ConfigSourceError | vendor.ConfigManagerError):
        return ConfigError
    if code is not None and _LOGIN_CODES[0] <= code < _LOGIN_CODES[1]:
        return AuthenticationFailed
    refused = (vendor.ProgrammingError, vendor.IntegrityError, vendor.DataError, vendor.NotSupportedError)
    return QueryFailed if isinstance(error, refused) else SourceUnavailable
