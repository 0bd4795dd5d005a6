"""How many CPU cores this process may use: the size of every pool of threads that was given none."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_CGROUP_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def usable_cores(environ: Mapping[str, str] = os.environ, quota: Path = _CGROUP_QUOTA) -> int:
    """Return the number of cores that this process may use: affinity, container, ``OMP_NUM_THREADS``.

    A container with a quota of 2 CPUs on a machine of 64 has an affinity of 64: 64 threads would
    take turns on 2 CPUs and wait for each other.
    """
    bounds = [len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1]
    if environ.get("OMP_NUM_THREADS", "").isdecimal():
        bounds.append(int(environ["OMP_NUM_THREADS"]))
    with suppress(OSError, ValueError):
        allowed, period = quota.read_text(encoding="ascii").split()
        bounds.append(int(allowed) // int(period))
    return max(1, min(bounds))
