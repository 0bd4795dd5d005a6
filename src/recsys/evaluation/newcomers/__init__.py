"""What the hybrid model is worth for games that nobody has rated, and for people with few ratings.

It never decides whether a release is published: it tells what newcomers may expect of it. Training
sees the training part of the hold-out alone, and of that a sample, so that a night pays seconds.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from recsys.errors import Diverged
from recsys.evaluation.newcomers.games import FOLDS, cold_games
from recsys.evaluation.newcomers.people import short_profiles
from recsys.evaluation.newcomers.rankings import TooFew
from recsys.evaluation.newcomers.sample import Sample
from recsys.system.log import events, keys
from recsys.system.pulse import progress

if TYPE_CHECKING:
    from collections.abc import Callable

    from recsys.config import EvaluationSettings
    from recsys.evaluation.newcomers.sample import Train
    from recsys.marts.ratings import Ratings
    from recsys.models.cf import CollaborativeFilter

__all__ = ["NEWCOMERS", "RANKINGS", "RATINGS", "Sample", "measure_newcomers", "not_measured"]

log = events(__name__)

NEWCOMERS = "newcomers"
"""Key of ``metrics.json``, and name of the step."""

RATINGS = 250_000
"""Of the sample that a night trains on, six times: five folds of games, and once for people."""
RANKINGS = 1_000
"""Users who rank each fold's games, and people whose profiles are cut."""


def measure_newcomers(
    sample: Sample, train: Train, settings: EvaluationSettings, rankings: int = RANKINGS
) -> dict[str, object]:
    """Return what the hybrid and its rivals score for new games and new people, ready for JSON.

    Parameters
    ----------
    sample
        What is learnt and ranked.
    train
        Trains the collaborative filter on a part of the sample's ratings, with the recipe to be
        measured.
    settings
        ``k``, ``seed`` and ``resamples`` are used.
    rankings
        At most, for each fold and for each length of profile.

    Returns
    -------
    dict
        ``sample``: its size; ``cold_games`` and ``short_profiles``: see :func:`cold_games` and
        :func:`short_profiles`, or ``missing``: why there is nothing to measure.
    """
    from threadpoolctl import threadpool_limits

    def counted(ratings: Ratings) -> CollaborativeFilter:
        model = train(ratings)
        advance(1)
        return model

    parts: dict[str, Callable[[], dict[str, object]]] = {
        "cold_games": lambda: cold_games(sample, counted, settings, rankings),
        "short_profiles": lambda: short_profiles(sample, counted, settings, rankings),
    }
    results: dict[str, object] = {"sample": sample.description()}
    # Thousands of small systems: BLAS is many times slower with threads that wait for one another, and with
    # one the scores are the same on any number of cores.
    with threadpool_limits(1, "blas"), progress("training for newcomers", FOLDS + 1) as advance:
        for name, measure in parts.items():
            started = time.perf_counter()
            try:
                results[name] = measure()
            except TooFew as few:
                results[name] = not_measured(str(few))
                log.info("not measured", extra=keys(part=name, because=few))
            except (Diverged, np.linalg.LinAlgError) as error:  # on so few ratings a training may diverge
                results[name] = not_measured(f"The measurement failed: {error}.")
                log.warning("not measured", extra=keys(part=name, because=error))
            else:
                log.info("measured newcomers", extra=keys(part=name, seconds=time.perf_counter() - started))
    return results


def not_measured(because: str) -> dict[str, object]:
    """Return what stands where nothing was measured."""
    return {"missing": because}
