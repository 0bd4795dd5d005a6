"""What a rating says: whether its user likes the game, and how sure that is.

Every function works on the scale that the table shows. Its top is the smallest of 1, 5, 10 and
100 that no rating exceeds, so that 1-5, 0.5-5, 1-10 and 0-100 are recognised by their largest
rating alone. A table beyond 100 holds counts, such as plays: they have no top, and twice as many says the same wherever
it is said.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from recsys.errors import ConfigError

if TYPE_CHECKING:
    import numpy.typing as npt
    import scipy.sparse as sp

    from recsys.models.recipe import CfRecipe
    from recsys.release.arrays import InteractionsFile

ConfidenceName: TypeAlias = Literal["graded", "liked", "rating"]

_TOPS = (1.0, 5.0, 10.0, 100.0)
_LIKED_SHARE = 0.7
"""Share of the top from which a rating is a like: 7 of 10, 3.5 of 5, 70 of 100; in whole ratings, 4 of 5."""
_NEUTRAL_SHARE = 0.3
"""Share of the top at which graded confidence would be zero, if it had no floor."""
_FLOOR, _CEILING = 0.25, 2.0
"""Bounds of graded confidence: even a bad rating says that the user wanted to try the game."""


def scale_top(ratings: npt.NDArray[np.float32]) -> float:
    """Return the top of the scale that these ratings are on."""
    highest = float(ratings.max()) if len(ratings) else 0.0
    return next((top for top in _TOPS if highest <= top), highest)


def like_threshold(setting: float | Literal["auto"], ratings: npt.NDArray[np.float32]) -> float:
    """Return the rating from which on a game counts as liked.

    ``auto`` is 0.7 of the scale's top, rounded up to the step of the ratings (1 or ½): 4 on 1-5,
    3.5 on 0.5-5, 7 on 1-10, 70 on 0-100.

    Parameters
    ----------
    setting
        ``cf.like_threshold``.
    ratings
        float32: ratings of the table, of any shape.

    Raises
    ------
    ConfigError
        If it is ``auto`` and the table holds counts.
    """
    if setting != "auto":
        return float(setting)
    top = scale_top(ratings)
    if top > _TOPS[-1]:
        raise ConfigError(
            f"the largest rating is {top:,.10g}, half of them are {np.median(ratings):,.10g} or less: beyond"
            f" {_TOPS[-1]:g} they look like counts (plays, visits), of which nobody can tell which are likes; set"
            " cf.like_threshold, to 1 where every one of them is"
        )
    threshold = round(_LIKED_SHARE * top, 6)
    for step in (1.0, 0.5):
        if not np.any(ratings % np.float32(step)):
            return float(np.ceil(threshold / step) * step)
    return threshold


def weigh(
    ratings: npt.NDArray[np.float32], name: ConfidenceName, threshold: float, top: float
) -> npt.NDArray[np.float32]:
    """Return the confidence that each rating's user likes the game; not positive where it does not count.

    ``rating``
        The rating is its own confidence, as in the textbooks: a 2 out of 10 speaks *for* the game,
        if less than a 9 does.
    ``liked``
        1 from the threshold on; below it the game counts as not seen.
    ``graded``
        ``clip((r - n) / (threshold - n), ¼, 2)`` with n = 0.3 of the scale's top: 1 at the
        threshold, up to 2 above it, and little below. On 1-10: ``clip((r - 3) / 4, ¼, 2)``.
        Of counts: ``clip(1 + ln(r / threshold) / ln(top / threshold), ¼, 2)``.

    Parameters
    ----------
    ratings
        float32, of any shape.
    name
        Which function.
    threshold
        From :func:`like_threshold`.
    top
        Top of the scale, from :func:`scale_top`.
    """
    if name == "liked":
        return (ratings >= np.float32(threshold)).astype(np.float32)
    if name == "graded" and top > _TOPS[-1]:
        times = np.maximum(ratings, np.float32(1e-9)) / np.float32(max(threshold, 1e-9))
        counted = 1 + np.log(times) / np.log(max(top / max(threshold, 1e-9), np.e))
        bounded: npt.NDArray[np.float32] = np.clip(counted, _FLOOR, _CEILING).astype(np.float32)
        return bounded
    if name == "graded":
        neutral = min(_NEUTRAL_SHARE * top, 0.9 * threshold)
        graded: npt.NDArray[np.float32] = np.clip((ratings - neutral) / (threshold - neutral), _FLOOR, _CEILING)
        return graded.astype(np.float32, copy=False)
    return ratings


def confidence(
    ratings: sp.csr_matrix, name: ConfidenceName, threshold: float, left: npt.NDArray[np.float32] | None = None
) -> sp.csr_matrix:
    """Turn a table of ratings into confidences; see :func:`weigh`.

    Parameters
    ----------
    ratings
        CSR, float32, users × games; not changed.
    name
        Which function.
    threshold
        From :func:`like_threshold`.
    left
        float32, aligned with the ratings: what time has left of each confidence; all of it where not given. See
        :func:`recsys.models.fading.fading`.

    Returns
    -------
    scipy.sparse.csr_matrix
        float32, of the same shape, without entries that are not positive; it may share arrays with
        ``ratings``, and is for reading only.
    """
    return stored(ratings, aligned(ratings.data, name, threshold, left))


def aligned(
    ratings: npt.NDArray[np.float32],
    name: ConfidenceName,
    threshold: float,
    left: npt.NDArray[np.float32] | None = None,
) -> npt.NDArray[np.float32]:
    """Return the confidence of each rating, not positive where it does not count; see :func:`confidence`."""
    values = weigh(ratings, name, threshold, scale_top(ratings))
    return values if left is None else values * left


def stored(ratings: sp.csr_matrix, values: npt.NDArray[np.float32]) -> sp.csr_matrix:
    """Return a table with other values in place of its ratings, without those that are not positive."""
    import scipy.sparse as sp

    places = ratings.indices, ratings.indptr
    drops = bool(len(values)) and values.min() <= 0
    if drops:
        values, places = np.maximum(values, 0), (ratings.indices.copy(), ratings.indptr.copy())
    result = sp.csr_matrix((values, *places), shape=ratings.shape)
    result.has_sorted_indices = ratings.has_sorted_indices
    if drops:
        result.eliminate_zeros()
    return result


def confidence_of(rated: InteractionsFile, recipe: CfRecipe) -> npt.NDArray[np.float32]:
    """Return the confidence of each rating as trained, by the recipe where the file does not say; 0 counts nothing."""
    if rated.confidence is not None:
        return rated.confidence
    return np.maximum(aligned(rated.ratings, recipe.confidence, recipe.like_threshold), 0)
