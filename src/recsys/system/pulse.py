"""What a run is doing: a bar on a terminal, and an event where nothing else was logged for a while.

A call into a solver, a library or the network may take minutes and tells nothing meanwhile. So a
thread looks at the clock, and logs what is being done when the last event is too old. It decides
nothing: it holds no lock, it stops with what it watches, and where it cannot be started there are
no such events.
"""

from __future__ import annotations

import logging
import math
import sys
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO, cast

from recsys.system.log import events, keys, last_event
from recsys.system.streams import Stream, is_terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.progress import Progress

log = events(__name__)

QUIET_S = 20.0
"""Seconds after the last event when the next one is due."""


@dataclass(eq=False)
class Activity:
    """Something that is being done: a step of a run, or a part of one that is counted.

    Attributes
    ----------
    name
        Name of the step, or what its part does, such as ``encoding texts``.
    began
        When it began: seconds on the clock of the pulse.
    counted
        Whether it is a part whose progress is counted.
    total, done
        How often it does something, None if nobody knows, and how often it has.
    seconds_at_most
        When it will end at the latest; None if there is no such limit.
    """

    name: str
    began: float
    counted: bool = False
    total: int | None = None
    seconds_at_most: float | None = None
    done: int = 0

    def as_event(self, now: float) -> dict[str, object]:
        """Return what is known of a part's progress, as keys of an event."""
        event: dict[str, object] = {"what": self.name}
        took, done, total = now - self.began, self.done, self.total
        if done or total is not None:
            event["done"] = done
        if total is not None:
            event["of"] = total
        if self.seconds_at_most is not None and math.isfinite(self.seconds_at_most):
            event |= {"seconds_used": round(took), "seconds_at_most": round(self.seconds_at_most)}
        if done and took > 0:
            if total is not None and done <= total:
                event["share"] = round(done / total, 3)
            event["per_second"] = _figure(done / took)
            if total is not None and done <= total:
                event["seconds_left"] = round((total - done) * took / done)
        return event


class Pulse:
    """Watches a run, and logs what it is doing when nothing else was logged for a while.

    Parameters
    ----------
    quiet_s
        Seconds without an event after which one is due.
    clock
        Returns monotonic seconds.
    heard
        Returns when the last event was logged, on the same clock.
    """

    def __init__(
        self,
        quiet_s: float = QUIET_S,
        clock: Callable[[], float] = time.monotonic,
        heard: Callable[[], float] = last_event,
    ) -> None:
        self.clock = clock
        self.bar_shown = False
        self._quiet_s = quiet_s
        self._heard = heard
        self._began = clock()
        self._activities: list[Activity] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="pulse", daemon=True)

    @contextmanager
    def started(self) -> Iterator[None]:
        """Watch while the block lasts."""
        with suppress(RuntimeError):  # the system grants no more threads: then nothing is logged
            self._thread.start()
        try:
            yield
        finally:
            self._stop.set()
            if self._thread.is_alive():
                self._thread.join(1.0)  # not for ever: it may be writing to a terminal that is stopped

    @contextmanager
    def during(self, activity: Activity) -> Iterator[None]:
        """Know that something is being done while the block lasts."""
        self._activities.append(activity)
        try:
            yield
        finally:
            self._activities.remove(activity)

    def as_event(self) -> dict[str, object]:
        """Return the keys of an event: the innermost step, and how far its outermost part is."""
        now, activities = self.clock(), list(self._activities)
        steps = [place for place, activity in enumerate(activities) if not activity.counted]
        parts = activities[steps[-1] + 1 if steps else 0 :]
        step = {"step": activities[steps[-1]].name} if steps else {}
        began = activities[steps[-1]].began if steps else self._began
        return {**step, **(parts[0].as_event(now) if parts else {}), "seconds": round(now - began)}

    def due_in(self) -> float:
        """Return the seconds until an event is due, 0 if it is."""
        return max(0.0, self._quiet_s - (self.clock() - max(self._heard(), self._began)))

    def _beat(self) -> None:
        wait = self._quiet_s
        with suppress(Exception):
            while not self._stop.wait(wait):
                if wait := self.due_in():
                    continue
                wait = self._quiet_s
                if not self.bar_shown and log.isEnabledFor(logging.INFO):
                    log.info("working", extra=keys(**self.as_event()))


class _Here(threading.local):
    pulse: Pulse | None = None


_here = _Here()
"""What watches this thread."""


@contextmanager
def working(step: str, quiet_s: float = QUIET_S) -> Iterator[None]:
    """Be heard of while the block lasts, as being at a step.

    Parameters
    ----------
    step
        Its name. In a block that is watched already it is a step within.
    quiet_s
        For the outermost block: seconds after the last event when the next one is due.
    """
    with _watched(quiet_s) as pulse, pulse.during(Activity(step, pulse.clock())):
        yield


@contextmanager
def progress(
    what: str, total: int | None = None, seconds_at_most: float | None = None, *, bar: bool = True
) -> Iterator[Callable[[int], None]]:
    """Show a bar on a terminal; elsewhere say now and then how far this is, unless other events do.

    Yields a function that takes the number of steps just done.

    Parameters
    ----------
    what
        What the block does.
    total
        Steps that there are; None if nobody knows.
    seconds_at_most
        When the block will end at the latest.
    bar
        Whether a bar says anything about it; one within another is not shown.
    """
    with _watched(QUIET_S) as pulse:
        part = Activity(what, pulse.clock(), counted=True, total=total, seconds_at_most=seconds_at_most)
        with pulse.during(part), _bar(pulse, what, total, show=bar) as shown:

            def advance(steps: int) -> None:
                part.done += steps
                shown(steps)

            yield advance


@contextmanager
def _watched(quiet_s: float) -> Iterator[Pulse]:
    """Yield the pulse that watches already, or start one."""
    if _here.pulse is not None:
        yield _here.pulse
        return
    _here.pulse = pulse = Pulse(quiet_s)
    try:
        with pulse.started():
            yield pulse
    finally:
        _here.pulse = None


@contextmanager
def _bar(pulse: Pulse, what: str, total: int | None, *, show: bool) -> Iterator[Callable[[int], None]]:
    """Yield what moves the bar, if one is shown."""
    bar = None if pulse.bar_shown or not show else _open_bar()
    if bar is None:
        yield lambda _: None
        return
    task = bar.add_task(what, total=total)
    pulse.bar_shown = True
    try:
        yield lambda steps: bar.advance(task, steps)
    finally:
        pulse.bar_shown = False
        with suppress(Exception):  # a terminal that has gone is no reason to fail
            bar.stop()


def _open_bar() -> Progress | None:
    """Return a bar on the terminal; None where there is no terminal, or none that can show it."""
    if not is_terminal(sys.stderr):
        return None
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with suppress(Exception):  # as above
        console = Console(file=cast("TextIO", Stream(sys.stderr)))
        if console.is_interactive:
            bar = Progress(*columns, console=console, transient=True)
            bar.start()
            return bar
    return None


def _figure(number: float) -> int | float:
    """Return three digits of a number, and no exponent."""
    return round(number) if number >= 100 else float(f"{number:.3g}")
