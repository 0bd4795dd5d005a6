"""The learning curve: what each iteration of training is worth on held-out ratings."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from recsys.evaluation.contenders import CF, Factors
from recsys.evaluation.scores import mean_ndcg

if TYPE_CHECKING:
    import numpy.typing as npt

    from recsys.evaluation.holdout import Split

SAMPLE = 1_000
"""Users that an iteration is scored on: enough to see the bend, and a fraction of an iteration's time."""


@dataclass
class LearningCurve:
    """Watches a model being trained; give :meth:`watch` to its ``fit``.

    Attributes
    ----------
    scores
        NDCG@k after each iteration.
    """

    split: Split = field(repr=False)
    k: int
    scores: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Choose the users: evenly spread over those of the split."""
        users = self.split.users
        chosen = users[np.linspace(0, len(users) - 1, min(SAMPLE, len(users)), dtype=np.int64)]
        self._sample = replace(self.split, users=chosen)

    def watch(self, user_factors: npt.NDArray[np.float32], item_factors: npt.NDArray[np.float32]) -> None:
        """Score the factors as they are now; float32, (users, factors) and (items, factors)."""
        self.scores.append(mean_ndcg(Factors(CF, user_factors, item_factors), self._sample, self.k))
