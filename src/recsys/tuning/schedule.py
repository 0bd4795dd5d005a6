"""When a night searches its settings again, and when it reuses what an earlier one found.

A search knows the recipe of the current release, and keeps to it unless something is surely better:
else the gate, which compares with that recipe, might refuse what a search finds, and the refused night,
which leaves nothing behind, be followed by as many that search and are refused.

What a search found holds for the hold-out that was kept from it. Where another one is drawn, it was
scored on ratings that are held out now: it is neither used again nor a start of the search.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from recsys.evaluation.history import HOLD_OUT, TuningHistory
from recsys.models.recipe import SEARCHED, CfRecipe
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
        The memory that they come from.
    in_use
        The recipe in use, which a search begins with; None where there is none that it could take.
    """

    settings: CfSettings
    because: str = ""
    reused: TuningHistory | None = None
    in_use: CfRecipe | None = None

    def remember(self, search: Search | None, score: float, measure: dict[str, Any]) -> TuningHistory | None:
        """Return what tonight's release remembers, given what its candidate scored, and how that was measured."""
        if search is not None:
            return TuningHistory(search.as_json(), self.because, 0, score, left_open(self.settings), measure)
        return None if self.reused is None else replace(self.reused, age=self.reused.age + 1)


def plan(
    settings: CfSettings,
    gate: GateSettings,
    current: CurrentRelease | None,
    drift: Drift | None,
    measure: Mapping[str, Any],
) -> Plan:
    """Reuse the settings that the current release found, unless something asks for a search.

    That is: no release or none with a memory, other given settings, others left open, another hold-out,
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
    if settings.tuning == "off" or not left_open(settings):
        return Plan(settings)
    in_use = _in_use(settings, current, measure)
    if current is None or current.recipe is None or current.tuning is None:
        return Plan(settings, "no earlier search is remembered", in_use=in_use)
    because = _reason(settings, current, drift, measure) or _fallen(current, gate)
    if because:
        return Plan(settings, because, in_use=in_use)
    remembered = {name: getattr(current.recipe, name) for name in SEARCHED}
    return Plan(settings.model_copy(update=remembered), reused=current.tuning)


def remembered_by(current: CurrentRelease, settings: Settings) -> CfRecipe | None:
    """Return what the current release found by its own search; None where it is silent, or saw what is held out now.

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
    memory = current.tuning
    return memory.winner if memory is not None and memory.is_kept_from(hold_out) else None


def _in_use(settings: CfSettings, current: CurrentRelease | None, measure: Mapping[str, Any]) -> CfRecipe | None:
    """Return the recipe of the current release, where a search may know it.

    None if it is another solver's, does not say everything, or was found by a search that saw what is
    held out now.
    """
    recipe = None if current is None else current.recipe
    if current is None or recipe is None or recipe.solver != settings.solver or left_open(recipe):
        return None
    if current.tuning is not None and not current.tuning.is_kept_from(measure):
        return None
    return CfRecipe.by_rule(recipe, np.empty(0, dtype=np.float32))


def _reason(settings: CfSettings, current: CurrentRelease, drift: Drift | None, measure: Mapping[str, Any]) -> str:
    """Say what else asks for a search than a score that fell."""
    memory = current.tuning
    assert current.recipe is not None
    assert memory is not None
    others = [
        name
        for name in (*SEARCHED, "solver", "exponent", "like_threshold")
        if getattr(settings, name) not in {"auto", getattr(current.recipe, name)}
    ]
    if others:
        return f"other settings than those of {current.name}: " + ", ".join(f"cf.{name}" for name in others)
    if others := sorted(set(memory.free) ^ set(left_open(settings))):
        return f"other settings are left open than for {current.name}: " + ", ".join(f"cf.{name}" for name in others)
    if not memory.is_kept_from(measure):
        seen = ", ".join(f"{key} {memory.measure.get(key)}" for key in HOLD_OUT)
        return f"ratings are held out that the last search saw: it was kept from another hold-out ({seen})"
    if drift is not None and drift.reason:
        return f"the data drifted: {drift.reason}"
    if settings.tuning_every and memory.age + 1 >= settings.tuning_every:
        return f"{memory.age + 1} releases since the last search"
    return ""


def _fallen(current: CurrentRelease, gate: GateSettings) -> str:
    """Say that the score fell since the search, if both were measured in the same way."""
    memory, now = current.tuning, dict(current.measure or {})
    assert memory is not None
    score = now.pop("score", None)
    if score is None or memory.score is None or now != memory.measure or score >= memory.score * (1 - gate.max_drop):
        return ""
    return f"the score fell from {memory.score:.4f} at the last search to {score:.4f}"
