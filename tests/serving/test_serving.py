"""A loaded release answers what its models say, in one piece, whatever is asked."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import faiss
import numpy as np
import pyarrow as pa
import pytest

import recsys
from factories.served import CAFE, REPRINT, UNRATED, publish
from factories.tables import FIRST_GAME, SHELVES, WordEncoder
from recsys.errors import ArtifactCorrupt, ConfigError, IncompatibleArtifact, NotInModel, ReleaseNotFound
from recsys.models.cf import CollaborativeFilter
from recsys.models.solvers import solver_of
from recsys.release.store import ReleaseStore
from recsys.serving import Filter, Recommender

if TYPE_CHECKING:
    from pathlib import Path

    from recsys.serving import Answer

STRANGER = 999_999


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with one release."""
    folder = tmp_path_factory.mktemp("served")
    publish(folder)
    return folder


@pytest.fixture(scope="module")
def served(store: Path) -> Recommender:
    """Return its recommender, which embeds by words."""
    return recsys.load(store / "v1", encoder=WordEncoder())


@pytest.fixture(scope="module")
def trained(store: Path) -> CollaborativeFilter:
    """Return the trained model itself, read by the training side."""
    return CollaborativeFilter.load(store / "v1")


def shelf(game_id: Any) -> int:
    """Return the shelf of one of the 40 games."""
    return int(game_id) % 4


def pairs(answer: Answer) -> list[tuple[Any, float]]:
    """Return ids and scores."""
    return [(game.game_id, game.score) for game in answer]


def test_a_user_gets_what_the_training_process_wrote_down(served: Recommender) -> None:
    """By taste, recommendations equal the golden answers in the manifest."""
    golden = served.snapshot.manifest.golden["cf"]
    assert len(golden) == 5
    for query in golden:
        answer = served.recommend(query.asked, len(query.games))
        assert answer.by == "taste"
        assert answer.ids == list(query.games)
        np.testing.assert_allclose([game.score for game in answer], query.values, atol=1e-5)


def test_no_bit_of_a_score_depends_on_the_batch(served: Recommender, trained: CollaborativeFilter) -> None:
    """One user alone, in a batch, by the trained filter itself and in an explanation: the same numbers."""
    users = trained.users.ids()
    batch = served.recommend_batch(users, 5)
    for user, answer in zip(users, batch, strict=True):
        assert pairs(served.recommend(user, 5)) == pairs(answer)
        assert pairs(answer) == [(id_, score) for id_, score in trained.recommend(user, 5)]
        assert [served.explain(user, id_).score for id_ in answer.ids] == [game.score for game in answer]


def test_users_are_recommended_their_own_shelf(served: Recommender) -> None:
    """Each club likes one shelf: the four games of it that a user has not rated come first."""
    for user in range(8):
        assert {shelf(id_) for id_ in served.recommend(user, 4).ids} == {user % 4}


def test_nothing_rated_is_recommended_again(served: Recommender, trained: CollaborativeFilter) -> None:
    """Not by taste, by content, by both, nor where a user asks for every game that there is."""
    rated = set(trained.items.ids(trained.ratings[3].indices))
    for by in ("taste", "content", "blend"):
        ids = served.recommend(3, 10_000, by=by).ids
        assert len(ids) == len(set(ids)) > 20
        assert not rated & set(ids)


def test_similar_by_taste_is_the_cosine_of_factors(served: Recommender, trained: CollaborativeFilter) -> None:
    """Neighbours and scores are those that implicit itself finds."""
    code = trained.items.code_of(FIRST_GAME)
    places, cosines = trained.als_model.similar_items(code, 11)
    answer = served.similar(FIRST_GAME, 10, by="taste")
    assert answer.ids == trained.items.ids(places[1:])
    np.testing.assert_allclose([game.score for game in answer], cosines[1:], atol=1e-5)


def test_similar_by_content_is_the_cosine_of_texts(store: Path, served: Recommender) -> None:
    """The half-precision scan loses nothing: FAISS finds the same in the file itself, for every game and length."""
    index = faiss.read_index(str(store / "v1" / "rag_index.faiss"))
    ids = json.loads((store / "v1" / "metadata.json").read_text())["ids"]
    for row, id_ in enumerate(ids):
        for k in (1, 7, 100):
            distances, _ = index.search(index.reconstruct(row)[None], len(ids))
            expected = np.sort(1 - distances[0] / 2)[::-1][1 : k + 1]
            np.testing.assert_allclose(
                [game.score for game in served.similar(id_, k, by="content")], expected, atol=1e-5
            )


def test_the_scan_widens_until_the_list_is_proven() -> None:
    """Among vectors closer to each other than half precision can tell, the nearest are still exact."""
    from recsys.serving.content import ContentSpace

    rng = np.random.default_rng(0)
    vectors = 1 + 0.02 * rng.standard_normal((3000, 64)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    index = faiss.IndexFlatL2(64)
    index.add(vectors)
    exact = np.sort(vectors @ vectors[0])[::-1][:20]
    _, cosines = ContentSpace(index).nearest(vectors[0], 20)
    np.testing.assert_allclose(cosines, exact, atol=1e-6)


def test_a_blend_weighs_taste_by_ratings(served: Recommender) -> None:
    """The score is the mean of standard scores that the documentation describes, computed here one by one."""
    at = served.snapshot
    vectors, names = at.content.vectors, at.catalogue.ids
    row = at.catalogue.row(FIRST_GAME)
    taste = {game.game_id: game.score for game in served.similar(FIRST_GAME, 100, by="taste")} | {FIRST_GAME: 1.0}
    content = vectors @ vectors[row]
    tastes = np.array(list(taste.values()))
    counts = at.catalogue.n_ratings
    for id_, score in pairs(served.similar(FIRST_GAME, 100, by="blend")):
        place = names.index(id_)
        weight = counts[row] / (counts[row] + 20) * counts[place] / (counts[place] + 20)
        standard = (taste.get(id_, 0.0) - tastes.mean()) / tastes.std() if counts[place] else 0.0
        expected = weight * standard + (1 - weight) * (content[place] - content.mean()) / content.std()
        assert score == pytest.approx(expected, abs=2e-3)


def test_a_game_without_ratings_has_neighbours_by_content(served: Recommender) -> None:
    """A blend says that it went by content alone; taste is refused and says what to ask for."""
    answer = served.similar(UNRATED, 5)
    assert answer.by == "content"
    assert "too few ratings" in answer.note
    assert {SHELVES[shelf(id_)] for id_ in answer.ids} == {"trains"}
    with pytest.raises(NotInModel, match=r"201 has too few ratings .* ask by content or blend"):
        served.similar(UNRATED, by="taste")


def test_folding_in_solves_the_objective_of_the_release(served: Recommender, trained: CollaborativeFilter) -> None:
    """The factors of likes minimize the very sum that training minimized, written out here as least squares."""
    from recsys.models.confidence import confidence

    likes = [FIRST_GAME, FIRST_GAME + 4, FIRST_GAME + 8]
    weights = confidence(trained.ratings, trained.recipe.confidence, trained.recipe.like_threshold)
    objective = solver_of(trained.recipe).objective(trained.recipe, weights)
    liked_ratings = trained.ratings.data[trained.ratings.data >= trained.recipe.like_threshold]
    sure = float(np.clip((liked_ratings - 3) / 4, 0.25, 2).mean())  # graded, on a scale of 1 to 10
    y = trained.item_factors.astype(np.float64)
    liked = y[trained.items.codes_of(likes)]
    ridge = objective.regularization * (3 * sure + objective.unobserved * len(y)) ** objective.exponent
    left = np.vstack([np.sqrt(sure) * liked, np.sqrt(objective.unobserved) * y, np.sqrt(ridge) * np.eye(y.shape[1])])
    right = np.concatenate([np.full(3, np.sqrt(sure)), np.zeros(len(y) + y.shape[1])])
    expected = dict(zip(trained.items.ids(), y @ np.linalg.lstsq(left, right, rcond=None)[0], strict=True))
    answer = served.recommend_from(likes, 37, by="taste")
    assert answer.by == "taste"
    assert set(answer.ids) == set(expected) - set(likes)
    for id_, score in pairs(answer):
        assert score == pytest.approx(expected[id_], abs=1e-5)


@pytest.mark.parametrize("confidence", ["liked", "rating"])
def test_folding_into_factors_of_implicit_agrees_with_implicit(tmp_path: Path, confidence: str) -> None:
    """Where implicit has trained, its own ``recalculate_user`` finds the same user."""
    path = publish(tmp_path, solver="implicit", confidence=confidence, alpha=2.0, regularization=3.0)
    at, trained = recsys.load(path).snapshot, CollaborativeFilter.load(path)
    for user in range(5):
        ratings = trained.ratings[user]
        weights = ratings if confidence == "rating" else (ratings >= trained.recipe.like_threshold).astype(np.float32)
        profile = at.people.user(trained.users.id_of(user))
        assert profile is not None
        np.testing.assert_allclose(profile.taste.factors, trained.als_model.recalculate_user(0, weights), atol=1e-3)


def test_likes_without_ratings_are_gone_by_content(served: Recommender) -> None:
    """By taste, somebody who likes only a game that nobody has rated gets games described alike, and is told."""
    answer = served.recommend_from([UNRATED], 3, by="taste")
    assert answer.by == "content"
    assert answer.note
    assert {SHELVES[shelf(id_)] for id_ in answer.ids} == {"trains"}
    assert UNRATED not in answer.ids


def test_newcomers_are_scored_by_the_hybrid_model(store: Path, served: Recommender) -> None:
    """The list and its scores are those that the hybrid model gives when it scores every game, also unrated ones."""
    from recsys.models.hybrid import HybridRecommender

    model, at = HybridRecommender.load(store / "v1"), served.snapshot
    for likes in ([FIRST_GAME, FIRST_GAME + 4], [UNRATED]):
        rows = [at.catalogue.row(id_) for id_ in likes]
        mean = at.content.vectors[rows].mean(axis=0)
        content = at.content.vectors @ (mean / np.linalg.norm(mean))
        rated = sum(id_ != UNRATED for id_ in likes)
        expected = model.scores(model.fold_in(rows), rated, content)
        answer = served.recommend_from(likes, 50)
        assert answer.by == "blend"
        assert len(answer) == 43 - len(likes)
        for id_, score in pairs(answer):
            assert score == pytest.approx(expected[at.catalogue.row(id_)], abs=1e-3)


@pytest.mark.parametrize("k", [1, 20, 200])
def test_the_hybrid_list_is_that_of_all_games_scored(k: int) -> None:
    """A game whose text lifts it over many of a better taste is found, also far beyond the first that are scanned."""
    from recsys.models.folding import FoldIn
    from recsys.models.hybrid import HybridRecommender
    from recsys.models.taste import Blending
    from recsys.serving.content import ContentSpace
    from recsys.serving.hybrid import HybridSpace
    from recsys.serving.profiles import Grounds, Profile
    from recsys.serving.taste import TasteSpace

    rng = np.random.default_rng(3)
    model = HybridRecommender()
    model.factors = rng.standard_normal((3000, 8)).astype(np.float32)
    model.trust = np.zeros(3000, dtype=np.float32)
    model.mean_user = np.zeros(8, dtype=np.float32)
    visitor, allowed = np.ones(8, dtype=np.float32), rng.random(3000) < 0.9
    # All texts are alike but for a few, which are what is looked for: a tenth of their standard score is worth 5.
    vectors = np.tile(np.eye(1, 16, dtype=np.float32), (3000, 1))
    lifted = np.argsort(-(model.factors @ visitor))[400:403]
    vectors[lifted] = np.eye(1, 16, k=1, dtype=np.float32)
    allowed[lifted] = True
    index = faiss.IndexFlatL2(16)
    index.add(vectors)
    space = HybridSpace(model, ContentSpace(index))
    expected = np.where(allowed, model.scores(visitor, 0, vectors @ vectors[lifted[0]]), -np.inf)
    none = np.zeros(0, dtype=np.intp)
    grounds = Grounds(FoldIn(np.eye(8), 0.0, 1.0, 1.0, 0.0, 1.0), model.factors, none, none.astype(np.float32), none)
    profile = Profile(none, none, 0, grounds, grounds, Blending(model.factors, None, 0.0), own=visitor)
    taste = TasteSpace(model.factors, np.arange(3000), 3000)
    rows, scores = space.scores(profile, vectors[lifted[0]], taste).ranking(allowed)(k)
    assert rows.tolist() == np.argsort(-expected, kind="stable")[:k].tolist()
    np.testing.assert_allclose(scores, expected[rows], atol=1e-3)
    assert lifted[0] in rows
    assert not len(space.scores(profile, vectors[0], taste).ranking(np.zeros(3000, dtype=bool))(k)[0])


def test_an_unknown_user_gets_popularity_labelled_so(served: Recommender, trained: CollaborativeFilter) -> None:
    """The most rated games, their counts as scores, and a note that says why."""
    answer = served.recommend(STRANGER, 5)
    counts = np.bincount(trained.ratings.indices)
    assert answer.by == "popularity"
    assert "999999 is not among the 80 users" in answer.note
    assert [game.score for game in answer] == sorted(counts, reverse=True)[:5]
    assert served.recommend_from([], 5).ids == answer.ids


@pytest.mark.parametrize("id_", [99, "100", 100.0, True, None, [100], 2**80])
def test_an_unknown_game_is_a_clear_error(served: Recommender, id_: Any) -> None:
    """Only an id of the catalogue names a game: not its text, nor a float or truth value that equals it."""
    for ask in (lambda: served.similar(id_), lambda: served.recommend_from([id_]), lambda: served.explain(1, id_)):
        with pytest.raises(NotInModel, match="is not among the 43 games of this release"):
            ask()


@pytest.mark.parametrize("id_", ["100", " 100 ", "100.0", 100.0, np.float32(100)])
def test_an_id_in_another_spelling_is_named(served: Recommender, id_: Any) -> None:
    """It is not taken for the id; the message, and the note for a user, say which one may be meant."""
    with pytest.raises(NotInModel, match=r"did you mean 100\? Its ids are whole numbers"):
        served.similar(id_)
    user = type(id_)(1) if not isinstance(id_, str) else id_.replace("100", "1")
    assert "did you mean 1?" in served.recommend(user).note
    with pytest.raises(NotInModel, match=r"did you mean 1\?"):
        served.explain(user, 100)


def test_explanations_add_up_to_the_score(served: Recommender, trained: CollaborativeFilter) -> None:
    """A liked game's part is what the score loses when its confidence is taken out of the sum; shares sum to one."""
    at = served.snapshot
    user = at.people.user(2)
    assert user is not None
    target = served.recommend(2, 1)[0].game_id
    factors = at.taste.factors_of(np.array([at.catalogue.row(target)]))
    everything = replace(user.taste, liked_at=np.arange(len(user.taste.rows)))
    assert everything.parts(factors)[0].sum() == pytest.approx(float(factors[0] @ user.taste.factors), abs=1e-5)
    why = served.explain(2, target)
    liked = {
        id_
        for id_, rating in zip(trained.items.ids(trained.ratings[2].indices), trained.ratings[2].data, strict=True)
        if rating >= 7
    }
    assert {reason.game_id for reason in why.because} <= liked
    assert {shelf(reason.game_id) for reason in why.because[:3]} == {2}
    assert why.because[0].game_id not in {each.game_id for each in served.explain(2, why.because[0].game_id).because}
    assert sum(reason.share for reason in why.because) == pytest.approx(1)
    assert [reason.share for reason in why.because] == sorted((reason.share for reason in why.because), reverse=True)


def test_reasons_of_a_blend_are_parts_of_its_score(store: Path, served: Recommender) -> None:
    """For a visitor and for a user: a liked game's share is what the hybrid model's score owes to it."""
    from recsys.models.hybrid import HybridRecommender

    model, vectors = HybridRecommender.load(store / "v1"), served.snapshot.content.vectors
    likes, folding = [FIRST_GAME, FIRST_GAME + 1, FIRST_GAME + 4, UNRATED], model.folding
    rows = np.array([served.snapshot.catalogue.row(id_) for id_ in likes])
    y = model.factors[rows].astype(np.float64)
    ridge = folding.regularization * (4 * folding.confidence + folding.floor) ** folding.exponent
    solved = np.linalg.inv(folding.gramian + folding.confidence * y.T @ y + ridge * np.eye(y.shape[1]))
    mean = vectors[rows].mean(axis=0)
    content = vectors @ mean / np.linalg.norm(mean)
    spread = (model.factors @ model.fold_in(rows)).std(), content.std()
    for game in served.recommend_from(likes, 43, why=True):
        row = served.snapshot.catalogue.row(game.game_id)
        taste = folding.confidence * (y @ solved @ model.factors[row])
        text = vectors[rows] @ vectors[row] / (4 * np.linalg.norm(mean))
        doubt = 0.1 * (1 - model.trust[row] * 3 / 23)  # three of the four have ratings
        parts = np.maximum(taste / spread[0] + doubt * text / spread[1], 0)
        expected: dict[Any, float] = dict(zip(likes, parts / parts.sum(), strict=True))
        for reason in game.because:
            assert reason.share == pytest.approx(expected[reason.game_id], abs=1e-3)
        assert len(game.because) == min(3, np.count_nonzero(parts))
    for game in served.recommend(1, 4, by="blend", why=True):
        assert {shelf(reason.game_id) for reason in game.because} == {shelf(game.game_id)}


def test_reasons_come_with_a_list_when_asked_for(served: Recommender) -> None:
    """Three at most, the strongest that an explanation has; none when not asked for."""
    for game in served.recommend(1, 4, why=True):
        assert game.because == served.explain(1, game.game_id).because[:3]
    assert all(game.because == () for game in served.recommend(1, 4))
    assert served.recommend_from([UNRATED], 2, why=True)[0].because[0].game_id == UNRATED


@pytest.mark.parametrize(
    ("filters", "met"),
    [
        (["tag=Economic"], lambda row: row["CATEGORIES"] == "Economic"),
        (["tag=economic|BLUFFING"], lambda row: row["CATEGORIES"] in {"Economic", "Bluffing"}),
        (["MECHANICS=Deck, Bag, and Pool Building"], lambda row: row["GAME_ID"] == CAFE),
        (
            ["CATEGORIES!=Economic", "N_RATINGS>=1"],
            lambda row: row["CATEGORIES"] != "Economic" and row["N_RATINGS"] > 0,
        ),
        (["n_ratings<=0"], lambda row: row["N_RATINGS"] == 0),
        ([Filter("NAME", "=", "night mail")], lambda row: row["GAME_ID"] == UNRATED),
    ],
)
def test_filters_hold_for_every_game_and_cost_no_other(served: Recommender, filters: Any, met: Any) -> None:
    """A filtered list is the whole list with what does not meet the filter struck out, by every way of asking."""
    rows = {row["GAME_ID"]: row for row in served.snapshot.catalogue._table.to_pylist()}
    for ask, asked in ((served.similar, UNRATED), (served.recommend, STRANGER), (served.recommend, 1)):
        expected = [id_ for id_ in ask(asked, 100).ids if met(rows[id_])]
        assert ask(asked, 100, filters=filters).ids == expected


@pytest.mark.parametrize(
    ("filter_", "words"),
    [
        ("tag=Econmic", "no game has the tag 'Econmic'; did you mean Economic"),
        ("PLAYERS=2", "the catalogue has no column PLAYERS; it has GAME_ID, NAME"),
        ("N_RATINGS>=many", "'many' is no number"),
        ("NAME>=3", "NAME holds text"),
        ("tag>=3", "tags have no order"),
        ("Economic", "is not of the form COLUMN=VALUE"),
        ("tag=", "is not of the form COLUMN=VALUE"),
        ("N_RATINGS==100", "is not of the form COLUMN=VALUE"),
        ("N_RATINGS=>100", "is not of the form COLUMN=VALUE"),
    ],
)
def test_a_wrong_filter_says_what_it_should_be(served: Recommender, filter_: str, words: str) -> None:
    """Nothing is silently left out: what cannot be filtered by is an error with the next step in it."""
    with pytest.raises(ConfigError, match=words.replace("(", r"\(")):
        served.similar(FIRST_GAME, filters=[filter_])


@pytest.mark.parametrize("k", [0, -1, 1.5, True, "3"])
def test_a_list_has_a_whole_number_of_games(served: Recommender, k: Any) -> None:
    """Any other ``k`` is an error; a huge one gives all there are."""
    with pytest.raises(ConfigError, match="a whole number of games"):
        served.similar(FIRST_GAME, k)
    assert len(served.similar(FIRST_GAME, 10**12)) == 42


def test_editions_collapse_when_asked_for(served: Recommender) -> None:
    """A reprint fills no second place, nor any place beside the game that was asked about."""
    assert REPRINT in served.similar(FIRST_GAME, 42, by="content").ids
    assert REPRINT not in served.similar(FIRST_GAME, 42, by="content", collapse=True).ids
    assert {FIRST_GAME, REPRINT} <= set(served.recommend(STRANGER, 43).ids)
    assert len({FIRST_GAME, REPRINT} & set(served.recommend(STRANGER, 43, collapse=True).ids)) == 1


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Catan: 3D Edition", "CATAN", True),
        ("Café International (Second Edition)", "Cafe International", True),
        ("Puerto Rico – Deluxe", "Puerto Rico", True),
        ("The Mind", "Mind", True),
        ("Ra", "Rat", False),
        ("1830: Railways & Robber Barons", "1846: The Race for the Midwest", False),
        ("Second Edition", "Third Edition", False),
        ("?", "!!!", False),
    ],
)
def test_editions_share_a_stem(one: str, other: str, same: bool) -> None:  # noqa: FBT001 - a table's column
    """What comes after a colon or in brackets, and words like "deluxe", tell editions apart and not games."""
    from recsys.serving.editions import stem

    assert (stem(one) == stem(other)) is same


def test_a_condition_has_an_operator() -> None:
    """One made by hand is held to the same four as one that is read."""
    with pytest.raises(ConfigError, match="is none of >= <= != ="):
        Filter("N_RATINGS", "<", "3")


def test_batches_are_the_single_answers(served: Recommender) -> None:
    """In the order asked, also for users that are unknown."""
    users, ids = [3, STRANGER, 1], [FIRST_GAME, UNRATED]
    assert served.recommend_batch(users, 3, why=True) == [served.recommend(user, 3, why=True) for user in users]
    assert served.similar_batch(ids, 3) == [served.similar(id_, 3) for id_ in ids]
    likes = [[FIRST_GAME, FIRST_GAME + 1], [UNRATED], []]
    assert served.recommend_from_batch(likes, 3, by="taste") == [
        served.recommend_from(some, 3, by="taste") for some in likes
    ]


def test_one_condition_and_conditions_read_once_are_conditions(served: Recommender) -> None:
    """A single filter is no list of letters, and a generator, which can be gone through once, filters all the same."""
    trains = served.similar(FIRST_GAME, 43, by="content", filters=["tag=Trains"])
    assert 0 < len(trains) < 42
    for way in ("content", "blend"):
        expected = served.similar(FIRST_GAME, 43, by=way, filters=["tag=Trains"])
        assert served.similar(FIRST_GAME, 43, by=way, filters=(text for text in ["tag=Trains"])) == expected
        assert served.similar(FIRST_GAME, 43, by=way, filters=Filter("tag", "=", "Trains")) == expected
    assert served.similar_batch([FIRST_GAME], 43, by="content", filters="tag=Trains") == [trains]


def test_a_long_filter_is_read_at_once() -> None:
    """Blanks in a value cost what they are long, not the square of it."""
    blanks = " " * 1_000_000
    assert Filter.parse(f" tag = a{blanks}b{blanks}").value == f"a{blanks}b"


@pytest.mark.parametrize("text", ["cafe zurich", "CAFÉ ZÜRICH!", "Cafe Zurch", "zürich"])
def test_names_are_found_forgivingly(served: Recommender, text: str) -> None:
    """Case, accents, punctuation, a typing error or a part of the name: the game is the first suggestion."""
    assert served.find(text, 3)[0].game_id == CAFE


def test_names_that_begin_so_come_by_their_ratings(served: Recommender) -> None:
    """Whoever types the beginning of a name means a known game rather than a short name."""
    from recsys.serving.catalogue import Catalogue
    from recsys.serving.names import NameIndex

    names = ["Car Wars", "Star Wars: Duel", "Star Wars: Imperial Assault", "UNO: Star Wars", "Stardust"]
    columns = {"NAME": names, "N_RATINGS": [900, 3, 500, 40, 1]}
    index = NameIndex(Catalogue(pa.table(columns), range(5)))
    assert [match.row for match in index.find("star wars")][:3] == [2, 1, 0]
    shorter = NameIndex(Catalogue(pa.table({"NAME": ["Gloom", "Gloomhaven"], "N_RATINGS": [0, 9]}), range(2)))
    assert [match.row for match in shorter.find("gloomh")] == [1, 0]  # whoever types an h does not mean Gloom


def test_a_name_is_only_taken_for_certain_when_it_is(served: Recommender) -> None:
    """A name with a slip is; one that may be any of forty is not; nonsense finds nothing certain."""
    assert served.is_certain(served.find("Café Zurich"))
    assert served.is_certain(served.find("Cafe Zurch"))
    assert not served.is_certain(served.find("The Trains Game"))
    assert not served.is_certain(served.find("xyzzy"))
    assert served.find("  ") == []


def test_a_search_finds_games_by_description(served: Recommender) -> None:
    """The text is embedded as the games were; the best come first, with their cosines."""
    answer = served.search("trains trains", 10)
    assert {SHELVES[shelf(id_)] for id_ in answer.ids} == {"trains"}
    assert answer[0].score > answer[9].score > 0.2
    with pytest.raises(ConfigError, match="is empty"):
        served.search("  ")


def test_a_search_refuses_vectors_of_another_model(store: Path) -> None:
    """Cosines between two models' vectors mean nothing."""

    class Other(WordEncoder):
        recipe = WordEncoder.recipe | {"revision": "other words"}

    with pytest.raises(IncompatibleArtifact, match="embedded by the model words, and this encoder is other words"):
        recsys.load(store / "v1", encoder=Other()).search("trains")


def run(code: str, *arguments: str | Path) -> str:
    """Run a program in a fresh process and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_search_names_the_missing_extra(store: Path) -> None:
    """Where nothing runs the embedding model, everything else works and the search says what to install."""
    code = """
import sys
sys.modules.update(sentence_transformers=None, openvino=None, torch=None)
import recsys
served = recsys.load(sys.argv[1])
assert len(served.recommend(1)) == 10
try:
    served.search("trains")
except recsys.errors.MissingExtra as error:
    print(error)
"""
    assert "pip install 'recsys-releases[train]'" in run(code, store / "v1")


def test_loading_and_asking_imports_four_libraries(store: Path) -> None:
    """Four and the standard library: no torch, pandas, scipy or implicit, though all are installed."""
    code = """
import sys, json
before = set(sys.modules)
import recsys
served = recsys.load(sys.argv[1])
served.recommend(1, why=True); served.recommend(10**9); served.similar(100); served.recommend_from([100])
served.similar(100, filters=["tag=Economic"], collapse=True); served.find("cafe"); served.explain(1, 100)
print(json.dumps(sorted({name.partition(".")[0] for name in set(sys.modules) - before})))
"""
    brought = set(json.loads(run(code, store / "v1"))) - sys.stdlib_module_names
    assert brought >= {"recsys", "numpy", "faiss", "pyarrow"}
    # What Cython, SWIG and faiss register for themselves.
    own = {"cloudpickle", "cython_runtime", "packaging", "swig_runtime_data5"}
    own |= {"annotated_types", "pydantic_core", "typing_extensions", "typing_inspection"}  # of pydantic
    odd = {name for name in brought - own if not name.startswith(("_", "swig_runtime"))}
    assert odd == {"recsys", "numpy", "faiss", "pyarrow", "pydantic"}


def test_an_eager_recommender_leaves_nothing_to_the_first_question(store: Path) -> None:
    """What is built once is built at load: no question adds to what the release holds."""
    served = recsys.load(store / "v1", eager=True)

    def built() -> set[tuple[str, str]]:
        at = served.snapshot
        parts = [*vars(at).values(), at.people.users, at.people.factors, at.hybrid.model.folding]
        return {
            (type(part).__name__, name)
            for part in parts
            for name in getattr(part, "__dict__", ())
            if isinstance(getattr(type(part), name, None), cached_property)
        }

    before = built()
    served.recommend(1, why=True, collapse=True)
    served.recommend(STRANGER)
    served.recommend_from([FIRST_GAME, UNRATED], why=True, filters=["tag=Economic"])
    served.similar(FIRST_GAME)
    served.find("cafe")
    assert built() == before


def test_a_search_follows_the_model_of_the_release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the next release was embedded by another model, that one reads what people search for."""
    other = WordEncoder()
    other.recipe = WordEncoder.recipe | {"revision": "other words"}  # type: ignore[misc] # this one's own
    opened = []

    def encoder_of(manifest: Any) -> WordEncoder:
        opened.append(manifest.content.settings["recipe"]["revision"])
        return other if opened[-1] == "other words" else WordEncoder()

    publish(tmp_path)
    served = recsys.load(tmp_path / "v1")
    # There is one real model here: what serving imports when a search asks for it is given two.
    monkeypatch.setattr("recsys.serving.encoder.encoder_of", encoder_of)
    assert served.search("trains").release == served.release
    publish(tmp_path, encoder=other)
    assert served.reload()
    assert served.search("trains").release == served.release
    assert served.search("wordplay")
    assert opened == ["words", "other words"]


def test_reload_moves_to_the_current_release(tmp_path: Path) -> None:
    """Answers carry the name of the release they come from; without a new one nothing happens."""
    first = publish(tmp_path)
    served = recsys.load(tmp_path / "v1")
    assert served.release == first.name
    assert not served.reload()
    second = publish(tmp_path, seed=1)
    assert served.recommend(1).release == first.name
    assert served.reload()
    assert served.recommend(1).release == second.name
    ReleaseStore(tmp_path).rollback()
    assert served.reload()
    assert served.release == first.name


def test_a_corrupt_release_leaves_the_old_one_answering(tmp_path: Path) -> None:
    """``reload`` says what is wrong, and answers stay as they were."""
    publish(tmp_path)
    served = recsys.load(tmp_path / "v1")
    before = served.recommend(1)
    broken = publish(tmp_path, seed=1) / "cf_factors.npz"
    broken.write_bytes(broken.read_bytes()[:-1])
    with pytest.raises(ArtifactCorrupt, match=r"cf_factors.npz has \d+ bytes instead of"):
        served.reload()
    assert served.recommend(1) == before
    (tmp_path / "v1").unlink()
    with pytest.raises(ReleaseNotFound):
        served.reload()
    assert served.recommend(1) == before


def test_threads_never_see_two_releases_in_one_answer(tmp_path: Path) -> None:
    """While releases change underneath, every answer is what the release that it names answers alone."""
    from concurrent.futures import ThreadPoolExecutor

    folders = [publish(tmp_path, seed=seed) for seed in range(2)]
    alone = {path.name: [recsys.load(path).recommend(user, 5, why=True) for user in range(20)] for path in folders}
    served, store = recsys.load(tmp_path / "v1"), ReleaseStore(tmp_path)
    names: set[str] = set()

    def ask(turn: int) -> bool:
        answer = served.recommend(turn % 20, 5, why=True)
        names.add(answer.release)
        return answer == alone[answer.release][turn % 20]

    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(ask, turn) for turn in range(500)]
        for turn in range(10):
            store.rollback(folders[turn % 2].name)
            served.reload()
            asked += [pool.submit(ask, turn) for turn in range(200)]
        assert all(each.result() for each in asked)
    assert names == set(alone)
