"""Scenarios: what the lists by each score beside those without rules, and what that costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recsys.evaluation.scenarios import NO_SCENARIO
from recsys.report.missing import Missing, evaluated
from recsys.report.scores import label

if TYPE_CHECKING:
    from collections.abc import Mapping

    from recsys.release.metrics import ScenarioFigures
    from recsys.release.records import Json
    from recsys.report.contents import Contents, View


def scenarios(release: Contents, _: Contents | None) -> View:
    """Return the scores of each scenario of a release, and its price; of one that was edited since, that it was."""
    found = evaluated(release).scenarios
    # Of a refused candidate there is no manifest; what was scored is all that is known.
    names = found.named if release.facts.cf is None else release.facts.scenarios
    if not names:
        raise Missing(found.missing or "This release has no scenarios.")
    ndcg = f"ndcg@{found.k}"
    return {
        "ndcg": label(ndcg),
        "key": ndcg,
        "k": found.k,
        "users": found.users,
        "base": found.base,
        "rows": [_row(name, found.named.get(name), release.facts.scenarios.get(name)) for name in names],
        "unscored": "" if found.missing == NO_SCENARIO else found.missing,
    }


def _row(name: str, found: ScenarioFigures | None, rules: Mapping[str, Json] | None) -> View:
    """Return one scenario; figures only where they are of these very rules."""
    shown = found.rules if rules is None and found is not None else rules or {}
    same = found is not None and found.rules == shown
    return {"name": name, "rules": _told(shown), "found": found if same else None}


def _told(rules: Mapping[str, Json]) -> list[str]:
    """Return rules as people read them, one a line."""
    return [f"{rule}: {_value(value)}" for rule, value in rules.items()]


def _value(value: Json) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {number:g}" for name, number in value.items() if isinstance(number, int | float))
    if isinstance(value, list):
        some = ", ".join(map(str, value[:5]))
        return some if len(value) <= 5 else f"{some} and {len(value) - 5:,} more"
    return f"{value:g}" if isinstance(value, float) else str(value)
