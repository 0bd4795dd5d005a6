"""What a candidate is up against: the current release, as its manifest describes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from pydantic import ValidationError

from recsys.config import CfSettings
from recsys.evaluation.drift import DataProfile
from recsys.evaluation.history import TuningHistory
from recsys.models.recipe import FACTORS_ALONE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from recsys.config import Settings
    from recsys.evaluation.holdout import Split
    from recsys.release.manifest import Manifest

_NO_INFLUENCE = {"threads", "tuning", "tuning_work", "tuning_brake_s", "longer_gains", "tuning_every"}
"""Settings of the collaborative filter that change how fast it trains, not what it learns."""


@dataclass(frozen=True)
class CurrentRelease:
    """The release that a candidate would replace.

    Attributes
    ----------
    name
        The release's name.
    recipe
        The settings that its collaborative filter was trained with; None if this version cannot
        train by them.
    problem
        Why it cannot, where it cannot.
    profile
        What its data look like; None if it does not say.
    measure
        How its score was measured, and the score; None if it was not evaluated.
    tuning
        What it remembers of the search for its settings; None if there was none.
    """

    name: str
    recipe: CfSettings | None = None
    problem: str = ""
    profile: DataProfile | None = None
    measure: Mapping[str, Any] | None = None
    tuning: TuningHistory | None = None

    @classmethod
    def of(cls, manifest: Manifest) -> Self:
        """Read what a release says about itself."""
        facts = manifest.facts
        profile = None if facts.data is None else DataProfile.from_json(facts.data.model_dump())
        measure = None if facts.measure is None else facts.measure.model_dump()
        # A release that says nothing of what is added to the factors adds nothing.
        settings = {**FACTORS_ALONE, **facts.recipe} if facts.recipe else manifest.cf.section("cf")
        try:
            recipe = CfSettings.recorded(settings)
        except ValidationError as error:
            wrong = "; ".join(
                ".".join(["cf", *map(str, fault["loc"])]) + f": {fault['msg']}" for fault in error.errors()
            )
            problem = f"its recipe is not one that this version can train by ({wrong})"
            return cls(manifest.release, None, problem, profile, measure)
        return cls(manifest.release, recipe, "", profile, measure, TuningHistory.of(facts))

    def same_recipe(self, candidate: CfSettings) -> bool:
        """Whether a candidate's settings teach it the same."""
        if self.recipe is None:
            return False
        return self.recipe.model_dump(exclude=_NO_INFLUENCE) == candidate.model_dump(exclude=_NO_INFLUENCE)

    def recorded(self, measure: Mapping[str, Any]) -> tuple[float | None, str]:
        """Return the score that it was published with, or None and why there is none to compare with.

        Parameters
        ----------
        measure
            How the candidate is scored; see :func:`measure_of`.
        """
        if self.measure is None or self.measure.get("score") is None:
            return None, f"the current release {self.name} was published without one"
        theirs = {key: self.measure.get(key) for key in measure}
        other = [f"{key} {theirs[key]} instead of {value}" for key, value in measure.items() if theirs[key] != value]
        if other:
            return None, f"the current release {self.name} was scored with {', '.join(other)}"
        return float(self.measure["score"]), ""


def measure_of(split: Split, settings: Settings, like_threshold: float) -> dict[str, object]:
    """Return everything that must be equal for two nights' scores to be comparable; fit for JSON."""
    return {
        "contender": settings.gate.contender,
        "metric": f"{settings.gate.metric}@{settings.evaluation.k}",
        "hold_out": split.kind,
        "fraction": settings.evaluation.fraction,
        "seed": settings.evaluation.seed,
        "like_threshold": like_threshold,
    }
