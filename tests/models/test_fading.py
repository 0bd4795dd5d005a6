"""What time does to ratings: halves, trends, and that no clock has a part in it."""

from __future__ import annotations

import numpy as np
import pytest

from recsys.models.fading import MONTH_US, fading, trend

NOW = 1_700_000_000_000_000


def months_ago(*months: float) -> np.ndarray:
    """Return moments so many months before the newest one."""
    return (NOW - np.array(months) * MONTH_US).astype(np.int64)


def test_confidence_halves_with_age() -> None:
    """Ages count from the newest rating: 1, then ½, then ¼; moving all dates changes nothing."""
    moments = months_ago(0, 6, 12, 60)
    np.testing.assert_allclose(fading(moments, 6.0), [1, 0.5, 0.25, 2**-10], rtol=1e-6)
    np.testing.assert_array_equal(fading(moments + 10**15, 6.0), fading(moments, 6.0))


def test_ages_may_count_from_a_cut() -> None:
    """A moment that is given is the end of time: what is later has no age."""
    np.testing.assert_allclose(fading(months_ago(0, 6), 6.0, now=int(months_ago(6)[0])), [1, 1])


def test_the_trend_tells_what_is_rated_lately() -> None:
    """A game whose ratings are new stands above one with as many old ones; one without ratings at 0."""
    games = np.repeat([0, 1, 3], 20)
    moments = np.concatenate([months_ago(*np.zeros(20)), months_ago(*np.full(20, 24)), months_ago(*np.full(20, 3))])
    found = trend(games, moments, 4, 3.0)
    assert found[0] > found[3] > found[1]
    assert found[2] == 0
    assert found[[0, 1, 3]].mean() == pytest.approx(0, abs=1e-6)
    assert found[[0, 1, 3]].std() == pytest.approx(1, abs=1e-5)


def test_where_all_are_alike_there_is_no_trend() -> None:
    """Games with the same ratings at the same time are told apart by nothing."""
    assert not trend(np.array([0, 1, 2]), months_ago(1, 1, 1), 3, 3.0).any()


def test_ages_count_from_the_newest_before_1970_too() -> None:
    """Two ratings of one day in 1938 have no age."""
    np.testing.assert_array_equal(fading(np.full(2, -(10**15)), 3.0), [1, 1])
