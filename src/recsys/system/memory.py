"""How much memory this process may still take: of the machine, and of its container."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_MEMINFO = Path("/proc/meminfo")
_CGROUPS = (
    (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")),
    (Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"), Path("/sys/fs/cgroup/memory/memory.usage_in_bytes")),
)
"""Limit and use of a container: version 2 of control groups, then version 1."""


@dataclass(frozen=True)
class Memory:
    """Memory in bytes; None where the system does not say.

    Attributes
    ----------
    available
        What can be taken before the machine swaps, or the container is at its limit.
    limit
        The bound of the container; None where there is none.
    """

    available: int | None
    limit: int | None = None


def usable_memory(meminfo: Path = _MEMINFO, cgroups: tuple[tuple[Path, Path], ...] = _CGROUPS) -> Memory:
    """Ask the system."""
    available = total = limit = None
    with suppress(OSError, ValueError):
        sizes = dict(re.findall(r"^(\w+): +(\d+) kB", meminfo.read_text(encoding="ascii"), re.MULTILINE))
        available, total = int(sizes["MemAvailable"]) * 1024, int(sizes["MemTotal"]) * 1024
    for bound, used in cgroups:
        with suppress(OSError, ValueError):  # "max" is no number: there is no bound
            limit = int(bound.read_text(encoding="ascii"))
            left = max(0, limit - int(used.read_text(encoding="ascii")))
            if total is not None and limit >= total:  # as version 1 says that there is none
                limit = None
                break
            available = left if available is None else min(available, left)
            break
    return Memory(available, limit)
