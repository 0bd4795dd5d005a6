"""Fault points of a publish, found in a trace and made to fail by strace."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

SYSCALLS = (
    "open", "openat", "creat", "write", "pwrite64", "writev", "ftruncate", "fsync", "fdatasync", "rename", "renameat",
    "renameat2", "link", "linkat", "symlink", "symlinkat", "mkdir", "mkdirat", "unlink", "unlinkat", "rmdir", "flock",
)  # fmt: skip
FAULTS = ("ENOSPC", "EIO", "EACCES", "KILL")


@dataclass(frozen=True)
class Point:
    """The n-th call of one system call in one process.

    Attributes
    ----------
    syscall, number
        Which call; the first is 1.
    fault
        An error, or ``KILL`` for kill -9 at its entry.
    where
        ``publisher`` or ``checker``.
    """

    syscall: str
    number: int
    fault: str
    where: str = "publisher"

    def __str__(self) -> str:
        return f"{self.where}-{self.syscall}-{self.number}-{self.fault}"

    def options(self) -> list[str]:
        """Return strace's options that make this point fail."""
        effect = "signal=KILL" if self.fault == "KILL" else f"error={self.fault}"
        return [f"--trace={self.syscall}", f"--inject={self.syscall}:{effect}:when={self.number}"]


@dataclass(frozen=True)
class Outcome:
    """How a publisher ended: its exit code (negative for a signal) and what it said."""

    code: int
    said: str


class Forking:
    """A process that forks to do its work; see ``forking.py``. A context manager that ends it.

    Parameters
    ----------
    module, argument
        What is run, with its one argument.
    errors
        Takes what it says on stderr.
    """

    def __init__(self, module: str, argument: Path, errors: Path) -> None:
        self._errors = errors.open("w+")
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"standins.{module}", str(argument)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": _python_path()},
        )
        assert self._process.stdin
        assert self._process.stdout
        self._in: IO[str] = self._process.stdin
        self._out: IO[str] = self._process.stdout

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._in.close()
        self._process.wait()
        self._errors.close()

    def run(self, *fields: object, strace: list[str] | None = None) -> Outcome:
        """Do the work once, in a fork.

        Parameters
        ----------
        fields
            What is worked on.
        strace
            Options of the tracer that is attached to the fork; none when not given.
        """
        self._errors.seek(0)
        self._errors.truncate()
        self._say("\t".join(map(str, fields)))
        pid = self._out.readline().strip()
        tracer = _attach(pid, strace) if strace else None
        self._say("go")
        code = int(self._out.readline())
        if tracer:
            tracer.wait()
        self._errors.seek(0)
        return Outcome(code, self._errors.read())

    def _say(self, line: str) -> None:
        self._in.write(line + "\n")
        self._in.flush()


class Publisher(Forking):
    """A process that publishes on demand; see ``publish_parts.py``.

    Parameters
    ----------
    parts
        Folder with the parts; beside it a folder ``warm`` with a release.
    """

    def __init__(self, parts: Path) -> None:
        super().__init__("publish_parts", parts, parts.parent / f"{parts.name}.stderr")

    def publish(
        self,
        models: Path,
        run_id: str,
        *,
        strace: list[str] | None = None,
        check: list[str] | None = None,
        keep: int = 2,
    ) -> Outcome:
        """Publish once.

        Parameters
        ----------
        models, run_id, keep
            As in the release store.
        strace
            Options of the tracer that is attached to the publisher; none when not given.
        check
            Put in front of the checking process's command; ``["here"]`` for none.
        """
        return self.run(models, run_id, keep, *(check or []), strace=strace)


def _attach(pid: str, options: list[str]) -> subprocess.Popen[str]:
    tracer = subprocess.Popen(["strace", "-p", pid, *options], stderr=subprocess.PIPE, text=True)
    assert tracer.stderr
    first = tracer.stderr.readline()
    assert "attached" in first, f"strace could not attach: {first}"
    return tracer


def _python_path() -> str:
    import recsys

    return os.pathsep.join([str(Path(__file__).parents[1]), str(Path(recsys.__file__).parents[1])])


def calls_in(trace: Path) -> Counter[str]:
    """Count the system calls of a trace."""
    return Counter(re.findall(r"^(\w+)\(", trace.read_text(), flags=re.MULTILINE))


def write_sizes(trace: Path) -> list[int]:
    """Return how many bytes each ``write`` of a trace wrote."""
    return [int(size) for size in re.findall(r"^write\(.* = (\d+)$", trace.read_text(), flags=re.MULTILINE)]


def opens_below(trace: Path, root: Path) -> list[int]:
    """Return which calls of ``openat`` in a trace open something below ``root``; the first is 1."""
    calls = re.findall(r"^openat\((.*)", trace.read_text(), flags=re.MULTILINE)
    return [number for number, call in enumerate(calls, 1) if f'"{root}' in call]


def copy_models(source: Path, target: Path) -> None:
    """Replace ``target`` by a copy of the store ``source``, links as links."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target, symlinks=True)
