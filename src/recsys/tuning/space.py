"""What searches may vary: the grid of a night's search, and the ranges of a study, which hold all that it can reach."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from recsys.models.recipe import SEARCHED, CfRecipe

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy as np
    import numpy.typing as npt
    from optuna.distributions import BaseDistribution

    from recsys.config import CfSettings
    from recsys.models.confidence import ConfidenceName

_OPEN = "searched"
"""Stands for the value of a setting that is not given."""


class _Whole(NamedTuple):
    """Whole numbers from ``low`` to ``high``, ``step`` apart."""

    low: int
    high: int
    step: int

    def holds(self, value: Any) -> bool:
        return isinstance(value, int) and value in range(self.low, self.high + 1, self.step)

    def distribution(self) -> BaseDistribution:
        from optuna.distributions import IntDistribution

        return IntDistribution(self.low, self.high, step=self.step)


class _Scale(NamedTuple):
    """Numbers from ``low`` to ``high``; ``log`` where ratios matter."""

    low: float
    high: float
    log: bool = True

    def holds(self, value: Any) -> bool:
        return isinstance(value, int | float) and self.low <= value <= self.high

    def distribution(self) -> BaseDistribution:
        from optuna.distributions import FloatDistribution

        return FloatDistribution(self.low, self.high, log=self.log)


class _Choice(NamedTuple):
    """One of some names."""

    names: tuple[str, ...]

    def holds(self, value: Any) -> bool:
        return value in self.names

    def distribution(self) -> BaseDistribution:
        from optuna.distributions import CategoricalDistribution

        return CategoricalDistribution(self.names)


_Range: TypeAlias = _Whole | _Scale | _Choice

UNOBSERVED = (1.0, 4.0, 16.0, 64.0)
REGULARIZATION = (0.12, 0.22, 0.4, 0.7)
CONFIDENCE: tuple[ConfidenceName, ...] = ("graded", "rating", "liked")
FACTORS = (64, 128, 256, 512)
ITERATIONS = (6, 8, 10, 12, 16)
"""What a night's search tries, around the rule of :mod:`recsys.models.recipe`."""

HALF_LIVES = (3.0, 6.0, 12.0, 24.0, 60.0)
"""Months in which confidence may halve; beside them, not at all."""
TREND_HALF_LIVES = (3.0, 6.0, 12.0)
TRENDS = (0.15, 0.3, 0.5, 0.8, 1.2)
ITEM_EXPONENTS = (0.0, 0.5)
ITEM_REGULARIZATIONS = (0.3, 1.0)
ITEM_WEIGHTS = (0.15, 0.3, 0.45, 0.6, 0.75, 0.9)
"""What it tries to add to the factors."""

MOVES: tuple[Mapping[str, float], ...] = (
    {"unobserved": 2.0, "regularization": 1.4},
    {"unobserved": 0.5, "regularization": 1 / 1.4},
    {"regularization": 1.25},
    {"regularization": 1 / 1.25},
    {"unobserved": 1.5},
    {"unobserved": 1 / 1.5},
)
"""What it multiplies the best by, to refine it. Along the first two, scores change least: a crest goes up κ ∝ √ρ."""
LONGER: tuple[Mapping[str, float], ...] = (MOVES[0], *MOVES[2:4])
"""What it does so with longer factors, which ask for more weight of the unobserved if for anything;"""
LONGEST: tuple[Mapping[str, float], ...] = (MOVES[0],)
"""and with the longest, whose trials cost most."""
REFINEMENTS = 2
"""How often it does so."""
BOUNDS: Mapping[str, tuple[float, float]] = {"unobserved": (0.2, 500.0), "regularization": (0.05, 3.0)}
"""How far it goes."""

RANGES: Mapping[str, _Range] = {
    "factors": _Whole(min(FACTORS) // 2, max(FACTORS) * 3 // 2, min(FACTORS) // 2),
    "regularization": _Scale(*BOUNDS["regularization"]),
    "unobserved": _Scale(*BOUNDS["unobserved"]),
    "exponent": _Scale(0.5, 1.25, log=False),
    "iterations": _Whole(min(ITERATIONS), 2 * max(ITERATIONS), 2),
    "confidence": _Choice(CONFIDENCE),
}
"""What a study may try: all that a night's search can find, and more.

The like threshold is not searched: it is the measure. The seed is not: the best of many is luck."""


def left_open(settings: CfSettings, names: Iterable[str] = SEARCHED) -> tuple[str, ...]:
    """Return those of some settings that nobody has given, in the order of ``names``.

    That is what is ``auto``, and what has a number for a default and was not set, not even to that number.
    """
    given = settings.model_fields_set
    return tuple(name for name in names if name not in given or getattr(settings, name) == "auto")


@dataclass(frozen=True)
class Space:
    """The settings that a search varies, and the recipe around them.

    Attributes
    ----------
    rule
        What is given, and the rule for the rest.
    free
        Names of the settings that are searched, in the order of :data:`RANGES`.
    """

    rule: CfRecipe
    free: tuple[str, ...]

    @classmethod
    def of(cls, settings: CfSettings, ratings: npt.NDArray[np.float32]) -> Space:
        """Leave free what is not given.

        Parameters
        ----------
        settings
            Section ``cf``. A setting whose default is a number counts as given where somebody set
            it, also to the default.
        ratings
            float32: ratings of the training part.
        """
        return cls(CfRecipe.by_rule(settings, ratings), left_open(settings, RANGES))

    def distributions(self) -> dict[str, BaseDistribution]:
        """Return what Optuna draws from."""
        return {name: RANGES[name].distribution() for name in self.free}

    def recipe(self, drawn: Mapping[str, Any]) -> CfRecipe:
        """Return the recipe of what was drawn, to three digits: what is printed is what was scored."""
        rounded = {name: float(f"{value:.3g}") if isinstance(value, float) else value for name, value in drawn.items()}
        return replace(self.rule, **rounded)  # type: ignore[arg-type] # named and typed as the settings are

    def values(self, recipe: CfRecipe) -> dict[str, object] | None:
        """Return a recipe's values of the free settings; None if the search cannot reach one of them."""
        values = {name: getattr(recipe, name) for name in self.free}
        return values if all(RANGES[name].holds(value) for name, value in values.items()) else None

    def description(self) -> dict[str, object]:
        """Return the value of each setting of :data:`RANGES`, or that it is searched."""
        return {name: _OPEN if name in self.free else getattr(self.rule, name) for name in RANGES}
