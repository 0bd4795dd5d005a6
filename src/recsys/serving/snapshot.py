"""One release in memory: every question is answered from it, and it never changes."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from recsys.errors import ConfigError
from recsys.models.hybrid import HybridRecommender
from recsys.ranking.scorer import inner_products
from recsys.ranking.top import top_k
from recsys.release.layout import INDEX
from recsys.serving.answers import Answer, By, Reason, Suggestion
from recsys.serving.blend import Blend
from recsys.serving.catalogue import Catalogue, id_from
from recsys.serving.content import Embeddings
from recsys.serving.editions import Editions
from recsys.serving.filters import Filter, Filters, read_filters
from recsys.serving.names import NameIndex
from recsys.serving.taste import Grounds, Weights

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import numpy.typing as npt

    from recsys.marts.ids import Id
    from recsys.release.loading import LoadedRelease
    from recsys.release.manifest import Manifest

    Floats = npt.NDArray[np.float32]
    Rows = npt.NDArray[np.intp]
    Ranked = tuple[Rows, Floats]

SHOWN_REASONS = 3
"""Games that are named as reasons for a suggestion in a list."""


@dataclass(frozen=True)
class ListOptions:
    """What a list should be like.

    Attributes
    ----------
    k
        How many games at most.
    filters
        Conditions that every game meets.
    collapse
        Whether editions of one game appear once.
    why
        Whether each suggestion names the games that speak for it.
    """

    k: int = 10
    filters: Iterable[Filter | str] | Filter | str = ()
    collapse: bool = False
    why: bool = False
    conditions: tuple[Filter, ...] = field(init=False)
    """The filters, read: whatever was given can be gone through once only."""

    def __post_init__(self) -> None:
        if type(self.k) is not int or self.k < 1:
            raise ConfigError(f"k = {self.k!r}: a list has a whole number of games, at least 1")
        object.__setattr__(self, "conditions", read_filters(self.filters))


@dataclass(frozen=True)
class Profile:
    """What is known of a person.

    Attributes
    ----------
    liked
        Rows of the games that speak for them.
    seen
        Rows of the games that are not suggested again.
    n_ratings
        On how many ratings their taste rests.
    taste, hybrid
        What their factors rest on: rated games, and games of the whole catalogue.
    trained
        float32, (factors,): what training found for a user; None for a visitor.
    """

    liked: Rows
    seen: Rows
    n_ratings: int
    taste: Grounds
    hybrid: Grounds
    trained: Floats | None = None

    @cached_property
    def factors(self) -> Floats:
        """float32, (factors,): by rated games; zeros without a taste."""
        return self.taste.factors if self.trained is None else self.trained

    @cached_property
    def hybrid_factors(self) -> Floats:
        """float32, (factors,): by games of the whole catalogue; zeros without a taste."""
        return self.hybrid.factors if self.trained is None else self.trained


class Snapshot:
    """A loaded release with everything that answering needs.

    Parameters
    ----------
    release
        Verified and loaded.
    before
        The snapshot that this one follows: where both have the same vectors, they share them.
    """

    def __init__(self, release: LoadedRelease, before: Snapshot | None = None) -> None:
        self.path = release.path
        self.manifest = release.manifest
        self.name = release.manifest.release
        self.users = release.users
        self.catalogue = Catalogue(release.games, release.game_ids)
        same = before is not None and _vectors_of(before.manifest) == _vectors_of(release.manifest)
        self.embeddings: Embeddings = before.embeddings if before and same else Embeddings(release.index)
        self.all_rows = np.arange(len(self.catalogue), dtype=np.intp)
        self.filters = Filters(self.catalogue)
        self.editions = Editions(self.catalogue.names, self.embeddings.vectors)
        self.names = NameIndex(self.catalogue)
        self.weights = Weights(release)
        self.hybrid = HybridRecommender.of(release.hybrid)
        # Not the release itself, whose index would be a second one where the vectors are shared.
        self._user_factors, self._item_factors = release.user_factors, release.item_factors
        self._indptr, self._indices, self._ratings = release.indptr, release.indices, release.ratings
        self._find_taste_rows(release)
        self._norms = np.linalg.norm(self.row_factors, axis=1)
        self.blend = Blend(self)

    def _find_taste_rows(self, release: LoadedRelease) -> None:
        """Line up rated games with the rows of the catalogue; games it lacks are never suggested."""
        rows = np.array(
            [-1 if (row := self.catalogue.find(id_)) is None else row for id_ in release.items.ids()], dtype=np.intp
        )
        self.row_of_item = np.where(release.recommendable, rows, -1)
        self.item_of_row = np.full(len(self.catalogue), -1, dtype=np.int32)
        items = np.flatnonzero(self.row_of_item >= 0)
        items = items[release.item_factors[items].any(axis=1)]
        self.item_of_row[self.row_of_item[items]] = items
        self.taste_rows = np.flatnonzero(self.item_of_row >= 0)
        self.row_factors = release.item_factors[self.item_of_row[self.taste_rows]]
        self.place_of_row = np.full(len(self.catalogue), -1, dtype=np.intp)
        self.place_of_row[self.taste_rows] = np.arange(len(self.taste_rows))

    def prepare(self) -> None:
        """Build what is otherwise built when it is first needed."""
        self.embeddings.prepare()
        self.filters.prepare()
        self.editions.prepare()
        self.names.prepare()
        self.blend.prepare()
        self.profile_of_user(None)  # the map from ids to codes
        _ = self.popularity

    @cached_property
    def popularity(self) -> Floats:
        """float32, (games,): number of ratings."""
        return self.catalogue.n_ratings.astype(np.float32)

    def named(self, name: str, k: int) -> list[Suggestion]:
        """Return the games whose names resemble ``name``; the score is the likeness, in (0, 1]."""
        ids, names = self.catalogue.ids, self.catalogue.names
        return [Suggestion(ids[row], names[row], likeness) for row, likeness in self.names.find(name, k)]

    def user_id(self, text: str) -> Id | None:
        """Return the user id that a text spells; None if it can be none."""
        return id_from(text, integer=self.users.kind == "integer")

    def profile_of_user(self, user_id: object) -> Profile | None:
        """Return what the release knows of a user, or None."""
        code = self.users.code_of(user_id)
        if code is None:
            return None
        rated = slice(self._indptr[code], self._indptr[code + 1])
        items, ratings = self._indices[rated], self._ratings[rated]
        rows = self.row_of_item[items]
        liked_at = np.flatnonzero((ratings >= self.weights.like_threshold) & (rows >= 0))
        grounds = self._grounds(self._item_factors, items, self.weights.of(ratings), liked_at)
        return Profile(rows[liked_at], rows[rows >= 0], len(items), grounds, grounds, self._user_factors[code])

    def profile_of_likes(self, rows: Sequence[int]) -> Profile:
        """Return the profile of somebody who likes the games at these rows."""
        liked = np.unique(np.array(rows, dtype=np.intp))
        items = self.item_of_row[liked]
        rated = items >= 0
        liked_at = np.where(rated, np.cumsum(rated) - 1, -1)
        sure = np.full(len(liked), self.hybrid.folding.confidence, dtype=np.float32)
        taste = self._grounds(self._item_factors, items[rated], sure[rated], liked_at)
        hybrid = self._grounds(self.hybrid.factors, liked, sure, np.arange(len(liked)))
        return Profile(liked, liked, int(rated.sum()), taste, hybrid)

    def _grounds(self, table: Floats, rows: npt.NDArray[np.integer], confidence: Floats, liked_at: Rows) -> Grounds:
        return Grounds(self.hybrid.folding, table, rows, confidence, liked_at)

    def taste_scores(self, factors: Floats) -> Floats:
        """Return inner products with a person's factors, in the order of ``taste_rows``."""
        return inner_products(self.row_factors, factors)

    def taste_cosines(self, row: int) -> Floats:
        """Return the cosines of factors with those of the game at ``row``, in the order of ``taste_rows``."""
        place = self.place_of_row[row]
        cosines = inner_products(self.row_factors, self.row_factors[place] / self._norms[place])
        scaled: Floats = (cosines / self._norms).astype(np.float32)
        return scaled

    def content_profile(self, rows: Rows) -> Floats | None:
        """Return the unit mean of the games' embeddings; None without games, or where they cancel out."""
        if not len(rows):
            return None
        mean = self.embeddings.vectors[rows].mean(axis=0)
        length = float(np.linalg.norm(mean))
        unit: Floats = (mean / max(length, 1e-6)).astype(np.float32)
        return unit if length > 1e-6 else None

    def allowed(self, wanted: ListOptions, without: Rows) -> npt.NDArray[np.bool_]:
        """Return which games may be suggested: those that meet the filters, without some."""
        mask = self.filters.mask(wanted.conditions)
        allowed = np.ones(len(self.catalogue), dtype=bool) if mask is None else mask.copy()
        allowed[without] = False
        return allowed

    def by_content(self, query: Floats, allowed: npt.NDArray[np.bool_]) -> Callable[[int], Ranked]:
        """Return the ranking by the cosine of the texts with a unit vector."""
        return lambda k: self.embeddings.nearest(query, k, allowed)

    def best(self, rank: Callable[[int], Ranked], wanted: ListOptions, without: Rows) -> Ranked:
        """Return the first ``wanted.k`` of a ranking, editions collapsed if that is wanted.

        Parameters
        ----------
        rank
            Returns the best so many rows and their scores, best first.
        wanted
            Length and collapsing.
        without
            Rows whose editions are left out too.
        """
        if not wanted.collapse:
            return rank(wanted.k)
        length = wanted.k * 2 + 20
        while True:
            rows, scores = rank(length)
            score_of = dict(zip(rows.tolist(), scores.tolist(), strict=True))
            kept = list(islice(self.editions.distinct(score_of, without.tolist()), wanted.k))
            if len(kept) == wanted.k or len(rows) < length:
                scores = np.array([score_of[row] for row in kept], dtype=np.float32)
                return np.array(kept, dtype=np.intp), scores
            length *= 4

    def answer(self, best: Ranked, by: By, note: str = "", reasons: Sequence[tuple[Reason, ...]] = ()) -> Answer:
        """Return rows and scores as an answer."""
        ids, names = self.catalogue.ids, self.catalogue.names
        because = reasons or [()] * len(best[0])
        games = [
            Suggestion(ids[row], names[row], score, why)
            for row, score, why in zip(best[0].tolist(), best[1].tolist(), because, strict=True)
        ]
        return Answer(tuple(games), by, self.name, note)


def ranking(rows: Rows, scores: Floats, allowed: npt.NDArray[np.bool_]) -> Callable[[int], Ranked]:
    """Return the ranking of ``rows`` (ascending) by their scores; ties go to the lower row."""
    scores = np.where(allowed[rows], scores, np.float32(-np.inf))

    def rank(k: int) -> Ranked:
        places = top_k(scores, k)
        return rows[places], scores[places]

    return rank


def _vectors_of(manifest: Manifest) -> str:
    """Return what tells one index from another."""
    return manifest.files[INDEX].sha256
