"""A mart that is a folder of part files, as Spark, Dask and DuckDB write it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recsys.errors import ConfigError, DataContractError, SourceNotFound, SourceUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

_DELTA = "_delta_log"


def find_parts(folder: Path, ending: str) -> tuple[Path, ...]:
    """Return the part files of a mart, in the order of their names.

    What begins with ``_`` or ``.`` (``_SUCCESS``, ``_committed_1``, ``.part-0.parquet.crc``) says that a writer was
    at work, and holds no rows.

    Parameters
    ----------
    folder
        Such as ``mart_games.parquet``.
    ending
        ``parquet``, ``csv`` or ``csv.gz``: what the names of its files end with.

    Raises
    ------
    SourceUnavailable
        If it cannot be read, or holds no part.
    ConfigError
        If it holds anything else: rows that would be left out, or a table in a format that is more than its files.
    """
    try:
        entries = sorted(entry for entry in folder.iterdir() if entry.name != _DELTA)
        log = (folder / _DELTA).exists()
    except OSError as error:
        raise SourceNotFound(f"{folder} cannot be read: {error.strerror or error}") from error
    seen = [entry for entry in entries if not entry.name.startswith(("_", "."))]
    if log:
        raise ConfigError(
            f"{folder} is a Delta table, whose log says which of its files count; write it as plain {ending} files"
        )
    others = [entry.name for entry in seen if not (entry.is_file() and entry.name.endswith(f".{ending}"))]
    if others:
        partitioned = any("=" in name for name in others)
        why = (
            "it is partitioned, and a value in the name of a folder is no column of a file; write it without partitions"
            if partitioned
            else f"a mart that is a folder holds .{ending} files alone; move the rest away"
        )
        raise ConfigError(f"{folder} holds {', '.join(others[:5])}: {why}")
    if not seen:
        raise SourceNotFound(f"{folder} holds no part file that ends with .{ending}: was it written to its end?")
    return tuple(seen)


def same_columns(parts: Sequence[Path], header: Callable[[Path], list[str]]) -> list[str]:
    """Return the columns that every part of a mart has.

    Parameters
    ----------
    parts
        At least one file.
    header
        Returns the names of a file's columns.

    Raises
    ------
    DataContractError
        If a part has other columns than the first one: nulls would be made up, or a column left out.
    """
    first = header(parts[0])
    for part in parts[1:]:
        if (names := header(part)) != first:
            raise DataContractError(
                f"{part} has the columns {', '.join(names)}, and {parts[0].name} beside it {', '.join(first)}: all "
                "parts of a mart have the same columns in the same order; write them anew, or move the odd one away"
            )
    return first


def parquet_header(path: Path) -> list[str]:
    """Return the column names of a Parquet file.

    Raises
    ------
    SourceUnavailable
        If it is none.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with path.open("rb") as file:
            names: list[str] = pq.ParquetFile(file).schema_arrow.names
    except (OSError, pa.ArrowException) as error:
        raise SourceUnavailable(f"{path} cannot be read as parquet: {error}; write it anew") from error
    return names
