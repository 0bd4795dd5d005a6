"""When a night searches its settings again, and when it reuses those of an earlier search.

A search knows the recipe of the current release, and keeps it unless something is surely better. The
gate compares with that recipe: without this rule it could refuse what the search finds. A refused night
leaves no history, so every later night would search again and be refused again.

The result of a search holds for the hold-out that it did not see. Where another one is drawn, the search
saw ratings that are held out now: its result is neither reused nor a start of the new search.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from recsys.evaluation.history import HOLD_OUT, TuningHistory
from recsys.models.recipe import FOUND, SEARCHED, CfRecipe
from recsys.tuning.space import left_open

if TYPE_CHECKING:
    from collections.abc import Mapping

    from recsys.config import CfSettings, GateSettings, Settings
    from recsys.evaluation.current import CurrentRelease
    from recsys.evaluation.drift import Drift
    from recsys.tuning.outcome import Search


@dataclass(frozen=True)
class Plan:
    """How tonight's candidate gets its settings.

    Attributes
    ----------
    settings
        Section ``cf``; what is still ``auto`` is searched, or set by rule.
    because
        Why it is searched; empty where earlier settings are reused.
    reused
        The history of the search that they come from; None where they are searched anew, or given.
    current_recipe
        The recipe of the current release, which a search begins with; None where there is none that it could
        take.
    """

    settings: CfSettings
    because: str = ""
    reused: TuningHistory | None = None
    current_recipe: CfRecipe | None = None

    def remember(self, search: Search | None, score: float, measure: dict[str, object]) -> TuningHistory | None:
        """Return the tuning history of tonight's release, given its candidate's score and how that was measured."""
        if search is not None:
            return TuningHistory(search.as_json(), self.because, 0, score, left_open(self.settings, FOUND), measure)
        return None if self.reused is None else replace(self.reused, age=self.reused.age + 1)


def plan(
    settings: CfSettings,
    gate: GateSettings,
    current: CurrentRelease | None,
    drift: Drift | None,
    measure: Mapping[str, Any],
) -> Plan:
    """Reuse the settings that the current release's search chose, unless something asks for a new search.

    These ask for one: no release, or one without a history, other given settings, others left open, another hold-out,
    data that drifted beyond the bounds of the gate (and the drift was accepted, or the run would have
    ended), a score that fell by more than ``gate.max_drop`` since the search, or ``cf.tuning_every``
    releases.

    Parameters
    ----------
    settings
        Section ``cf`` of the run.
    gate
        ``max_drop`` is used.
    current
        The current release.
    drift
        How the data changed since then; None where there is nothing to compare with.
    measure
        How the candidate is scored; see :func:`recsys.evaluation.current.measure_of`.
    """
    if settings.tuning == "off" or not left_open(settings, FOUND):
        return Plan(settings)
    current_recipe = _recipe_of(settings, current, measure)
    if current is None or current.recipe is None or current.tuning is None:
        return Plan(settings, "no earlier search is remembered", current_recipe=current_recipe)
    because = _reason(settings, current, drift, measure) or _fallen(current, gate)
    if because:
        return Plan(settings, because, current_recipe=current_recipe)
    remembered = {name: getattr(current.recipe, name) for name in FOUND}
    return Plan(settings.model_copy(update=remembered), reused=current.tuning)


def remembered_by(current: CurrentRelease, settings: Settings) -> CfRecipe | None:
    """Return the winner of the current release's search; None where there is none, or it saw what is held out now.

    Parameters
    ----------
    current
        The current release.
    settings
        Settings of the run, which say what is held out.
    """
    hold_out = {
        "hold_out": "time" if settings.source.time_column else "hash",
        "fraction": settings.evaluation.fraction,
        "seed": settings.evaluation.seed,
    }
    history = current.tuning
    return history.winner if history is not None and history.is_kept_from(hold_out) else None


def _recipe_of(settings: CfSettings, current: CurrentRelease | None, measure: Mapping[str, Any]) -> CfRecipe | None:
    """Return the recipe of the current release, where a search may know it.

    None if it is another solver's, lacks a setting, or comes from a search that saw what is held out now.
    """
    recipe = None if current is None else current.recipe
    if current is None or recipe is None or recipe.solver != settings.solver or left_open(recipe, SEARCHED):
        return None
    if current.tuning is not None and not current.tuning.is_kept_from(measure):
        return None
    return CfRecipe.by_rule(recipe, np.empty(0, dtype=np.float32))


def _reason(settings: CfSettings, current: CurrentRelease, drift: Drift | None, measure: Mapping[str, Any]) -> str:
    """Say what else asks for a search than a score that fell."""
    history = current.tuning
    assert current.recipe is not None
    assert history is not None
    others = [
        name
        for name in (*FOUND, "solver", "exponent", "like_threshold")
        if getattr(settings, name) not in {"auto", getattr(current.recipe, name)}
    ]
    if others:
        return f"other settings than those of {current.name}: " + ", ".join(f"cf.{name}" for name in others)
    if others := sorted(set(history.free) ^ set(left_open(settings, FOUND))):
        return f"other settings are left open than for {current.name}: " + ", ".join(f"cf.{name}" for name in others)
    if not history.is_kept_from(measure):
        seen = ", ".join(f"{key} {history.measure.get(key)}" for key in HOLD_OUT)
        return f"ratings are held out that the last search saw: it was kept from another hold-out ({seen})"
    if drift is not None and drift.reason:
        return f"the data drifted: {drift.reason}"
    if settings.tuning_every and history.age + 1 >= settings.tuning_every:
        age = history.age + 1
        return f"{age} release{'s' if age > 1 else ''} since the last search"
    return ""


def _fallen(current: CurrentRelease, gate: GateSettings) -> str:
    """Say that the score fell since the search, if both were measured in the same way."""
    history, now = current.tuning, dict(current.measure or {})
    assert history is not None
    score = now.pop("score", None)
    if score is None or history.score is None or now != history.measure or score >= history.score * (1 - gate.max_drop):
        return ""
    return f"the score fell from {history.score:.4f} at the last search to {score:.4f}"
