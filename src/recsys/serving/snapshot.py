"""One release in memory: every question is answered from it, and it never changes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from recsys.errors import ConfigError
from recsys.models.hybrid import HybridRecommender
from recsys.ranking import inner_products, top_k
from recsys.release.loading import INDEX
from recsys.serving.answers import Answer, By, Reason, Suggestion
from recsys.serving.blend import Blend
from recsys.serving.catalogue import Catalogue, id_from
from recsys.serving.content import Embeddings
from recsys.serving.editions import Editions
from recsys.serving.filters import Filter, Filters
from recsys.serving.names import NameIndex
from recsys.serving.taste import Taste, Training

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import numpy.typing as npt

    from recsys.ids import Id
    from recsys.release.loading import LoadedRelease
    from recsys.release.manifest import Manifest

    Floats = npt.NDArray[np.float32]
    Rows = npt.NDArray[np.intp]
    Ranked = tuple[Rows, Floats]

SHOWN_REASONS = 3
"""Games that are named as reasons for a suggestion in a list."""


@dataclass(frozen=True)
class Wanted:
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
    filters: Iterable[Filter | str] = ()
    collapse: bool = False
    why: bool = False

    def __post_init__(self) -> None:
        if type(self.k) is not int or self.k < 1:
            raise ConfigError(f"k = {self.k!r}: a list has a whole number of games, at least 1")


@dataclass(frozen=True)
class Profile:
    """What is known of a person.

    Attributes
    ----------
    taste
        Returns ``factors``: folding somebody in costs more than the list itself, and not every
        list needs it.
    liked
        Rows of the games that speak for them.
    liked_at
        Place of each liked game in ``items``; -1 where nobody has rated it.
    seen
        Rows of the games that are not suggested again.
    items, ratings
        Codes of the rated games, and the ratings.
    visitor
        float32, (factors,): what the hybrid model makes of them; None where the release has none,
        or of somebody who likes nothing.
    """

    taste: Callable[[], Floats]
    liked: Rows
    liked_at: Rows
    seen: Rows
    items: npt.NDArray[np.int32]
    ratings: Floats
    visitor: Floats | None = None

    @cached_property
    def factors(self) -> Floats:
        """float32, (factors,): zeros without a taste."""
        return self.taste()


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
        self.taste = Taste(release.item_factors, Training.of(release))
        self.like_threshold = self.taste.training.recipe.like_threshold
        self.hybrid = None if release.hybrid is None else HybridRecommender.from_arrays(release.hybrid)
        self._release = release
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
        start, end = self._release.indptr[code], self._release.indptr[code + 1]
        items, ratings = self._release.indices[start:end], self._release.ratings[start:end]
        return self._profile(self._release.user_factors[code], items, ratings)

    def profile_of_likes(self, rows: Sequence[int]) -> Profile:
        """Return the profile of somebody who likes the games at these rows."""
        liked = np.unique(np.array(rows, dtype=np.intp))
        items = self.item_of_row[liked]
        rated = items >= 0
        liked_at = np.where(rated, np.cumsum(rated) - 1, -1)
        ratings = np.full(int(rated.sum()), self.a_like, dtype=np.float32)
        visitor = None if self.hybrid is None else self.hybrid.fold_in(liked)
        return Profile(
            lambda: self.taste.fold_in(items[rated], ratings), liked, liked_at, liked, items[rated], ratings, visitor
        )

    def _profile(self, factors: Floats, items: npt.NDArray[np.int32], ratings: Floats) -> Profile:
        rows = self.row_of_item[items]
        liked_at = np.flatnonzero((ratings >= self.like_threshold) & (rows >= 0))
        visitor = self.hybrid.visitor(factors) if self.hybrid is not None and factors.any() else None
        return Profile(lambda: factors, rows[liked_at], liked_at, rows[rows >= 0], items, ratings, visitor)

    @cached_property
    def a_like(self) -> float:
        """The rating that a like stands for: the mean of the ratings that say so."""
        ratings = self._release.ratings
        likes = ratings[ratings >= self.like_threshold]
        return float(np.mean(likes, dtype=np.float64)) if len(likes) else self.like_threshold

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

    def allowed(self, wanted: Wanted, without: Rows) -> npt.NDArray[np.bool_]:
        """Return which games may be suggested: those that meet the filters, without some."""
        mask = self.filters.mask(wanted.filters)
        allowed = np.ones(len(self.catalogue), dtype=bool) if mask is None else mask.copy()
        allowed[without] = False
        return allowed

    def by_content(self, query: Floats, allowed: npt.NDArray[np.bool_]) -> Callable[[int], Ranked]:
        """Return the ranking by the cosine of the texts with a unit vector."""
        return lambda k: self.embeddings.nearest(query, k, allowed)

    def best(self, rank: Callable[[int], Ranked], wanted: Wanted, without: Rows) -> Ranked:
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
