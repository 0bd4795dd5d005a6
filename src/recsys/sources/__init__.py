"""A source answers SQL with Arrow batches.

``open_source`` turns the text of ``--source`` into one. The same two queries, word for word, run
on every source; nothing ever falls back to another source by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self, runtime_checkable

from recsys.system.paths import named_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import TracebackType

    import pyarrow as pa

    from recsys.config import Settings


_KINDS = "snowflake, sample, duckdb:FILE, or a folder of mart files"

__all__ = ["Describes", "QueryResult", "Source", "open_source"]


@dataclass(frozen=True)
class QueryResult:
    """The answer to one query.

    Attributes
    ----------
    schema
        Schema of every batch: a source casts its batches to one. From a batch with larger values on, a column of
        int64 may come as ``decimal128(38, 0)``: waiting for all batches first would hold them all.
    batches
        Arrow record batches, to be consumed once.
    rows_announced
        The number of rows that the source promised before sending them, or None if it does not
        say. The trainer compares it with the rows received.
    query_id
        The source's own name for the query, for its logs and our manifest.
    read_at
        The moment as of which the rows are, as the source writes it; None where it reads the present.
    """

    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]
    rows_announced: int | None = None
    query_id: str | None = None
    read_at: str | None = None

    def table(self) -> pa.Table:
        """Return all that is left of the batches as one table, each column of the widest type that came."""
        import pyarrow as pa

        tables = [pa.Table.from_batches([batch]) for batch in self.batches]
        return pa.concat_tables([self.schema.empty_table(), *tables], promote_options="permissive")


class Source(Protocol):
    """Something that answers the two queries of the contract.

    A source is a context manager, which a class that names this one as its base need not say again;
    leaving it closes every connection. Failures are raised as
    errors of :mod:`recsys.errors`, never as the vendor's own, by ``execute`` and by the
    consumption of its batches.
    """

    @property
    def name(self) -> str:
        """What people and manifests call this source; never holds a secret."""
        ...

    def execute(self, sql: str) -> QueryResult:
        """Run one query and return its answer; batches may still be on their way.

        Parameters
        ----------
        sql
            Any text, such as a :class:`~recsys.marts.query.MartQuery`, which says what it asks for;
            ``MartQuery.read`` finds that out of texts.
        """
        ...

    def close(self) -> None:
        """Release every resource; may be called twice."""
        ...

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@runtime_checkable
class Describes(Protocol):
    """A source that also says what columns a table has. None needs to."""

    def column_types(self, table: str) -> Mapping[str, str]:
        """Return the type of each column of a table, as the source calls it; no row is read."""
        ...


def open_source(
    url: str, settings: Settings | None = None, credentials: dict[str, str] | None = None, read_at: str | None = None
) -> Source:
    """Open the source that ``url`` names.

    Parameters
    ----------
    url
        ``snowflake``, ``sample``, ``duckdb:FILE``, or a folder with
        ``mart_games.{parquet,csv,csv.gz}`` and ``mart_user_ratings.{parquet,csv,csv.gz}``, each a file or a folder of
        part files.
    settings
        Settings of the run; defaults where not given.
    credentials
        For Snowflake: what would otherwise be read from ``SNOWFLAKE_*``.
    read_at
        For Snowflake, which alone keeps its past: the moment as of which the marts are read; now when not given.

    Raises
    ------
    ConfigError
        If ``url`` is none of these.
    SourceUnavailable
        If the file or folder does not exist, or the service cannot be reached.
    """
    if url == "snowflake":
        from recsys.sources.snowflake import open_snowflake

        return open_snowflake(settings, credentials, read_at)
    if url == "sample":
        from recsys.sources.sample import SampleSource

        return SampleSource()
    from recsys.sources.duckdb import DuckDBSource

    if url.startswith("duckdb:"):
        return DuckDBSource.from_file(named_path(url.removeprefix("duckdb:"), "source", url, _KINDS))
    return DuckDBSource.from_folder(named_path(url, "source", url, _KINDS))
