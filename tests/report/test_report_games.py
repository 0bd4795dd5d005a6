"""What the page says about games: neighbours, what changed, the map and its labels."""

from __future__ import annotations

import numpy as np
import pytest

from recsys.marts.ids import IdMap
from recsys.models.folding import FoldIn
from recsys.models.taste import Blending
from recsys.models.users import FoldedUsers
from recsys.report.contents import Catalogue, Contents, Facts, Taste, unit_rows
from recsys.report.games import moved, nearest, well_known
from recsys.report.map import Label, drawn_map, place_labels, project
from recsys.report.missing import Missing
from recsys.report.users import samples


def release(vectors: np.ndarray, factors: np.ndarray, seed: int = 0, users: int = 12) -> Contents:
    """Return a release over games 0 … n-1 that the first users know best; ratings at random."""
    rng = np.random.default_rng(seed)
    games = len(vectors)
    rated = rng.random((users, games)) < np.linspace(0.9, 0.3, games)
    user, game = np.nonzero(rated)
    indptr = np.append(0, np.cumsum(rated.sum(axis=1)))
    taste = Taste(
        users=IdMap.of(range(1000, 1000 + users)),
        items=IdMap.of(range(games)),
        item_factors=factors.astype(np.float32),
        recommendable=np.arange(games) != 1,
        indptr=indptr,
        indices=game.astype(np.int32),
        ratings=rng.integers(5, 11, len(user)).astype(np.float32),
        folded=FoldedUsers(
            FoldIn(np.eye(factors.shape[1]), 1.0, 0.1, 1.0, 0.0, 1.0),
            factors.astype(np.float32),
            indptr,
            game.astype(np.int32),
            np.ones(len(user), dtype=np.float32),
            1.0,
        ),
        blending=Blending(factors.astype(np.float32), None, 0.0),
    )
    names = [f"Game {number}" for number in range(games)]
    catalogue = Catalogue(list(range(games)), names, ["Economic"] * games, rated.sum(axis=0))
    return Contents(Facts("now"), None, catalogue, unit_rows(vectors.astype(np.float32)), taste)


def random_release(seed: int = 0, games: int = 60) -> Contents:
    """Return a release of random vectors and factors."""
    rng = np.random.default_rng(seed)
    return release(rng.normal(size=(games, 16)), rng.normal(size=(games, 8)), seed)


def test_nearest_is_what_sorting_all_cosines_gives() -> None:
    """The same rows in the same order as by brute force, without the row itself and without banned ones."""
    rng = np.random.default_rng(1)
    vectors = unit_rows(rng.normal(size=(300, 12)).astype(np.float32))
    allowed = rng.random(300) < 0.8
    asked = rng.permutation(300)[:70]
    found = nearest(vectors, asked, 9, allowed)
    for row, neighbours in zip(asked, found, strict=True):
        cosines = vectors.astype(np.float64) @ vectors[row].astype(np.float64)
        cosines[row] = -np.inf
        cosines[~allowed] = -np.inf
        assert neighbours.tolist() == np.argsort(-cosines)[:9].tolist()


def test_equal_games_stand_in_their_order() -> None:
    """Of many games with the same vectors, each one's neighbours are the lowest of its own kind, wherever it stands."""
    rng = np.random.default_rng(0)
    kinds = rng.integers(0, 40, 3000)
    vectors = unit_rows(rng.normal(size=(40, 48)).astype(np.float32))[kinds]
    found = nearest(vectors, np.arange(3000), 10)
    for row, neighbours in enumerate(found):
        alike = np.flatnonzero(kinds == kinds[row])
        assert neighbours.tolist() == alike[alike != row][:10].tolist()


def test_rows_of_zeros_are_nobodys_neighbours() -> None:
    """A game without factors is not found, finds nothing, and places that stay empty hold -1."""
    vectors = np.eye(4, dtype=np.float32)
    vectors[2] = 0
    found = nearest(vectors, np.arange(4), 5)
    assert found.tolist() == [[1, 3, -1, -1, -1], [0, 3, -1, -1, -1], [-1] * 5, [0, 1, -1, -1, -1]]


def test_the_game_that_moved_comes_first() -> None:
    """Where one game's vector jumped and nothing else did, it leads the list, with what came and what went."""
    rng = np.random.default_rng(2)
    centres = np.repeat(np.eye(4, 16), 15, axis=0)
    before = centres + 0.05 * rng.normal(size=centres.shape)
    after = before.copy()
    after[0] = before[59] + 0.05 * rng.normal(size=16)
    factors = rng.normal(size=(60, 8))
    halves = moved(release(after, factors), release(before, factors))["halves"]
    first = halves["content"]["rows"][0]
    assert (first["name"], first["kept"]) == ("Game 0", 0)
    assert {int(name.split()[1]) for name in first["came"]} <= set(range(45, 60))
    assert {int(name.split()[1]) for name in first["gone"]} <= set(range(1, 15))
    assert halves["taste"] == {"rows": [], "mean": 1.0, "changed": 0, "games": halves["taste"]["games"]}


def test_well_known_games_are_those_with_most_ratings() -> None:
    """The ten of them in order, and none of their neighbours by taste is a game that may not be recommended."""
    contents = random_release()
    assert contents.catalogue is not None
    found = well_known(contents, None)["games"]
    raters = sorted(contents.catalogue.raters.tolist(), reverse=True)
    assert [game["raters"] for game in found] == raters[:10]
    assert all("Game 1" not in game["taste"] for game in found)
    assert any("Game 1" in game["content"] for game in found)


def test_sample_users_get_the_best_of_what_they_have_not_rated() -> None:
    """Recommendations equal brute force: highest product of factors, without rated and withdrawn games."""
    contents = random_release(3)
    half = contents.taste
    assert half is not None
    assert half.folded is not None
    shown = {user["alias"]: user for user in samples(contents, None)["users"]}
    for code in range(len(half.users)):
        user = shown.pop(half.alias(code), None)
        if user is None:
            continue
        rated = set(half.indices[half.indptr[code] : half.indptr[code + 1]].tolist())
        scores = half.item_factors @ half.folded.of(code)
        order = [game for game in np.argsort(-scores) if game not in rated and game != 1]
        assert user["recommended"] == [f"Game {game}" for game in order[:8]]
        assert user["rated"] == len(rated)
    assert not shown


@pytest.mark.parametrize(("likers", "shown"), [(0, None), (3, 3), (5, 5), (12, 5)])
def test_as_many_users_as_have_a_taste(likers: int, shown: int | None) -> None:
    """Five different users, fewer where fewer liked enough games; with nobody the section says so."""
    contents = random_release(9)
    half = contents.taste
    assert half is not None
    half.ratings[half.indptr[likers] :] = 2
    half.ratings[: half.indptr[likers]] = 9
    if shown is None:
        with pytest.raises(Missing, match="Nobody liked"):
            samples(contents, None)
    else:
        assert len({user["alias"] for user in samples(contents, None)["users"]}) == shown


def test_groups_stay_together_on_the_map() -> None:
    """Of six clear groups, a point's nearest points on the plane are of its own group."""
    rng = np.random.default_rng(4)
    group = np.repeat(np.arange(6), 50)
    vectors = unit_rows((np.eye(6, 24)[group] + 0.25 * rng.normal(size=(300, 24))).astype(np.float32))
    places = project(vectors)
    apart = np.square(places[:, None] - places[None]).sum(axis=2)
    np.fill_diagonal(apart, np.inf)
    near = np.argsort(apart, axis=1)[:, :5]
    assert np.isfinite(places).all()
    assert (group[near] == group[:, None]).mean() > 0.97


def test_the_same_vectors_give_the_same_map() -> None:
    """Two layouts of the same games are equal to the last bit."""
    vectors = unit_rows(np.random.default_rng(5).normal(size=(200, 8)).astype(np.float32))
    np.testing.assert_array_equal(project(vectors), project(vectors))


@pytest.mark.parametrize("games", [3, 4, 20])
def test_few_games_have_a_map_too(games: int) -> None:
    """A map of a handful of games is drawn, every point within it."""
    found = drawn_map(random_release(6, games), None)
    assert found["games"] == games
    assert found["map"].count("<circle") == games


def test_the_map_of_three_thousand_games_is_small() -> None:
    """It holds the 3,000 with the most ratings, and leaves room for the rest of the page."""
    rng = np.random.default_rng(7)
    found = drawn_map(release(rng.normal(size=(3500, 4)), rng.normal(size=(3500, 8)), users=40), None)
    assert found["map"].count("<circle") == 3000
    assert len(found["map"]) < 1_000_000


def test_labels_never_cover_each_other() -> None:
    """Of many crowded names some are left out, the first never; those that stay are apart and on the map."""
    rng = np.random.default_rng(8)
    spots = rng.random((400, 2)) * (600, 300)
    labels = place_labels([Label(x, y, f"A Game Called {n}", 40) for n, (x, y) in enumerate(spots)], (600, 300))
    assert 10 < len(labels) < 400
    boxes = [(label.x - 3 * len(label.name), label.x + 3 * len(label.name), label.y) for label in labels]
    for place, (left, right, y) in enumerate(boxes):
        assert left >= 0
        assert right <= 600
        assert not any(a < right and left < b and abs(y - other) < 12 for a, b, other in boxes[:place])
