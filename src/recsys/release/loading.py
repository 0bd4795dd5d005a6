"""Loading a release: verified bytes in, arrays and an index out. Nothing is unpickled."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recsys.errors import ArtifactCorrupt
from recsys.release.signature import key_from_environment
from recsys.release.verify import verify

if TYPE_CHECKING:
    from collections.abc import Iterable

    import faiss
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    from recsys.marts.ids import Id, IdMap
    from recsys.release.manifest import Manifest

INDEX = "rag_index.faiss"
METADATA = "metadata.json"
MODEL = "cf_model.pkl"
MAPPINGS = "cf_mappings.json"
FACTORS = "cf_factors.npz"
INTERACTIONS = "interactions.npz"
GAMES = "games.parquet"
HYBRID = "hybrid.npz"
HYBRID_ARRAYS = ("factors", "trust", "mean_user", "ridge", "gramian", "fold_in")
REPORT = "report.html"

CONTENT_FILES = (INDEX, METADATA)
"""What the content half of a release consists of."""
CF_FILES = (MODEL, MAPPINGS, FACTORS, INTERACTIONS)
"""What the CF half of a release consists of."""
LOADED_FILES = (INDEX, METADATA, MAPPINGS, FACTORS, INTERACTIONS, GAMES, HYBRID)
"""What :func:`load_release` reads; ``cf_model.pkl`` is verified, and left alone."""


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
        Of the catalogue, in the order of the index.
    users, items
        Maps of user ids and of rated games' ids; a code is a row of the factors.
    user_factors, item_factors
        float32, (users, factors) and (items, factors).
    recommendable
        bool, (items,): false for rated games that the catalogue does not have.
    recipe
        How the factors were trained, nothing left to be searched; see :mod:`recsys.models.recipe`.
    indptr, indices, ratings
        Who rated what, as the three arrays of a CSR matrix, users × items, sorted within rows.
    games
        Columns GAME_ID, NAME, CATEGORIES, MECHANICS, N_RATINGS and perhaps more; row i is ``game_ids[i]``.
    hybrid
        The arrays of ``hybrid.npz``.
    """

    path: Path
    manifest: Manifest
    index: faiss.IndexFlatL2
    game_ids: list[Id]
    users: IdMap
    items: IdMap
    user_factors: npt.NDArray[np.float32]
    item_factors: npt.NDArray[np.float32]
    recommendable: npt.NDArray[np.bool_]
    recipe: dict[str, Any]
    indptr: npt.NDArray[np.int64]
    indices: npt.NDArray[np.int32]
    ratings: npt.NDArray[np.float32]
    games: pa.Table
    hybrid: dict[str, npt.NDArray[Any]]


def load_release(path: Path | str, *, key: bytes | None = None) -> LoadedRelease:
    """Verify a release, then read it.

    Parameters
    ----------
    path
        The release's folder, or a link to it such as ``models/v1``. The link is resolved once.
    key
        Key that the release must be signed with; the one in ``RECSYS_SIGNING_KEY``, if there is
        one, when not given.

    Raises
    ------
    ReleaseNotFound
        If there is nothing at ``path``.
    ArtifactCorrupt
        If the release is not byte for byte what was published.
    IncompatibleArtifact
        If a newer format wrote it.
    """
    verified = verify(Path(path), keep=LOADED_FILES, key=key or key_from_environment())
    path, manifest, contents = verified.path, verified.manifest, dict(verified.contents)
    del verified  # and with it the bytes of the index as soon as they are parsed: they are most of the memory
    try:
        parts = {**_content(contents.pop(INDEX), contents[METADATA]), **_cf(contents), "games": _games(contents[GAMES])}
        hybrid = _arrays(contents[HYBRID])
        parts["hybrid"] = {name: hybrid[name] for name in HYBRID_ARRAYS}
    except (RuntimeError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        if isinstance(error, ArtifactCorrupt):
            raise
        raise ArtifactCorrupt(f"{path} is intact but cannot be read: {type(error).__name__}: {error}") from error
    release = LoadedRelease(path, manifest, **parts)
    _check_shapes(release)
    return release


def _content(index: bytes, metadata: bytes) -> dict[str, Any]:
    import faiss
    import numpy as np

    return {
        "index": faiss.deserialize_index(np.frombuffer(index, dtype=np.uint8)),
        "game_ids": json.loads(metadata)["ids"],
    }


def id_maps(mappings: bytes, kinds: Iterable[Any]) -> tuple[IdMap, IdMap]:
    """Return the maps of users and of rated games that ``cf_mappings.json`` holds.

    Parameters
    ----------
    mappings
        Content of the file.
    kinds
        ``integer`` or ``string`` for users and for games: ``id_types`` of ``cf_factors.npz``.

    Raises
    ------
    ArtifactCorrupt
        If ids are not numbered 0 … n-1 in their order: a row of the factors would be somebody else's.
    ValueError, KeyError
        If it is no such file.
    """
    from recsys.marts.ids import IdMap

    tree = json.loads(mappings)
    maps = [tree["user_id_to_idx"], tree["item_id_to_idx"]]
    for mapping in maps:
        if list(mapping.values()) != list(range(len(mapping))):
            raise ArtifactCorrupt(f"{MAPPINGS} does not number its ids 0 … {len(mapping) - 1} in order")
    users, items = (IdMap.from_texts(list(mapping), str(kind)) for mapping, kind in zip(maps, kinds, strict=True))
    return users, items


def _cf(contents: Any) -> dict[str, Any]:
    factors = _arrays(contents[FACTORS])
    stored = _arrays(contents[INTERACTIONS])
    users, items = id_maps(contents[MAPPINGS], factors["id_types"])
    return {
        "users": users,
        "items": items,
        "user_factors": factors["user_factors"],
        "item_factors": factors["item_factors"],
        "recommendable": factors["recommendable"],
        "recipe": json.loads(str(factors["recipe"])),
        "indptr": stored["indptr"],
        "indices": stored["indices"],
        "ratings": stored["ratings"],
    }


def _arrays(data: bytes) -> dict[str, npt.NDArray[Any]]:
    import numpy as np

    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        return dict(arrays)


def _games(data: bytes) -> pa.Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    # Threads cost more than they save on a table of this size; pq.read_table would import pandas.
    return pq.ParquetFile(pa.BufferReader(data), pre_buffer=False).read(use_threads=False)


def _check_shapes(release: LoadedRelease) -> None:
    """Refuse parts that do not belong together, even where every checksum is right."""
    users, items = len(release.users), len(release.items)
    counts = {
        "vectors and ids of games": (release.index.ntotal, len(release.game_ids)),
        "rows of games.parquet and ids of games": (release.games.num_rows, len(release.game_ids)),
        "user factors and user ids": (len(release.user_factors), users),
        "item factors and item ids": (len(release.item_factors), items),
        "recommendable flags and item ids": (len(release.recommendable), items),
        "rows of interactions and user ids": (len(release.indptr) - 1, users),
        "interactions and their end": (len(release.indices), int(release.indptr[-1])),
        "interactions and ratings": (len(release.indices), len(release.ratings)),
        "hybrid factors and ids of games": (len(release.hybrid["factors"]), len(release.game_ids)),
    }
    for what, (left, right) in counts.items():
        if left != right:
            raise ArtifactCorrupt(f"{release.path}: {left:,} and {right:,} {what}: its parts do not belong together")
    if len(release.indices) and not 0 <= release.indices.min() <= release.indices.max() < items:
        raise ArtifactCorrupt(f"{release.path}: interactions name items beyond the {items:,} of the mappings")
