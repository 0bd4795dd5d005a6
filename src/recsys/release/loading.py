"""Loading a release: verified files in, arrays (as they lie there) and an index out. Nothing is unpickled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from recsys.errors import ArtifactCorrupt
from recsys.release.arrays import read_factors, read_hybrid, read_interactions, read_item_item
from recsys.release.formats import read_game_ids, read_games, read_ids, read_index
from recsys.release.keys import PublicKeys
from recsys.release.layout import (
    FACTORS,
    GAMES,
    HYBRID,
    INDEX,
    INTERACTIONS,
    ITEM_ITEM,
    LOADED_FILES,
    METADATA,
)
from recsys.release.verify import verify
from recsys.system.paths import local_path

if TYPE_CHECKING:
    from pathlib import Path

    import faiss
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    from recsys.marts.ids import Id, IdMap
    from recsys.release.arrays import HybridFile, ItemItemFile
    from recsys.release.manifest import Manifest


@dataclass(frozen=True)
class LoadedRelease:
    """A verified release in memory.

    Attributes
    ----------
    path
        The release's own folder, all links resolved.
    manifest
        What it says about itself.
    index
        ``faiss.IndexFlatL2``; row i is the game ``game_ids[i]``.
    game_ids
        Ids of the catalogue, in the order of the index.
    users, items
        Maps of user ids and of rated games' ids; a code is a row of the factors.
    item_factors
        float32, (items, factors).
    user_factors
        float32, (users, factors): what a release before format 3 answers by; None where users are folded in.
    recommendable
        bool, (items,): false for rated games that the catalogue does not have.
    recipe
        How the factors were trained, nothing left to be searched; see :mod:`recsys.models.recipe`.
    indptr, indices, ratings
        Who rated what, as the three arrays of a CSR matrix, users × items, sorted within rows.
    games
        Columns GAME_ID, NAME, CATEGORIES, MECHANICS, N_RATINGS and perhaps more; row i is ``game_ids[i]``.
    hybrid
        What ``hybrid.npz`` holds.
    confidence
        float32, (ratings,): the confidence of each rating as trained; None where the release does not say.
    item_item
        What ``item_item.npz`` holds; None where factors rank alone.
    """

    path: Path
    manifest: Manifest
    index: faiss.IndexFlatL2
    game_ids: list[Id]
    users: IdMap
    items: IdMap
    item_factors: npt.NDArray[np.float32]
    user_factors: npt.NDArray[np.float32] | None
    recommendable: npt.NDArray[np.bool_]
    recipe: dict[str, float | str]
    indptr: npt.NDArray[np.integer]
    indices: npt.NDArray[np.int32]
    ratings: npt.NDArray[np.float32]
    games: pa.Table
    hybrid: HybridFile
    confidence: npt.NDArray[np.float32] | None = None
    item_item: ItemItemFile | None = None


def load_release(path: Path | str, *, keys: PublicKeys | None = None) -> LoadedRelease:
    """Verify a release, then read it.

    Parameters
    ----------
    path
        The release's folder, or a link to it such as ``models/v1``. The link is resolved once.
    keys
        Public keys of which one must have signed the release; those that ``RECSYS_PUBLIC_KEY_FILES`` names, if it is
        set, when not given.

    Raises
    ------
    ReleaseNotFound
        If there is nothing at ``path``.
    ArtifactCorrupt
        If the release is not byte for byte what was published.
    IncompatibleArtifact
        If a newer format wrote it.
    """
    verified = verify(local_path(path, "the release"), keep=LOADED_FILES, keys=keys or PublicKeys.from_environment())
    path, manifest, contents = verified.path, verified.manifest, dict(verified.contents)
    del verified  # and with it the map of the index as soon as that is parsed
    try:
        release = _parsed(path, manifest, contents)
    except ArtifactCorrupt as error:
        raise ArtifactCorrupt(f"{path} is intact, but {error}") from error
    _check_shapes(release)
    return release


def _parsed(path: Path, manifest: Manifest, contents: dict[str, memoryview]) -> LoadedRelease:
    index = read_index(contents.pop(INDEX))
    factors = read_factors(contents[FACTORS])
    stored = read_interactions(contents[INTERACTIONS])
    users, items = read_ids(contents, factors.id_kinds)
    if factors.user_factors is not None and len(factors.user_factors) != len(users):
        raise ArtifactCorrupt(
            f"{FACTORS} holds factors of {len(factors.user_factors):,} users, and there are {len(users):,} ids: its"
            " parts do not belong together"
        )
    return LoadedRelease(
        path=path,
        manifest=manifest,
        index=index,
        game_ids=read_game_ids(contents[METADATA]),
        users=users,
        items=items,
        user_factors=None if manifest.folds_users else factors.user_factors,
        item_factors=factors.item_factors,
        recommendable=factors.recommendable,
        recipe=dict(factors.recipe),
        indptr=stored.indptr,
        indices=stored.indices,
        ratings=stored.ratings,
        confidence=stored.confidence,
        games=read_games(contents[GAMES]),
        hybrid=read_hybrid(contents[HYBRID]),
        item_item=read_item_item(contents[ITEM_ITEM]) if ITEM_ITEM in contents else None,
    )


def _check_shapes(release: LoadedRelease) -> None:
    """Refuse parts that do not belong together, even where every checksum is right."""
    users, items = len(release.users), len(release.items)
    counts = {
        "vectors and ids of games": (release.index.ntotal, len(release.game_ids)),
        "rows of games.parquet and ids of games": (release.games.num_rows, len(release.game_ids)),
        "item factors and item ids": (len(release.item_factors), items),
        "recommendable flags and item ids": (len(release.recommendable), items),
        "rows of interactions and user ids": (len(release.indptr) - 1, users),
        "hybrid factors and ids of games": (len(release.hybrid.factors), len(release.game_ids)),
        "games of item_item.npz and item ids": (
            items if not release.item_item else len(release.item_item.trend),
            items,
        ),
    }
    for what, (left, right) in counts.items():
        if left != right:
            raise ArtifactCorrupt(f"{release.path}: {left:,} and {right:,} {what}: its parts do not belong together")
    if release.user_factors is None and not release.manifest.folds_users:
        raise ArtifactCorrupt(f"{release.path} lacks the users' factors, which a release of its format answers by")
    added = [name for name in ("item_weight", "trend") if release.recipe.get(name)]
    if added and release.item_item is None:
        raise ArtifactCorrupt(f"{release.path} lacks {ITEM_ITEM}, which its recipe needs for {' and '.join(added)}")
    if len(release.indices) and release.indices.max() >= items:
        raise ArtifactCorrupt(f"{release.path}: interactions name items beyond the {items:,} of the mappings")
