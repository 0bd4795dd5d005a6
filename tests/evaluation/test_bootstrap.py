"""Intervals: against theory, against scipy, and their pairing."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from recsys.evaluation.bootstrap import interval, paired_difference, resampled_means

Floats = npt.NDArray[np.float64]


def test_the_interval_of_a_mean_is_that_of_the_normal_theory() -> None:
    """For 4,000 users the percentile interval is mean ± 1.96 standard errors, within 5%."""
    values = np.random.default_rng(0).gamma(2.0, size=4000)
    estimate = interval(values.mean(), resampled_means(values[:, None], 4000, seed=1)[:, 0])
    error = 1.96 * values.std() / np.sqrt(len(values))
    assert estimate.low == pytest.approx(values.mean() - error, abs=0.05 * error)
    assert estimate.high == pytest.approx(values.mean() + error, abs=0.05 * error)


def test_a_paired_difference_agrees_with_scipy() -> None:
    """Difference and ratio have scipy's paired percentile intervals, up to the noise of the draws."""
    draw = np.random.default_rng(2)
    b = draw.random(800)
    a = 0.9 * b + 0.15 * draw.random(800)
    estimate = paired_difference(a, b, 5000, 3, relative=True)

    def ratio(x: Floats, y: Floats, axis: int) -> Floats:
        gain: Floats = x.mean(axis=axis) / y.mean(axis=axis) - 1
        return gain

    expected = stats.bootstrap(
        (a, b), ratio, paired=True, vectorized=True, method="percentile", n_resamples=5000, rng=np.random.default_rng(4)
    ).confidence_interval
    width = expected.high - expected.low
    assert estimate.value == pytest.approx(a.mean() / b.mean() - 1)
    assert estimate.low == pytest.approx(expected.low, abs=0.1 * width)
    assert estimate.high == pytest.approx(expected.high, abs=0.1 * width)


def test_pairing_removes_what_users_have_in_common() -> None:
    """A small constant gain is certain when users are paired, and drowned when they are not."""
    b = np.random.default_rng(0).random(300)
    paired = paired_difference(b + 0.01, b, 500, 1)
    assert (paired.low, paired.high) == pytest.approx((0.01, 0.01))
    shuffled = np.random.default_rng(1).permutation(b + 0.01)
    assert paired_difference(shuffled, b, 500, 1).low < 0


def test_the_seed_decides_the_interval() -> None:
    """The same seed gives the same interval to the last bit; another one does not."""
    a, b = np.random.default_rng(0).random((2, 500))
    assert paired_difference(a, b, 200, 7) == paired_difference(a, b, 200, 7)
    assert paired_difference(a, b, 200, 7) != paired_difference(a, b, 200, 8)


def test_users_without_a_score_do_not_count() -> None:
    """NaN for one user in two gives the mean over the others, and a wider interval than all together."""
    values = np.random.default_rng(0).normal(5.0, 1.0, size=1000)
    sparse = np.where(np.arange(1000) % 2, values, np.nan)
    means = resampled_means(np.column_stack((values, sparse)), 800, 0)
    assert means[:, 1].mean() == pytest.approx(np.nanmean(sparse), abs=0.01)
    assert means[:, 1].std() == pytest.approx(means[:, 0].std() * np.sqrt(2), rel=0.15)


def test_blocks_of_resamples_do_not_change_the_number_of_rows() -> None:
    """Many users mean many blocks; each resample is still there, and is a mean of the values."""
    values = np.random.default_rng(0).random((30_000, 2))
    means = resampled_means(values, 101, 5)
    assert means.shape == (101, 2)
    np.testing.assert_allclose(means, values.mean(), atol=0.02)
