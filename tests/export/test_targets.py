"""Targets: what may be replaced is, as a whole; what may not is refused with its name, and stays."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from factories.exported import SCHEMA, held, small_table
from recsys.errors import ArtifactWriteError, ConfigError, LockHeld
from recsys.export import export, open_target

if TYPE_CHECKING:
    from pathlib import Path

OTHER = pa.schema([*SCHEMA, ("BECAUSE", pa.int64())])
KINDS = ("table.parquet", "folder", "duckdb:table.duckdb")


def target_of(kind: str, folder: Path) -> tuple[str, Path]:
    """Return the text of a target below a folder, and the path that holds it."""
    scheme, _, name = kind.rpartition(":")
    return (f"{scheme}:{folder / name}" if scheme else str(folder / name)), folder / name


def put(text: str, release: str, *, schema: pa.Schema = SCHEMA, recreate: bool = False) -> int:
    """Export a small table; return the number of its rows."""
    return export(small_table(release, schema), open_target(text, "RECOMMENDATIONS"), recreate=recreate).rows


@pytest.mark.parametrize("kind", KINDS)
def test_a_table_is_made_and_replaced(kind: str, tmp_path: Path) -> None:
    """The folders above it are made; nothing else is left beside it."""
    text, path = target_of(kind, tmp_path / "deep" / "down")
    for release in ("old", "new"):
        assert put(text, release) == 600
        assert held(path) == release
    assert [name.name for name in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("kind", KINDS)
def test_other_columns_are_refused_unless_asked_for(kind: str, tmp_path: Path) -> None:
    """The message names the column; with ``recreate`` the new table takes its place."""
    text, path = target_of(kind, tmp_path)
    put(text, "old")
    with pytest.raises(ConfigError, match=r"other columns: BECAUSE is not there.*--recreate"):
        put(text, "new", schema=OTHER)
    assert held(path) == "old"
    put(text, "new", schema=OTHER, recreate=True)
    assert held(path) == "new"


def fail_half_way(text: str) -> None:
    """Begin to export a small table, and fail."""
    table = small_table("new")
    with open_target(text, "RECOMMENDATIONS").replaced(table.schema, recreate=False) as write:
        write(next(table.batches))
        _ = 1 / 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_failure_half_way_leaves_the_old_table(kind: str, tmp_path: Path) -> None:
    """Whatever ends the rows: the old table is whole, and nothing is left beside it."""
    text, path = target_of(kind, tmp_path)
    for before in ("", "old"):
        with pytest.raises(ZeroDivisionError):
            fail_half_way(text)
        assert held(path) == before
        assert len(list(tmp_path.iterdir())) == bool(before)
        put(text, "old")


def test_the_same_rows_are_the_same_bytes(tmp_path: Path) -> None:
    """As a file and as parts."""
    for name in ("one", "two"):
        put(str(tmp_path / f"{name}.parquet"), "same")
        put(str(tmp_path / name), "same")
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "two.parquet").read_bytes()
    assert (tmp_path / "one" / "part-00000.parquet").read_bytes() == (
        tmp_path / "two" / "part-00000.parquet"
    ).read_bytes()


def test_a_folder_has_as_many_parts_as_the_rows_need(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In order, and fewer of them when there are fewer rows; an empty table has one."""
    folder = tmp_path / "parts"
    monkeypatch.setattr("recsys.export.parquet.PART_ROWS", 200)
    put(str(folder), "old")
    assert sorted(os.listdir(folder)) == ["part-00000.parquet", "part-00001.parquet", "part-00002.parquet"]
    assert held(folder) == "old"
    monkeypatch.setattr("recsys.export.parquet.PART_ROWS", 400)
    put(str(folder), "new")
    assert sorted(os.listdir(folder)) == ["part-00000.parquet", "part-00001.parquet"]
    assert held(folder) == "new"
    with open_target(str(folder), "RECOMMENDATIONS").replaced(SCHEMA, recreate=False):
        pass
    assert os.listdir(folder) == ["part-00000.parquet"]
    assert pq.read_table(folder).num_rows == 0


def test_what_no_export_has_written_is_not_replaced(tmp_path: Path) -> None:
    """Another file, a folder where a file is asked for, a file where a folder is, and a folder of other things."""
    (tmp_path / "notes.parquet").write_text("no Parquet")
    (tmp_path / "folder.parquet").mkdir()
    (tmp_path / "file").write_text("a file")
    (tmp_path / "mixed").mkdir()
    (tmp_path / "mixed" / "precious.txt").write_text("precious")
    (tmp_path / "base.duckdb").write_text("no database, and long enough to be looked at" * 100)
    for text, reason in (
        ("notes.parquet", "no Parquet file"),
        ("folder.parquet", "no plain file"),
        ("file", "no folder"),
        ("mixed", "holds precious.txt"),
    ):
        with pytest.raises(ArtifactWriteError, match=reason):
            put(str(tmp_path / text), "new", recreate=True)
    with pytest.raises(ArtifactWriteError, match=r"not a valid DuckDB"):
        put(f"duckdb:{tmp_path / 'base.duckdb'}", "new", recreate=True)
    assert (tmp_path / "notes.parquet").read_text() == "no Parquet"
    assert (tmp_path / "mixed" / "precious.txt").read_text() == "precious"
    assert (tmp_path / "base.duckdb").read_text().startswith("no database")


def test_a_link_leads_to_what_is_replaced(tmp_path: Path) -> None:
    """The link stays."""
    put(str(tmp_path / "real.parquet"), "old")
    (tmp_path / "link.parquet").symlink_to("real.parquet")
    put(str(tmp_path / "link.parquet"), "new")
    assert held(tmp_path / "real.parquet") == "new"
    assert (tmp_path / "link.parquet").is_symlink()


def test_all_else_in_a_duckdb_file_stays(tmp_path: Path) -> None:
    """Other tables, other schemas, views; a view of the table's name is refused."""
    path = tmp_path / "warehouse.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE precious AS SELECT 42 AS answer")
        connection.execute("CREATE VIEW looking AS SELECT * FROM precious")
    for release in ("old", "new"):
        put(f"duckdb:{path}", release)
    export(small_table("own"), open_target(f"duckdb:{path}", "RECSYS.LISTS"))
    with duckdb.connect(str(path)) as connection:
        assert connection.execute("SELECT * FROM looking").fetchall() == [(42,)]
        assert connection.execute("SELECT count(*) FROM recsys.lists").fetchone() == (600,)
    with pytest.raises(ArtifactWriteError, match="it is a view"):
        export(small_table("new"), open_target(f"duckdb:{path}", "LOOKING"))


def test_an_open_duckdb_file_and_a_second_export_are_told(tmp_path: Path) -> None:
    """Exit code 75: worth a retry; the table is as it was."""
    put(str(tmp_path / "table.parquet"), "old")
    staged = tmp_path / ".table.parquet.partial"
    descriptor = os.open(staged, os.O_RDWR | os.O_CREAT)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    with pytest.raises(LockHeld, match="another export is writing"):
        put(str(tmp_path / "table.parquet"), "new")
    assert held(tmp_path / "table.parquet") == "old"
    os.close(descriptor)
    put(str(tmp_path / "table.parquet"), "new")  # what a killed export has left is in nobody's way
    assert held(tmp_path / "table.parquet") == "new"
    assert not staged.exists()


@pytest.mark.parametrize("text", ["", "duckdb:", "s3://bucket/table.parquet", "duckdb:s3://bucket/table"])
def test_a_target_that_is_none_is_refused(text: str) -> None:
    """The message lists what a target may be."""
    with pytest.raises(ConfigError, match=r"FILE\.parquet, a folder for parts, duckdb:FILE, snowflake"):
        open_target(text, "RECOMMENDATIONS")


@pytest.mark.parametrize("name", ["a b", "x;drop", 'a"b', "a.b.c.d", ""])
def test_a_name_that_is_none_is_refused(name: str, tmp_path: Path) -> None:
    """Names become part of statements: they are words."""
    with pytest.raises(ConfigError, match="--table"):
        open_target(f"duckdb:{tmp_path / 'x.duckdb'}", name)
