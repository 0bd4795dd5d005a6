"""The settings of the collaborative filter: section ``cf`` of :mod:`recsys.config`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypeAlias

from pydantic import Field, model_validator

from recsys.settings_table import Documented

if TYPE_CHECKING:
    from collections.abc import Mapping

Auto: TypeAlias = Literal["auto"]
"""A setting that is chosen from the data."""

GONE = {
    "tuning_seconds": (
        "a search ends after work that is counted, the same on every machine; leave the setting out, or say with"
        " cf.tuning_work how much (160 by default) and with cf.tuning_brake_s after how many seconds to end it anyway"
        " (900 by default)"
    )
}
"""Settings that there were, and what to do instead; none of them decided what a model learns."""

_SHRINKS_ALL = 10.0


class CfSettings(Documented):
    """The collaborative filter.

    What is ``auto`` is searched on the training data (``tuning = "auto"``) or set by rule
    (``tuning = "off"``); what is given stays as given.
    """

    factors: Annotated[int, Field(ge=1, le=4096)] | Auto = "auto"
    """Length of a user's or game's factor vector."""
    solver: Literal["ials", "implicit"] = "ials"
    """``ials``: any confidence and unobserved weight, scaled λ; ``implicit``: that library's own ALS."""
    regularization: Annotated[float, Field(ge=0)] | Auto = "auto"
    """How much is shrunk. With ``ials`` a multiple of what chance alone would show, about 0.5 on most
    tables; with ``implicit`` its λ, around 200 (not 0.01) with ``alpha`` 20."""
    unobserved: Annotated[float, Field(gt=0)] | Auto = "auto"
    """With ``ials``: total weight of the pairs without a rating, as a multiple of that of the ratings;
    3 to 6 on most tables."""
    exponent: Annotated[float, Field(ge=0, le=2)] = 1.0
    """With ``ials``: λ grows with this power of a row's weight; 0 is the same λ for everybody."""
    iterations: Annotated[int, Field(ge=1)] | Auto = "auto"
    """Alternating sweeps over users and games; ``auto``: as few as lose 0.1% in the search, 12 by rule."""
    alpha: Annotated[float, Field(gt=0)] = 20.0
    """With ``implicit``: multiplies the confidence of every rating that counts."""
    confidence: Literal["graded", "liked", "rating"] | Auto = "auto"
    """``graded``: grows with the rating, 1 at ``like_threshold``; ``liked``: 1 from there on, else
    absent; ``rating``: the rating itself."""
    like_threshold: float | Auto = "auto"
    """From this rating on, a game counts as liked; ``auto``: 7 on 1-10, 4 on 1-5, 3.5 on 0.5-5, 70 on 0-100. Counts,
    such as plays, go beyond 100 and need a number: 1 where each of them is a like."""
    half_life: Annotated[float, Field(ge=0, le=1200, allow_inf_nan=False)] | Auto = "auto"
    """Months in which a rating's confidence halves, counted from the newest rating; 0: it does not fade. Needs
    ``source.time_column``."""
    trend: Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)] | Auto = "auto"
    """Weight of what is rated lately, in standard deviations of a user's scores; 0: none. Needs
    ``source.time_column``."""
    trend_half_life: Annotated[float, Field(gt=0, le=1200, allow_inf_nan=False)] | Auto = "auto"
    """Months in which a rating counts half for the trend."""
    item_weight: Annotated[float, Field(ge=0, le=1)] | Auto = "auto"
    """Weight of the item-item half in a score; 0: factors alone."""
    item_exponent: Annotated[float, Field(ge=0, le=1)] | Auto = "auto"
    """In the item-item half: 0 counts every rating alike, 0.5 every user."""
    item_regularization: Annotated[float, Field(gt=0, allow_inf_nan=False)] | Auto = "auto"
    """How much the item-item half is shrunk, as a multiple of its mean diagonal; 0.3 to 3 on most tables."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 42
    """Of the initial factors, and of the search's trials."""
    threads: Annotated[int, Field(ge=0)] = 0
    """Solver threads; 0 means one for each core that the process may use."""
    tuning: Literal["auto", "off"] = "auto"
    """Whether ``auto`` settings are searched when there is no winner of an earlier release to reuse."""
    tuning_work: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 160.0
    """What the search may cost, in thousand millions of entries × factors × sweeps: the same on every machine, a second
    or two each on two cores. A trial that would cost more than is left is not begun; the manifest says so."""
    tuning_brake_s: Annotated[float, Field(gt=0)] = 900.0
    """Seconds after which the search is ended whatever it has found, a trial in the middle; the manifest and a warning
    say so. What a search finds depends on the machine only then."""
    longer_gains: Annotated[float, Field(ge=0, lt=1)] = 0.01
    """A search takes longer factors only where they gain this share of the score: every list pays for them."""
    tuning_every: Annotated[int, Field(ge=0)] = 30
    """Search again after so many releases; 0 means only when the data drift or the score falls."""

    @model_validator(mode="before")
    @classmethod
    def _are_there(cls, given: object) -> object:
        for name, instead in GONE.items():
            if isinstance(given, dict) and name in given:
                raise ValueError(f"cf.{name} = {given[name]} is gone: {instead}")
        return given

    @classmethod
    def recorded(cls, stored: Mapping[str, Any]) -> Self:
        """Read the settings that a release was trained with; of an earlier version too, without what is gone."""
        return cls.model_validate(still_there(stored))

    @model_validator(mode="after")
    def _scale_of_regularization(self) -> Self:
        if self.solver == "ials" and self.regularization != "auto" and self.regularization > _SHRINKS_ALL:
            raise ValueError(
                f"regularization {self.regularization:g} would shrink everything to nothing: with solver = ials "
                "it is relative, about 0.5; λ around 200 belongs to solver = implicit"
            )
        return self


def still_there(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return recorded settings of the section without those that are :data:`GONE`."""
    return {name: value for name, value in stored.items() if name not in GONE}
