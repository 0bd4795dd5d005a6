"""Curves for the page: what each iteration of training is worth, and who is shown along the long tail."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from recsys.evaluation.contenders import CF, Factors
from recsys.evaluation.scores import mean_ndcg
from recsys.marts import column_counts

if TYPE_CHECKING:
    import numpy.typing as npt

    from recsys.evaluation.holdout import Split
    from recsys.evaluation.result import Evaluation

SAMPLE = 1_000
"""Users that an iteration is scored on: enough to see the bend, and a fraction of an iteration's time."""
SECTIONS = 50
"""Sections of the tail, of equally many games each."""


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


def exposure(evaluation: Evaluation, split: Split) -> dict[str, object]:
    """Return how ratings and recommendations are spread over the games; ready for JSON.

    Returns
    -------
    dict
        ``games``: how many games each section holds, from the most to the least rated; ``ratings``:
        its share of the training ratings; ``recommended``: by contender, its share of the first k
        places of all lists; ``shown``: by contender, how many of its games stand in anybody's.
    """
    raters = column_counts(split.train.matrix.indices, split.train.matrix.shape[1])
    order = np.argsort(-raters, kind="stable")
    starts = np.linspace(0, len(order), min(SECTIONS, len(order)) + 1).astype(np.int64)[:-1]
    recommended, shown = {}, {}
    for name, scores in evaluation.contenders.items():
        places = scores.lists[:, : evaluation.settings.k]
        counts = np.bincount(places[places >= 0], minlength=len(order))[order]
        recommended[name] = _shares(np.add.reduceat(counts, starts))
        shown[name] = np.add.reduceat(counts > 0, starts, dtype=np.int64).tolist()
    return {
        "games": np.diff(np.append(starts, len(order))).tolist(),
        "ratings": _shares(np.add.reduceat(raters[order], starts)),
        "recommended": recommended,
        "shown": shown,
    }


def _shares(counts: np.ndarray[Any, np.dtype[np.int64]]) -> list[float]:
    return [round(float(share), 6) for share in counts / max(int(counts.sum()), 1)]
