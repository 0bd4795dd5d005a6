"""GitHub Actions: a summary on the run's page, and an annotation for a failure."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

SUMMARY = "GITHUB_STEP_SUMMARY"
"""Variable with the file that takes Markdown for the run's page."""
_ACTIONS = "GITHUB_ACTIONS"


def announce(title: str, message: str, environ: Mapping[str, str] = os.environ) -> None:
    """Make a failure an annotation of the run; outside GitHub Actions do nothing.

    The command goes to stderr, which the runner reads as well: stdout is for the JSON line.
    """
    if environ.get(_ACTIONS) == "true":
        sys.stderr.write(f"::error title={_escaped(title, ',:')}::{_escaped(message)}\n")


def summarize(headline: str, trial: dict[str, Any] | None, environ: Mapping[str, str] = os.environ) -> None:
    """Append a run's outcome to the summary of the step; outside GitHub Actions do nothing.

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
        with Path(path).open("a", encoding="utf-8") as summary:
            summary.write(f"### recsys\n\n{_cell(headline)}\n\n{'' if trial is None else _table(trial)}")


def _table(trial: dict[str, Any]) -> str:
    verdict, evaluation = trial["verdict"], trial["evaluation"]
    k = evaluation["k"]
    columns = [f"ndcg@{k}", f"recall@{2 * k}", f"hit_rate@{k}", "coverage"]
    lines = [
        f"| {evaluation['users']:,} users | {' | '.join(columns)} |",
        f"| --- |{' ---: |' * len(columns)}",
        *(
            f"| {name} | {' | '.join(_score(row[column]) for column in columns)} |"
            for name, row in evaluation["contenders"].items()
        ),
        "",
        *(f"- {'✅' if check['passed'] else '❌'} {_cell(check['reason'])}" for check in verdict["checks"]),
    ]
    if verdict["override"]:
        lines.append(f"- ⚠️ published anyway: {_cell(verdict['override'])}")
    drift = trial.get("drift") or {}
    if drift.get("reason"):
        lines.append(f"- ⚠️ drift accepted ({_cell(drift['accepted'])}): {_cell(drift['reason'])}")
    return "\n".join(lines) + "\n"


def _score(found: Any) -> str:
    if isinstance(found, dict):
        return "–" if found["value"] is None else f"{found['value']:.4f} [{found['low']:.4f}, {found['high']:.4f}]"
    return "–" if found is None else f"{found:.1%}"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def _escaped(text: str, also: str = "") -> str:
    """Escape a text as workflow commands want it: ``%0A`` for a line break, and so on."""
    escaped = text
    for sign in f"%\r\n{also}":
        escaped = escaped.replace(sign, f"%{ord(sign):02X}")
    return escaped
