"""DuckDB as a source: a database file, or a folder of mart files.

Everything is opened for reading, nothing is fetched from elsewhere: extensions are never
installed, Python's variables are no tables, and a folder's connection may open the two mart files
and nothing else.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Self

from recsys.errors import DataContractError, QueryFailed, RecsysError, SourceNotFound, SourceUnavailable
from recsys.marts import MartQuery
from recsys.marts.headings import refuse_twins
from recsys.sources import QueryResult, Source
from recsys.sources.folder import create_views, find_marts, glob_escaped, literal, one_line
from recsys.system import usable_cores

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import duckdb
    import pyarrow as pa

BATCH_ROWS = 122_880
"""Rows of an Arrow batch: one of DuckDB's own row groups."""

_CATALOG = "recsys_source"


class DuckDBSource(Source):
    """Answers SQL from DuckDB; made by one of the ``from_…`` methods.

    Parameters
    ----------
    connection
        Open connection, owned from now on.
    name
        What people call the source.
    countable
        Upper-case ``SCHEMA.TABLE`` names whose rows DuckDB counts without reading them.
    headings
        Names of the columns by upper-case ``SCHEMA.TABLE``, as the data have them: DuckDB finds the first of those
        that differ in case alone, and calls the others ``RATING_1``.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        name: str,
        countable: frozenset[str],
        headings: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self._connection: duckdb.DuckDBPyConnection | None = connection
        self._name = name
        self._countable = countable
        self._headings = headings or {}

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """Open an existing DuckDB database for reading.

        Raises
        ------
        SourceUnavailable
            If there is no such file, it is not DuckDB's, or another process writes to it.
        """
        import duckdb

        path = path.absolute()
        if not path.is_file():
            there = "is a folder, not a file" if path.is_dir() else "does not exist"
            raise SourceNotFound(f"DuckDB file {path} {there}; --source duckdb:FILE takes an existing database")
        connection = _connect()
        try:
            # Attached under a name of our own: a file called analytics.duckdb would make "ANALYTICS." ambiguous.
            connection.execute(f"ATTACH {literal(str(path))} AS {_CATALOG} (TYPE duckdb, READ_ONLY); USE {_CATALOG}")
            tables = connection.execute(
                "SELECT upper(schema_name || '.' || table_name) FROM duckdb_tables() WHERE database_name = ?",
                [_CATALOG],
            ).fetchall()
        except duckdb.Error as error:
            connection.close()
            raise SourceUnavailable(
                f"DuckDB file {path} cannot be opened for reading: {one_line(error)}; "
                f"is it a database that DuckDB {duckdb.__version__} reads, and is no other process writing to it?"
            ) from error
        return cls(connection, f"duckdb:{path}", frozenset(name for (name,) in tables))

    @classmethod
    def from_folder(cls, folder: Path) -> Self:
        """Open a folder of ``mart_games.{parquet,csv,csv.gz}`` and ``mart_user_ratings.{…}``.

        Raises
        ------
        SourceUnavailable
            If the folder or a mart is missing, or a file cannot be read as what its ending says.
        ConfigError
            If a mart is there in two formats.
        DataContractError
            If a CSV file names no columns, or one twice.
        """
        import duckdb

        marts = find_marts(folder)
        connection = _connect()
        try:
            allowed = ", ".join(
                literal(path) for mart in marts for part in mart.parts for path in (str(part), glob_escaped(part))
            )
            connection.execute(f"SET allowed_paths = [{allowed}]; SET enable_external_access = false")
            create_views(connection, marts)
        except duckdb.Error as error:
            connection.close()
            raise SourceUnavailable(f"source folder {folder} cannot be read: {one_line(error)}") from error
        except RecsysError:
            connection.close()
            raise
        parquet = {mart.view: mart.headings() for mart in marts if mart.format == "parquet"}
        return cls(connection, str(folder.absolute()), frozenset(parquet), parquet)

    @classmethod
    def from_tables(cls, tables: Mapping[str, pa.Table], name: str) -> Self:
        """Serve Arrow tables by their ``SCHEMA.TABLE`` names, copied into memory."""
        connection = _connect()
        for table, content in tables.items():
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {table.partition('.')[0]}")
            connection.from_arrow(content).create(table)
        headings = {table.upper(): content.column_names for table, content in tables.items()}
        return cls(connection, name, frozenset(headings), headings)

    @property
    def name(self) -> str:
        """The file or folder."""
        return self._name

    def execute(self, sql: str) -> QueryResult:
        """Run one query.

        Batches stream: no more than a few are in memory at a time. Column names come back as the
        query spells them. ``rows_announced`` is given for a plain ``SELECT columns FROM table``
        where counting costs nothing.

        Raises
        ------
        DataContractError
            If the table lacks a column, or has two whose names differ in case alone.
        QueryFailed
            If the table is missing, or the query cannot be answered.
        """
        import duckdb

        cursor = self._cursor()
        self._refuse_twins(sql)
        try:
            relation = cursor.sql(sql)
            if relation is None:
                raise QueryFailed(f"{self.name} answers queries alone, and this is a statement: {sql}")
            self._require_columns(sql)
            reader = relation.to_arrow_reader(BATCH_ROWS)
            announced = self._count(sql)
        except duckdb.Error as error:
            raise self._translated(error, sql) from error
        return QueryResult(reader.schema, self._stream(reader, sql), announced)

    def column_types(self, table: str) -> dict[str, str]:
        """Return the type of each column of a table, in DuckDB's words.

        Raises
        ------
        QueryFailed
            If there is no such table.
        """
        import duckdb

        try:
            return dict(row[:2] for row in self._cursor().execute(f"DESCRIBE SELECT * FROM {table}").fetchall())
        except duckdb.Error as error:
            raise self._translated(error, table) from error

    def close(self) -> None:
        """Close the connection; may be called twice."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _cursor(self) -> duckdb.DuckDBPyConnection:
        """Return a connection of its own for one answer, so that two answers may be read in turns."""
        if self._connection is None:
            raise SourceUnavailable(f"{self.name} is closed; open it again to query it")
        cursor = self._connection.cursor()
        if self._name.startswith("duckdb:"):
            cursor.execute(f"USE {_CATALOG}")
        return cursor

    def _refuse_twins(self, sql: str) -> None:
        query = MartQuery.read(sql)
        for table, names in self._headings.items():
            if query is None:
                wanted = [name for name in names if re.search(rf"(?i)(?<!\w){re.escape(name)}(?!\w)", sql)]
                refuse_twins(f"{table} of {self.name}", names, wanted)
            elif query.table.replace('"', "").upper() == table:
                asked = [name.strip('"') for name in query.columns]
                refuse_twins(f"{table} of {self.name}", names, None if "*" in asked else asked)

    def _count(self, sql: str) -> int | None:
        query = MartQuery.read(sql)
        if query is None or query.table.upper().replace('"', "") not in self._countable:
            return None
        counted = self._cursor().execute(f"SELECT count(*) FROM {query.table}")
        row = counted.fetchone()
        return int(row[0]) if row else None

    def _stream(self, reader: pa.RecordBatchReader, sql: str) -> Iterator[pa.RecordBatch]:
        import duckdb
        import pyarrow as pa

        try:
            yield from reader
        # DuckDB's failures in the middle of a stream reach us through Arrow, as OSError.
        except (duckdb.Error, pa.ArrowException, OSError) as error:
            raise self._translated(error, sql) from error

    def _translated(self, error: Exception, sql: str) -> RecsysError:
        """Return our own error for one of DuckDB's."""
        import duckdb

        seen = one_line(error)
        if isinstance(error, duckdb.BinderException):
            if query := MartQuery.read(sql):
                seen = self._lacks(query)
            return DataContractError(f"{self.name} lacks a column: {seen}; the query was: {sql}")
        if isinstance(error, duckdb.CatalogException):
            return QueryFailed(
                f"{self.name} refused the query: {seen}; it has {', '.join(self._tables()) or 'no tables'}"
            )
        return QueryFailed(f"{self.name} failed to answer: {seen}; the query was: {sql}")

    def _require_columns(self, sql: str) -> None:
        """Refuse what is no column: DuckDB takes some names for its own, even in quotes (the time of now, row ids)."""
        query = MartQuery.read(sql)
        if query is not None and "*" not in query.columns and (lacks := self._lacks(query)):
            raise DataContractError(f"{self.name} lacks a column: {lacks}; the query was: {sql}")

    def _lacks(self, query: MartQuery) -> str:
        """Say which columns a table lacks; nothing if it has them all."""
        present = list(self.column_types(query.table))
        names = {column.upper() for column in present}
        missing = [bare for name in query.columns if (bare := name.strip('"')).upper() not in names]
        return f"{query.table} lacks {', '.join(missing)}; it has {', '.join(present)}" if missing else ""

    def _tables(self) -> list[str]:
        rows = self._cursor().execute(
            "SELECT table_schema || '.' || table_name FROM information_schema.tables ORDER BY 1 LIMIT 20"
        )
        return [row[0] for row in rows.fetchall()]


def _connect() -> duckdb.DuckDBPyConnection:
    import duckdb

    return duckdb.connect(
        ":memory:",
        config={
            "threads": min(8, usable_cores()),
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "allow_community_extensions": False,
            "python_enable_replacements": False,
            # The default is a folder beside the caller's files.
            "temp_directory": "",
        },
    )
