"""The questions that a snapshot answers: what is similar, what to recommend, and why."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, get_args

import numpy as np

from recsys.errors import ArgumentError, NotInModel
from recsys.ranking.top import top_k
from recsys.serving.answers import Answer, By, Explanation, Reason, Way
from recsys.serving.newcomers import Fresh
from recsys.serving.shelf import Scoring
from recsys.serving.used import used

if TYPE_CHECKING:
    import numpy.typing as npt

    from recsys.ranking.scorer import Ranking
    from recsys.serving.lift import Lift
    from recsys.serving.options import ListOptions
    from recsys.serving.profiles import Profile
    from recsys.serving.snapshot import Snapshot
    from recsys.serving.visitors import Visitor

    Floats = npt.NDArray[np.float32]
    Rows = npt.NDArray[np.intp]
    Mask = npt.NDArray[np.bool_]

SHOWN_REASONS = 3
"""Games that are named as reasons for a suggestion in a list."""
WAYS = get_args(Way)
NOBODY = np.zeros(0, dtype=np.intp)


def check_way(by: str) -> None:
    """Refuse what is no way to rank."""
    if by not in WAYS:
        raise ArgumentError(f"by = {by!r}: an answer goes by {', '.join(WAYS)}")


def similar(at: Snapshot, game_id: object, by: By, options: ListOptions) -> Answer:
    """Answer with the games that are most like one.

    Raises
    ------
    NotInModel
        If the catalogue does not have the game; by taste, also if nobody has rated it.
    ArgumentError
        If ``by`` or a filter is none.
    """
    check_way(by)
    row = at.catalogue.row(game_id)
    note = ""
    if not at.taste.has(row):
        if by == "taste":
            raise NotInModel(
                f"game {game_id!r} has too few ratings for a taste in release {at.name}; ask by content or blend"
            )
        note = "too few ratings for a taste: by content alone" if by == "blend" else ""
        by = "content"
    scoring = _likeness(at, row, by)
    return at.answer(at.shelf.listing(scoring, options, np.array([row], dtype=np.intp)), by, note)


def _likeness(at: Snapshot, row: int, by: By) -> Scoring:
    """Return how games are ranked by their likeness to one."""
    content, taste, blend = at.content, at.taste, at.blend
    query = content.vectors[row]

    def near(allowed: Mask, lift: Lift | None) -> Ranking:
        # Neighbours among all the others stand in a table.
        known = lift is None and np.count_nonzero(allowed) == len(allowed) - 1
        return partial(content.neighbours, row) if known else content.ranking(query, allowed, lift)

    if by == "content":
        return _by_content(at, query)._replace(ranking=near)
    if by == "taste":
        return Scoring(
            lambda allowed, lift: taste.neighbours(row, allowed, lift),
            partial(taste.cosines, row),
            lambda: taste.usual(row)[1],
        )

    def both(allowed: Mask, lift: Lift | None) -> Ranking:
        by_text = near(allowed, None if lift is None else lift.times(blend.deviation(row)))
        return blend.neighbours(row, allowed, by_text, lift)

    return Scoring(both, partial(blend.scores, row), lambda: 1.0)  # a mean of standard scores


def recommend(at: Snapshot, profile: Profile | None, by: By, options: ListOptions, *, unknown: str) -> Answer:
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
    options
        What the list should be like.
    unknown
        The note for a person of whom nothing is known.

    Raises
    ------
    ArgumentError
        If ``by`` or a filter is none.
    """
    check_way(by)
    seen = NOBODY if profile is None else profile.seen
    way, query = _way(at, profile, by)
    fresh = _fresh(at, profile) if at.shelf.ruled(options).rules.places else None
    listing = at.shelf.listing(_for_person(at, profile, way, query), options, seen, fresh)
    if profile is None or way == "popularity":
        note = unknown if profile is None else "no rating of theirs speaks for a game: the most rated games"
        return at.answer(listing, "popularity", note)
    reasons = reasons_for(at, profile, listing.rows, way, SHOWN_REASONS) if options.why else []
    if reasons and fresh is not None:
        new = np.flatnonzero(fresh.rows[listing.rows])
        for place, own in zip(new, reasons_for(at, profile, listing.rows[new], fresh.by, SHOWN_REASONS), strict=True):
            reasons[place] = own
    note = "" if way == by else f"nothing to go by {by} for them: by {way}"
    return at.answer(listing, way, note, reasons)


def _fresh(at: Snapshot, profile: Profile | None) -> Fresh | None:
    """Return how newcomers are ranked for a person: as in a blend, which has factors for them too; None for nobody."""
    way, query = _way(at, profile, "blend")
    if query is None:
        return None
    return Fresh(_for_person(at, profile, way, query), at.taste.item_of_row < 0, way)


def _for_person(at: Snapshot, profile: Profile | None, way: By, query: Floats | None) -> Scoring:
    """Return how games are ranked for a person; ``query`` is the content to look for, where the way needs one."""
    catalogue, taste = at.catalogue, at.taste
    if profile is None or way == "popularity":
        numbers = catalogue.n_ratings
        return Scoring(
            catalogue.most_rated, lambda rows: numbers[rows].astype(np.float32), lambda: float(numbers.std())
        )
    factors, line = profile.factors, profile.line
    if way == "taste":
        return Scoring(
            lambda allowed, lift: taste.ranking(factors, allowed, line, lift),
            lambda rows: taste.scores(factors, rows, line),
            lambda: taste.spread(factors, line),
        )
    assert query is not None
    if way == "content":
        return _by_content(at, query)
    hybrid = at.hybrid.scores(profile, query, taste)
    return Scoring(hybrid.ranking, hybrid.scores, hybrid.spread)


def recommend_from(at: Snapshot, visitor: Visitor, by: By, options: ListOptions) -> Answer:
    """Answer with games for somebody of whom only what they say is known; see :func:`recommend`.

    Raises
    ------
    NotInModel
        If the catalogue does not have one of the games.
    ArgumentError
        If a game is named in two ways, a rating is none of the release's scale, or ``by`` or a filter is none.
    """
    said = at.people.read(visitor, at.catalogue)
    profile = at.people.visitor(said) if len(said.seen) else None
    answer = recommend(at, profile, by, options, unknown="no liked game was given: the most rated games")
    return replace(answer, used=used(at, said, answer.by))


def search(at: Snapshot, query: Floats, options: ListOptions) -> Answer:
    """Answer with the games whose texts are nearest to a unit vector, float32 (dimension,)."""
    return at.answer(at.shelf.listing(_by_content(at, query), options, NOBODY), "content")


def _by_content(at: Snapshot, query: Floats) -> Scoring:
    content = at.content
    return Scoring(
        partial(content.ranking, query), partial(content.cosines, query), lambda: content.moments.of(query)[1]
    )


def _way(at: Snapshot, profile: Profile | None, by: By) -> tuple[By, Floats | None]:
    """Return the way to rank for a person, the nearest possible to ``by``, and the content to look for."""
    if profile is None:
        return "popularity", None
    query = None if by == "taste" else at.content.profile(profile.liked)
    if by == "blend" and query is not None and profile.hybrid_factors.any():
        return "blend", query
    if by != "content" and profile.factors.any():
        return "taste", None
    query = at.content.profile(profile.liked) if query is None else query
    if query is not None:
        return "content", query
    return ("taste" if profile.factors.any() else "popularity"), None


def explain(at: Snapshot, profile: Profile, game_id: object) -> Explanation:
    """Say which of the games that somebody likes speak for a game.

    Raises
    ------
    NotInModel
        If the catalogue does not have the game.
    """
    row = at.catalogue.row(game_id)
    rows = np.array([row], dtype=np.intp)
    query = at.content.profile(profile.liked)
    if at.taste.has(row) and profile.factors.any():
        way: By = "taste"
        score = float(at.taste.scores(profile.factors, rows, profile.line)[0])
    else:
        way = "content"
        score = float(at.content.cosines(query, rows)[0]) if query is not None else 0.0
    (because,) = reasons_for(at, profile, rows, way, len(profile.liked))
    rated = bool(np.isin(row, profile.seen))
    return Explanation(at.catalogue.ids[row], at.catalogue.names[row], score, way, at.name, because, rated)


def reasons_for(at: Snapshot, profile: Profile, rows: Rows, by: By, most: int) -> list[tuple[Reason, ...]]:
    """Return the liked games that speak for each of some games, strongest first, ``most`` at most.

    A score is a sum over the games that somebody has rated, and the positive part of a liked one is its
    share: by taste its term of what folding in solves (see :mod:`recsys.models.folding`), by content
    the cosine of the texts, in a blend both as they are weighted there. What games add that are not
    liked, and in a blend the mean user, is no reason.
    """
    return [_named(at, profile.liked, row, most) for row in shares_of(at, profile, rows, by)]


def shares_of(at: Snapshot, profile: Profile, rows: Rows, by: By) -> npt.NDArray[np.float64]:
    """Return the share of each liked game in the scores of some games, float64 (games, liked); see above."""
    if by == "taste":
        parts = np.float32(profile.line.scale) * profile.taste.parts(at.taste.factors_of(rows))
        parts = parts + at.people.said(profile, at.taste.item_of_row[rows])
    else:
        vectors = at.content.vectors
        parts = vectors[rows] @ vectors[profile.liked].T
        if by == "blend":
            parts = _blended(at, profile, rows, parts)
    # No game is a reason for itself, and one that speaks against another is none either.
    parts = np.where(profile.liked[None, :] == rows[:, None], 0, np.maximum(parts, 0)).astype(np.float64)
    total = parts.sum(axis=1, keepdims=True)
    shares: npt.NDArray[np.float64] = np.divide(parts, total, out=np.zeros_like(parts), where=total > 0)
    return shares


def _blended(at: Snapshot, profile: Profile, rows: Rows, cosines: Floats) -> Floats:
    """Return what each liked game adds to a blended score, from its cosines; float32, (games, liked)."""
    mean = at.content.vectors[profile.liked].mean(axis=0)
    length = max(float(np.linalg.norm(mean)), 1e-6)
    scores = at.hybrid.scores(profile, mean / np.float32(length), at.taste)
    taste = profile.hybrid.parts(at.hybrid.model.factors[rows])
    own = scores.weighted(rows, taste, cosines / np.float32(len(profile.liked) * length))
    return own + at.people.said(profile, at.taste.item_of_row[rows])


def _named(at: Snapshot, liked: Rows, shares: npt.NDArray[np.float64], most: int) -> tuple[Reason, ...]:
    order = top_k(np.where(shares > 0, shares, -np.inf), most)
    ids, names = at.catalogue.ids, at.catalogue.names
    return tuple(
        Reason(ids[row], names[row], share)
        for row, share in zip(liked[order].tolist(), shares[order].tolist(), strict=True)
    )
