"""One run: its name, what people allowed it to do, and what it did."""

from __future__ import annotations

import secrets
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Literal, Self, TypeAlias

from recsys.errors import RETRY, UNFORESEEN, PublishingHeld, QualityGateFailed, RecsysError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from recsys.pipeline.dbt import DbtBuild
    from recsys.release.metrics import Metrics

Status: TypeAlias = Literal["published", "nothing new", "checked", "trained"]
Outlook: TypeAlias = Literal["train", "publish again", "nothing new"]
"""What a run would do."""

_OUTLOOKS: dict[Outlook, str] = {
    "train": "a run would train now and let the gate decide, which no dry run foretells",
    "publish again": "a run would publish the models of the current release again, with other scenarios",
    "nothing new": "a run would find nothing new",
}


@dataclass(frozen=True)
class Overrides:
    """Rules that somebody set aside for one run, with the reason, which is recorded.

    Attributes
    ----------
    publish_anyway
        Why a candidate is published that the gate refuses.
    accept_drift
        Why data are trained on that drifted beyond the bounds.
    """

    publish_anyway: str | None = None
    accept_drift: str | None = None


NO_OVERRIDES = Overrides()
"""Every rule holds."""


@dataclass(frozen=True)
class RunResult:
    """What a run did; the JSON line of ``recsys train --json``.

    Attributes
    ----------
    status
        ``published``; ``nothing new`` when the current release was made of the same data, settings,
        code and libraries; ``checked`` after a dry run; ``trained`` when one half was trained and no release
        was published.
    run_id
        The run's name, and its release's if it published one.
    path
        Folder of the release that is current now, or of the copy of it on this machine; None after a dry run.
    rows
        Counts of what was read, trained on, and left out.
    repairs
        What was mended in the marts, by kind.
    seconds, peak_mb
        Wall time and highest memory of the process by step.
    trial
        The content of ``metrics.json``; None if nothing was evaluated.
    observers
        What went wrong with observers of the run, by name; it decided nothing.
    outlook
        What a run would do, by a dry run; None after any other.
    dbt
        The run of dbt that built the marts; None where ``dbt.target`` names none. It is told here and not in the
        release: the same data make the same one, whichever run of dbt they come from.
    address
        That release in an object store; None where releases are in a folder.
    """

    status: Status
    run_id: str
    path: Path | None
    rows: dict[str, int]
    repairs: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    peak_mb: dict[str, float] = field(default_factory=dict)
    trial: dict[str, object] | None = None
    observers: dict[str, str] = field(default_factory=dict)
    outlook: Outlook | None = None
    dbt: DbtBuild | None = None
    address: str | None = None

    @property
    def headline(self) -> str:
        """One line for people: what the run did."""
        rows, took = self.rows, f"{sum(self.seconds.values()):.1f} s"
        if self.status == "trained":
            return f"trained one half; no release was published ({took})"
        counts = ", ".join(_counted(rows))
        if self.outlook is not None:
            return f"checked: {counts} ({took}); {_OUTLOOKS[self.outlook]}. Nothing was written"
        if self.status == "nothing new":
            where = self.address or self.path
            return f"nothing new: {where} was made of the same {counts} ({took}); --force trains all the same"
        found = "" if self.trial is None else _found(_metrics(self.trial))
        return f"published {self.address or self.path}: {counts} ({took}){found}"

    def to_json(self) -> dict[str, object]:
        """Return the result as JSON values; of the trial, the verdict and the scores by contender."""
        values = {**asdict(self), "path": None if self.path is None else str(self.path)}
        trial, outlook = values.pop("trial"), values.pop("outlook")
        foreseen = {} if outlook is None else {"outlook": outlook}
        if values["address"] is None:
            del values["address"]
        return {**values, **foreseen, **({} if trial is None else headlines(trial))}


def _counted(rows: dict[str, int]) -> Iterator[str]:
    """Yield what was read; a run that trained one half knows one table."""
    if "games" in rows:
        yield f"{rows['games']:,} games"
    if "ratings" in rows:
        users = f" by {rows['users']:,} users" if "users" in rows else ""
        yield f"{rows['ratings']:,} ratings{users}"


@dataclass(frozen=True)
class Failure:
    """How a run failed; what the command line says of it.

    Attributes
    ----------
    kind
        Name of the error; ``Unforeseen`` for what is a bug.
    message
        What failed, the value seen, what was expected, what to do.
    exit_code
        The exit code of the command.
    next_step
        What to do about errors of this kind.
    trial
        The content of ``metrics.json`` where the gate refused the candidate; None otherwise.
    observers
        What went wrong with observers of the run, by name.
    hold
        Who holds publishing, since when and why, where that ended the run; see
        :class:`recsys.errors.PublishingHeld`. None otherwise.
    """

    kind: str
    message: str
    exit_code: int
    next_step: str = RecsysError.next_step
    trial: dict[str, object] | None = None
    observers: dict[str, str] = field(default_factory=dict)
    hold: dict[str, str | None] | None = None

    @classmethod
    def of(cls, error: Exception) -> Self:
        """Describe what ended a run."""
        if isinstance(error, RecsysError):
            trial = error.trial if isinstance(error, QualityGateFailed) else None
            hold = error.hold if isinstance(error, PublishingHeld) else None
            return cls(type(error).__name__, str(error), error.exit_code, error.next_step, trial, hold=hold)
        bug = f"this is a bug, please report it: {type(error).__name__}: {error}; -v shows the traceback"
        return cls("Unforeseen", bug, UNFORESEEN)

    def to_json(self) -> dict[str, object]:
        """Return what logs, programs and the doctor are told of a failure."""
        return {
            "error": self.kind,
            "message": self.message,
            "exit_code": self.exit_code,
            "next_step": self.next_step,
            "retry": self.exit_code in RETRY,
        }


def headlines(trial: dict[str, object]) -> dict[str, object]:
    """Return what a line has room for of ``metrics.json``: verdict, scores without intervals, what stays of lists."""
    scores = {
        name: {
            metric: score if score is None or isinstance(score, float) else score.value for metric, score in row.items()
        }
        for name, row in _metrics(trial).evaluation.contenders.items()
    }
    return {
        "verdict": trial["verdict"],
        "scores": scores,
        **({"overlap": trial["overlap"]} if "overlap" in trial else {}),
    }


def _found(metrics: Metrics) -> str:
    """Return what a trial found, in words: what the gate says, and how much of the lists stays."""
    told = "" if metrics.verdict is None else f"; {metrics.verdict.reason}"
    kept, beside = metrics.overlap.kept, metrics.overlap.release
    if kept is None or kept.value is None:
        return told
    return f"{told}; {kept.value:.0%} of the games in people's lists are those of {beside}"


def _metrics(trial: dict[str, object]) -> Metrics:
    from recsys.release.metrics import Metrics

    return Metrics.model_validate(trial)


def new_run_id() -> str:
    """Return a name for a run: its start in UTC, and four letters against two starts at once."""
    return f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{secrets.token_hex(2)}"
