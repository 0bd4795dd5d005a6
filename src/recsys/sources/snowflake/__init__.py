"""The Snowflake source: the real connector, bounded in time, proved read-only, its errors made ours."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from recsys.config import Settings
from recsys.sources.snowflake.credentials import Credentials
from recsys.sources.snowflake.names import variables

if TYPE_CHECKING:
    from collections.abc import Mapping

    from recsys.config import SnowflakeSettings
    from recsys.sources.snowflake.source import SnowflakeSource
    from recsys.sources.snowflake.table import SnowflakeTable

__all__ = ["Credentials", "open_snowflake", "open_table", "variables"]


def open_snowflake(
    settings: Settings | None = None, credentials: Mapping[str, Any] | None = None, read_at: str | None = None
) -> SnowflakeSource:
    """Sign in to Snowflake and prove that the role only reads.

    Parameters
    ----------
    settings
        Settings of the run; ``settings.snowflake`` is used.
    credentials
        What to sign in with, instead of the ``SNOWFLAKE_*`` variables of the environment; none of those is read then.
    read_at
        The moment as of which the marts are read; now when not given.

    Raises
    ------
    ConfigError
        Naming every missing or contradictory variable.
    recsys.errors.SourceError, recsys.errors.PrivilegeError
        As :class:`recsys.sources.snowflake.source.SnowflakeSource` does.
    """
    from recsys.sources.snowflake.source import SnowflakeSource

    given = Credentials.from_environment(os.environ) if credentials is None else Credentials.from_mapping(credentials)
    return SnowflakeSource(given, (settings or Settings()).snowflake, read_at=read_at)


def open_table(credentials: Credentials, settings: SnowflakeSettings, table: str) -> SnowflakeTable:
    """Sign in to Snowflake to replace one table.

    Parameters
    ----------
    credentials
        Of :meth:`Credentials.for_writing`: another role than the one that reads.
    settings
        Timeouts and query tag.
    table
        ``TABLE``, ``SCHEMA.TABLE`` or ``DATABASE.SCHEMA.TABLE``.

    Raises
    ------
    recsys.errors.SourceError
        If Snowflake cannot be reached, does not answer, or does not let the user in.
    """
    from recsys.sources.snowflake.table import SnowflakeTable

    return SnowflakeTable(credentials, settings, table)
