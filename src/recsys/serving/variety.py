"""Lists whose games are not all alike: maximal marginal relevance.

Each next game has the highest ``(1 - d) · relevance - d · likeness``: relevance is the score, scaled to [0, 1] over the
games that are looked at, likeness the largest cosine of the game's text with those that stand before it (Carbonell
and Goldstein, "The Use of MMR", 1998). The best game comes first, whatever d is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from recsys.ranking.scorer import Floats


def by_marginal_relevance(scores: Floats, vectors: Floats, diversity: float) -> Iterator[int]:
    """Yield the places of games, best first; ties go to the higher score, then to the lower place.

    Parameters
    ----------
    scores
        float32, (n,): descending.
    vectors
        float32, (n, dimension): unit rows.
    diversity
        d, in [0, 1].
    """
    if not len(scores):
        return
    left = scores.astype(np.float64)
    width = float(left[0] - left[-1])
    relevance = (1 - diversity) * ((left - left[-1]) / width if width else np.ones(len(left)))
    likeness = np.full(len(left), -np.inf)
    place, taken = 0, np.zeros(len(left), dtype=bool)
    for _ in range(len(left)):
        yield place
        taken[place] = True
        # Not by BLAS: each cosine has the same bits whatever else is looked at.
        np.maximum(likeness, np.einsum("ij,j->i", vectors, vectors[place]), out=likeness)
        value = relevance - diversity * likeness
        value[taken] = -np.inf
        place = int(np.argmax(value))
