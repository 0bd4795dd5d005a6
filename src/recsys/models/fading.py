"""What time does to ratings: confidence that fades, and games whose time has come.

Ages are counted from a moment that the data give, the newest rating of what is trained on, and never from a
clock: the same data are the same model tomorrow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from recsys.errors import ConfigError
from recsys.marts import column_counts, column_sums

if TYPE_CHECKING:
    import numpy.typing as npt

    from recsys.models.recipe import CfRecipe

    Floats = npt.NDArray[np.float32]
    Moments = npt.NDArray[np.int64]

MONTH_US = 30.4375 * 86_400e6
"""Microseconds of a mean month."""
_FEW_LATELY, _FEW = 1.0, 10.0
"""Added to a game's faded and to its whole number of ratings: a few ratings are no trend."""


def fading(rated_at: Moments, half_life: float, now: int | None = None) -> Floats:
    """Return what is left of each rating's confidence: 2^(-age / half-life).

    Parameters
    ----------
    rated_at
        int64, (ratings,): microseconds since 1970.
    half_life
        Months; positive.
    now
        The moment that ages are counted from; the newest rating where not given. What is later has no age.

    Returns
    -------
    numpy.ndarray
        float32, (ratings,), in (0, 1].
    """
    newest = (int(rated_at.max()) if len(rated_at) else 0) if now is None else now
    ages = np.maximum(newest - rated_at, 0) / (half_life * MONTH_US)
    return np.exp2(-ages).astype(np.float32)


def left_by_time(rated_at: Moments | None, recipe: CfRecipe, now: int | None = None) -> Floats | None:
    """Return what time has left of each confidence by a recipe; None where nothing fades.

    Raises
    ------
    ConfigError
        If it is to fade, and the ratings have no dates.
    """
    if not recipe.half_life:
        return None
    return fading(dated(rated_at, "half_life", recipe.half_life), recipe.half_life, now)


def dated(rated_at: Moments | None, setting: str, value: float) -> Moments:
    """Return the dates of ratings, which a setting needs.

    Raises
    ------
    ConfigError
        If there are none.
    """
    if rated_at is None:
        raise ConfigError(
            f"cf.{setting} = {value:g} needs to know when games were rated: name the column of the ratings mart with"
            f" source.time_column, or set cf.{setting} to 0 or auto"
        )
    return rated_at


def trend(
    indices: npt.NDArray[np.integer], rated_at: Moments, games: int, half_life: float, now: int | None = None
) -> Floats:
    """Return how much more each game is rated lately than before: z(log((faded + 1) / (all + 10))).

    Parameters
    ----------
    indices
        int, (ratings,): the game of each rating.
    rated_at, half_life, now
        As for :func:`fading`.
    games
        How many games there are.

    Returns
    -------
    numpy.ndarray
        float32, (games,): standardised over the games that were rated; 0 for the others.
    """
    faded = column_sums(indices, fading(rated_at, half_life, now), games)
    counts = column_counts(indices, games)
    rated = counts > 0
    ratio = np.log((faded + _FEW_LATELY) / (counts + _FEW))
    spread = float(ratio[rated].std()) if rated.any() else 0.0
    if not spread > 1e-9:
        return np.zeros(games, dtype=np.float32)
    return np.where(rated, (ratio - ratio[rated].mean()) / spread, 0).astype(np.float32)
