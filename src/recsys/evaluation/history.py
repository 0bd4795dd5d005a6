"""The tuning history: what a release keeps of the last search for its settings."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from recsys.models.recipe import CfRecipe

if TYPE_CHECKING:
    from collections.abc import Mapping

    from recsys.release.facts import Facts

FACT = "tuning"
"""Name of the tuning history among the manifest's facts."""

HOLD_OUT = ("hold_out", "fraction", "seed")
"""Keys of a measure that say which ratings are held out."""


@dataclass(frozen=True)
class TuningHistory:
    """The last search and what became of it.

    Attributes
    ----------
    search
        All that was tried, ready for JSON; see :meth:`recsys.tuning.Search.as_json`.
    because
        Why it was made.
    age
        Releases since then; 0 in the release that it was made for.
    score
        What that release scored on held-out ratings; None until it is known.
    free
        Names of the settings that were searched; the others were given.
    measure
        How that score was measured, and on which hold-out; see
        :func:`recsys.evaluation.current.measure_of`.
    """

    search: dict[str, Any]
    because: str
    age: int = 0
    score: float | None = None
    free: tuple[str, ...] = ()
    measure: dict[str, object] = field(default_factory=dict)

    @classmethod
    def of(cls, facts: Facts) -> TuningHistory | None:
        """Read the tuning history of a release from its manifest's facts."""
        stored = facts.tuning
        if stored is None:
            return None
        search, measure = stored.search.model_dump(mode="json"), stored.measure.model_dump()
        return cls(search, stored.because, stored.age, stored.score, stored.free, measure)

    @property
    def winner(self) -> CfRecipe:
        """The recipe that won the search."""
        return CfRecipe.from_json(self.search["winner"])

    def is_kept_from(self, measure: Mapping[str, Any]) -> bool:
        """Whether the search saw nothing of the hold-out of a measure, since it was kept from the same."""
        return all(self.measure.get(key) == measure[key] for key in HOLD_OUT)

    def as_json(self) -> dict[str, object]:
        """Return the history ready for JSON."""
        return {
            "search": self.search,
            "because": self.because,
            "age": self.age,
            "score": self.score,
            "free": list(self.free),
            "measure": self.measure,
        }
