"""An export that fails or is killed at any system call leaves the old table or the new one, whole.

``make faults`` (``RECSYS_FAULTS=all``) tries every point; otherwise a sample that changes from day to day.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from conftest import require
from factories.exported import held
from standins.export_tables import put
from standins.fault_injection import FAULTS, SYSCALLS, Forking, Outcome, Point, calls_in

if TYPE_CHECKING:
    from collections.abc import Iterator

ALL = os.environ.get("RECSYS_FAULTS") == "all"
SEED = int(os.environ.get("RECSYS_FAULTS_SEED", time.time() // 86400))
SAMPLE = 25
KINDS = ("table.parquet", "folder", "duckdb:table.duckdb")


@pytest.fixture(scope="module", autouse=True)
def _strace() -> None:
    require(shutil.which("strace"), "the program strace", "system calls are made to fail with it: apt install strace")


@pytest.fixture
def folder() -> Iterator[Path]:
    """Return an empty folder, in memory where that can be had: what fails is injected, flushing takes no time."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as name:
        yield Path(name)


@pytest.fixture
def exporter(folder: Path) -> Iterator[Forking]:
    """Return what exports in processes of its own."""
    with Forking("export_tables", folder, folder / "stderr") as forking:
        yield forking


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("before", ["old", ""], ids=["replaced", "made"])
def test_every_fault_leaves_a_whole_table(kind: str, before: str, folder: Path, exporter: Forking) -> None:
    """At every point: the old table or the new one; exit 0 means new; the next export succeeds, and leaves nothing."""
    scheme, _, name = kind.rpartition(":")
    path, template = folder / "at" / name, folder / "template"
    text = f"{scheme}:{path}" if scheme else str(path)
    path.parent.mkdir()
    if before:
        assert put(text, "old") == 0
    shutil.copytree(path.parent, template)
    trace = folder / "trace"
    assert exporter.run(text, "new", strace=["-o", str(trace), f"--trace={','.join(SYSCALLS)}"]) == Outcome(0, "")
    assert held(path) == "new"
    calls = calls_in(trace)
    assert calls["fsync"] + calls["fdatasync"] >= 1
    points = [
        Point(syscall, number, fault)
        for syscall, count in sorted(calls.items())
        for number in range(1, count + 1)
        for fault in FAULTS
    ]
    chosen = points if ALL else random.Random(SEED).sample(points, min(SAMPLE, len(points)))
    outcomes = []
    for point in chosen:
        shutil.rmtree(path.parent)
        shutil.copytree(template, path.parent)
        code = exporter.run(text, "new", strace=["-o", "/dev/null", *point.options()]).code
        context = f"{kind} {point}: exit {code}"
        # DuckDB itself aborts where some of its files cannot be opened: that is a kill, too.
        killed = {-signal.SIGKILL, -signal.SIGABRT} if scheme else {-signal.SIGKILL}
        assert code in {0, 73, 75, 78, *killed}, context
        assert code >= 0 or point.fault == "KILL" or scheme, context
        now = held(path)
        assert now in ({"new"} if code == 0 else {before, "new"}), context
        outcomes.append(now)
        assert put(text, "next") == 0, context
        assert held(path) == "next", context
        assert [each.name for each in path.parent.iterdir()] == [path.name], context
    assert before in outcomes, "nothing failed before the swap: nothing was tried"
