"""Item kNN: a game is recommended by the likeness of its public to those of the games that somebody likes.

Cosine of the likes with a shrinkage, from each game's nearest neighbours (Sarwar et al., "Item-based collaborative
filtering recommendation algorithms", WWW 2001; the shrinkage as in Dacrema et al., "Are we really making much
progress?", RecSys 2019). It holds games × games in memory: a benchmark only.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from ease import Ease

if TYPE_CHECKING:
    from collections.abc import Iterator

    import scipy.sparse as sp

NEIGHBOURS = (50, 200)
SHRINKAGES = (0.0, 20.0, 100.0)


def knn_of(ratings: sp.csr_matrix, like_threshold: float) -> Iterator[Ease]:
    """Yield item kNN over the liked games, with every number of neighbours and shrinkage."""
    liked = ratings.copy()
    liked.data = (liked.data >= like_threshold).astype(np.float32)
    liked.eliminate_zeros()
    together = (liked.T @ liked).toarray().astype(np.float32)
    length = np.sqrt(together.diagonal())
    for neighbours, shrinkage in product(NEIGHBOURS, SHRINKAGES):
        weights = together / (np.outer(length, length) + np.float32(shrinkage) + np.float32(1e-9))
        np.fill_diagonal(weights, 0)
        if neighbours < len(weights):
            edge = np.partition(weights, len(weights) - neighbours, axis=0)[len(weights) - neighbours]
            weights[weights < edge] = 0
        yield Ease(f"item kNN {neighbours}, shrinkage {shrinkage:g}", liked, weights)
