"""What a page is made from: the files of a release, read as far as they are there.

A published release is verified byte by byte first. A release in the making has no manifest yet,
and of a refused candidate nothing but ``metrics.json`` was kept: both are read as they are.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from recsys.errors import ArtifactCorrupt
from recsys.models.confidence import confidence_of
from recsys.models.folding import FoldIn
from recsys.models.item_item import ItemItem
from recsys.models.recipe import CfRecipe
from recsys.models.solvers import solver_of
from recsys.models.taste import Blending
from recsys.models.users import FoldedUsers
from recsys.ranking.scorer import scores_for
from recsys.release.arrays import read_factors, read_hybrid, read_interactions, read_item_item
from recsys.release.formats import read_games, read_ids, read_vectors
from recsys.release.keys import PublicKeys
from recsys.release.layout import (
    FACTORS,
    GAMES,
    HYBRID,
    INDEX,
    INTERACTIONS,
    ITEM_ITEM,
    MANIFEST,
    METRICS,
    PAGE_FILES,
)
from recsys.release.mapped import mapped
from recsys.release.metrics import read_metrics
from recsys.release.pseudonyms import SHORT, pseudonym, pseudonym_key
from recsys.release.verify import read_manifest, verify

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy.typing as npt

    from recsys.marts.ids import Id, IdMap
    from recsys.release.durable import Buffer
    from recsys.release.manifest import Manifest, Provenance, Step
    from recsys.release.metrics import Metrics
    from recsys.release.records import Json

View: TypeAlias = "Mapping[str, object]"
"""What the template of a section shows, by the names that it uses."""


def unit_rows(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the rows with length 1; rows of zeros stay."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(norms == 0, 1, norms)).astype(np.float32)


@dataclass(frozen=True)
class Facts:
    """What the manifest says, or will say.

    Attributes
    ----------
    release
        The run id.
    content, cf
        Where the two halves came from; None where a refused candidate had none.
    steps
        Seconds and peak memory of each step, in order.
    replaces
        The release that was current before.
    commit
        The git commit of the code.
    scenarios
        Rules at answer time by name.
    """

    release: str
    content: Provenance | None = None
    cf: Provenance | None = None
    steps: Mapping[str, Step] = field(default_factory=dict)
    replaces: str | None = None
    commit: str | None = None
    scenarios: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)

    @classmethod
    def of(cls, manifest: Manifest) -> Facts:
        """Take them from the manifest of a published release."""
        names = ("release", "content", "cf", "steps", "replaces", "commit", "scenarios")
        return cls(**{name: getattr(manifest, name) for name in names})


@dataclass(frozen=True)
class Catalogue:
    """The games of a release, in the order of its content index.

    Attributes
    ----------
    ids, names
        Of the games.
    tags
        Their categories, joined by ``", "``.
    raters
        int64, (games,): how many ratings each has.
    """

    ids: list[Id]
    names: list[str]
    tags: list[str]
    raters: npt.NDArray[np.int64]

    @cached_property
    def row_of(self) -> dict[Id, int]:
        """The row of each game's id."""
        return {id_: row for row, id_ in enumerate(self.ids)}

    def best_known(self, number: int) -> npt.NDArray[np.int64]:
        """Return the rows of the games with the most ratings, most first; none without a rating."""
        order = np.argsort(-self.raters, kind="stable")[:number]
        return order[self.raters[order] > 0]


@dataclass(frozen=True)
class Taste:
    """The CF half of a release.

    Attributes
    ----------
    users, items
        Maps of the ids; a code is a row of the factors.
    item_factors
        float32, (items, factors).
    recommendable
        bool, (items,): false for games that the catalogue lacks.
    indptr, indices, ratings
        Who rated what: the arrays of a CSR matrix, users × items.
    folded
        The users, folded in from their ratings; None where nothing says how, in a folder of the CF half alone.
    blending
        What is added to the factors' scores.
    """

    users: IdMap
    items: IdMap
    item_factors: npt.NDArray[np.float32]
    recommendable: npt.NDArray[np.bool_]
    indptr: npt.NDArray[np.integer]
    indices: npt.NDArray[np.int32]
    ratings: npt.NDArray[np.float32]
    folded: FoldedUsers | None
    blending: Blending

    def scores(self, user: int) -> npt.NDArray[np.float32]:
        """Return the scores of all items for one user, as they are served; float32, (items,); only where they fold."""
        assert self.folded is not None
        rated = slice(self.indptr[user], self.indptr[user + 1])
        factors = self.folded.of(user)
        line = self.blending.line(factors, self.indices[rated], self.folded.confidence[rated])
        return line.of(scores_for(factors, self.item_factors), slice(None))

    @cached_property
    def directions(self) -> npt.NDArray[np.float32]:
        """Item factors of length 1: their inner product says how alike two games' publics are."""
        return unit_rows(self.item_factors)

    @cached_property
    def _key(self) -> bytes:
        return pseudonym_key(self.indptr, self.indices, self.ratings)

    def alias(self, user: int) -> str:
        """Return the short name that stands for a user on a page: the same whenever this release is shown."""
        return pseudonym(self.users.id_of(user), self._key)[:SHORT]


@dataclass(frozen=True)
class Contents:
    """A release, as far as it is there.

    Attributes
    ----------
    facts
        What the manifest says.
    metrics
        Content of ``metrics.json``; None if the release was not evaluated.
    catalogue, vectors
        The games, and their embeddings, float32 unit rows in the same order.
    taste
        The CF half.
    """

    facts: Facts
    metrics: Metrics | None = None
    catalogue: Catalogue | None = None
    vectors: npt.NDArray[np.float32] | None = field(default=None, repr=False)
    taste: Taste | None = None


def read_contents(folder: Path, facts: Facts | None = None) -> Contents:
    """Read what a page needs.

    Parameters
    ----------
    folder
        Of a release, of one in the making, or of a refused candidate.
    facts
        What the manifest will say, where there is none yet.

    Raises
    ------
    ReleaseNotFound, ArtifactCorrupt, IncompatibleArtifact
        If a published release is not sound, or a file is not what its name says.
    """
    keys = PublicKeys.from_environment()
    if (folder / MANIFEST).is_file():
        manifest = read_manifest(folder, keys)
        contents: Mapping[str, Buffer] = verify(
            folder, keep=[name for name in PAGE_FILES if name in manifest.files], keys=keys
        ).contents
        facts = Facts.of(manifest)
    else:
        contents = {name: mapped(folder / name) for name in PAGE_FILES if (folder / name).is_file()}
    try:
        return _parsed(facts or Facts(folder.name), contents)
    except ArtifactCorrupt as error:
        raise ArtifactCorrupt(f"{folder} cannot be shown: {error}") from error


def _parsed(facts: Facts, contents: Mapping[str, Buffer]) -> Contents:
    return Contents(
        facts,
        metrics=read_metrics(bytes(contents[METRICS])) if METRICS in contents else None,
        catalogue=_catalogue(contents[GAMES]) if GAMES in contents else None,
        vectors=read_vectors(contents[INDEX]) if INDEX in contents else None,
        taste=_taste(contents) if FACTORS in contents else None,
    )


def _catalogue(data: Buffer) -> Catalogue:
    from recsys.marts.ids import id_array, python_ids

    table = read_games(data)
    names, tags = (table[column].to_pylist() for column in ("NAME", "CATEGORIES"))
    ids = python_ids(id_array(table["GAME_ID"].combine_chunks()))
    return Catalogue(ids, names, tags, np.asarray(table["N_RATINGS"]))


def _taste(contents: Mapping[str, Buffer]) -> Taste:
    factors, stored = read_factors(contents[FACTORS]), read_interactions(contents[INTERACTIONS])
    users, items = read_ids(contents, factors.id_kinds)
    recipe, folded = CfRecipe.from_json(factors.recipe), None
    if HYBRID in contents:
        hybrid, scale = read_hybrid(contents[HYBRID]), solver_of(recipe).scale(recipe)
        folding = FoldIn.from_numbers(hybrid.gramian, hybrid.fold_in)
        confidence = confidence_of(stored, recipe)
        folded = FoldedUsers(folding, factors.item_factors, stored.indptr, stored.indices, confidence, scale)
    beside = ItemItem.of(read_item_item(contents[ITEM_ITEM])) if ITEM_ITEM in contents else None
    return Taste(
        users,
        items,
        factors.item_factors,
        factors.recommendable,
        stored.indptr,
        stored.indices,
        stored.ratings,
        folded,
        Blending(factors.item_factors, beside, recipe.item_weight),
    )
