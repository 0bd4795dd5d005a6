"""Where a table goes: what the text of a target means, and one export from the first row to the last."""

from __future__ import annotations

import os
import re
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from recsys.errors import ArgumentError, ConfigError
from recsys.system.paths import named_path

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    import pyarrow as pa

    from recsys.config import SnowflakeSettings
    from recsys.export.tables import Table

_KINDS = "FILE.parquet, a folder for parts, duckdb:FILE, snowflake"
_TABLE = r"[A-Za-z_][A-Za-z0-9_$]*(\.[A-Za-z_][A-Za-z0-9_$]*){0,2}"


class Target(Protocol):
    """A place that holds one table, and holds the old one until the new one is whole."""

    @property
    def name(self) -> str:
        """What people call it; never holds a secret."""
        ...

    def replaced(
        self, schema: pa.Schema, *, recreate: bool
    ) -> AbstractContextManager[Callable[[pa.RecordBatch], None]]:
        """Enter a block that writes a table; at its end the new table takes the old one's place, in one step.

        What cannot be replaced is refused before the block begins. A block that ends with an error, or never, leaves
        the old table.

        Parameters
        ----------
        schema
            The columns of the new table.
        recreate
            Whether a table with other columns may be replaced.

        Raises
        ------
        ConfigError
            If a table with other columns stands there, and it may not be replaced.
        ArtifactWriteError
            If something else stands there, or it cannot be written.
        LockHeld
            If another process is writing it.
        """
        ...


@dataclass(frozen=True)
class Exported:
    """What an export has done.

    Attributes
    ----------
    what, release, target
        Which table of which release, and where it is.
    rows
        How many it has.
    of
        How many lists or vectors were asked for.
    ranked_by
        How many lists were ranked by what; empty for vectors.
    short
        How many lists have fewer games than asked.
    notes
        What there is to be said of the rules.
    seconds
        How long it took.
    """

    what: str
    release: str
    target: str
    rows: int
    of: int
    ranked_by: Mapping[str, int]
    short: int
    notes: tuple[str, ...]
    seconds: float

    def to_json(self) -> dict[str, object]:
        """Return it as JSON values."""
        return {
            "status": "exported",
            **vars(self),
            "ranked_by": dict(self.ranked_by),
            "seconds": round(self.seconds, 3),
        }


def export(table: Table, target: Target, *, recreate: bool = False) -> Exported:
    """Write a table, and let it take the old one's place.

    Parameters
    ----------
    table, target
        What, and where.
    recreate
        Whether a table with other columns may be replaced.

    Raises
    ------
    ArgumentError
        If the table would be empty; the old table stays.
    RecsysError
        As :meth:`Target.replaced` does; the old table stays.
    """
    began, rows = time.perf_counter(), 0
    with target.replaced(table.schema, recreate=recreate) as write:
        for batch in table.batches:
            write(batch)
            rows += batch.num_rows
        if table.of and not rows:
            said = "; ".join(("no list holds a game", *table.notes))
            raise ArgumentError(f"the table would be empty: {said}; nothing was written. Mend the filters or rules")
    ranked_by, short = Counter[str](), 0
    if table.lists is not None:
        ranked_by.update({by: lists for by, lists in table.lists.ranked_by.items() if by})
        short = table.lists.short
    seconds = time.perf_counter() - began
    return Exported(table.what, table.release, target.name, rows, table.of, ranked_by, short, table.notes, seconds)


def open_target(text: str, table: str, snowflake: SnowflakeSettings | None = None) -> Target:
    """Return the target that a text names.

    Parameters
    ----------
    text
        ``FILE.parquet``; ``duckdb:FILE``; ``snowflake``; or a folder of part files.
    table
        Name of the table in a database, perhaps with a schema before it.
    snowflake
        How Snowflake is asked; who asks comes from ``SNOWFLAKE_EXPORT_*``.

    Raises
    ------
    ConfigError
        If the text is none of these, or a variable is missing.
    """
    if not re.fullmatch(_TABLE, table):
        raise ConfigError(f"--table {table!r} is no name of a table: words of letters, digits and _, with dots between")
    if text == "snowflake":
        from recsys.config import SnowflakeSettings
        from recsys.export.snowflake import SnowflakeTarget
        from recsys.sources.snowflake import Credentials

        return SnowflakeTarget(Credentials.for_writing(os.environ), snowflake or SnowflakeSettings(), table)
    if text.startswith("duckdb:"):
        from recsys.export.duckdb import DuckDBTarget

        return DuckDBTarget(named_path(text.removeprefix("duckdb:"), "target", text, _KINDS), table)
    from recsys.export.parquet import ParquetFile, ParquetFolder

    path = named_path(text, "target", text, _KINDS)
    return ParquetFile(path) if path.suffix == ".parquet" else ParquetFolder(path)


def refuse_other_columns(name: str, there: Mapping[str, Any], ours: Mapping[str, Any], *, recreate: bool) -> None:
    """Refuse a table with other columns, unless it may be replaced.

    Parameters
    ----------
    name
        Of the target.
    there, ours
        The columns of the table that is there and of the new one, in order, with what tells their types apart.
    recreate
        Whether it may.

    Raises
    ------
    ConfigError
        Naming what differs.
    """
    if recreate or list(there.items()) == list(ours.items()):
        return
    differing = [
        f"{column} is {there.get(column, 'not there')} where the new table has {ours.get(column, 'no such column')}"
        for column in dict.fromkeys((*there, *ours))
        if there.get(column) != ours.get(column)
    ] or ["the columns stand in another order"]
    raise ConfigError(
        f"{name} is a table with other columns: {'; '.join(differing[:4])}. Name another target, or replace it with "
        "--recreate"
    )
