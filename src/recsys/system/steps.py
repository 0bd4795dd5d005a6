"""The steps of a run: seconds and peak memory of each, and memory that is given back between them."""

from __future__ import annotations

import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from recsys.system.log import events, keys
from recsys.system.pulse import QUIET_S, working

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

log = events(__name__)


@dataclass
class Steps:
    """Measures the steps of a run, in the order they were taken.

    Attributes
    ----------
    seconds
        Wall time by step, without that of the steps within it, so that all of them add up to the run's; a step
        taken twice adds up.
    peak_mb
        Highest resident memory of the process so far, in MB, at the end of each step.
    quiet_s
        Seconds after the last event when a run says what it is at.
    ended
        Called after each step with its name, its own seconds, and the peak memory so far in MB.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    peak_mb: dict[str, float] = field(default_factory=dict)
    quiet_s: float = QUIET_S
    ended: Callable[[str, float, float], None] = lambda *_: None
    _within: list[float] = field(default_factory=list, repr=False)
    """Of each step that is being taken: seconds of the steps within it so far."""

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Measure the block as step ``name``."""
        log.debug("step begins", extra=keys(step=name))
        self._within.append(0.0)
        started = time.perf_counter()
        try:
            with working(name, self.quiet_s):
                yield
        finally:
            seconds = time.perf_counter() - started
            own = seconds - self._within.pop()
            if self._within:
                self._within[-1] += seconds
            self.seconds[name] = round(self.seconds.get(name, 0.0) + own, 3)
            self.peak_mb[name] = peak_memory_mb()
            trim_memory()
            log.debug("step ends", extra=keys(step=name, seconds=seconds))
            self.ended(name, round(own, 3), self.peak_mb[name])


def trim_memory() -> None:
    """Give memory that is free back to the system, where the C library can (glibc).

    What thousands of small arrays leave behind in its arenas would otherwise stay, and add to the
    peak of what follows.
    """
    import ctypes

    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def peak_memory_mb() -> float:
    """Return the highest resident memory of this process so far, in MB (10^6 bytes)."""
    import resource
    import sys

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6, 1)
