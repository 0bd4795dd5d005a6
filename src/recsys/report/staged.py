"""The page while a run is still at work: what the manifest will say comes from the run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recsys.release.manifest import Step
from recsys.report.contents import Facts
from recsys.report.page import render_report

if TYPE_CHECKING:
    from recsys.release.staging import RunFacts, Staging
    from recsys.system.steps import Steps


def staged_page(staging: Staging, facts: RunFacts) -> bytes:
    """Return the page of a release in the making, whose files are all there but for the manifest."""
    halves = facts.content, facts.cf
    told = Facts(staging.release, *halves, facts.steps, staging.replaces, facts.commit, facts.scenarios)
    return render_report(staging.folder, staging.current, facts=told)


def refused_page(staging: Staging, steps: Steps) -> bytes:
    """Return the page of a refused candidate, of which there is no more than ``metrics.json``."""
    taken = {name: Step(seconds=seconds, peak_memory_mb=steps.peak_mb[name]) for name, seconds in steps.seconds.items()}
    told = Facts(staging.release, steps=taken, replaces=staging.replaces)
    return render_report(staging.folder, staging.current, facts=told)


def _replaces(staging: Staging) -> str | None:
    return None if staging.current is None else staging.current.name
