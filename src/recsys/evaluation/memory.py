"""What a release remembers of the search for its settings, and when a night searches again.

A search knows the recipe of the current release, and keeps to it unless something is surely better:
else the gate, which compares with that recipe, might refuse what a search finds, and the refused night,
which leaves nothing behind, be followed by as many that search and are refused.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from recsys.models.recipe import SEARCHED, Recipe, left_open

if TYPE_CHECKING:
    from collections.abc import Mapping

    from recsys.config import CfSettings, GateSettings
    from recsys.evaluation.drift import Drift
    from recsys.evaluation.incumbent import Incumbent
    from recsys.models.tuning import Search

FACT = "tuning"
"""Name of the memory among the manifest's facts."""


@dataclass(frozen=True)
class Memory:
    """The last search and what became of it.

    Attributes
    ----------
    search
        All that was tried, ready for JSON; see :meth:`recsys.models.tuning.Search.as_json`.
    because
        Why it was made.
    age
        Releases since then; 0 in the release that it was made for.
    score
        What that release scored on held-out ratings; None until it is known.
    free
        Names of the settings that were searched; the others were given.
    """

    search: dict[str, Any]
    because: str
    age: int = 0
    score: float | None = None
    free: tuple[str, ...] = ()

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Memory | None:
        """Read the memory of a release from its manifest's facts."""
        stored = facts.get(FACT)
        return cls(**stored | {"free": tuple(stored.get("free", ()))}) if stored else None

    @property
    def winner(self) -> Recipe:
        """What the search found."""
        return Recipe.from_json(self.search["winner"])

    def as_json(self) -> dict[str, Any]:
        """Return the memory ready for JSON."""
        return {
            "search": self.search,
            "because": self.because,
            "age": self.age,
            "score": self.score,
            "free": list(self.free),
        }


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
    used
        The recipe in use, which a search begins with; None where there is none that it could take.
    """

    settings: CfSettings
    because: str = ""
    reused: Memory | None = None
    used: Recipe | None = None

    def remember(self, search: Search | None, score: float) -> Memory | None:
        """Return what tonight's release remembers, given what its candidate scored."""
        if search is not None:
            return Memory(search.as_json(), self.because, 0, score, left_open(self.settings))
        return None if self.reused is None else replace(self.reused, age=self.reused.age + 1)


def plan(settings: CfSettings, gate: GateSettings, incumbent: Incumbent | None, drift: Drift | None) -> Plan:
    """Reuse the settings that the current release found, unless something asks for a search.

    That is: no release or none with a memory, other given settings, others left open, data that drifted beyond the
    bounds of the gate, a score that fell by more than ``gate.max_drop`` since the search, or
    ``cf.tuning_every`` releases.

    Parameters
    ----------
    settings
        Section ``cf`` of the run.
    gate
        ``max_drop`` is used.
    incumbent
        The current release.
    drift
        Of the data since then.
    """
    if settings.tuning == "off" or not left_open(settings):
        return Plan(settings)
    used = _in_use(settings, incumbent)
    if incumbent is None or incumbent.recipe is None or incumbent.tuning is None:
        return Plan(settings, "no earlier search is remembered", used=used)
    memory = incumbent.tuning
    because = _reason(settings, gate, incumbent, memory, drift)
    if because:
        return Plan(settings, because, used=used)
    found = {name: getattr(incumbent.recipe, name) for name in SEARCHED}
    return Plan(settings.model_copy(update=found), reused=memory)


def _in_use(settings: CfSettings, incumbent: Incumbent | None) -> Recipe | None:
    """Return the recipe of the current release; None if it is another solver's, or does not say everything."""
    recipe = None if incumbent is None else incumbent.recipe
    if recipe is None or recipe.solver != settings.solver or left_open(recipe):
        return None
    return Recipe.by_rule(recipe, np.empty(0, dtype=np.float32))


def _reason(settings: CfSettings, gate: GateSettings, incumbent: Incumbent, memory: Memory, drift: Drift | None) -> str:
    assert incumbent.recipe is not None
    others = [
        name
        for name in (*SEARCHED, "solver", "exponent", "like_threshold")
        if getattr(settings, name) not in {"auto", getattr(incumbent.recipe, name)}
    ]
    if others:
        return f"other settings than those of {incumbent.name}: " + ", ".join(f"cf.{name}" for name in others)
    if others := sorted(set(memory.free) ^ set(left_open(settings))):
        return f"other settings are left open than for {incumbent.name}: " + ", ".join(f"cf.{name}" for name in others)
    if drift is not None and drift.reason:
        return f"the data drifted: {drift.reason}"
    if settings.tuning_every and memory.age + 1 >= settings.tuning_every:
        return f"{memory.age + 1} releases since the last search"
    now = (incumbent.measure or {}).get("score")
    if now is not None and memory.score is not None and now < memory.score * (1 - gate.max_drop):
        return f"the score fell from {memory.score:.4f} at the last search to {now:.4f}"
    return ""
