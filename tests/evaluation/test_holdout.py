"""The hold-out: who keeps what, and what later rows may change."""

from __future__ import annotations

import numpy as np
import pytest

from factories.tastes import pairs_of, ratings_of, tastes, triples
from recsys.config import EvaluationSettings
from recsys.evaluation.holdout import split
from recsys.marts.ids import IdMap
from recsys.marts.ratings import Ratings
from recsys.ranking.hashing import id_hashes

SETTINGS = EvaluationSettings(users=0)


def dated(seed: int = 0, months: int = 12) -> Ratings:
    """Ratings of users who come and go within a year."""
    draw = np.random.default_rng(seed)
    rows, columns = np.nonzero(draw.random((200, 40)) < 0.4)
    return ratings_of(rows, columns, draw.integers(1, 11, len(rows)), draw.integers(0, months, len(rows)))


def test_the_two_parts_are_the_whole() -> None:
    """Every rating is in exactly one part, with its value, and rows and columns keep their codes."""
    ratings = tastes()
    parts = split(ratings, SETTINGS, 7.0)
    assert (parts.train.matrix + parts.held_out != ratings.matrix).nnz == 0
    assert parts.train.matrix.nnz + parts.held_out.nnz == ratings.matrix.nnz
    assert parts.train.matrix.shape == parts.held_out.shape == ratings.matrix.shape
    assert parts.train.matrix.has_sorted_indices


@pytest.mark.parametrize("fraction", [0.1, 0.2, 0.5])
def test_a_fraction_of_the_ratings_is_held_out(fraction: float) -> None:
    """The held-out share is the fraction within sampling error, over users and over games alike."""
    ratings = tastes(users=2000)
    parts = split(ratings, EvaluationSettings(fraction=fraction), 7.0)
    assert parts.held_out.nnz / ratings.matrix.nnz == pytest.approx(fraction, abs=0.01)
    by_game = parts.held_out.getnnz(axis=0) / ratings.matrix.getnnz(axis=0)
    assert abs(np.average(by_game[:60]) - np.average(by_game[60:])) < 0.02


def test_every_user_keeps_a_rating() -> None:
    """With nine in ten held out, users with one or two ratings still keep one."""
    ratings = ratings_of(np.repeat(np.arange(500), 2), np.tile([1, 2], 500), np.full(1000, 8.0))
    parts = split(ratings, EvaluationSettings(fraction=0.9), 7.0)
    assert parts.train.matrix.getnnz(axis=1).min() == 1
    assert parts.held_out.nnz > 300


def test_rows_that_arrive_later_move_no_other() -> None:
    """New users, new games and new ratings leave every old rating where it was."""
    ratings = tastes(seed=1)
    before = split(ratings, SETTINGS, 7.0)
    places = ratings.matrix.tocoo()
    users, games = np.array(ratings.users.ids()), np.array(ratings.items.ids())
    extra = 300
    grown = ratings_of(
        np.concatenate((users[places.row], np.arange(extra) % 50)),  # new users, sorted before the old
        np.concatenate((games[places.col], 50_000 - np.arange(extra))),  # new games
        np.concatenate((places.data, np.full(extra, 9.0))),
    )
    after = split(grown, SETTINGS, 7.0)
    old = triples(ratings)
    assert pairs_of(ratings, before.held_out) == pairs_of(grown, after.held_out) & old


def test_the_seed_draws_another_hold_out() -> None:
    """Two seeds agree on a held-out rating no more often than chance."""
    ratings = tastes(users=2000)
    first, second = (pairs_of(ratings, split(ratings, EvaluationSettings(seed=seed), 7.0).held_out) for seed in (1, 2))
    assert len(first & second) / len(first) == pytest.approx(0.2, abs=0.02)


def test_ids_hash_by_their_text() -> None:
    """A warehouse that turns integer ids into strings keeps its hold-out."""
    numbers = dict(zip([9, 10, 2], id_hashes(IdMap.of([2, 9, 10]), "x", 1)[[1, 2, 0]], strict=True))
    texts = IdMap.of(["2", "9", "10"])
    assert {int(t): h for t, h in zip(texts.ids(), id_hashes(texts, "x", 1), strict=True)} == numbers


def test_scored_users_have_something_to_be_known_by_and_to_be_found() -> None:
    """Each scored user has a training rating and a held-out game rated at least the threshold."""
    ratings = tastes()
    parts = split(ratings, SETTINGS, 9.0)
    assert parts.relevant.data.min() >= 9.0
    assert set(parts.users) == set(np.flatnonzero(parts.relevant.getnnz(axis=1)))
    assert parts.train.matrix.getnnz(axis=1)[parts.users].min() >= 1
    assert parts.eligible == len(parts.users) < len(ratings.users)


def test_a_sample_of_users_is_seeded_stable_and_reported() -> None:
    """The sample has the size asked for, stays when other users vanish, and its size is told."""
    ratings = tastes(users=1000)
    settings = EvaluationSettings(users=100)
    parts = split(ratings, settings, 7.0)
    description = parts.description()
    assert (description["users_scored"], description["users_eligible"]) == (100, parts.eligible)
    sampled = {ratings.users.id_of(code) for code in parts.users}
    places = ratings.matrix.tocoo()
    ids = np.array(ratings.users.ids())[places.row]
    keep = np.isin(ids, list(sampled)) | (ids % 2 == 0)
    fewer = ratings_of(ids[keep], np.array(ratings.items.ids())[places.col[keep]], places.data[keep])
    again = split(fewer, settings, 7.0)
    assert {fewer.users.id_of(code) for code in again.users} == sampled


def test_a_cut_in_time_holds_out_the_future() -> None:
    """No training rating is later than a held-out one, and the fraction is met exactly."""
    ratings = dated()
    parts = split(ratings, SETTINGS, 7.0)
    assert parts.kind == "time"
    assert parts.train.rated_at is not None
    assert parts.train.rated_at.max() <= parts.cut
    assert len(parts.train.rated_at) == parts.train.matrix.nnz
    assert parts.held_out.nnz == int(0.2 * ratings.matrix.nnz)
    assert ratings.rated_at is not None
    assert parts.cut is not None
    later = ratings.matrix.copy()
    later.data = np.greater(ratings.rated_at, parts.cut).astype(np.float32)
    later.eliminate_zeros()
    assert pairs_of(ratings, later) <= pairs_of(ratings, parts.held_out)


def test_ties_at_the_cut_are_broken_by_the_hash() -> None:
    """When all ratings are of one moment, users lose a fifth each on average, not the last fifth of the rows."""
    draw = np.random.default_rng(0)
    rows, columns = np.nonzero(draw.random((200, 40)) < 0.4)
    ratings = ratings_of(rows, columns, np.full(len(rows), 8.0), np.zeros(len(rows)))
    held = split(ratings, SETTINGS, 7.0).held_out.getnnz(axis=1)
    assert held[:100].sum() == pytest.approx(held[100:].sum(), rel=0.2)


def test_users_from_the_future_are_not_scored() -> None:
    """Somebody who came after the cut has no past: their ratings are held out, and they are not scored."""
    ratings = dated()
    assert ratings.rated_at is not None
    newcomer = ratings.matrix.indptr[:2]
    moved = ratings.rated_at.copy()
    moved[newcomer[0] : newcomer[1]] = 99
    parts = split(Ratings(ratings.users, ratings.items, ratings.matrix, moved), SETTINGS, 1.0)
    assert parts.train.matrix[0].nnz == 0
    assert parts.held_out[0].nnz == newcomer[1] - newcomer[0]
    assert 0 not in parts.users
