"""How to train the collaborative filter, on scales that mean the same on every table.

An absolute α₀ or λ that is right for one table fails on the next: α₀ = 0.2 is right for board
games rated by one user in 27, and buries books rated by one in 500. A recipe therefore says

ρ (``unobserved``)
    how much the unobserved weigh *in total*, as a multiple of the ratings' total confidence::

        α₀ = ρ · Σc / (users · games)

κ (``regularization``)
    how much is shrunk, as a multiple of what chance alone would show. With λ scaled by a row's
    weight, W = Σc + α₀·columns ≈ Σc·(1 + ρ), the optimum keeps those directions of the normalized
    matrix C_ui / √(W_u W_i) whose singular value exceeds λ, and shrinks them by it. A matrix
    without any taste, entries strewn at random, has singular values up to √d_u + √d_i before and
    (√d_u + √d_i) / √(d_u d_i) / (1 + ρ) after the normalization (the edge of the Marchenko-Pastur
    law; d_u, d_i: ratings of a mean user and game). So::

        λ = κ · (1/√d_u + 1/√d_i) / (1 + ρ)

    At κ = 1 nothing that could be chance survives; a smaller κ trades a little noise for more taste.

On tables from 0.2% to 4% dense, of 10,000 to 500,000 ratings, ρ = 4 and κ = ½ came within 6% of the
best pair (``docs/quality.md``), where the best α₀ spread from 0.002 to 0.2.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, Self

from recsys.errors import ArtifactCorrupt
from recsys.models.confidence import ConfidenceName, like_threshold
from recsys.models.solvers import SOLVERS

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import numpy.typing as npt

    from recsys.config import CfSettings


SEARCHED = ("factors", "regularization", "unobserved", "confidence", "iterations")
"""Settings that the search for factors finds where they are ``auto``."""

BLENDED = ("half_life", "trend", "trend_half_life", "item_weight", "item_exponent", "item_regularization")
"""Settings that the search for what is added to the factors finds where they are ``auto``."""

FOUND = (*SEARCHED, *BLENDED)
"""All of them."""

FACTORS_ALONE: MappingProxyType[str, float] = MappingProxyType(
    {
        "half_life": 0.0,
        "trend": 0.0,
        "trend_half_life": 6.0,
        "item_weight": 0.0,
        "item_exponent": 0.0,
        "item_regularization": 1.0,
    }
)
"""What the settings of :data:`BLENDED` are by rule, and were before there were any: factors rank alone."""


@dataclass(frozen=True)
class CfRecipe:
    """Every number that a training takes; the settings with no ``auto`` left in them."""

    solver: Literal["ials", "implicit"]
    factors: int
    regularization: float
    """κ with ials, λ itself with implicit."""
    unobserved: float
    """ρ; implicit has α₀ = 1 and no choice."""
    exponent: float
    """ν: how λ grows with a row's weight (ials)."""
    alpha: float
    """Multiplies the confidence (implicit)."""
    confidence: ConfidenceName
    like_threshold: float
    iterations: int
    half_life: float = FACTORS_ALONE["half_life"]
    """Months in which a rating's confidence halves; 0: it does not."""
    trend: float = FACTORS_ALONE["trend"]
    """β: weight of what is rated lately."""
    trend_half_life: float = FACTORS_ALONE["trend_half_life"]
    """Months in which a rating counts half for the trend."""
    item_weight: float = FACTORS_ALONE["item_weight"]
    """w: weight of the item-item half, in [0, 1]."""
    item_exponent: float = FACTORS_ALONE["item_exponent"]
    """a: 0 counts every rating alike in the item-item half, ½ every user."""
    item_regularization: float = FACTORS_ALONE["item_regularization"]
    """λ of the item-item half, as a multiple of its mean diagonal."""

    @classmethod
    def by_rule(cls, settings: CfSettings, ratings: npt.NDArray[np.float32]) -> Self:
        """Return the settings, with what is ``auto`` set to what is right for most tables.

        Parameters
        ----------
        settings
            Section ``cf``.
        ratings
            float32: the table's ratings, whose scale is looked at.
        """
        defaults = {**SOLVERS[settings.solver].defaults, **FACTORS_ALONE}
        chosen = {name: defaults[name] if (given := getattr(settings, name)) == "auto" else given for name in FOUND}
        threshold = like_threshold(settings.like_threshold, ratings)
        return cls(
            solver=settings.solver,
            exponent=settings.exponent,
            alpha=settings.alpha,
            like_threshold=threshold,
            **chosen,  # type: ignore[arg-type] # named and typed as the settings are
        )

    def pin(self, settings: CfSettings) -> CfSettings:
        """Return the settings with nothing ``auto`` left: a model of them trains by this recipe, and never searches."""
        return settings.model_copy(update=asdict(self))

    @classmethod
    def from_json(cls, stored: Mapping[str, object]) -> Self:
        """Read what :meth:`as_json` returned; unknown keys are ignored.

        Raises
        ------
        ArtifactCorrupt
            If a number is missing or something else.
        """
        from pydantic import TypeAdapter, ValidationError

        known = {name: stored[name] for name in cls.__dataclass_fields__ if name in stored}
        try:
            return TypeAdapter(cls).validate_python(known)
        except ValidationError as error:
            faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
            raise ArtifactCorrupt(f"the recipe that the model was trained by cannot be read: {faults}") from error

    def as_json(self) -> dict[str, float | str]:
        """Return the recipe ready for JSON."""
        return asdict(self)
