"""Mart files: a folder of Parquet and CSV seen as ``ANALYTICS.MART_GAMES`` and ``ANALYTICS.MART_USER_RATINGS``.

Parquet carries its own types. A CSV has none, so every cell is read as text and a column is given
a type only when each of its cells survives the way there and back: an id column of ``007`` or of
numbers beyond 38 digits stays text. DuckDB's sniffer is not asked; it guesses from samples, and
where lines disagree with its guess it may skip them.
"""

from __future__ import annotations

import csv
import gzip
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

from recsys.errors import ConfigError, DataContractError, SourceNotFound, SourceUnavailable
from recsys.marts import ENCODED, GAME_ID, GAMES_TABLE, RATING, RATINGS_TABLE, WHOLE_NUMBER
from recsys.sources.parts import find_parts, parquet_header, same_columns

if TYPE_CHECKING:
    from pathlib import Path

    import duckdb

MARTS = {"mart_games": GAMES_TABLE, "mart_user_ratings": RATINGS_TABLE}
"""Stem of a mart's file, and the view it is seen as."""
FORMATS = ("parquet", "csv", "csv.gz")
"""Endings of a mart's file."""

_ID_TYPES = ("BIGINT", "DECIMAL(38,0)", "VARCHAR")
_CSV_FAULT = re.compile(
    r"CSV Error on Line: (\d+) Original Line: ?(.*?) "
    r"?((?:Expected Number|Value with|Maximum line|Invalid).*?)(?: Possible|$)"
)
_DIALECT = "auto_detect = false, header = true, delim = ',', quote = '\"', escape = '\"', nullstr = ''"


@dataclass(frozen=True)
class MartFile:
    """One mart's file.

    Attributes
    ----------
    path
        Absolute: a file, or a folder of part files.
    view
        The name it is seen as in SQL.
    format
        ``parquet``, or ``csv`` with or without gzip.
    parts
        The files, in the order of their names: ``path`` alone where it is a file.
    """

    path: Path
    view: str
    format: Literal["parquet", "csv", "csv.gz"]
    parts: tuple[Path, ...]

    @property
    def relation(self) -> str:
        """SQL for the file as it is: Parquet with its types, CSV with every cell as text or NULL."""
        where = f"[{', '.join(literal(glob_escaped(part)) for part in self.parts)}]"
        if self.format == "parquet":
            several = ", hive_partitioning = false, union_by_name = true" if self.parts != (self.path,) else ""
            return f"read_parquet({where}{several})"
        names = same_columns(self.parts, csv_header)
        columns = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in names)
        compression = "gzip" if self.format == "csv.gz" else "none"
        # Prose holds line breaks inside quotes: one thread cannot mistake them for the end of a row.
        parallel = "false" if self.view == GAMES_TABLE else "true"
        if self.view == GAMES_TABLE:
            for part in self.parts:
                _refuse_open_quote(part)
        reading = f"columns = {{{columns}}}, compression = '{compression}', parallel = {parallel}, {_DIALECT}"
        return f"read_csv({where}, {reading})"

    def headings(self) -> list[str]:
        """Return the names of the columns of a Parquet mart, as its first file has them."""
        return parquet_header(self.parts[0])


def find_marts(folder: Path) -> list[MartFile]:
    """Find both marts in a folder.

    Raises
    ------
    SourceUnavailable
        If the folder or a mart is missing.
    ConfigError
        If a mart is there twice, as Parquet and CSV for instance.
    """
    folder = folder.absolute()
    try:
        names = sorted(entry.name for entry in folder.iterdir())
    except OSError as error:
        raise SourceNotFound(
            f"source folder {folder} cannot be read: {error.strerror}; --source takes snowflake, sample, duckdb:FILE "
            f"or a folder with {_wanted('mart_games')} and {_wanted('mart_user_ratings')}"
        ) from error
    endings = {stem: [f for f in FORMATS if f"{stem}.{f}" in names] for stem in MARTS}
    missing = [_wanted(stem) for stem, formats in endings.items() if not formats]
    if missing:
        there = ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
        raise SourceNotFound(
            f"source folder {folder} lacks a mart: looked for {' and '.join(missing)}; it holds {there or 'nothing'}"
        )
    for stem, formats in endings.items():
        if len(formats) > 1:
            both = " and ".join(f"{stem}.{f}" for f in formats)
            raise ConfigError(f"source folder {folder} holds {both}: which one counts? Keep one and move the rest away")
    return [_mart(folder / f"{stem}.{endings[stem][0]}", view, endings[stem][0]) for stem, view in MARTS.items()]


def _mart(path: Path, view: str, ending: str) -> MartFile:
    kind = cast('Literal["parquet", "csv", "csv.gz"]', ending)
    return MartFile(path, view, kind, find_parts(path, kind) if path.is_dir() else (path,))


def create_views(connection: duckdb.DuckDBPyConnection, marts: list[MartFile]) -> None:
    """Create a view for each mart, with the types that its columns have earned."""
    connection.execute(f"CREATE SCHEMA {GAMES_TABLE.partition('.')[0]}")
    columns = {mart.view: _columns(connection, mart) for mart in marts}
    kinds = {mart.view: _earned_types(connection, mart, columns[mart.view]) for mart in marts}
    ratings = next(mart for mart in marts if mart.view == RATINGS_TABLE)
    text = kinds[ratings.view].get(GAME_ID) == "VARCHAR"
    spelled = {ratings.view} if text and _spells_numbers(connection, ratings, columns[ratings.view]) else set()
    # GAME_ID joins the marts: one type for both where one of them asks for it. Ratings that only spell whole numbers
    # in another way ("13.0") do not: they are joined by what they mean (recsys.marts.join).
    ranks = [_id_rank(kind[GAME_ID]) for mart, kind in kinds.items() if GAME_ID in kind and mart not in spelled]
    widest = max(ranks, default=0)
    for mart in marts:
        if mart.format != "parquet" and GAME_ID in kinds[mart.view] and mart.view not in spelled:
            kinds[mart.view][GAME_ID] = _ID_TYPES[widest]
        cells = ", ".join(_cell(name, kinds[mart.view].get(name.upper())) for name in columns[mart.view])
        selected = "*" if mart.format == "parquet" else cells
        view = f"CREATE VIEW {mart.view} AS SELECT {selected} FROM {mart.relation}"
        connection.execute(view)


def csv_header(path: Path) -> list[str]:
    """Return the column names of a CSV file.

    Raises
    ------
    DataContractError
        If the file is empty, or names a column twice or not at all.
    """
    opener: Any = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8-sig", newline="") as file:
            names = next(csv.reader(file), [])
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise SourceUnavailable(f"{path} cannot be read as CSV in UTF-8: {error}; write the file anew") from error
    repeated = [name for name, count in Counter(name.upper() for name in names).items() if count > 1 or not name]
    if len(names) == 1 and (other := next((sign for sign in ";\t|" if sign in names[0]), "")):
        raise DataContractError(f"{path} separates its cells by {other!r}; write it with commas")
    if not names or repeated:
        problem = f"names these columns twice or not at all: {repeated}" if names else "is empty"
        raise DataContractError(f"{path} {problem}; its first line must name every column once, separated by commas")
    return names


def _refuse_open_quote(path: Path) -> None:
    """Refuse a CSV whose last quote is never closed: read by one thread, DuckDB leaves out what follows in silence."""
    opener: Any = gzip.open if path.suffix == ".gz" else open
    odd, opened, lines = False, 0, 1
    try:
        with opener(path, "rb") as file:
            for line in file:
                if line.count(b'"') % 2:
                    odd, opened = not odd, lines
                lines += 1
    except (OSError, EOFError) as error:
        raise SourceUnavailable(f"{path} cannot be read as CSV: {error}; write the file anew") from error
    if odd:
        raise DataContractError(
            f"{path} opens a quote in line {opened:,} or before that is never closed: what follows it would be lost;"
            " close it, or write the file anew"
        )


def literal(text: str) -> str:
    """Return ``text`` as an SQL string."""
    return "'" + text.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """Return ``name`` as a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def glob_escaped(path: Path) -> str:
    """Return a path that DuckDB reads as itself: it would take ``[1]``, ``*`` and ``?`` for patterns."""
    return re.sub(r"([\[*?])", r"[\1]", str(path))


def one_line(error: Exception) -> str:
    """Return DuckDB's message on one line; it draws carets under the query over several."""
    return " ".join(str(error).split())[:500]


def csv_fault(error: Exception) -> str:
    """Return what DuckDB has against a CSV file: its line and the fault, without advice on options that nobody has."""
    text = " ".join(str(error).split())
    found = _CSV_FAULT.search(text)
    line, shown, fault = found.groups() if found else ("", "", text[:500])
    where = f"line {line} ({shown[:60]}{'…' if len(shown) > 60 else ''}): " if found else ""
    fault = re.sub(r"Expected Number of Columns: (\d+) Found: (\d+)", r"it has \2 cells instead of \1", fault).strip(
        " ."
    )
    return f"{where}{fault}; write it in UTF-8 with commas between cells, quotes around text, and quotes in it doubled"


def _wanted(stem: str) -> str:
    return f"{stem}.{{{','.join(FORMATS)}}}"


def _columns(connection: duckdb.DuckDBPyConnection, mart: MartFile) -> dict[str, str]:
    import duckdb

    if mart.format == "parquet" and len(mart.parts) > 1:
        same_columns(mart.parts, parquet_header)
    try:
        rows = connection.execute(f"DESCRIBE SELECT * FROM {mart.relation}").fetchall()
    except duckdb.Error as error:
        raise SourceUnavailable(
            f"{mart.path} cannot be read as {mart.format}: {one_line(error)}; write it anew"
        ) from error
    return {row[0]: row[1] for row in rows}


def _earned_types(connection: duckdb.DuckDBPyConnection, mart: MartFile, columns: dict[str, str]) -> dict[str, str]:
    """Return the type of each column, by upper-case name, that is more than text."""
    import duckdb

    if mart.format == "parquet":
        return {name.upper(): kind for name, kind in columns.items()}
    candidates = {name: types for name in columns if (types := _candidates(name.upper(), mart.view))}
    if not candidates:
        return {}
    tests = [f"bool_and({_survives(name, kind)})" for name, kinds in candidates.items() for kind in kinds]
    try:
        scan = f"SELECT {', '.join(tests)} FROM {mart.relation}"
        row = connection.execute(scan).fetchone()
    except duckdb.Error as error:
        raise SourceUnavailable(f"{mart.path} cannot be read as CSV: {csv_fault(error)}") from error
    answers = iter(row or ())
    # A column without any value answers NULL; it takes the first type, and the data contract counts its nulls.
    passed = {name: [kind for kind in kinds if next(answers) is not False] for name, kinds in candidates.items()}
    return {name.upper(): kinds[0] for name, kinds in passed.items() if kinds}


def _spells_numbers(connection: duckdb.DuckDBPyConnection, mart: MartFile, columns: dict[str, str]) -> bool:
    """Whether every ``GAME_ID`` is text that means a whole number, perhaps as ``13.0`` or with blanks around."""
    name = next(name for name in columns if name.upper() == GAME_ID)
    pattern = literal(rf"\s*{WHOLE_NUMBER}\s*")
    test = f"bool_and(regexp_full_match({identifier(name)}, {pattern}))"
    row = connection.execute(f"SELECT {test} FROM {mart.relation}").fetchone()
    return bool(row and row[0])


def _candidates(name: str, view: str) -> tuple[str, ...]:
    """Return the types that a CSV column may earn, the narrowest first; the names of games are always text."""
    if name in ENCODED:
        return _ID_TYPES
    if view == GAMES_TABLE:
        return ()
    return ("DOUBLE",) if name == RATING else ("TIMESTAMP",)


def _survives(name: str, kind: str) -> str:
    cell = identifier(name)
    if kind == "VARCHAR":
        return "true"
    if kind in _ID_TYPES:
        return f"TRY_CAST({cell} AS {kind})::VARCHAR IS NOT DISTINCT FROM {cell}"
    return f"{cell} IS NULL OR TRY_CAST({cell} AS {kind}) IS NOT NULL"


def _cell(name: str, kind: str | None) -> str:
    cell = identifier(name)
    return cell if kind in {None, "VARCHAR"} else f"CAST({cell} AS {kind}) AS {cell}"


def _id_rank(kind: str) -> int:
    """Return the place of a column's type among the id types: whole numbers, longer ones, anything else."""
    if kind in {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"}:
        return 0
    return 1 if kind in {"UBIGINT", "HUGEINT", "UHUGEINT"} or kind.endswith(",0)") else 2
