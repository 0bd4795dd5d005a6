"""One loaded release, ready to answer: its catalogue, and the spaces that rank it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from recsys.models.hybrid import HybridRecommender
from recsys.release.layout import INDEX
from recsys.serving.answers import Answer, By, Reason, Suggestion
from recsys.serving.blend import Blend
from recsys.serving.catalogue import Catalogue
from recsys.serving.content import ContentSpace
from recsys.serving.editions import Editions
from recsys.serving.filters import Filters
from recsys.serving.hybrid import HybridSpace
from recsys.serving.names import NameIndex
from recsys.serving.people import People
from recsys.serving.taste import TasteSpace

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from recsys.ranking.scorer import Ranked, Ranking
    from recsys.release.loading import LoadedRelease
    from recsys.release.manifest import Manifest
    from recsys.serving.options import ListOptions

    Rows = npt.NDArray[np.intp]


class Snapshot:
    """A loaded release: parts that know nothing of each other's questions.

    Parameters
    ----------
    release
        Verified and loaded.
    before
        The snapshot that this one follows: where both have the same vectors, they share them.

    Attributes
    ----------
    path
        The release's own folder.
    manifest
        What it says about itself.
    catalogue
        The games; a row is a place in it.
    content, taste, hybrid
        What ranks the games by their texts, by who rated them, and by both.
    blend
        What ranks games by their likeness to one, in both of the first two.
    people
        The users, and what is known of them.
    """

    def __init__(self, release: LoadedRelease, before: Snapshot | None = None) -> None:
        self.path, self.manifest = release.path, release.manifest
        self.catalogue = Catalogue(release.games, release.game_ids)
        same = before is not None and vectors_of(before.manifest) == vectors_of(release.manifest)
        self.content: ContentSpace = before.content if before and same else ContentSpace(release.index)
        rows = np.where(release.recommendable, self.catalogue.find_all(release.items.ids()), -1)
        self.taste = TasteSpace(release.item_factors, rows, len(self.catalogue))
        self.hybrid = HybridSpace(HybridRecommender.of(release.hybrid), self.content)
        self.blend = Blend(self.taste, self.content, self.catalogue.n_ratings)
        self.people = People(release, self.taste, self.hybrid.model)
        self._filters = Filters(self.catalogue)
        self._editions = Editions(self.catalogue.names, self.content.vectors)
        self._names = NameIndex(self.catalogue)

    @property
    def name(self) -> str:
        """The release's name."""
        return self.manifest.release

    def prepare(self) -> None:
        """Build what is otherwise built when it is first needed, and begin to fill the table of neighbours."""
        self.build()
        self.content.begin()

    def build(self, *, but_content: bool = False) -> None:
        """Build what is otherwise built when it is first needed; without what belongs to the vectors alone, if so."""
        parts = (self.content, self.taste, self.hybrid, self.people, self._filters, self._editions, self._names)
        for part in parts[but_content:]:
            part.prepare()

    def named(self, name: str, k: int) -> list[Suggestion]:
        """Return the games whose names resemble ``name``; the score is the likeness, in (0, 1]."""
        ids, names = self.catalogue.ids, self.catalogue.names
        return [Suggestion(ids[row], names[row], likeness) for row, likeness in self._names.find(name, k)]

    def allowed(self, options: ListOptions, without: Rows) -> npt.NDArray[np.bool_]:
        """Return which games may be suggested, bool (games,): those that meet the filters, without some."""
        mask = self._filters.mask(options.conditions)
        allowed = np.ones(len(self.catalogue), dtype=bool) if mask is None else mask.copy()
        allowed[without] = False
        return allowed

    def best(self, rank: Ranking, options: ListOptions, without: Rows) -> Ranked:
        """Return the first ``options.k`` of a ranking; with ``options.collapse``, one edition of each game.

        Parameters
        ----------
        rank
            The ranking of the games that are allowed.
        options
            Length and collapsing.
        without
            Rows whose editions are left out too.
        """
        return self._editions.collapsed(rank, options.k, without) if options.collapse else rank(options.k)

    def answer(self, best: Ranked, by: By, note: str = "", reasons: Sequence[tuple[Reason, ...]] = ()) -> Answer:
        """Return rows and scores as an answer."""
        ids, names = self.catalogue.ids, self.catalogue.names
        because = reasons or [()] * len(best[0])
        games = [
            Suggestion(ids[row], names[row], score, why)
            for row, score, why in zip(best[0].tolist(), best[1].tolist(), because, strict=True)
        ]
        return Answer(tuple(games), by, self.name, note)


def vectors_of(manifest: Manifest) -> str:
    """Return what tells the vectors of one release from those of another."""
    return manifest.files[INDEX].sha256
