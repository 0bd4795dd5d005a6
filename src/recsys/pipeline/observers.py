"""Observers of a run: what they are, and how they are notified without deciding anything.

A run tells each observer what happens, one event after the other. Nothing that an observer does changes
the run: it gets copies, it is given a time limit, and what it raises is a warning and a field of the
result. ``published`` comes after the release has been sealed and made current.
"""

from __future__ import annotations

import threading
from copy import deepcopy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from recsys.pipeline.outcome import headlines
from recsys.system.log import events, keys
from recsys.system.streams import answer, as_json, tell

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from recsys.pipeline.outcome import Failure, RunResult

log = events(__name__)


class RunObserver:
    """Hears of a run; each method does nothing until it is overridden.

    A run that has begun ends with exactly one of ``published``, ``ended``, ``refused`` and ``failed``, unless
    the process is ended from outside.
    """

    def began(self, run_id: str, output: Path | str) -> None:
        """Hear that a run begins, and where it may publish: a folder, or the address of a store."""

    def step(self, name: str, seconds: float, peak_mb: float) -> None:
        """Hear that a step is done: its wall time, and the peak memory of the process so far in MB."""

    def judged(self, metrics: dict[str, object]) -> None:
        """Hear the verdict on the candidate: the content of ``metrics.json``."""

    def refused(self, failure: Failure) -> None:
        """Hear that the gate refused the candidate."""

    def published(self, result: RunResult) -> None:
        """Hear that a release was published."""

    def ended(self, result: RunResult) -> None:
        """Hear that a run ended well and had nothing to publish."""

    def failed(self, failure: Failure) -> None:
        """Hear that a run failed."""


class JsonLine(RunObserver):
    """Prints one JSON object about the end of a run on stdout."""

    def published(self, result: RunResult) -> None:
        """Print the result."""
        tell(as_json(result.to_json()))

    def ended(self, result: RunResult) -> None:
        """Print the result."""
        tell(as_json(result.to_json()))

    def refused(self, failure: Failure) -> None:
        """Print the failure, with the verdict."""
        answer(failure_line(failure))

    def failed(self, failure: Failure) -> None:
        """Print the failure."""
        answer(failure_line(failure))


def failure_line(failure: Failure) -> str:
    """Return the JSON object that tells a failure."""
    line: dict[str, object] = {"status": "failed", **failure.to_json()}
    if failure.hold is not None:
        line["hold"] = failure.hold
    if failure.observers:
        line["observers"] = failure.observers
    return as_json({**line, **({} if failure.trial is None else headlines(failure.trial))})


class Audience:
    """All observers of one run, notified in the order in which they were given.

    Parameters
    ----------
    observers
        Any number of them.
    limit_s
        Seconds that an observer may take for one event; one that takes longer is dropped for the rest of the run.

    Attributes
    ----------
    problems
        What went wrong, by observer: the event and the reason.
    """

    def __init__(self, observers: Sequence[RunObserver] = (), limit_s: float = 10.0) -> None:
        self._observers = list(observers)
        self._limit_s = limit_s
        self.problems: dict[str, str] = {}

    def began(self, run_id: str, output: Path | str) -> None:
        """Tell that the run begins."""
        self._tell("began", lambda: (run_id, output))

    def step(self, name: str, seconds: float, peak_mb: float) -> None:
        """Tell that a step is done."""
        self._tell("step", lambda: (name, seconds, peak_mb))

    def judged(self, metrics: dict[str, object]) -> None:
        """Tell the verdict on the candidate."""
        self._tell("judged", lambda: (deepcopy(metrics),))

    def done(self, result: RunResult) -> RunResult:
        """Tell that the run ended well; return its result with the observers' problems."""
        event = "published" if result.status == "published" else "ended"
        self._tell(event, lambda: (replace(deepcopy(result), observers=dict(self.problems)),))
        return replace(result, observers=dict(self.problems))

    def failed(self, failure: Failure) -> None:
        """Tell that the run failed, or was refused."""
        event = "failed" if failure.trial is None else "refused"
        self._tell(event, lambda: (replace(deepcopy(failure), observers=dict(self.problems)),))

    def _tell(self, event: str, arguments: Callable[[], tuple[Any, ...]]) -> None:
        for observer in list(self._observers):
            name = type(observer).__name__
            problem = _heard(getattr(observer, event), arguments(), self._limit_s)
            if problem is None:
                continue
            if isinstance(problem, TimeoutError):
                self._observers.remove(observer)
            reason = f"{event}: {type(problem).__name__}: {' '.join(str(problem).split())}"
            self.problems.setdefault(name, reason)
            log.warning("an observer of the run failed", extra=keys(observer=name, reason=reason))


def _heard(hear: Callable[..., None], arguments: tuple[Any, ...], limit_s: float) -> BaseException | None:
    """Return what an observer raised, or that it took too long; None if it heard."""
    raised: list[BaseException] = []

    def listen() -> None:
        try:
            hear(*arguments)
        except BaseException as error:  # noqa: BLE001 - also SystemExit: an observer decides nothing
            raised.append(error)

    # A thread that hangs is left behind: a daemon keeps no process alive.
    thread = threading.Thread(target=listen, name=f"observer {hear.__name__}", daemon=True)
    try:
        thread.start()
    except RuntimeError as error:  # the system grants no more threads
        return error
    thread.join(limit_s)
    if thread.is_alive():
        return TimeoutError(f"no answer after {limit_s:g} s; it hears nothing more of this run")
    return raised[0] if raised else None
