"""A full disk: exit code 73, the old table whole, and nothing half-written."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from conftest import require
from factories.exported import held, small_table
from recsys.errors import ArtifactWriteError
from recsys.export import export, open_target

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from recsys.export import Target


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Return a file system of 4 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)], check=False)
    require(mounted.returncode == 0, "the right to mount a full disk", "run the tests as root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def failure_of(target: Target) -> ArtifactWriteError | None:
    """Export the new table; return what went wrong."""
    try:
        export(small_table("new"), target)
    except ArtifactWriteError as error:
        return error
    return None


@pytest.mark.parametrize("kind", ["table.parquet", "folder", "duckdb:table.duckdb"])
def test_a_full_disk_leaves_the_old_table(kind: str, disk: Path) -> None:
    """With any number of free pages it fails as an error of writing, or the table is the new one."""
    scheme, _, name = kind.rpartition(":")
    path = disk / name
    text = f"{scheme}:{path}" if scheme else str(path)
    target = open_target(text, "RECOMMENDATIONS")
    export(small_table("old"), target)
    failed = 0
    for pages in (0, 1, 2, 3, 5, 8, 20, 60, 150, 400):
        free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
        (disk / "filler").write_bytes(b"x" * max(0, free - pages * 4096))
        failure = failure_of(target)
        failed += failure is not None
        assert failure is None or (failure.exit_code, "space" in str(failure)) == (73, True)
        expected = "old" if failure else "new"
        (disk / "filler").unlink()
        assert held(path) == expected
        assert [each.name for each in disk.iterdir()] == [name]
        export(small_table("old"), target)
    assert 0 < failed < 10, "the disk was never, or always, large enough: nothing was tried"
