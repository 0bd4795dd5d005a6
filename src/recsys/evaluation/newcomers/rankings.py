"""The scores of the same rankings by several models, and how far the hybrid leads."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from recsys.evaluation.bootstrap import interval, resampled_means
from recsys.evaluation.result import plain

if TYPE_CHECKING:
    import numpy.typing as npt

    from recsys.config import EvaluationSettings

    Floats = npt.NDArray[np.float64]

HYBRID = "hybrid"
"""Name of the model that is measured."""
WITHOUT_CONTENT = "hybrid without content"
"""Name of its taste alone: factors from ratings, texts and tags, without the share of content in the score."""


class TooFew(Exception):
    """There is too little to measure on; the message says what there is and what is needed."""


@dataclass
class Rankings:
    """Collects the scores of rankings, block by block, the same rankings for every model."""

    scores: dict[str, list[Floats]] = field(default_factory=dict)

    def add(self, model: str, scores: Floats) -> None:
        """Add a model's scores of some rankings, float64, (rankings,)."""
        self.scores.setdefault(model, []).append(scores)

    def as_json(self, settings: EvaluationSettings) -> dict[str, object]:
        """Return means and the hybrid's leads with their intervals, from the same resamples; ready for JSON."""
        scores = {name: np.concatenate(blocks) for name, blocks in self.scores.items()}
        rivals = [name for name in scores if name != HYBRID]
        columns = np.column_stack([*scores.values(), *(scores[HYBRID] - scores[name] for name in rivals)])
        resampled = resampled_means(columns, settings.resamples, settings.seed)
        estimates = [
            plain(interval(float(column.mean()), means)) for column, means in zip(columns.T, resampled.T, strict=True)
        ]
        return {
            "rankings": len(columns),
            "models": dict(zip(scores, estimates, strict=False)),
            "leads": dict(zip(rivals, estimates[len(scores) :], strict=True)),
        }
