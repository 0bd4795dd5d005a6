"""Releases as they serve, one that is still a candidate among them: their lists, for the evaluation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from recsys.models.hybrid import HybridRecommender
from recsys.release.formats import read_games
from recsys.release.games import games_table
from recsys.release.layout import INDEX
from recsys.release.loading import LoadedRelease
from recsys.release.manifest import FORMAT, FileFacts, Manifest, Provenance
from recsys.serving import questions
from recsys.serving.options import ListOptions
from recsys.serving.snapshot import Snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import numpy.typing as npt

    from recsys.marts.catalogue import Catalogue
    from recsys.marts.ids import Id
    from recsys.models.cf import CollaborativeFilter
    from recsys.serving.rules import Rules

NAME = "candidate"
"""What takes the place of a release's name."""


class Served:
    """Answers as a release does.

    Parameters
    ----------
    release
        Loaded, or made in memory.
    """

    def __init__(self, release: LoadedRelease) -> None:
        self._at = Snapshot(release)

    @property
    def name(self) -> str:
        """The release's name."""
        return self._at.name

    def lists(
        self,
        user_ids: Sequence[Id],
        k: int,
        scenarios: Iterable[str | None] = (None,),
        advance: Callable[[int], None] = lambda _: None,
    ) -> dict[str | None, npt.NDArray[np.intp]]:
        """Return what ``recommend`` answers each user, without rules and by scenarios.

        Parameters
        ----------
        user_ids
            Users of the release.
        k
            Length of the lists.
        scenarios
            Names; None for no scenario.
        advance
            Is told how many users more are done.

        Returns
        -------
        dict
            For each scenario, intp, (users, k): rows of the catalogue, -1 for padding.
        """
        options = {name: ListOptions(k, scenario=name) for name in scenarios}
        lists = {name: np.full((len(user_ids), k), -1, dtype=np.intp) for name in options}
        for place, user_id in enumerate(user_ids):
            profile = self._at.people.user(user_id)
            for name, wanted in options.items():
                answer = questions.recommend(self._at, profile, "taste", wanted, unknown="")
                lists[name][place, : len(answer)] = self._at.catalogue.find_all(answer.ids)
            advance(1)
        return lists

    def find_all(self, game_ids: Sequence[Id]) -> npt.NDArray[np.intp]:
        """Return the row of each game in the catalogue, intp, (ids,); -1 for one that is not there."""
        return self._at.catalogue.find_all(game_ids)

    def rows_in(self, other: Served) -> npt.NDArray[np.intp]:
        """Return the row of each of our games in another release's catalogue, intp, (games,); -1 where it lacks it."""
        return other.find_all(self._at.catalogue.ids)


class Candidate(Served):
    """Answers as a release of these models would.

    Parameters
    ----------
    model
        The collaborative filter.
    catalogue
        The games, with the table of the mart.
    scenarios
        Rules by name.
    hybrid
        Fit to them; fit here when not given.
    """

    def __init__(
        self,
        model: CollaborativeFilter,
        catalogue: Catalogue,
        scenarios: Mapping[str, Rules],
        hybrid: HybridRecommender | None = None,
    ) -> None:
        super().__init__(_release_of(model, catalogue, scenarios, hybrid))


def _release_of(
    model: CollaborativeFilter,
    catalogue: Catalogue,
    scenarios: Mapping[str, Rules],
    hybrid: HybridRecommender | None,
) -> LoadedRelease:
    import faiss

    assert catalogue.table is not None
    if hybrid is None:
        codes = model.items.codes_of(list(catalogue.game_ids))
        hybrid = HybridRecommender().fit(model, codes, catalogue.vectors, catalogue.tags)
    index = faiss.IndexFlatL2(catalogue.vectors.shape[1])
    index.add(np.ascontiguousarray(catalogue.vectors))
    nowhere = Provenance(trained_by=NAME, rows={}, fingerprint="", settings={}, code="", libraries={})
    manifest = Manifest(
        format=FORMAT.major,
        release=NAME,
        created="",
        files={INDEX: FileFacts(size=0, sha256="")},
        content=nowhere,
        cf=nowhere,
        scenarios={name: rules.as_json() for name, rules in scenarios.items()},
    )
    return LoadedRelease(
        path=Path(NAME),
        manifest=manifest,
        index=index,
        game_ids=list(catalogue.game_ids),
        users=model.users,
        items=model.items,
        user_factors=None,
        item_factors=model.item_factors,
        recommendable=model.recommendable,
        recipe=model.recipe.as_json(),
        indptr=model.ratings.indptr,
        indices=model.ratings.indices,
        ratings=model.ratings.data,
        games=read_games(games_table(catalogue.table, model.items, model.ratings.indices)),
        hybrid=hybrid.as_file(),
        confidence=model.confidence,
        item_item=None if model.item_item is None else model.item_item.as_file(),
    )
