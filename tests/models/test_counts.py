"""Plays and other counts: refused where nobody says which are likes, and read on a scale without a top."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from recsys.config import CfSettings, Settings
from recsys.errors import ConfigError
from recsys.marts import IdMap
from recsys.marts.ratings import Ratings
from recsys.models import CollaborativeFilter
from recsys.models.confidence import like_threshold, scale_top, weigh
from recsys.pipeline.proving import check_data


def plays(seed: int = 0) -> pd.DataFrame:
    """Return plays, 1 to some 100,000 of them, of 60 users, who play most what their group likes."""
    draw = np.random.default_rng(seed)
    pairs = [(user, game) for user in range(60) for game in draw.permutation(40)[:20]]
    rows = [(u, g, np.ceil(np.exp(draw.normal(6 if g % 4 == u % 4 else 2, 1.5)))) for u, g in pairs]
    rows.append((60, 0, 100_000.0))
    return pd.DataFrame(rows, columns=["USER_ID", "GAME_ID", "RATING"])


def test_counts_are_refused_with_the_setting_that_helps() -> None:
    """0.7 of the largest count is a like of nobody: the error has the values seen, and says what to set."""
    with pytest.raises(
        ConfigError, match=r"largest rating is 100,000, half of them are .* set cf\.like_threshold, to 1"
    ):
        CollaborativeFilter(CfSettings(factors=4, tuning="off")).fit(plays())


def test_a_run_says_so_before_it_encodes_a_text() -> None:
    """The check of the data, which is the first step after the fetch, ends with the same error."""
    ratings = Ratings.from_frame(plays())
    with pytest.raises(ConfigError, match=r"cf\.like_threshold"):
        check_data(ratings, IdMap.of(range(40)), Settings(), None)


def test_a_hundred_is_a_scale() -> None:
    """0-100 stays one that is read by itself."""
    assert like_threshold("auto", np.array([1.0, 100.0], np.float32)) == 70


def test_twice_as_many_says_the_same_wherever() -> None:
    """Of counts, graded confidence is 1 at the threshold, 2 at the top, and grows by as much with every doubling."""
    counts = np.array([0.5, 1, 2, 4, 8, 1024], np.float32)
    graded = weigh(counts, "graded", 1.0, scale_top(counts))
    assert graded[1] == pytest.approx(1)
    assert graded[-1] == pytest.approx(2)
    np.testing.assert_allclose(np.diff(graded[:-1]), np.log(2) / np.log(1024), rtol=1e-5)


def test_plays_are_trained_on_by_their_order() -> None:
    """With the threshold they train, by a search too, and find what a group plays most."""
    model = CollaborativeFilter(CfSettings(factors=4, threads=1, like_threshold=20)).fit(plays())
    assert model.tuning is not None
    hits = [scored.game_id % 4 == user % 4 for user in range(60) for scored in model.recommend(user, 3)]
    assert np.mean(hits) > 0.5
