"""Visitors who rate and dislike: read as training would have read them, checked, and told what was used."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import recsys
from factories.served import REPRINT, UNRATED, publish
from factories.tables import FIRST_GAME, WordEncoder
from recsys.errors import ArgumentError, ArgumentTypeError, NotInModel
from recsys.models import CollaborativeFilter
from recsys.models.confidence import confidence
from recsys.models.solvers import solver_of
from recsys.serving import Visitor

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from recsys.serving import Answer, Recommender

HALVES: dict[str, Any] = {"item_weight": 0.4, "item_exponent": 0.5, "item_regularization": 1.0}
LIKED, RATED_HIGH, RATED_LOW, DISLIKED = FIRST_GAME, FIRST_GAME + 4, FIRST_GAME + 1, FIRST_GAME + 2


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a release whose factors rank alone."""
    return publish(tmp_path_factory.mktemp("visited"))


@pytest.fixture(scope="module")
def served(store: Path) -> Recommender:
    """Return what serves it."""
    return recsys.load(store, encoder=WordEncoder())


@pytest.fixture(scope="module")
def trained(store: Path) -> CollaborativeFilter:
    """Return the trained model itself."""
    return CollaborativeFilter.load(store)


@pytest.fixture(scope="module")
def blended(tmp_path_factory: pytest.TempPathFactory) -> Recommender:
    """Return what serves a release with an item-item half."""
    return recsys.load(publish(tmp_path_factory.mktemp("blended"), **HALVES), encoder=WordEncoder())


def solved(
    trained: CollaborativeFilter, games: list[int], sure: list[float], wanted: list[float]
) -> npt.NDArray[np.float64]:
    """Return the factors that minimize the objective of the training for one user, as least squares."""
    weights = confidence(trained.ratings, trained.recipe.confidence, trained.recipe.like_threshold)
    objective = solver_of(trained.recipe).objective(trained.recipe, weights)
    y = trained.item_factors.astype(np.float64)
    own, c = y[trained.items.codes_of(games)], np.sqrt(np.array(sure))
    ridge = objective.regularization * (sum(sure) + objective.unobserved * len(y)) ** objective.exponent
    left = np.vstack([c[:, None] * own, np.sqrt(objective.unobserved) * y, np.sqrt(ridge) * np.eye(y.shape[1])])
    right = np.concatenate([c * np.array(wanted), np.zeros(len(y) + y.shape[1])])
    return np.asarray(np.linalg.lstsq(left, right, rcond=None)[0])


def mean_like(trained: CollaborativeFilter) -> float:
    """Return the mean confidence of the likes that were trained on: graded, on a scale of 1 to 10."""
    ratings = trained.ratings.data
    return float(np.clip((ratings[ratings >= trained.recipe.like_threshold] - 3) / 4, 0.25, 2).mean())


def answered(answer: Answer) -> dict[Any, float]:
    """Return the scores by game."""
    return {game.game_id: game.score for game in answer}


def test_ratings_and_dislikes_solve_the_objective_of_the_release(
    served: Recommender, trained: CollaborativeFilter
) -> None:
    """A rating is as sure as in training, a low one a little; a dislike wants -1, a quarter as surely as a like 1."""
    like = mean_like(trained)
    games = [LIKED, RATED_HIGH, RATED_LOW, DISLIKED]
    expected = trained.item_factors @ solved(trained, games, [like, 1.75, 0.25, like / 4], [1, 1, 1, -1])
    answer = served.recommend_from([LIKED], 40, ratings={RATED_HIGH: 10, RATED_LOW: 2}, dislikes=[DISLIKED], by="taste")
    assert answer.by == "taste"
    assert set(answer.ids) == set(trained.items.ids()) - set(games)
    for id_, score in answered(answer).items():
        assert score == pytest.approx(expected[trained.items.code_of(id_)], abs=1e-5)


def test_a_visitor_with_a_users_ratings_gets_the_users_list(served: Recommender, trained: CollaborativeFilter) -> None:
    """Training's last step was for games: the factors differ by that much, and a game in ten at most."""
    same = []
    for code, user in enumerate(trained.users.ids()):
        row = trained.ratings[code]
        visitor = served.recommend_from(
            ratings=dict(zip(trained.items.ids(row.indices), row.data.tolist(), strict=True)), by="taste"
        )
        profile = served.snapshot.people.user(user)
        assert profile is not None
        folded = trained.item_factors @ profile.taste.factors
        for game, score in answered(visitor).items():
            assert score == pytest.approx(folded[trained.items.code_of(game)], abs=1e-5)
        same.append(len(set(visitor.ids) & set(served.recommend(user).ids)))
    assert np.mean(same) >= 9


@pytest.mark.parametrize(
    ("said", "words", "usual"),
    [
        (Visitor([LIKED, RATED_HIGH]), {LIKED: 1.0, RATED_HIGH: 1.0}, 0.5),
        (
            Visitor([LIKED], {RATED_LOW: 2}, [DISLIKED]),
            {LIKED: 1.0, RATED_LOW: None, DISLIKED: -0.25},
            0.5 * np.exp(-2 / 20),
        ),
    ],
)
def test_both_halves_hear_of_ratings_and_dislikes(
    blended: Recommender, said: Visitor, words: dict[int, float | None], usual: float
) -> None:
    """The item-item half adds what rated games say and takes a quarter of what disliked ones say.

    Half of the mean user is added to likes alone, and less the more somebody rated.
    """
    at, model = blended.snapshot, CollaborativeFilter.load(blended.path)
    half, like = at.people.blending.item_item, mean_like(model)
    assert half is not None
    b = np.zeros((len(half.trend), len(half.trend)))
    for row, (start, stop) in enumerate(itertools.pairwise(half.matrix.indptr)):
        b[row, half.matrix.indices[start:stop]] = half.matrix.values[start:stop]
    sure = [0.25 if share is None else share * like for share in words.values()]
    spoken = np.array(sure) @ b[model.items.codes_of(list(words))] + usual * half.usual
    own = solved(model, list(words), np.abs(sure).tolist(), np.sign(sure).tolist())
    products = model.item_factors @ (own + usual * at.hybrid.model.mean_user)
    expected = 0.6 * (products - products.mean()) / products.std() + 0.4 * (spoken - spoken.mean()) / spoken.std()
    answer = blended.recommend_from(said.likes, 40, ratings=said.ratings, dislikes=said.dislikes, by="taste")
    for id_, score in answered(answer).items():
        assert score == pytest.approx(expected[model.items.code_of(id_)], abs=1e-3)


@pytest.mark.parametrize("by", ["taste", "content", "blend"])
@pytest.mark.parametrize("halves", [False, True])
def test_what_is_rated_high_is_shown_and_what_is_disliked_is_not(
    served: Recommender, blended: Recommender, by: Any, *, halves: bool
) -> None:
    """The games that come first are of the shelf of a high rating; no game that was named is shown."""
    recommender = blended if halves else served
    answer = recommender.recommend_from(
        k=4, ratings={RATED_HIGH: 10, FIRST_GAME + 8: 9, RATED_LOW: 1}, dislikes=[DISLIKED], by=by, why=True
    )
    assert answer.by == by
    assert sum(id_ % 4 == 0 for id_ in answer.ids) >= 3
    everything = recommender.recommend_from([LIKED], 100, ratings={RATED_LOW: 2}, dislikes=[DISLIKED], by=by)
    assert not {LIKED, RATED_LOW, DISLIKED} & set(everything.ids)
    reasons = {reason.game_id for game in answer for reason in game.because}
    assert reasons
    assert reasons <= {RATED_HIGH, FIRST_GAME + 8}


def test_a_dislike_speaks_against_games_that_are_alike(served: Recommender, blended: Recommender) -> None:
    """By taste and by both, games of the disliked one's shelf have lower scores than without it."""
    for recommender in (served, blended):
        for by in ("taste", "blend"):
            without = answered(recommender.recommend_from([LIKED], 100, by=by))
            less = answered(recommender.recommend_from([LIKED], 100, dislikes=[DISLIKED], by=by))
            alike = [id_ for id_ in less if id_ % 4 == DISLIKED % 4]
            others = [id_ for id_ in less if id_ % 4 not in {DISLIKED % 4, LIKED % 4}]
            change = [np.mean([less[id_] - without[id_] for id_ in some]) for some in (alike, others)]
            assert change[0] < change[1]


def test_shares_are_of_the_games_that_speak_for(served: Recommender, trained: CollaborativeFilter) -> None:
    """A share is a liked game's positive term of what folding in solves; what was rated low or disliked has none."""
    like = mean_like(trained)
    games, sure = [LIKED, RATED_HIGH, RATED_LOW, DISLIKED], [like, 1.75, 0.25, like / 4]
    whole = solved(trained, games, sure, [1, 1, 1, -1])
    terms = [
        trained.item_factors @ solved(trained, games, sure, [float(place == at) for place in range(4)])
        for at in range(2)
    ]
    answer = served.recommend_from(
        [LIKED], 40, ratings={RATED_HIGH: 10, RATED_LOW: 2}, dislikes=[DISLIKED], by="taste", why=True
    )
    rest = [
        trained.item_factors @ solved(trained, games, sure, [0, 0, 1, 0]),
        trained.item_factors @ solved(trained, games, sure, [0, 0, 0, -1]),
    ]
    np.testing.assert_allclose(sum(terms) + sum(rest), trained.item_factors @ whole, atol=1e-9)
    for game in answer:
        at = trained.items.code_of(game.game_id)
        assert at is not None
        parts = np.maximum([term[at] for term in terms], 0)
        shares: dict[Any, float] = dict(zip([LIKED, RATED_HIGH], parts / max(parts.sum(), 1e-30), strict=True))
        assert len(game.because) == np.count_nonzero(parts)
        for reason in game.because:
            assert reason.share == pytest.approx(shares[reason.game_id], abs=1e-4)


def test_the_answer_says_what_was_used(served: Recommender) -> None:
    """How many of each moved the scores, and which did not and why; by content, only texts of liked games do."""
    said: dict[str, Any] = {"ratings": {RATED_HIGH: 9, RATED_LOW: 2, REPRINT: 8}, "dislikes": [DISLIKED]}
    by_taste = served.recommend_from([LIKED, LIKED, UNRATED], by="taste", **said).used
    assert by_taste is not None
    assert by_taste[:3] == (1, 2, 1)
    assert {game.game_id: game.why for game in by_taste.unused} == dict.fromkeys(
        (UNRATED, REPRINT), "too few ratings for a taste"
    )
    by_content = served.recommend_from([LIKED, UNRATED], by="content", **said).used
    assert by_content is not None
    assert by_content[:3] == (2, 2, 0)
    assert {game.game_id for game in by_content.unused} == {RATED_LOW, DISLIKED}
    answer = served.recommend_from([LIKED, UNRATED], by="blend", **said)
    assert answer.used == (2, 3, 1, ())
    assert answer.to_json()["used"] == {"likes": 2, "ratings": 3, "dislikes": 1, "unused": []}
    assert "used" not in served.recommend(1).to_json()


def test_dislikes_alone_leave_the_most_rated_games(served: Recommender, trained: CollaborativeFilter) -> None:
    """Without these, noted; none of them was used."""
    most = [game.game_id for game in served.recommend(10**9, 3)]
    answer = served.recommend_from(dislikes=most[:2])
    assert answer.by == "popularity"
    assert answer.note
    assert answer.ids[0] == most[2]
    assert answer.used is not None
    assert answer.used[:3] == (0, 0, 0)
    assert [game.game_id for game in answer.used.unused] == sorted(most[:2])


def test_a_like_that_is_unknown_to_taste_is_gone_by_content_beside_a_dislike(served: Recommender) -> None:
    """A dislike is no taste by itself."""
    answer = served.recommend_from([UNRATED], 3, dislikes=[DISLIKED], by="taste")
    assert answer.by == "content"
    assert answer.note


def test_low_ratings_alone_count_as_in_training(served: Recommender, tmp_path: Path) -> None:
    """Graded confidence hears of them a little; where likes alone are learnt, the list is the most rated games."""
    answer = served.recommend_from(ratings={RATED_LOW: 2})
    assert answer.by == "taste"
    assert answer.note
    likes_alone = recsys.load(publish(tmp_path, confidence="liked"), encoder=WordEncoder())
    answer = likes_alone.recommend_from(ratings={RATED_LOW: 2}, dislikes=[DISLIKED])
    assert answer.by == "popularity"
    beside = likes_alone.recommend_from([LIKED], ratings={RATED_LOW: 2}, by="taste")
    assert beside.used is not None
    assert beside.used[:3] == (1, 0, 0)
    assert beside.used.unused[0].why == "a rating this low has no weight in this release"
    assert answered(beside) == {
        id_: score
        for id_, score in answered(likes_alone.recommend_from([LIKED], 11, by="taste")).items()
        if id_ in beside.ids
    }


def test_a_mapping_of_likes_is_a_type_error(served: Recommender) -> None:
    """It is told of ``ratings=``; before, its keys all counted as likes. In a batch too."""
    for ask in (
        lambda: served.recommend_from({LIKED: 2}),
        lambda: served.recommend_from(dislikes={LIKED: 2}),
        lambda: served.recommend_from_batch([[LIKED], {LIKED: 2}]),
    ):
        with pytest.raises(TypeError, match=r"ratings=\{id: rating\}") as told:
            ask()
        assert isinstance(told.value, ArgumentError)


@pytest.mark.parametrize("rating", [True, np.True_, "9", None, [9], 9j])
def test_what_is_no_number_is_no_rating(served: Recommender, rating: Any) -> None:
    """A type error with the value seen, the game, and what is expected."""
    with pytest.raises(ArgumentTypeError, match=rf"game {LIKED} is .*: a number from 1 to 10 is expected") as told:
        served.recommend_from(ratings={LIKED: rating})
    assert repr(rating) in str(told.value)


@pytest.mark.parametrize("rating", [0, 0.99, 10.5, -1, float("nan"), float("inf"), np.float32("nan"), 10**400])
def test_a_rating_is_of_the_scale_of_the_release(served: Recommender, rating: Any) -> None:
    """What lies outside is an error that says the value and the scale."""
    with pytest.raises(ArgumentError, match=rf"game {LIKED} is .*: a number from 1 to 10 is expected") as told:
        served.recommend_from(ratings={LIKED: rating})
    assert not isinstance(told.value, TypeError)
    assert repr(rating)[:50] in str(told.value)


@pytest.mark.parametrize("number", [9, 9.0, np.float32(9), np.int64(9)])
def test_a_number_of_any_kind_is_a_rating(served: Recommender, number: Any) -> None:
    """And the same rating."""
    assert served.recommend_from(ratings={LIKED: number}) == served.recommend_from(ratings={LIKED: 9})


@pytest.mark.parametrize(
    "said",
    [
        {"liked_game_ids": [LIKED], "ratings": {LIKED: 9}},
        {"liked_game_ids": [LIKED], "dislikes": [LIKED]},
        {"ratings": {LIKED: 9}, "dislikes": [LIKED]},
        {"ratings": {LIKED: 9, np.int64(RATED_LOW): 2}, "dislikes": [RATED_LOW]},
    ],
)
def test_a_game_is_named_once(served: Recommender, said: dict[str, Any]) -> None:
    """Liked and rated, or both liked and disliked, is a question that nobody can answer; the two places are said."""
    with pytest.raises(ArgumentError, match=r"is named in (likes|ratings) and in (ratings|dislikes): once"):
        served.recommend_from(**said)


@pytest.mark.parametrize("likes", ["100", b"100", 100, None])
def test_likes_are_a_list_of_ids(served: Recommender, likes: Any) -> None:
    """A text is no list of its letters."""
    with pytest.raises(ArgumentTypeError, match="a list of game ids is expected"):
        served.recommend_from(likes)
    with pytest.raises(ArgumentTypeError, match="a mapping from game ids to numbers is expected"):
        served.recommend_from(ratings=[(LIKED, 9)])  # type: ignore[arg-type]


@pytest.mark.parametrize("said", [{"ratings": {"100": 9}}, {"ratings": {True: 9}}, {"dislikes": ["100"]}])
def test_unknown_games_are_told_as_anywhere(served: Recommender, said: dict[str, Any]) -> None:
    """An id in another spelling is none, in ratings and dislikes too."""
    with pytest.raises(NotInModel, match="is not among the 43 games"):
        served.recommend_from(**said)


def test_a_batch_takes_visitors_beside_lists_of_likes(blended: Recommender) -> None:
    """Each answer is the single one."""
    visitors: list[list[int] | Visitor] = [
        [LIKED],
        Visitor(ratings={RATED_HIGH: 9, RATED_LOW: 1}, dislikes=[DISLIKED]),
        Visitor(iter([LIKED])),
    ]
    batch = blended.recommend_from_batch(visitors, 5, why=True)
    assert batch[0] == batch[2] == blended.recommend_from([LIKED], 5, why=True)
    assert batch[1] == blended.recommend_from(
        (), 5, ratings={RATED_HIGH: 9, RATED_LOW: 1}, dislikes=[DISLIKED], why=True
    )


def test_likes_alone_are_what_they_were(blended: Recommender) -> None:
    """In any order and named twice: the same bits."""
    once = blended.recommend_from([LIKED, RATED_HIGH, UNRATED], 20, why=True)
    assert blended.recommend_from([UNRATED, RATED_HIGH, LIKED, LIKED], 20, why=True) == once
    assert blended.recommend_from(iter([LIKED, RATED_HIGH, UNRATED]), 20, ratings={}, dislikes=(), why=True) == once
