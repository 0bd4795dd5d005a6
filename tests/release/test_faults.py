"""A publish that fails at any system call leaves the old release or the new one, whole, and the next one succeeds.

``make faults`` (``RECSYS_FAULTS=all``) tries every point; otherwise a sample that changes from day to
day. ``RECSYS_FAULTS_SEED`` repeats a sample.
"""

from __future__ import annotations

import os
import random
import shutil
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from conftest import require
from factories.small_release import make_parts
from recsys.release.check import check_here
from recsys.release.folder import HOLD
from recsys.release.loading import load_release
from recsys.release.store import ReleaseStore
from standins.fault_injection import (
    FAULTS,
    SYSCALLS,
    Outcome,
    Point,
    Publisher,
    calls_in,
    copy_models,
    opens_below,
    write_sizes,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

ALL = os.environ.get("RECSYS_FAULTS") == "all"
SEED = int(os.environ.get("RECSYS_FAULTS_SEED", time.time() // 86400))
SAMPLE = {"publisher": 60, "checker": 4}


@pytest.fixture(scope="module", autouse=True)
def _strace() -> None:
    require(shutil.which("strace"), "the program strace", "system calls are made to fail with it: apt install strace")


@dataclass(frozen=True)
class Stage:
    """A store with two releases, and publishers of a third: the third publish also removes the first release."""

    folder: Path
    publisher: Publisher
    other: Publisher

    @property
    def models(self) -> Path:
        """The store that publishes fail in."""
        return self.folder / "models"

    def reset(self) -> None:
        """Bring back the two releases."""
        copy_models(self.folder / "template", self.models)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return an empty folder, in memory where that can be had: what fails is injected, flushing takes no time."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path_factory.mktemp("faults")
        return
    with tempfile.TemporaryDirectory(dir=memory) as name:
        yield Path(name)


@pytest.fixture(scope="module")
def stage(folder: Path) -> Iterator[Stage]:
    """Return the stage, set with two releases."""
    for number, name in enumerate(("old", "new")):
        make_parts(folder / f"raw-{name}", number, games=20).save(folder / name)
    parts = make_parts(folder / "raw-warm", 0, games=20)
    store = ReleaseStore(folder / "template", check=check_here)
    for name in ("first", "old"):
        parts.publish(store, name)
    parts.publish(ReleaseStore(folder / "warm", check=check_here), "warm")
    with Publisher(folder / "new") as publisher, Publisher(folder / "old") as other:
        yield Stage(folder, publisher, other)


@dataclass(frozen=True)
class Trace:
    """The system calls of one undisturbed publish; of some, which calls of ``openat``."""

    calls: Counter[str]
    sizes: list[int]
    looks_for_hold: list[int]
    checker_opens: list[int]

    def points(self) -> list[Point]:
        """Return every fault point."""
        points = [
            Point(syscall, number, fault)
            for syscall, count in sorted(self.calls.items())
            for number in range(1, count + 1)
            for fault in FAULTS
        ]
        points += [Point("openat", number, fault, "checker") for number in self.checker_opens for fault in FAULTS]
        return points


@pytest.fixture(scope="module")
def trace(stage: Stage) -> Trace:
    """Return the trace of an undisturbed publish."""
    stage.reset()
    publisher, checker = stage.folder / "publisher.trace", stage.folder / "checker.trace"
    outcome = stage.publisher.publish(
        stage.models,
        "new",
        strace=["-o", str(publisher), f"--trace={','.join(SYSCALLS)}"],
        check=["strace", "-o", str(checker), "--trace=openat"],
    )
    assert outcome == Outcome(0, "")
    looks = opens_below(publisher, stage.models / HOLD)
    return Trace(calls_in(publisher), write_sizes(publisher), looks, opens_below(checker, stage.models))


def test_the_trace_shows_every_write_of_a_publish(trace: Trace) -> None:
    """No point is left out: the calls that a publish consists of are all there, and nothing is written besides.

    Ten artifacts, the digest, the manifest and the log are written, flushed (file and folder), read back
    and renamed; then come the locks, the folder's own flushes and rename, the link, and the removal of
    the oldest release.
    """
    files = 13
    assert trace.calls["write"] == files
    assert (
        trace.calls["pwrite64"] == trace.calls["ftruncate"] == trace.calls["flock"] == 3
    )  # the locks: of publishers, of the hold, and of the log
    assert trace.calls["rename"] == files + 3  # the folder, the link, the old release
    assert trace.calls["fsync"] == 2 * files + 4  # the sealed folder, the renamed one, the link, the old release
    assert trace.calls["symlink"] == 1
    assert trace.calls["unlinkat"] + trace.calls["unlink"] + trace.calls["rmdir"] >= files + 1
    assert trace.calls["openat"] >= 3 * files
    assert len(trace.checker_opens) >= files
    assert len(trace.looks_for_hold) == 2, "at the beginning, and again before the switch"
    assert not {"open", "creat", "writev", "link", "linkat", "renameat", "renameat2"} & set(trace.calls)


def test_no_lying_write_is_believed(stage: Stage, trace: Trace) -> None:
    """A write that stores nothing but reports success, in part or in full, never ends with exit code 0."""
    for number, size in enumerate(trace.sizes, 1):
        for size_reported in (1, size):
            _fails_before_the_swap(stage, f"--inject=write:retval={size_reported}:when={number}")


def test_no_lying_rename_or_link_is_believed(stage: Stage, trace: Trace) -> None:
    """A rename or a link that reports success and does nothing is found before, or instead of, the swap."""
    for number in range(1, trace.calls["rename"]):  # the last one puts the oldest release aside
        _fails_before_the_swap(stage, f"--inject=rename:retval=0:when={number}")
    _fails_before_the_swap(stage, "--inject=symlink:retval=0")


def _fails_before_the_swap(stage: Stage, lie: str) -> None:
    stage.reset()
    outcome = stage.publisher.publish(stage.models, "new", strace=["-o", "/dev/null", lie])
    assert (outcome.code, "Traceback" in outcome.said) == (73, False), f"{lie}: {outcome}"
    assert load_release(stage.models / "v1").path.name == "old", lie
    assert stage.other.publish(stage.models, "next", check=["here"]) == Outcome(0, ""), lie


@pytest.mark.timeout(7200)
def test_every_fault_leaves_a_whole_release(stage: Stage, trace: Trace) -> None:
    """At every point: the old release or the new one, never between; exit 0 means new; the next succeeds."""
    points = trace.points()
    if not ALL:
        chooser = random.Random(SEED)
        points = [
            point
            for where, count in SAMPLE.items()
            for point in chooser.sample([point for point in points if point.where == where], count)
        ]
    outcomes: Counter[str] = Counter()
    for point in points:
        outcomes[_try(stage, trace, point)] += 1
    print(f"{len(points)} of {len(trace.points())} fault points (seed {SEED}): {dict(outcomes)}")  # noqa: T201
    assert outcomes["old"] > 0
    assert sum(outcomes.values()) == len(points)


MENDING = (
    *(Point("rename", number, fault) for number in (1, 2) for fault in FAULTS),
    *(Point("fsync", number, fault) for number in (1, 2, 3, 4) for fault in FAULTS),
    *(Point("symlink", number, fault) for number in (1, 2) for fault in FAULTS),
    *(Point("unlinkat", 1, fault) for fault in FAULTS),
)
"""What a publisher does to a folder in the link's place, before anything else: its first calls, and one that could be
one of them."""


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("beside", [True, False], ids=["a copy", "the release itself"])
def test_a_restored_folder_stays_the_current_release(stage: Stage, *, beside: bool) -> None:
    """Wherever making the link again fails or is killed, readers get that release, and the next one replaces it."""
    moved = 0
    for point in MENDING:
        if not (ALL or point.fault in {"EIO", "KILL"}) or (point.syscall == "unlinkat" and not beside):
            continue
        stage.reset()
        (stage.models / "v1").unlink()
        shutil.copytree(stage.models / "releases" / "old", stage.models / "v1")
        if not beside:
            shutil.rmtree(stage.models / "releases" / "old")
        outcome = stage.publisher.publish(stage.models, "new", strace=["-o", "/dev/null", *point.options()], keep=5)
        context = f"{point}: exit {outcome.code}, {outcome.said}"
        assert outcome.code in ({-9} if point.fault == "KILL" else {0, 73}), context
        assert "Traceback" not in outcome.said, context
        current = load_release(stage.models / "v1").manifest.release
        assert current == ("new" if outcome.code == 0 else "old"), context
        moved += not (stage.models / "v1").is_symlink()
        assert stage.other.publish(stage.models, "next", check=["here"], keep=5).code == 0, context
        assert ReleaseStore(stage.models).manifest().replaces == current, context
        check_here(stage.models / "releases" / "old")
        left = {path.name for path in (stage.models / "releases").iterdir()}
        assert left - {"new"} == {"next", "old", "first"}, context
    assert moved


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("held", [True, False], ids=["held before", "not held before"])
def test_no_rollback_is_without_its_hold(stage: Stage, *, held: bool) -> None:
    """Wherever going back fails or is killed, the older release is current only if held; else all is as before."""
    stage.reset()
    trace = stage.folder / "rollback.trace"
    options = ["-o", str(trace), f"--trace={','.join(SYSCALLS)}"]
    assert stage.publisher.publish(stage.models, "first", strace=options, check=["rollback"]) == Outcome(0, "")
    calls = calls_in(trace)
    assert (calls["write"], calls["rename"], calls["symlink"]) == (2, 3, 1), "hold and log; both and the link"
    outcomes: Counter[str] = Counter()
    seldom = {"openat"} if ALL or not held else calls.keys() - {"fsync", "rename", "write"}
    for syscall in sorted(calls.keys() - seldom):
        # Where a hold gives way, the second write is the warning of that, on stderr.
        for number in (1, 3) if held and syscall == "write" else range(1, calls[syscall] + 1):
            for fault in FAULTS if ALL else ("EIO", "KILL"):
                outcomes[_try_rollback(stage, Point(syscall, number, fault), held=held)] += 1
    assert outcomes.keys() == {"moved", "stayed"}


def _try_rollback(stage: Stage, point: Point, *, held: bool) -> str:
    stage.reset()
    store = ReleaseStore(stage.models, check=check_here)
    if held:
        store.holds.place("freeze")
    before = store.holds.current()
    done = stage.publisher.publish(
        stage.models, "first", strace=["-o", "/dev/null", *point.options()], check=["rollback"]
    )
    context = f"{point}: exit {done.code}, {done.said}"
    assert done.code in ({-9} if point.fault == "KILL" else {0, 73}), context
    assert "Traceback" not in done.said, context
    current, hold = store.current(), store.holds.current()
    placed = hold is not None and hold.card is not None and hold.card.reason == "worse"
    if current == "first":
        assert placed, context
    elif done.code == 73:
        assert hold == before, context
    else:
        assert (current, done.code) == ("old", -9), context
        assert placed or hold == before, context
    store.rollback("first", reason="worse")
    store.holds.lift()
    _goes_on(stage.other.publish(stage.models, "next", check=["here"], keep=9), point, context)
    return "moved" if current == "first" else "stayed"


def _goes_on(done: Outcome, point: Point, context: str) -> None:
    """Require that the next publish succeeds; it may say that a killed one left log and link with two releases."""
    assert done.code == 0, context
    assert not done.said or (point.fault == "KILL" and "the log of the releases does not say" in done.said), context


def _try(stage: Stage, trace: Trace, point: Point) -> str:
    """Make one point fail and look at what is left; return which release is current."""
    stage.reset()
    if point.where == "publisher":
        outcome = stage.publisher.publish(stage.models, "new", strace=["-o", "/dev/null", *point.options()])
    else:
        outcome = stage.publisher.publish(stage.models, "new", check=["strace", "-o", "/dev/null", *point.options()])
    context = f"{point}: exit {outcome.code}, {outcome.said}"
    looks = point.where == "publisher" and point.syscall == "openat" and point.number in trace.looks_for_hold
    expected = {-9} if point.fault == "KILL" and point.where == "publisher" else {3} if looks else {0, 73}
    assert outcome.code in expected, context  # a hold that cannot be looked at holds
    assert "Traceback" not in outcome.said, context
    release = load_release(stage.models / "v1")
    check_here(release.path)
    assert release.path.name in {"old", "new"}, context
    seed = {"old": 0, "new": 1}[release.path.name]
    assert release.manifest.content.settings == release.manifest.cf.settings == {"seed": seed}, context
    if outcome.code == 0:
        assert release.path.name == "new", context
    if outcome.code == 73:
        assert not list((stage.models / "releases").glob(".staging-*")), context
        assert outcome.said.startswith("ArtifactWriteError: "), context
    _goes_on(stage.other.publish(stage.models, "next", check=["here"]), point, context)
    assert ReleaseStore(stage.models).journal.unexplained("next") == "", context
    check_here(stage.models / "v1")
    left = {path.name for path in (stage.models / "releases").iterdir()}
    assert left <= {"next", "new", "old"}, context
    assert "next" in left, context
    return release.path.name
