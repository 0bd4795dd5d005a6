"""The examination: every check in its order, those that can be made; none takes the others' time."""

from __future__ import annotations

from concurrent.futures import TimeoutError as FutureTimeout
from concurrent.futures import wait
from dataclasses import dataclass
from typing import TYPE_CHECKING

from recsys.doctor import machine, marts, releases, set_up
from recsys.doctor.findings import Finding, Seen, State
from recsys.errors import DeadlineExceeded
from recsys.pipeline.outcome import Failure
from recsys.system import events, keys
from recsys.system.background import in_background

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Future

    from recsys.doctor.case import Case

log = events(__name__)

_CLOSING_S = 1.0
_GRACE_S = 0.5
"""What is bounded by itself can say more of its own end."""


@dataclass(frozen=True)
class Check:
    """One check.

    Attributes
    ----------
    name
        One word, for the line.
    look
        Returns what it saw, or raises what a run would end with.
    needs
        Names of the checks without which it can see nothing.
    """

    name: str
    look: Callable[[Case], Seen]
    needs: tuple[str, ...] = ()


CHECKS = (
    Check("versions", machine.versions),
    Check("variables", set_up.variables),
    Check("settings", set_up.settings),
    Check("packages", machine.packages, ("settings",)),
    Check("output", releases.output, ("variables", "settings")),
    Check("lock", releases.lock, ("output",)),
    Check("hold", releases.hold, ("output",)),
    Check("release", releases.current, ("output",)),
    Check("processor", machine.processor),
    Check("memory", machine.memory),
    Check("model", machine.model, ("settings",)),
    Check("encoder", machine.encoder, ("model",)),
    Check("cache", machine.cache, ("settings",)),
    Check("page", machine.page),
    Check("dbt", marts.dbt, ("settings",)),
    Check("source", marts.source, ("settings", "packages")),
    Check("role", marts.role, ("source",)),
    Check("games", marts.games, ("role",)),
    Check("ratings", marts.ratings, ("role",)),
    Check("ids", marts.ids, ("games", "ratings")),
)
"""In the order in which a run meets them, so that who may hang comes last; the exit code is the first failure's."""


def examine(case: Case, checks: Sequence[Check] = CHECKS) -> Iterator[Finding]:
    """Make every check, and yield what each found as soon as it is known.

    Parameters
    ----------
    case
        What is examined; its source is closed at the end.
    checks
        Each after those that it needs.
    """
    failed: dict[str, list[str]] = {}
    try:
        for check in checks:
            missed = list(dict.fromkeys(name for needed in check.needs for name in failed[needed]))
            if missed:
                finding = Finding(check.name, State.skipped, f"not looked at: it needs {' and '.join(missed)}")
            else:
                finding = _made(check, case)
            failed[check.name] = [check.name] if finding.state is State.failed else missed
            yield finding
    finally:
        if case.source is not None:
            wait([in_background(case.source.close, "doctor: closing")], timeout=_CLOSING_S)


def _made(check: Check, case: Case) -> Finding:
    limit_s = case.left_s + _GRACE_S
    looking = in_background(lambda: check.look(case), f"doctor: {check.name}")
    try:
        seen = _awaited(check.name, looking, limit_s)
    except Exception as error:
        log.debug("a check failed", extra=keys(check=check.name), exc_info=error)
        failure = Failure.of(error)
        return Finding(check.name, State.failed, failure.message, failure=failure)
    return Finding(check.name, State.sound if seen.applies else State.not_applicable, seen.text, seen.facts)


def _awaited(name: str, looking: Future[Seen], limit_s: float) -> Seen:
    try:
        return looking.result(timeout=limit_s)
    except FutureTimeout:
        if looking.done():
            return looking.result()
    raise DeadlineExceeded(
        f"the check of the {name} gave no answer in {limit_s:.0f} s, and was left; --limit gives all checks more time"
    )
