"""Drift: each bound from both sides, and the index against its definition."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from factories.tastes import ratings_of, tastes
from recsys.config import DataSettings, GateSettings
from recsys.evaluation.drift import DataProfile, Drift, measure_drift, stability_index
from recsys.marts.ids import IdMap

if TYPE_CHECKING:
    from recsys.marts.ratings import Ratings

GATE = GateSettings()


def profile(ratings: Ratings, catalogue: IdMap | None = None) -> DataProfile:
    """Describe ratings under the default contract; the catalogue has every game unless given."""
    return DataProfile.of(ratings, catalogue or ratings.items, DataSettings())


@pytest.fixture(scope="module")
def before() -> DataProfile:
    """Return what the current release was made of."""
    return profile(tastes())


def drift(before: DataProfile, now: DataProfile) -> Drift:
    """Measure with the default bounds."""
    return measure_drift(before, now, GATE, "r1")


def test_a_profile_counts_what_is_there() -> None:
    """Counts, mean, unknown games and a bin for each whole rating, its upper edge within."""
    ratings = ratings_of([1, 1, 2, 3], [10, 20, 10, 30], [1, 7, 10, 6.5])
    described = profile(ratings, IdMap.of([10, 20, 40]))
    assert (described.ratings, described.users, described.rated_games, described.games) == (4, 3, 3, 3)
    assert described.mean_rating == pytest.approx(6.125)
    assert described.unknown_share == 0.25
    assert described.histogram == (1, 0, 0, 0, 0, 0, 2, 0, 0, 1)


def test_a_profile_survives_json(before: DataProfile) -> None:
    """What a release stores is what the next run reads."""
    assert DataProfile.from_json(json.loads(json.dumps(before.as_json()))) == before


def test_the_same_data_do_not_drift(before: DataProfile) -> None:
    """All changes are 0 and within bounds."""
    measured = drift(before, before)
    assert not measured.reason
    assert {change.change for change in measured.changes} == {0.0}


def test_another_night_of_the_same_people_does_not_drift(before: DataProfile) -> None:
    """Another sample of the same making is within every bound."""
    assert not drift(before, profile(tastes(seed=1))).reason


def test_half_the_rows_gone_is_drift(before: DataProfile) -> None:
    """A mart with every second rating missing breaks the bound, told with numbers and bound."""
    whole = tastes()
    places = whole.matrix.tocoo()
    half = ratings_of(places.row[::2], places.col[::2], places.data[::2])
    measured = drift(before, profile(half))
    assert f"ratings went from {before.ratings:,} to {half.matrix.nnz:,} (-50%, bound -20%)" in measured.reason


@pytest.mark.parametrize(
    ("field", "factor", "within"),
    [("ratings", 0.81, True), ("users", 0.79, False), ("rated_games", 1.99, True), ("games", 2.01, False)],
)
def test_growth_is_bound_on_both_sides(before: DataProfile, field: str, factor: float, within: bool) -> None:  # noqa: FBT001 - a case of the table
    """Ratings, users and games may shrink by 20% and double."""
    now = replace(before, **{field: round(getattr(before, field) * factor)})
    assert (drift(before, now).reason == "") is within


def test_ratings_on_another_scale_are_drift(before: DataProfile) -> None:
    """Halved ratings move both the mean and the histogram."""
    whole = tastes()
    halved = whole.matrix.copy()
    halved.data = halved.data / 2
    measured = drift(before, profile(replace(whole, matrix=halved)))
    assert "mean rating went from" in measured.reason
    assert "stability index of the rating histogram" in measured.reason


@pytest.mark.parametrize(("share", "within"), [(0.04, True), (0.06, False)])
def test_a_catalogue_that_lost_games_is_drift(before: DataProfile, share: float, within: bool) -> None:  # noqa: FBT001 - a case of the table
    """Ratings on games that the catalogue lacks may rise by five points."""
    now = replace(before, unknown_share=before.unknown_share + share)
    assert (drift(before, now).reason == "") is within


def test_fewer_unknown_games_are_no_drift(before: DataProfile) -> None:
    """A catalogue that was completed is welcome, however much it was."""
    assert not drift(replace(before, unknown_share=0.3), before).reason


def test_the_stability_index_is_its_definition() -> None:
    """Σ (p − q) ln(p / q), symmetric, 0 for equal shares, finite for empty bins."""
    q, p = np.array([10, 30, 60]), np.array([40, 80, 80])
    expected = sum((b - a) * math.log(b / a) for a, b in zip(q / 100, p / 200, strict=True))
    assert stability_index(q, p) == pytest.approx(expected)
    assert stability_index(p, q) == pytest.approx(expected)
    assert stability_index(q, 7 * q) == pytest.approx(0)
    assert math.isfinite(stability_index(np.array([0, 5]), np.array([5, 0])))


def test_bins_follow_the_older_profile(before: DataProfile) -> None:
    """A change of the contract's range does not make histograms incomparable."""
    wider = DataSettings(rating_max=20)
    ratings = tastes()
    now = DataProfile.of(ratings, ratings.items, wider, before.edges)
    assert now.histogram == before.histogram
