"""Files are written whole or not at all, and links move in one step."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

from recsys.errors import ArtifactWriteError
from recsys.release.durable import make_folder, point_link, put_link, remove, rename, sha256_of, write_bytes, writing

if TYPE_CHECKING:
    from pathlib import Path


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    """The digest of the content comes back; no temporary file stays."""
    path = tmp_path / "file"
    assert write_bytes(path, b"first") == sha256_of(path)
    write_bytes(path, memoryview(b"second"))
    assert path.read_bytes() == b"second"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
    assert sha256_of(path) == "16367aacb67a4a017c8da8ab95682ccb390863780f7114dda0a0e0c55644c7c4"


def test_an_empty_file_is_a_file(tmp_path: Path) -> None:
    """Nothing to write is written, too."""
    write_bytes(tmp_path / "file", b"")
    assert (tmp_path / "file").read_bytes() == b""


def test_a_link_in_the_temporary_files_place_is_not_followed(tmp_path: Path) -> None:
    """Nobody can make us write somewhere else."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"theirs")
    (tmp_path / "file.partial").symlink_to(elsewhere)
    with pytest.raises(ArtifactWriteError):
        write_bytes(tmp_path / "file", b"ours")
    assert elsewhere.read_bytes() == b"theirs"


def test_a_failure_says_what_to_do(tmp_path: Path) -> None:
    """The error carries errno, the path, the system's reason and the next step."""
    with pytest.raises(ArtifactWriteError, match=r"cannot write .*absent/file: No such file.*run again") as caught:
        write_bytes(tmp_path / "absent" / "file", b"")
    assert caught.value.errno == errno.ENOENT
    with (
        pytest.raises(ArtifactWriteError, match=r"cannot try: No space left on device; free some space"),
        writing("try"),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_file_in_a_folders_place_is_an_error(tmp_path: Path) -> None:
    """``--output`` names a file: nothing is overwritten."""
    (tmp_path / "models").write_bytes(b"mine")
    with pytest.raises(ArtifactWriteError, match="cannot create the folder"):
        make_folder(tmp_path / "models" / "releases")
    assert (tmp_path / "models").read_bytes() == b"mine"


def test_a_link_is_made_and_moved(tmp_path: Path) -> None:
    """The text of the target is taken as it is; a folder in the link's place is an error."""
    link = tmp_path / "v1"
    for target in ("releases/a", "releases/b"):
        point_link(link, target)
        assert os.readlink(link) == target  # noqa: PTH115 - the raw text is meant
    link.unlink()
    link.mkdir()
    with pytest.raises(ArtifactWriteError, match="cannot point"):
        point_link(link, "releases/c")


def test_a_link_takes_the_place_of_a_folder(tmp_path: Path) -> None:
    """The folder moves aside; where it cannot, it stays, and nothing waits to take its place."""
    link = tmp_path / "v1"
    (link / "inner").mkdir(parents=True)
    (tmp_path / "aside").write_bytes(b"in the way")
    with pytest.raises(ArtifactWriteError, match="cannot rename"):
        put_link(link, "releases/a", tmp_path / "aside")
    assert {path.name for path in tmp_path.rglob("*")} == {"v1", "inner", "aside"}
    put_link(link, "releases/a", tmp_path / "moved")
    assert os.readlink(link) == "releases/a"  # noqa: PTH115 - the raw text is meant
    assert (tmp_path / "moved" / "inner").is_dir()


def test_renaming_and_removing(tmp_path: Path) -> None:
    """A folder moves with what it holds; what is gone already is fine to remove; links are not followed."""
    make_folder(tmp_path / "one" / "inner")
    rename(tmp_path / "one", tmp_path / "two")
    (tmp_path / "link").symlink_to("two")
    remove(tmp_path / "link")
    assert (tmp_path / "two" / "inner").is_dir()
    remove(tmp_path / "two")
    remove(tmp_path / "two")
    assert not list(tmp_path.iterdir())
    with pytest.raises(ArtifactWriteError, match="cannot rename"):
        rename(tmp_path / "absent", tmp_path / "three")


def test_what_is_no_plain_file_is_not_replaced(tmp_path: Path) -> None:
    """A rename would put a file in the place of a pipe or a device."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ArtifactWriteError, match="no plain file"):
        write_bytes(tmp_path / "pipe", b"x")
    assert (tmp_path / "pipe").is_fifo()
