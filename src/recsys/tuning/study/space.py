"""What the long search may vary."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from recsys.models.recipe import CfRecipe

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import numpy.typing as npt
    from optuna.distributions import BaseDistribution

    from recsys.config import CfSettings

SEARCHED = "searched"
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

RANGES: Mapping[str, _Range] = {
    "factors": _Whole(32, 384, 32),
    "regularization": _Scale(0.1, 2.0),
    "unobserved": _Scale(0.4, 50.0),
    "exponent": _Scale(0.5, 1.25, log=False),
    "iterations": _Whole(6, 24, 2),
    "confidence": _Choice(("graded", "rating", "liked")),
}
"""Around the rule of :mod:`recsys.models.recipe`, and everything that training's own search can find from its grid.

The like threshold is not searched: it is the measure. The seed is not: the best of many is luck."""


def free_settings(settings: CfSettings) -> tuple[str, ...]:
    """Return the names of :data:`RANGES` that nobody has given."""
    given = {name for name in settings.model_fields_set if getattr(settings, name) != "auto"}
    return tuple(name for name in RANGES if name not in given)


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
        return cls(CfRecipe.by_rule(settings, ratings), free_settings(settings))

    def distributions(self) -> dict[str, BaseDistribution]:
        """Return what Optuna draws from."""
        return {name: RANGES[name].distribution() for name in self.free}

    def recipe(self, drawn: Mapping[str, Any]) -> CfRecipe:
        """Return the recipe of what was drawn, to three digits: what is printed is what was scored."""
        rounded = {name: float(f"{value:.3g}") if isinstance(value, float) else value for name, value in drawn.items()}
        return replace(self.rule, **rounded)  # type: ignore[arg-type] # named and typed as the settings are

    def values(self, recipe: CfRecipe) -> dict[str, Any] | None:
        """Return a recipe's values of the free settings; None if the search cannot reach one of them."""
        values = {name: getattr(recipe, name) for name in self.free}
        return values if all(RANGES[name].holds(value) for name, value in values.items()) else None

    def told(self) -> dict[str, Any]:
        """Return the value of each setting of :data:`RANGES`, or that it is searched."""
        return {name: SEARCHED if name in self.free else getattr(self.rule, name) for name in RANGES}
