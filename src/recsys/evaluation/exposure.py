"""Exposure: who is rated and who is recommended, along the long tail."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from recsys.evaluation.holdout import Split
    from recsys.evaluation.result import Evaluation

SECTIONS = 50
"""Sections of the tail, of equally many games each."""


def exposure(evaluation: Evaluation, split: Split) -> dict[str, Any]:
    """Return how ratings and recommendations are spread over the games; ready for JSON.

    Returns
    -------
    dict
        ``games``: how many games each section holds, from the most to the least rated; ``ratings``:
        its share of the training ratings; ``recommended``: by contender, its share of the first k
        places of all lists; ``shown``: by contender, how many of its games stand in anybody's.
    """
    raters = np.bincount(split.train.matrix.indices, minlength=split.train.matrix.shape[1])
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
