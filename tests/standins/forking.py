"""Work done again and again, each time in a fork of a process that has imported everything: what strace makes fail.

The process is a fresh one: in a fork of a test's own, what other tests have left in it (handlers, threads) would answer
a fault in its own way.
"""

from __future__ import annotations

import ctypes
import os
import sys
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def serve(work: Callable[..., int]) -> None:
    """Fork for every line on stdin; write the fork's process id, and its exit code when it has ended.

    A fork waits on a pipe until it is told to go, so that a tracer can attach in between.

    Parameters
    ----------
    work
        Takes the fields of a line, which tabs part, and returns an exit code.
    """
    # From Python 3.12 on a fork beside threads warns; those that libraries have started here are idle, and a child does
    # nothing that waits for them.
    warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
    for line in sys.stdin:
        go, signal = os.pipe()
        pid = os.fork()
        if not pid:
            os.close(signal)
            _let_anybody_trace()
            os.read(go, 1)
            os._exit(work(*line.rstrip("\n").split("\t")))
        os.close(go)
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()
        sys.stdin.readline()
        os.write(signal, b"\n")
        _, status = os.waitpid(pid, 0)
        os.close(signal)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


def _let_anybody_trace() -> None:
    """Allow a tracer that is not our parent, where the kernel (Yama) asks for that."""
    set_ptracer, anybody = 0x59616D61, -1
    ctypes.CDLL(None).prctl(set_ptracer, ctypes.c_ulong(anybody), 0, 0, 0)
