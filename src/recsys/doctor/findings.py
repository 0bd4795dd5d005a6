"""What a check found."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from recsys.pipeline.outcome import Failure


class State(StrEnum):
    """How a check ended."""

    sound = "sound"
    failed = "failed"
    skipped = "skipped"
    not_applicable = "not applicable"


@dataclass(frozen=True)
class Seen:
    """What a check saw that did not fail.

    Attributes
    ----------
    text
        For people.
    facts
        The same for programs: values of JSON, none of them secret.
    applies
        False where there is nothing to check with these settings.
    """

    text: str
    facts: dict[str, object] = field(default_factory=dict)
    applies: bool = True


@dataclass(frozen=True)
class Finding:
    """One line of an examination.

    Attributes
    ----------
    check
        Name of the check.
    state
        How it ended.
    text
        What was seen; of a failure also what was expected and what to do.
    facts
        What was seen, for programs.
    failure
        The failure, with the exit code that it has anywhere; None without one.
    """

    check: str
    state: State
    text: str
    facts: dict[str, object] = field(default_factory=dict)
    failure: Failure | None = None

    def as_json(self) -> dict[str, object]:
        """Return the finding ready for JSON."""
        failed = {} if self.failure is None else self.failure.to_json()
        return {"check": self.check, "state": self.state.value, "text": self.text, **failed, "facts": self.facts}


def exit_code(findings: Iterable[Finding]) -> int:
    """Return the exit code of the first failure; 0 if there is none."""
    return next((finding.failure.exit_code for finding in findings if finding.failure is not None), 0)
