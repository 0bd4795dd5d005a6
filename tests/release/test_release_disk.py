"""A full disk, a folder without rights, two publishers and many readers: nothing torn, nothing mixed."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from conftest import require
from factories.small_release import Parts, make_parts
from recsys.errors import ArtifactCorrupt, ArtifactWriteError, LockHeld, RecsysError
from recsys.release.check import check_here
from recsys.release.durable import write_bytes
from recsys.release.loading import load_release
from recsys.release.store import ReleaseStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOBODY = 65534
PUBLISHES = 400
READERS = 2

fork = multiprocessing.get_context("fork")


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> list[Parts]:
    """Return the parts of two releases of different sizes."""
    return [make_parts(tmp_path_factory.mktemp("parts"), seed, games=20 + 5 * seed) for seed in (0, 1)]


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Return a folder that every user can reach, in memory where that can be had."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as name:
        path = Path(name)
        path.chmod(0o755)
        yield path


@contextmanager
def tiny_disk(folder: Path, size: str = "2m") -> Iterator[Path]:
    """Mount a file system of a given size; skipped, but never in CI, where nothing may be mounted."""
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], capture_output=True, check=False
    )
    require(mounted.returncode == 0, "the right to mount a full disk, a tmpfs of 2 MB,", "run the tests as root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def fill(folder: Path, *, leave: int) -> None:
    """Fill a file system with one file, up to ``leave`` bytes."""
    free = os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize
    (folder / "filler").write_bytes(b"x" * max(0, free - leave))


def test_a_full_disk_is_no_success(tmp_path: Path, parts: list[Parts]) -> None:
    """With any number of pages left, down to the one that the smallest file needs, it fails or it is whole."""
    with tiny_disk(tmp_path / "disk") as disk:
        store = ReleaseStore(disk / "models", check=check_here)
        parts[0].publish(store, "old")
        published = 0
        for pages in range(40):
            fill(disk, leave=pages * 4096)
            if failure := failure_of(lambda: parts[1].publish(store, f"new-{pages}")):  # noqa: B023 - called at once
                assert "No space left" in failure
                assert store.current() == "old"
            else:
                published += 1
                store.verify()
                store.rollback("old", hold=False)
                shutil.rmtree(store.path(f"new-{pages}"))
            (disk / "filler").unlink()
            store.verify("old")
        assert 0 < published < 40, "the disk was never, or always, large enough: nothing was tried"
        parts[1].publish(store, "next")
        store.verify()


def test_the_smallest_file_on_a_full_disk_is_no_success(tmp_path: Path) -> None:
    """Not even two bytes are believed to be written when they were not."""
    with tiny_disk(tmp_path / "disk") as disk:
        (disk / "metadata.json").write_bytes(b"[]")
        fill(disk, leave=0)
        with pytest.raises(ArtifactWriteError, match=r"No space left.*free some space"):
            write_bytes(disk / "metadata.json", b"{}")
        assert (disk / "metadata.json").read_bytes() == b"[]"
        assert sorted(path.name for path in disk.iterdir()) == ["filler", "metadata.json"]


def failure_of(action: Callable[[], object]) -> str:
    """Return what ``action`` raised, as text; empty if it did not."""
    try:
        action()
    except RecsysError as error:
        return f"{type(error).__name__} {error.exit_code}: {error}"
    return ""


def as_another_user(action: Callable[[], object]) -> str:
    """Run ``action`` in a process of user *nobody*, if this one is root; return what it raised, as text."""
    receiver, sender = fork.Pipe(duplex=False)

    def run() -> None:
        if os.getuid() == 0:
            os.setgid(NOBODY)
            os.setuid(NOBODY)
        sender.send(failure_of(action))

    process = fork.Process(target=run)
    process.start()
    process.join(60)
    assert receiver.poll(), "the process ended with an error that is none of ours"
    return str(receiver.recv())


def test_a_folder_without_rights_is_a_write_error(open_folder: Path, parts: list[Parts]) -> None:
    """Another user can read the release and publish nothing: exit code 73, and what to do."""
    models = open_folder / "models"
    parts[0].publish(ReleaseStore(models, check=check_here), "old")
    for folder in (models, models / "releases"):
        folder.chmod(0o555)
    failure = as_another_user(lambda: parts[1].publish(ReleaseStore(models, check=check_here), "new"))
    assert failure.startswith("ArtifactWriteError 73: ")
    assert "Permission denied" in failure
    assert "give this user the right" in failure
    assert as_another_user(lambda: load_release(models / "v1")) == ""
    empty = open_folder / "empty"
    empty.mkdir(mode=0o555)
    failure = as_another_user(lambda: parts[1].publish(ReleaseStore(empty / "models"), "new"))
    assert failure.startswith("ArtifactWriteError 73: cannot create the folder")


def test_without_rights_nothing_is_held_and_nothing_moves(open_folder: Path, parts: list[Parts]) -> None:
    """Going back, holding and lifting are write errors; a hold that may not be read holds."""
    models = open_folder / "models"
    store = ReleaseStore(models, check=lambda *_: None)
    for name in ("old", "new"):
        parts[0].publish(store, name)
    models.chmod(0o555)
    for attempt in (lambda: store.rollback(reason="worse"), lambda: store.holds.place("stop")):
        assert as_another_user(attempt).startswith("ArtifactWriteError 73: cannot open the lock")
    assert as_another_user(store.holds.lift) == "", "there is nothing to lift"
    assert (store.current(), store.holds.current()) == ("new", None)
    models.chmod(0o777)
    store.holds.place("stop")
    (models / "hold.json").chmod(0)
    (models / ".lock").chmod(0o666)
    failure = as_another_user(lambda: parts[1].publish(store, "next"))
    assert failure.startswith("PublishingHeld 3: ")
    assert "cannot be read (Permission denied)" in failure
    models.chmod(0o555)
    assert as_another_user(store.holds.lift).startswith("ArtifactWriteError 73: cannot open the lock")


def test_a_release_without_rights_to_read_is_refused(open_folder: Path, parts: list[Parts]) -> None:
    """A file that the reader may not open is named, and is no unforeseen error."""
    store = ReleaseStore(open_folder / "models", check=check_here)
    parts[0].publish(store, "old")
    (store.path() / "cf_factors.npz").chmod(0)
    failure = as_another_user(lambda: load_release(store.path()))
    assert failure.startswith("ArtifactCorrupt 76: ")
    assert "cf_factors.npz cannot be read: Permission denied" in failure


def test_two_publishers_at_once_publish_one_after_the_other_or_not(open_folder: Path, parts: list[Parts]) -> None:
    """Each either publishes a whole release or is told that the lock is held; never a mixture."""
    models = open_folder / "models"
    barrier = fork.Barrier(2)
    results = fork.Queue()

    def publisher(number: int) -> None:
        store = ReleaseStore(models, keep=100, check=check_here)
        for turn in range(20):
            barrier.wait()
            try:
                parts[number].publish(store, f"{turn:02d}-{number}")
                results.put("published")
            except LockHeld:
                results.put("held")

    processes = [fork.Process(target=publisher, args=(number,)) for number in (0, 1)]
    for process in processes:
        process.start()
    counts = [results.get(timeout=60) for _ in range(40)]
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    store = ReleaseStore(models, check=check_here)
    assert len(store.names()) == counts.count("published") >= 20
    assert counts.count("held") > 0, "the two never met: nothing was tried"
    for name in store.names():
        assert store.verify(name).content.settings == {"seed": int(name[-1])}


def test_readers_never_see_a_mixture(open_folder: Path, parts: list[Parts]) -> None:
    """Over 400 publishes and 100 rollbacks, readers in a loop load whole releases of one kind alone.

    The two kinds differ in every count, and the golden queries of each are put to what was loaded.
    """
    models = open_folder / "models"
    store = ReleaseStore(models, keep=5, check=lambda *_: None)
    parts[0].publish(store, "first")
    stop = fork.Event()
    results = fork.Queue()
    # Daemons end with the test run, also where publishing fails here.
    readers = [fork.Process(target=read_in_a_loop, args=(models, stop, results), daemon=True) for _ in range(READERS)]
    for reader in readers:
        reader.start()
    try:
        for number in range(PUBLISHES):
            parts[number % 2].publish(store, f"r{number:04d}")
            if number % 4 == 3:
                store.rollback(hold=False)
    finally:
        stop.set()
    seen = [json.loads(results.get(timeout=60)) for _ in readers]
    for reader in readers:
        reader.join(60)
    assert all(result["failures"] == [] for result in seen), seen
    assert sum(result["loads"] for result in seen) > 100
    assert all(result["releases"] > 10 for result in seen), "the readers slept through it"


def read_in_a_loop(models: Path, stop: object, results: object) -> None:
    """Load the current release until told to stop; report counts and everything that was wrong."""
    loads, failures, names = 0, [], set()
    while not stop.is_set():  # type: ignore[attr-defined]
        try:
            release = load_release(models / "v1")
            check_golden(release)
            seed = int(str(release.manifest.content.settings["seed"]))
            shapes = (len(release.game_ids), len(release.item_factors), release.games.num_rows)
            if shapes != (20 + 5 * seed,) * 3:
                failures.append(f"{release.path}: {shapes} of seed {seed}")
            names.add(release.path.name)
            loads += 1
            time.sleep(0.01)  # the publisher wants the processor too
        except RecsysError as error:
            failures.append(f"{type(error).__name__}: {error}")
    results.put(json.dumps({"loads": loads, "failures": failures[:5], "releases": len(names)}))  # type: ignore[attr-defined]


def check_golden(release: object) -> None:
    """Put the golden queries of its manifest to a loaded release."""
    from recsys.serving.golden import replay

    replay(release)  # type: ignore[arg-type]


def test_a_reader_that_was_overtaken_moves_on(tmp_path: Path, parts: list[Parts]) -> None:
    """A link whose release was removed while it was read leads to the next one; a dead release is corrupt."""
    store = ReleaseStore(tmp_path / "models", keep=1, check=check_here)
    parts[0].publish(store, "old")
    pinned = store.path()
    parts[1].publish(store, "next")  # the one that it replaced stays
    parts[1].publish(store, "new")
    assert load_release(tmp_path / "models" / "v1").path.name == "new"
    assert not pinned.exists()
    parts[0].publish(store, "newest")
    (store.path() / "metadata.json").unlink()
    with pytest.raises(ArtifactCorrupt, match=r"metadata.json is missing"):
        load_release(tmp_path / "models" / "v1")
