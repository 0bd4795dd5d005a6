"""What a search for settings tried, and what won."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from recsys.models.recipe import CfRecipe


@dataclass(frozen=True)
class SearchTrial:
    """One recipe, tried."""

    stage: str
    recipe: CfRecipe
    iterations: int
    ratings: int
    """Training ratings of the sample."""
    ndcg: float
    """Mean NDCG@10 on the inner hold-out."""
    seconds: float


@dataclass(frozen=True)
class Search:
    """What was tried and what won; drawn in the report, and kept in the manifest.

    Attributes
    ----------
    winner
        The recipe to train with.
    trials
        In the order in which they ran.
    rule, best
        NDCG@10 of the rule and of the winner on the same inner hold-out; NaN if the time was up.
    used
        NDCG@10 of the current release's recipe, likewise; None if there was none.
    users
        Users that the last stages scored, over all draws.
    complete
        False if the end of its budget ended the search.
    seconds
        Wall time.
    work
        What it cost, in thousand millions; see :mod:`recsys.tuning.work`.
    ended_by
        What ended it, where it is not complete: its counted work, or the clock.
    """

    winner: CfRecipe
    trials: tuple[SearchTrial, ...]
    rule: float
    best: float
    used: float | None
    users: int
    complete: bool
    seconds: float
    work: float = 0.0
    ended_by: Literal["", "work", "clock"] = ""

    def as_json(self) -> dict[str, object]:
        """Return the search ready for JSON."""
        stored = asdict(self)
        for score in ("rule", "best", "used"):
            stored[score] = None if stored[score] is None or np.isnan(stored[score]) else stored[score]
        return stored
