"""The questions that a snapshot answers: what is similar, what to recommend, and why."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from recsys.errors import ConfigError, NotInModel
from recsys.ranking import top_k
from recsys.serving.answers import Answer, By, Explanation, Reason
from recsys.serving.blend import trust
from recsys.serving.snapshot import SHOWN_REASONS, ranking

if TYPE_CHECKING:
    import numpy.typing as npt

    from recsys.serving.snapshot import Profile, Snapshot, Wanted

    Floats = npt.NDArray[np.float32]
    Rows = npt.NDArray[np.intp]

WAYS = ("taste", "content", "blend")
NOBODY = np.zeros(0, dtype=np.intp)


def _check(by: str) -> None:
    if by not in WAYS:
        raise ConfigError(f"by = {by!r}: an answer goes by {', '.join(WAYS)}")


def similar(at: Snapshot, game_id: object, by: By, wanted: Wanted) -> Answer:
    """Answer with the games that are most like one.

    Raises
    ------
    NotInModel
        If the catalogue does not have the game; by taste, also if nobody has rated it.
    ConfigError
        If ``by`` or a filter is none.
    """
    _check(by)
    row = at.catalogue.row(game_id)
    without = np.array([row], dtype=np.intp)
    allowed, note = at.allowed(wanted, without), ""
    if at.place_of_row[row] < 0:
        if by == "taste":
            raise NotInModel(
                f"game {game_id!r} has too few ratings for a taste in release {at.name}; ask by content or blend"
            )
        note = "too few ratings for a taste: by content alone" if by == "blend" else ""
        by = "content"
    vector = at.embeddings.vectors[row]
    filtered = at.filters.mask(wanted.filters) is not None
    near = at.by_content(vector, allowed) if filtered else partial(at.embeddings.neighbours, row)
    if by == "content":
        rank = near
    elif by == "taste":
        rank = ranking(at.taste_rows, at.taste_cosines(row), allowed)
    else:
        rank = at.blend.ranking(at.taste_cosines(row), vector, int(at.catalogue.n_ratings[row]), allowed, near)
    return at.answer(at.best(rank, wanted, without), by, note)


def recommend(at: Snapshot, profile: Profile | None, by: By, wanted: Wanted, *, unknown: str) -> Answer:
    """Answer with games for somebody.

    Parameters
    ----------
    at
        The release.
    profile
        What is known of the person; None when nothing is.
    by
        What to go by. Where it says nothing about them, the next of taste, content and popularity
        answers, and the answer says so.
    wanted
        What the list should be like.
    unknown
        The note for a person of whom nothing is known.

    Raises
    ------
    ConfigError
        If ``by`` or a filter is none.
    """
    _check(by)
    seen = NOBODY if profile is None else profile.seen
    allowed = at.allowed(wanted, seen)
    way, query = _way(at, profile, by)
    if profile is None or way == "popularity":
        rank = ranking(at.all_rows, at.popularity, allowed)
        note = unknown if profile is None else "no rating of theirs speaks for a game: the most rated games"
        return at.answer(at.best(rank, wanted, seen), "popularity", note)
    if way == "taste":
        rank = ranking(at.taste_rows, at.taste_scores(profile.factors), allowed)
    elif way == "content":
        assert query is not None
        rank = at.by_content(query, allowed)
    else:
        assert query is not None
        if profile.visitor is not None:
            rank = at.blend.hybrid(profile.visitor, query, len(profile.items), allowed)
        else:
            near = at.by_content(query, allowed)
            rank = at.blend.ranking(at.taste_scores(profile.factors), query, len(profile.items), allowed, near)
    best = at.best(rank, wanted, seen)
    reasons = reasons_for(at, profile, best[0], way) if wanted.why else []
    note = "" if way == by else f"nothing to go by {by} for them: by {way}"
    return at.answer(best, way, note, [each[:SHOWN_REASONS] for each in reasons])


def _way(at: Snapshot, profile: Profile | None, by: By) -> tuple[By, Floats | None]:
    """Return what can be gone by for a person, as near to ``by`` as it goes, and the content to look for."""
    if profile is None:
        return "popularity", None
    if by == "blend" and profile.visitor is not None and (query := at.content_profile(profile.liked)) is not None:
        return "blend", query
    has_taste = bool(profile.factors.any())
    query = None if by == "taste" and has_taste else at.content_profile(profile.liked)
    has_content = query is not None
    if has_taste and (by == "taste" or not has_content):
        return "taste", None
    if has_content and (by == "content" or not has_taste):
        return "content", query
    return ("blend", query) if has_taste else ("popularity", None)


def explain(at: Snapshot, profile: Profile, game_id: object) -> Explanation:
    """Say which of the games that somebody likes speak for a game.

    Raises
    ------
    NotInModel
        If the catalogue does not have the game.
    """
    row = at.catalogue.row(game_id)
    rows = np.array([row], dtype=np.intp)
    query = at.content_profile(profile.liked)
    if at.place_of_row[row] >= 0 and profile.factors.any():
        way: By = "taste"
        score = float(at.row_factors[at.place_of_row[row]] @ profile.factors)
    else:
        way = "content"
        score = float(at.embeddings.cosines(query, rows)[0]) if query is not None else 0.0
    (because,) = reasons_for(at, profile, rows, way)
    return Explanation(at.catalogue.ids[row], at.catalogue.names[row], score, way, at.name, because)


def reasons_for(at: Snapshot, profile: Profile, rows: Rows, by: By) -> list[tuple[Reason, ...]]:
    """Return the liked games that speak for each of some games, strongest first.

    By taste, a liked game's part is its term in the sum that the score is (see
    :mod:`recsys.serving.taste`); by content it is the cosine of the texts; in a blend it is the
    mean of both shares, weighted as the scores are.
    """
    taste_weight = np.full(len(rows), float(by == "taste"))
    if by == "blend":
        taste_weight = trust(len(profile.items)) * trust(at.catalogue.n_ratings[rows])
    shares = np.zeros((len(rows), len(profile.liked)))
    if by != "content":
        shares += taste_weight[:, None] * _shares(_others(_taste_parts(at, profile, rows), profile.liked, rows))
    if by != "taste":
        vectors = at.embeddings.vectors
        cosines = vectors[rows] @ vectors[profile.liked].T
        shares += (1 - taste_weight)[:, None] * _shares(_others(cosines, profile.liked, rows))
    return [_named(at, profile.liked, row) for row in shares]


def _others(parts: npt.NDArray[np.floating[Any]], liked: Rows, rows: Rows) -> npt.NDArray[np.floating[Any]]:
    """Return the parts with that of a game for itself left out: no game is a reason for itself."""
    return np.where(liked[None, :] == rows[:, None], 0, parts)


def _taste_parts(at: Snapshot, profile: Profile, rows: Rows) -> Floats:
    """Return what each liked game adds to each game's score; float32, (games, liked)."""
    places = at.place_of_row[rows]
    targets = np.where((places >= 0)[:, None], at.row_factors[places], np.float32(0))
    parts = at.taste.contributions(profile.items, profile.ratings, targets)
    # A liked game that nobody has rated has no part.
    return np.append(parts, np.zeros((len(rows), 1), dtype=np.float32), axis=1)[:, profile.liked_at]


def _shares(parts: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float64]:
    """Return the positive parts as shares of their sum; 0 where nothing is positive."""
    positive = np.maximum(parts, 0).astype(np.float64)
    total = positive.sum(axis=1, keepdims=True)
    shares: npt.NDArray[np.float64] = np.divide(positive, total, out=np.zeros_like(positive), where=total > 0)
    return shares


def _named(at: Snapshot, liked: Rows, shares: npt.NDArray[np.float64]) -> tuple[Reason, ...]:
    order = top_k(np.where(shares > 0, shares, -np.inf), len(shares))
    ids, names = at.catalogue.ids, at.catalogue.names
    return tuple(
        Reason(ids[row], names[row], share)
        for row, share in zip(liked[order].tolist(), shares[order].tolist(), strict=True)
    )
