"""GitHub Actions: a summary on the run's page, and an annotation for a failure."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from recsys.pipeline.observers import RunObserver
from recsys.system import events, keys, streams

if TYPE_CHECKING:
    from collections.abc import Mapping

    from recsys.pipeline.outcome import Failure, RunResult
    from recsys.release.metrics import Estimate

log = events(__name__)

SUMMARY = "GITHUB_STEP_SUMMARY"
"""Variable with the file that takes Markdown for the run's page."""
_ACTIONS = "GITHUB_ACTIONS"


class GitHubSummary(RunObserver):
    """Writes the end of a run into the summary of the GitHub step; outside GitHub Actions it does nothing."""

    def published(self, result: RunResult) -> None:
        """Write what was published, and the scores."""
        summarize(result.headline, result.trial)

    def ended(self, result: RunResult) -> None:
        """Write that there was nothing to publish."""
        summarize(result.headline, result.trial)

    def refused(self, failure: Failure) -> None:
        """Write why the candidate was refused, and its scores."""
        summarize(f"❌ {failure.message}", failure.trial)

    def failed(self, failure: Failure) -> None:
        """Write why the run failed."""
        summarize(f"❌ {failure.message}", None)


def announce(title: str, message: str, environ: Mapping[str, str] = os.environ) -> None:
    """Make a failure an annotation of the run; outside GitHub Actions do nothing.

    The command goes to stderr, which the runner reads as well: stdout is for the JSON line.
    """
    if environ.get(_ACTIONS) == "true":
        streams.note(f"::error title={_escaped(title, ',:')}::{_escaped(message)}")


def summarize(headline: str, trial: dict[str, object] | None, environ: Mapping[str, str] = os.environ) -> None:
    """Append a run's outcome to the summary of the step; outside GitHub Actions do nothing.

    One that cannot be written is a warning: what the run did, it did.

    Parameters
    ----------
    headline
        One line: what the run did.
    trial
        The content of ``metrics.json``; None where nothing was evaluated.
    environ
        The environment.
    """
    if path := environ.get(SUMMARY):
        try:
            page = f"### recsys\n\n{_cell(headline)}\n\n{'' if trial is None else _table(trial)}"
            _append(path, page.encode("utf-8", "backslashreplace"))
        except Exception as error:  # noqa: BLE001 - whatever it is, what the run did does not change by it
            because = f"{streams.reason(error)}; give {SUMMARY} a file that this user can write, or unset it"
            log.warning("the summary of the step could not be written", extra=keys(file=path, reason=because))


def _append(path: str, data: bytes) -> None:
    # Not to wait: a pipe that nobody reads would keep a run that is done from ending.
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o644)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
    finally:
        os.close(descriptor)


def _table(trial: dict[str, object]) -> str:
    from recsys.release.metrics import Metrics

    metrics = Metrics.model_validate(trial)
    evaluation, k = metrics.evaluation, metrics.evaluation.k
    columns = [f"ndcg@{k}", f"recall@{2 * k}", f"hit_rate@{k}", "coverage"]
    lines = [
        f"| {evaluation.users or 0:,} users | {' | '.join(columns)} |",
        f"| --- |{' ---: |' * len(columns)}",
        *(
            f"| {name} | {' | '.join(_score(row[column]) for column in columns)} |"
            for name, row in evaluation.contenders.items()
        ),
        "",
    ]
    if verdict := metrics.verdict:
        lines += [f"- {'✅' if check.passed else '❌'} {_cell(check.reason)}" for check in verdict.checks]
        if verdict.override:
            lines.append(f"- ⚠️ published anyway: {_cell(verdict.override)}")
    if (drift := metrics.drift) and drift.reason:
        lines.append(f"- ⚠️ drift accepted ({_cell(drift.accepted or '')}): {_cell(drift.reason)}")
    return "\n".join(lines) + "\n"


def _score(score: Estimate | float | None) -> str:
    if score is None or isinstance(score, float):
        return "–" if score is None else f"{score:.1%}"
    return "–" if score.value is None else f"{score.value:.4f} [{score.low:.4f}, {score.high:.4f}]"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def _escaped(text: str, also: str = "") -> str:
    """Escape a text as workflow commands want it: ``%0A`` for a line break, and so on."""
    escaped = text
    for sign in f"%\r\n{also}":
        escaped = escaped.replace(sign, f"%{ord(sign):02X}")
    return escaped
