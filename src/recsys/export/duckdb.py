"""A table in a DuckDB file, replaced in one transaction; all else in the file stays."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from recsys.errors import ArtifactWriteError, ConfigError, LockHeld, MissingExtra
from recsys.export.staged import held, staged_for
from recsys.export.targets import refuse_other_columns
from recsys.release.durable import make_folder, remove, rename, writing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import pyarrow as pa

_MEMORY = "384MB"
"""What DuckDB may hold; beyond it, rows go to the file as they come."""


class DuckDBTarget:
    """A table of a DuckDB file.

    Parameters
    ----------
    path
        The file; made if it does not exist.
    table
        ``TABLE`` or ``SCHEMA.TABLE``; a schema that does not exist is made.

    Raises
    ------
    ConfigError
        If the name is none.
    """

    def __init__(self, path: Path, table: str) -> None:
        self._schema, _, self._table = table.rpartition(".")
        if "." in self._schema:
            raise ConfigError(f"--table {table}: a DuckDB file takes TABLE or SCHEMA.TABLE")
        self._path = path.resolve()
        self.name = f"duckdb:{path} ({table})"

    @contextmanager
    def replaced(self, schema: pa.Schema, *, recreate: bool) -> Iterator[Callable[[pa.RecordBatch], None]]:
        """Write the new table and drop the old one in one transaction; see :class:`recsys.export.targets.Target`."""
        make_folder(self._path.parent)
        if self._path.exists() and not self._path.is_file():
            raise ArtifactWriteError(f"cannot write {self._path}: it is no plain file; name another")
        staged = staged_for(self._path)
        if self._path.exists():
            if staged.exists():  # an export was killed between its last two steps
                with held(staged, folder=True):
                    remove(staged)
            with self._written(self._path, schema, recreate=recreate) as write:
                yield write
            return
        # A file that is killed while DuckDB makes it is no database: a new one is made beside its place.
        with held(staged, folder=True):
            try:
                with writing(f"clear {staged}"):
                    for left in os.listdir(staged):
                        remove(staged / left)
                with self._written(staged / self._path.name, schema, recreate=recreate, alone=True) as write:
                    yield write
                with writing(f"look through {staged}"):
                    beside = sorted(set(os.listdir(staged)) - {self._path.name})
                if beside:
                    raise ArtifactWriteError(
                        f"cannot write {self.name}: rows are left in {staged / beside[0]}; run again"
                    )
                rename(staged / self._path.name, self._path)
            finally:
                with suppress(ArtifactWriteError):
                    remove(staged)

    @contextmanager
    def _written(
        self, path: Path, schema: pa.Schema, *, recreate: bool, alone: bool = False
    ) -> Iterator[Callable[[pa.RecordBatch], None]]:
        import pyarrow as pa

        connection = self._connected(path)
        try:
            with self._failing():
                connection.execute("BEGIN TRANSACTION")
                self._prepare(connection, schema.empty_table(), recreate=recreate)

            def write(batch: pa.RecordBatch) -> None:
                with self._failing():
                    connection.register("exported_rows", pa.Table.from_batches([batch]))
                    connection.execute(f"INSERT INTO {self._quoted} SELECT * FROM exported_rows")
                    connection.unregister("exported_rows")

            yield write
            with self._failing():
                connection.execute("COMMIT")
                if alone:  # closing does the same, and says nothing where it fails
                    connection.execute("CHECKPOINT")
                connection.close()
        except BaseException:
            with suppress(Exception):
                connection.close()
            raise

    def _connected(self, path: Path) -> Any:
        try:
            import duckdb
        except ImportError as error:
            raise MissingExtra("train", "an export into a DuckDB file") from error
        with self._failing():
            return duckdb.connect(str(path), config={"memory_limit": _MEMORY, "threads": 1})

    def _prepare(self, connection: Any, empty: pa.Table, *, recreate: bool) -> None:
        """Make the empty new table, once it is clear that it may take the old one's place."""
        connection.register("exported_rows", empty)
        described = "SELECT column_name, column_type FROM (DESCRIBE {})"
        ours = dict(connection.execute(described.format("exported_rows")).fetchall())
        kinds = connection.execute(
            "SELECT table_type FROM information_schema.tables WHERE upper(table_name) = upper(?) "
            "AND upper(table_schema) = upper(?) AND table_catalog = current_database()",
            [self._table, self._schema or "main"],
        ).fetchall()
        if kinds and kinds[0][0] != "BASE TABLE":
            raise ArtifactWriteError(f"cannot write {self.name}: it is a {kinds[0][0].lower()}; name another table")
        if kinds:
            there = dict(connection.execute(described.format(self._quoted)).fetchall())
            refuse_other_columns(self.name, there, ours, recreate=recreate)
        elif self._schema:
            connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{self._schema}"')
        connection.execute(f"CREATE OR REPLACE TABLE {self._quoted} AS SELECT * FROM exported_rows")
        connection.unregister("exported_rows")

    @property
    def _quoted(self) -> str:
        return f'"{self._schema or "main"}"."{self._table}"'

    @contextmanager
    def _failing(self) -> Iterator[None]:
        """Translate DuckDB's failures."""
        import duckdb

        try:
            yield
        except duckdb.Error as error:
            text = " ".join(str(error).split())
            if isinstance(error, duckdb.IOException) and "lock" in text.lower():
                raise LockHeld(f"{self._path} is open elsewhere: {text}; close it there, then run again") from error
            advice = (
                "free some space on that file system" if "No space left" in text else "mend the cause and run again"
            )
            raise ArtifactWriteError(f"cannot write {self.name}: {text}; {advice}") from error
