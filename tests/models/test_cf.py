"""The collaborative filter recovers tastes, leaves out seen games, and survives the disk."""

from __future__ import annotations

import json
import logging
import pickle
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from factories.tables import ratings
from recsys.config import CfSettings
from recsys.errors import ArtifactCorrupt, DataContractError, Diverged, NotInModel, QualityGateFailed, ReleaseNotFound
from recsys.models import CollaborativeFilter
from recsys.models.recipe import CfRecipe
from recsys.report.contents import read_contents

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PLAIN = CfSettings(solver="implicit", factors=8, regularization=1.0, alpha=5.0, iterations=10, threads=1)


@pytest.fixture(scope="module")
def model() -> CollaborativeFilter:
    """Return a model of the clubs."""
    return CollaborativeFilter(PLAIN).fit(ratings())


def test_a_finished_recipe_is_trained_as_it_is() -> None:
    """Whatever the settings leave open: nothing is searched, and the settings that are kept are the recipe's."""
    recipe = replace(CfRecipe.by_rule(CfSettings(), np.array([10], np.float32)), factors=5, exponent=0.7)
    model = CollaborativeFilter(CfSettings(threads=1)).fit(ratings(), recipe=recipe)
    assert (model.recipe, model.tuning) == (recipe, None)
    again = CollaborativeFilter(model.pinned).fit(ratings())
    assert again.recipe == recipe
    assert np.array_equal(again.item_factors, model.item_factors)


def test_restricted_to_another_catalogue(model: CollaborativeFilter) -> None:
    """A copy recommends the games of that catalogue alone; the model itself stays as it was."""
    before = model.recommendable.copy()
    user = model.users.ids([0])[0]
    offered = [game.game_id for game in model.recommend(user, 100)]
    catalogue = offered[::2]
    restricted = model.restricted_to(catalogue)
    assert [game.game_id for game in restricted.recommend(user, 100)] == catalogue
    assert restricted.item_factors is model.item_factors
    assert np.array_equal(model.recommendable, before)
    assert [game.game_id for game in model.recommend(user, 100)] == offered


def test_the_log_tells_the_seconds_of_each_iteration(caplog: pytest.LogCaptureFixture) -> None:
    """Its own, not those since the beginning, and without what a watcher takes: together no more than the training."""
    with caplog.at_level(logging.DEBUG, "recsys"):
        CollaborativeFilter(PLAIN).fit(ratings(), watch=lambda *_: time.sleep(0.02))
    events = [(record.getMessage(), record.recsys_keys) for record in caplog.records if hasattr(record, "recsys_keys")]
    iterations = [keys for message, keys in events if message == "ALS iteration"]
    assert [keys["iteration"] for keys in iterations] == list(range(1, 11))
    (total,) = [keys["seconds"] for message, keys in events if message == "trained ALS"]
    assert sum(keys["seconds"] for keys in iterations) <= total - 10 * 0.02


def test_recommendations_recover_the_ratings(model: CollaborativeFilter) -> None:
    """The four games of the own shelf that a user has not rated come first."""
    hits = [game.game_id % 4 == user % 4 for user in range(80) for game in model.recommend(user, 4)]
    assert np.mean(hits) > 0.95


def test_similar_games_stand_on_one_shelf(model: CollaborativeFilter) -> None:
    """The nearest nine games are the rest of the shelf, and a game is not its own neighbour."""
    for game in range(100, 140):
        neighbours = [neighbour.game_id for neighbour in model.similar(game, 9)]
        assert game not in neighbours
        assert np.mean([id_ % 4 == game % 4 for id_ in neighbours]) > 0.8


def test_similar_is_the_cosine_of_factors(model: CollaborativeFilter) -> None:
    """Scores against brute force in float64."""
    factors = model.item_factors.astype(np.float64)
    unit = factors / np.linalg.norm(factors, axis=1, keepdims=True)
    cosines = unit @ unit[0]
    for game, score in model.similar(100, 39):
        assert score == pytest.approx(cosines[model.items.codes_of([game])[0]], abs=1e-5)


def test_rated_games_are_never_recommended(model: CollaborativeFilter) -> None:
    """However many are asked for, the 31 unrated games come back: no padded rows."""
    rated = ratings().groupby("USER_ID")["GAME_ID"].agg(set)
    for user in range(80):
        recommended = [game.game_id for game in model.recommend(user, 1000)]
        assert set(recommended) == set(range(100, 140)) - rated[user]
        assert len(recommended) == len(set(recommended))


def test_games_outside_the_catalogue_train_but_are_not_recommended() -> None:
    """A rated game that the catalogue lacks has factors, and appears in no list."""
    model = CollaborativeFilter(PLAIN).fit(ratings(), catalogue=list(range(101, 140)))
    assert model.items.code_of(100) is not None
    assert all(game.game_id != 100 for user in range(80) for game in model.recommend(user, 40))
    assert all(neighbour.game_id != 100 for neighbour in model.similar(104, 40))


def test_unknown_ids_are_named(model: CollaborativeFilter) -> None:
    """An id that was never trained is an error, not an empty list."""
    with pytest.raises(NotInModel, match="user 999 is not among the 80 users"):
        model.recommend(999)
    with pytest.raises(NotInModel, match="game '100' is not among the 40 rated games"):
        model.similar("100")


def test_a_user_without_likes_gets_nothing() -> None:
    """Where nothing speaks for any game, no order of games is made up."""
    frame = pd.concat([ratings(), pd.DataFrame({"USER_ID": [500], "GAME_ID": [100], "RATING": [1.0]})])
    assert CollaborativeFilter(PLAIN).fit(frame).recommend(500) == []


def test_fitting_twice_starts_afresh() -> None:
    """A second fit of one object gives what a fresh object gives: no warm start."""
    again = CollaborativeFilter(PLAIN).fit(ratings(1)).fit(ratings())
    np.testing.assert_array_equal(again.item_factors, CollaborativeFilter(PLAIN).fit(ratings()).item_factors)


def test_row_order_changes_nothing() -> None:
    """A warehouse promises no order: shuffled rows give the same factors, bit for bit."""
    shuffled = CollaborativeFilter(PLAIN).fit(ratings().sample(frac=1, random_state=3))
    np.testing.assert_array_equal(shuffled.user_factors, CollaborativeFilter(PLAIN).fit(ratings()).user_factors)


def test_a_broken_frame_is_refused() -> None:
    """``fit`` holds a frame to the data contract."""
    with pytest.raises(DataContractError, match="null or NaN"):
        CollaborativeFilter(PLAIN).fit(ratings().assign(RATING=np.nan))


@pytest.mark.parametrize(
    ("scale", "liked"),
    [
        (lambda rating: np.ceil(rating / 2), 4.0),  # 1-5
        (lambda rating: rating / 2, 3.5),  # 0.5-5
        (lambda rating: rating, 7.0),  # 1-10
        (lambda rating: 11 * rating - 10.0 - np.where(rating == 1, 1, 0), 70.0),  # 0-100
    ],
    ids=["1-5", "0.5-5", "1-10", "0-100"],
)
def test_a_frame_on_any_scale_is_learnt_from(scale: Callable[[Any], Any], liked: float) -> None:
    """``fit`` alone, without a setting, reads the threshold off the scale and finds the shelves."""
    frame = ratings()
    frame["RATING"] = scale(frame["RATING"])
    model = CollaborativeFilter().fit(frame)
    assert model.recipe.like_threshold == liked
    assert model.ratings.nnz == len(frame)
    hits = [game.game_id % 4 == user % 4 for user in range(80) for game in model.recommend(user, 4)]
    assert np.mean(hits) > 0.95


@pytest.mark.parametrize(
    ("bad", "words"), [(np.nan, "null or NaN"), (np.inf, "infinite"), (-np.inf, "infinite"), (-1.0, "below 0")]
)
def test_what_is_no_rating_on_any_scale_is_refused(bad: float, words: str) -> None:
    """One bad value is named with its game, and with no setting that ``fit`` does not take."""
    frame = ratings()
    frame.loc[7, "RATING"] = bad
    where = frame.loc[7]
    with pytest.raises(DataContractError, match=rf"ratings: 1 rating .*{words}") as caught:
        CollaborativeFilter(PLAIN).fit(frame)
    assert f"game {where['GAME_ID']:.0f} rating" in str(caught.value)
    assert "data." not in str(caught.value)


@pytest.mark.parametrize("wild", [{"unobserved": 1e38}, {"solver": "implicit", "alpha": 1e38}])
def test_a_fit_that_diverges_is_no_model(wild: dict[str, Any]) -> None:
    """Whichever solver: an error that names the settings, the one that ends a run as refused (exit code 3)."""
    with pytest.raises(Diverged, match=r"infinite with .*cf\.regularization") as caught:
        CollaborativeFilter(CfSettings(factors=8, tuning="off", threads=1, **wild)).fit(ratings())
    assert isinstance(caught.value, QualityGateFailed)
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("prefix", ["", "u"])
def test_a_model_survives_the_disk(tmp_path: Path, prefix: str) -> None:
    """Saved and loaded, with ids of either kind, it recommends the same."""
    frame = ratings()
    if prefix:
        frame["USER_ID"] = prefix + frame["USER_ID"].astype(str)
        frame["GAME_ID"] = frame["GAME_ID"].astype(str)
    model = CollaborativeFilter(PLAIN).fit(frame, catalogue=frame["GAME_ID"].unique()[1:].tolist())
    model.save(tmp_path)
    loaded = CollaborativeFilter.load(tmp_path)
    for user in frame["USER_ID"].unique().tolist()[:10]:
        assert loaded.recommend(user, 7) == model.recommend(user, 7)
    game = frame["GAME_ID"].iloc[0].item() if not prefix else frame["GAME_ID"].iloc[0]
    assert loaded.similar(game) == model.similar(game)


def test_the_files_are_what_the_contract_names(tmp_path: Path, model: CollaborativeFilter) -> None:
    """The pickle is implicit's class; the mappings are JSON from id to row."""
    model.save(tmp_path)
    als = pickle.loads((tmp_path / "cf_model.pkl").read_bytes())
    assert type(als).__module__ == "implicit.cpu.als"
    np.testing.assert_array_equal(als.user_factors, model.user_factors)
    mappings = json.loads((tmp_path / "cf_mappings.json").read_text())
    assert set(mappings) == {"user_id_to_idx", "item_id_to_idx"}
    assert mappings["item_id_to_idx"] == {str(100 + code): code for code in range(40)}


def test_damaged_files_are_told_apart(tmp_path: Path, model: CollaborativeFilter) -> None:
    """A missing file and a spoilt one are different errors."""
    with pytest.raises(ReleaseNotFound, match="is missing"):
        CollaborativeFilter.load(tmp_path)
    model.save(tmp_path)
    (tmp_path / "cf_factors.npz").write_bytes(b"spoilt")
    with pytest.raises(ArtifactCorrupt, match="cannot be read"):
        CollaborativeFilter.load(tmp_path)


@pytest.mark.parametrize("half", ["user_id_to_idx", "item_id_to_idx"])
def test_ids_out_of_order_are_damage_to_every_reader(tmp_path: Path, model: CollaborativeFilter, half: str) -> None:
    """A row of the factors would be somebody else's: the model's own loader, the release's and the page's refuse it."""
    model.save(tmp_path)
    (tmp_path / "users.arrow").unlink()  # as before there was one
    mappings = json.loads((tmp_path / "cf_mappings.json").read_bytes())
    first, second, *_ = mappings[half]
    mappings[half][first], mappings[half][second] = 1, 0
    (tmp_path / "cf_mappings.json").write_text(json.dumps(mappings))
    for read in (CollaborativeFilter.load, read_contents):
        with pytest.raises(ArtifactCorrupt, match=r"does not number its ids 0 … \d+ in order"):
            read(tmp_path)


def test_a_second_fit_forgets_the_first() -> None:
    """Whoever was asked for between two fits: lists are those of the ratings that were trained on last."""
    rng, settings = np.random.default_rng(8), CfSettings(factors=4, iterations=4, tuning="off")
    frames = [
        pd.DataFrame(
            {"USER_ID": np.repeat(range(60), 8), "GAME_ID": rng.integers(0, 30, 480), "RATING": 8.0}
        ).drop_duplicates(["USER_ID", "GAME_ID"])
        for _ in range(2)
    ]
    twice = CollaborativeFilter(settings)
    for frame in frames:
        twice.fit(frame).recommend(3)
    once = CollaborativeFilter(settings).fit(frames[1])
    assert [twice.recommend(user) for user in range(60)] == [once.recommend(user) for user in range(60)]


def test_a_model_that_was_not_fitted_says_so() -> None:
    """Whatever it is asked."""
    with pytest.raises(NotInModel, match="call fit first"):
        CollaborativeFilter().recommend(1)
    with pytest.raises(NotInModel, match="call fit first"):
        CollaborativeFilter().similar(1)
