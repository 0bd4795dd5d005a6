"""Tables and games for what measures newcomers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from recsys.config import CfSettings, EvaluationSettings
from recsys.evaluation.newcomers import Sample
from recsys.marts.catalogue import Catalogue

if TYPE_CHECKING:
    from recsys.marts.ratings import Ratings

GAMES, USERS = 160, 400
SETTINGS = EvaluationSettings(k=5, resamples=200)
RECIPE = CfSettings(factors=8, tuning="off", threads=1, like_threshold=7.0)


def catalogue(games: int = GAMES) -> Catalogue:
    """Return games whose texts tell their group of taste through much noise, and whose tags tell it plainly."""
    rng = np.random.default_rng(2)
    vectors = np.eye(4, 24)[np.arange(games) % 4] + rng.normal(0, 0.6, (games, 24))
    unit = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return Catalogue(range(1, games + 1), unit, [[f"group {game % 4}", f"colour {game % 7}"] for game in range(games)])


def sample_of(ratings: Ratings, known: Catalogue | None = None, at_most: int = 10**9) -> Sample:
    """Return the sample of some ratings; all of them, unless told otherwise."""
    return Sample.of(ratings, known or catalogue(), 7.0, seed=SETTINGS.seed, at_most=at_most)
