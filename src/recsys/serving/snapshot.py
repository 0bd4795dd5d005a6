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
from recsys.serving.hybrid import HybridSpace
from recsys.serving.names import NameIndex
from recsys.serving.people import People
from recsys.serving.shelf import Shelf
from recsys.serving.taste import TasteSpace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from recsys.release.loading import LoadedRelease
    from recsys.release.manifest import Manifest
    from recsys.serving.shelf import Listing


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
    shelf
        The games as rules see them.
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
        self.shelf = Shelf(self.catalogue, self.content.vectors, release.manifest.scenarios)
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
        parts = (self.content, self.taste, self.hybrid, self.people, self.shelf, self._names)
        for part in parts[but_content:]:
            part.prepare()

    def named(self, name: str, k: int) -> list[Suggestion]:
        """Return the games whose names resemble ``name``; the score is the likeness, in (0, 1]."""
        ids, names = self.catalogue.ids, self.catalogue.names
        return [Suggestion(ids[row], names[row], likeness) for row, likeness in self._names.find(name, k)]

    def answer(self, listing: Listing, by: By, note: str = "", reasons: Sequence[tuple[Reason, ...]] = ()) -> Answer:
        """Return a list as an answer, with a note and those of the list."""
        ids, names = self.catalogue.ids, self.catalogue.names
        because = reasons or [()] * len(listing.rows)
        games = [
            Suggestion(ids[row], names[row], score, why)
            for row, score, why in zip(listing.rows.tolist(), listing.scores.tolist(), because, strict=True)
        ]
        return Answer(tuple(games), by, self.name, "; ".join(filter(None, (note, *listing.notes))))


def vectors_of(manifest: Manifest) -> str:
    """Return what tells the vectors of one release from those of another."""
    return manifest.files[INDEX].sha256
