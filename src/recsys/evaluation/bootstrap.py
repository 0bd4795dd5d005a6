"""How sure is a difference? Paired bootstrap over users; two standard errors where thousands are compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

LEVEL = 0.95
"""Confidence of every interval."""

_BLOCK_DRAWS = 1 << 21

_FEWEST = 20
"""People below whom nothing is sure: with so many, two standard errors are as good as Student's 97.5%."""


class Interval(NamedTuple):
    """A value with its bootstrap interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.4f} [{self.low:.4f}, {self.high:.4f}]"


def resampled_means(values: Floats, resamples: int, seed: int) -> Floats:
    """Return the means of bootstrap samples of users.

    Every column is resampled with the same users, so that columns may be compared with one another
    resample by resample: that is what makes it paired (Efron & Tibshirani, "An Introduction to the
    Bootstrap", 1993, ch. 6 and 13; for ranking: Sakai, SIGIR 2006). A resample of n users is n
    draws with replacement, that is, multinomial weights on the users; the means are one product of
    weights and values.

    Parameters
    ----------
    values
        float64, (users, columns); NaN where a user has no score in a column.
    resamples
        Number of bootstrap samples.
    seed
        Seed of the draws: the same seed and number of users give the same samples.

    Returns
    -------
    numpy.ndarray
        float64, (resamples, columns); NaN where a sample holds no score.
    """
    users = len(values)
    if not users:
        return np.full((resamples, values.shape[1]), np.nan)
    scored = ~np.isnan(values)
    complete = bool(scored.all())
    filled = values if complete else np.where(scored, values, 0.0)
    means = np.empty((resamples, values.shape[1]))
    size = max(1, _BLOCK_DRAWS // users)
    draws = np.random.default_rng(seed)
    for start in range(0, resamples, size):
        weights = _multinomial(draws, min(size, resamples - start), users)
        below = float(users) if complete else weights @ scored
        with np.errstate(invalid="ignore"):
            means[start : start + len(weights)] = weights @ filled / below
    return means


def _multinomial(draws: np.random.Generator, samples: int, users: int) -> Floats:
    """Return how often each user is drawn; float64, (samples, users). Faster than a draw per user's binomial."""
    picks = draws.integers(0, users, size=(samples, users))
    picks += np.arange(samples)[:, None] * users
    return np.bincount(picks.ravel(), minlength=samples * users).reshape(samples, users).astype(np.float64)


def interval(value: float, resampled: Floats) -> Interval:
    """Return the percentile interval of one value's resamples, float64 (resamples,)."""
    if np.isnan(resampled).any():
        return Interval(value, float("nan"), float("nan"))
    low, high = np.quantile(resampled, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(value, float(low), float(high))


def paired_difference(a: Floats, b: Floats, resamples: int, seed: int, *, relative: bool = False) -> Interval:
    """Return the mean difference a − b over users with its interval.

    Parameters
    ----------
    a, b
        float64, (users,): scores of two contenders for the same users, in the same order.
    resamples, seed
        Number of bootstrap samples and seed of the draws; see :func:`resampled_means`.
    relative
        Whether to return a share of b's mean: 0.05 is "a is 5% better". Infinite or NaN where b's mean is 0.
    """
    means = resampled_means(np.column_stack((a, b)), resamples, seed)
    value = np.array([[np.nanmean(a), np.nanmean(b)]]) if len(a) else np.full((1, 2), np.nan)
    both = np.concatenate((value, means))
    difference = both[:, 0] - both[:, 1]
    if relative:
        with np.errstate(invalid="ignore", divide="ignore"):
            difference /= both[:, 1]
    return interval(float(difference[0]), difference[1:])


def surely_better(ours: Floats, theirs: Floats, people: npt.NDArray[np.int64], *, errors: float = 2) -> bool:
    """Whether some scores are above others by more than two standard errors of the paired difference.

    Somebody whom several hold-outs drew counts once, with the mean of their differences: their
    scores are alike, and would pass for more people than there are.

    Parameters
    ----------
    ours, theirs
        float64, (users,): scores of the same users.
    people
        int64, (users,): a number for each person, the same wherever the person was drawn.
    errors
        How many standard errors.
    """
    _, person = np.unique(people, return_inverse=True)
    number = np.bincount(person)
    if len(number) < _FEWEST:
        return False
    each = np.bincount(person, ours - theirs) / number
    return bool(each.mean() > errors * each.std(ddof=1) / np.sqrt(len(each)))


def simultaneous_leads(ours: Floats, theirs: Floats, ours_drawn: Floats, theirs_drawn: Floats) -> list[Interval]:
    """Return how far we are ahead of somebody by several scores, with intervals that hold for all of them at once.

    With 20 intervals of 95% each, one lies beside the truth by chance in most nights. These are as wide as it takes for
    all to hold together in 95%: each is ``value ± c · s``, s the bootstrap's standard error, c the 95% quantile of the
    largest of ``|resampled − value| / s`` in each resample (the studentized maximum, "max-T": Westfall & Young,
    "Resampling-Based Multiple Testing", 1993; Romano & Wolf, JASA 2005). What overlaps errs together, and is not paid
    for twice as it would be by Bonferroni.

    Parameters
    ----------
    ours, theirs
        float64, (columns,): means of each score.
    ours_drawn, theirs_drawn
        float64, (resamples, columns): of the same resamples of users; see :func:`resampled_means`.

    Returns
    -------
    list[Interval]
        For each column ``ours / theirs − 1``: 0.05 is "5% better". NaN where theirs is, or may be, 0.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        leads, drawn = ours / theirs - 1, ours_drawn / theirs_drawn - 1
    sound = np.isfinite(leads) & np.isfinite(drawn).all(axis=0)
    leads[~sound], drawn[:, ~sound] = np.nan, np.nan
    error = drawn.std(axis=0, ddof=1)
    spread = error > 0
    off = np.abs(drawn[:, spread] - leads[spread]) / error[spread]
    reach = float(np.quantile(off.max(axis=1), LEVEL)) if spread.any() else 0.0
    return [
        Interval(float(lead), float(lead - reach * s), float(lead + reach * s))
        for lead, s in zip(leads, error, strict=True)
    ]
