"""The three files of arrays: what the CF half learned, who rated what, and the factors for everybody.

Readers take a file's content, check every array, and pass over arrays that they do not know; the arrays are views of
it, for reading. Whatever is wrong is an :class:`~recsys.errors.ArtifactCorrupt` that names the file and the fault.
Writers write a stream: :func:`recsys.release.durable.write_file`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Literal, TypeAlias

from recsys.release.damage import expect, reading
from recsys.release.layout import FACTORS, HYBRID, INTERACTIONS, ITEM_ITEM
from recsys.release.npz import Field, read_npz, write_npz

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import numpy.typing as npt

    from recsys.release.durable import Buffer

    Floats: TypeAlias = npt.NDArray[np.float32]

IdKind: TypeAlias = Literal["integer", "string"]

_FLOATS, _DOUBLES, _WHOLE = ("float32",), ("float64",), ("int32", "int64")

_FACTORS = {
    "item_factors": Field(2, _FLOATS),
    "recommendable": Field(1, ("bool",)),
    "id_types": Field(1, ("str",)),
    "recipe": Field(0, ("str",)),
}
_INTERACTIONS = {"indptr": Field(1, _WHOLE), "indices": Field(1, _WHOLE), "ratings": Field(1, _FLOATS)}
_HYBRID = {
    "factors": Field(2, _FLOATS),
    "trust": Field(1, _FLOATS),
    "mean_user": Field(1, _FLOATS),
    "ridge": Field(0, _DOUBLES),
    "gramian": Field(2, _DOUBLES),
    "fold_in": Field(1, _DOUBLES),
}
_ITEM_ITEM = {
    "indptr": Field(1, ("int64",)),
    "indices": Field(1, ("int32",)),
    "values": Field(1, _FLOATS),
    "trend": Field(1, _FLOATS),
    "usual": Field(1, _FLOATS),
}
_FOLD_IN = 5
"""Numbers beside the Gramian that fold a visitor in."""


@dataclass(frozen=True)
class FactorsFile:
    """``cf_factors.npz``: what the collaborative filter learned.

    Attributes
    ----------
    user_factors
        float32, (users, factors), as training left them; None where the release does not keep them.
    item_factors
        float32, (items, factors).
    recommendable
        bool, (items,): false for rated games that the catalogue does not have.
    id_kinds
        Whether the ids of users and of games are whole numbers or texts.
    recipe
        How the factors were trained, as JSON values; see :class:`recsys.models.recipe.CfRecipe`.
    """

    user_factors: Floats | None
    item_factors: Floats
    recommendable: npt.NDArray[np.bool_]
    id_kinds: tuple[IdKind, IdKind]
    recipe: Mapping[str, float | str]


@dataclass(frozen=True)
class InteractionsFile:
    """``interactions.npz``: who rated what, as the arrays of a CSR matrix users × items, sorted within rows.

    Attributes
    ----------
    indptr, indices
        int32 or int64, (users + 1,) and (ratings,): where each row begins, and the item of each rating.
    ratings
        float32, (ratings,).
    confidence
        float32, (ratings,): the confidence of each rating as trained; None where the file does not say.
    """

    indptr: npt.NDArray[np.integer]
    indices: npt.NDArray[np.int32]
    ratings: Floats
    confidence: Floats | None = None


@dataclass(frozen=True)
class HybridFile:
    """``hybrid.npz``: factors for the whole catalogue, and what folds visitors in.

    Attributes
    ----------
    factors
        float32, (games, factors), in the order of the catalogue.
    trust
        float32, (games,): how far a game's own factors carry, in [0, 1).
    mean_user
        float32, (factors,).
    ridge
        λ of the regression from texts and tags.
    gramian
        float64, (factors, factors).
    fold_in
        float64, (5,); see :class:`recsys.models.folding.FoldIn`.
    """

    factors: Floats
    trust: Floats
    mean_user: Floats
    ridge: float
    gramian: npt.NDArray[np.float64]
    fold_in: npt.NDArray[np.float64]


@dataclass(frozen=True)
class ItemItemFile:
    """``item_item.npz``: what is added to the factors' scores; see :class:`recsys.models.item_item.ItemItem`.

    Attributes
    ----------
    indptr, indices, values
        int64 (items + 1,), int32 and float32 (entries,): CSR, items × items, what each rated game speaks for.
    trend
        float32, (items,): added to the score of each game.
    usual
        float32, (items,): what the mean user's games say.
    """

    indptr: npt.NDArray[np.int64]
    indices: npt.NDArray[np.int32]
    values: Floats
    trend: Floats
    usual: Floats


def read_factors(data: Buffer) -> FactorsFile:
    """Return what ``cf_factors.npz`` holds.

    Raises
    ------
    ArtifactCorrupt
        If it is no such file.
    """
    arrays = read_npz(FACTORS, data, _FACTORS, optional={"user_factors": Field(2, _FLOATS)})
    kinds = tuple(str(kind) for kind in arrays["id_types"])
    expect(FACTORS, sound=len(kinds) == 2 and {*kinds} <= {"integer", "string"}, problem=f"its ids are {kinds}")
    users, items, flags = arrays.get("user_factors"), arrays["item_factors"], arrays["recommendable"]
    width = items.shape[1] if users is None else users.shape[1]
    shapes = f"factors of {width} and {items.shape} and {len(flags)} flags do not belong together"
    expect(FACTORS, sound=width == items.shape[1] and len(items) == len(flags), problem=shapes)
    with reading(FACTORS):
        recipe = json.loads(str(arrays["recipe"]))
    expect(FACTORS, sound=isinstance(recipe, dict), problem="its recipe is no JSON object")
    return FactorsFile(users, items, flags, kinds, recipe)  # type: ignore[arg-type] # the kinds were checked


def write_factors(out: BinaryIO, file: FactorsFile) -> None:
    """Write ``cf_factors.npz``; without user factors there is no such array."""
    import numpy as np

    users = {} if file.user_factors is None else {"user_factors": file.user_factors}
    write_npz(
        out,
        **users,
        item_factors=file.item_factors,
        recommendable=file.recommendable,
        id_types=np.array(file.id_kinds),
        recipe=np.array(json.dumps(file.recipe)),
    )


def read_interactions(data: Buffer) -> InteractionsFile:
    """Return what ``interactions.npz`` holds.

    Raises
    ------
    ArtifactCorrupt
        If it is no such file, or its arrays make no CSR matrix.
    """
    arrays = read_npz(INTERACTIONS, data, _INTERACTIONS, optional={"confidence": Field(1, _FLOATS)})
    file = InteractionsFile(**{name: arrays.get(name) for name in (*_INTERACTIONS, "confidence")})  # type: ignore[arg-type]
    indptr, entries = file.indptr, len(file.indices)
    sound = len(indptr) > 0 and indptr[0] == 0 and indptr[-1] == entries and bool((indptr[1:] >= indptr[:-1]).all())
    expect(INTERACTIONS, sound=sound, problem=f"its rows do not divide its {entries:,} entries")
    expect(INTERACTIONS, sound=not entries or file.indices.min() >= 0, problem="it names an item below 0")
    for name, values in (("ratings", file.ratings), ("confidence", file.confidence)):
        counts = values is None or len(values) == entries
        expect(
            INTERACTIONS,
            sound=counts,
            problem=f"{0 if values is None else len(values):,} {name} of {entries:,} entries",
        )
    return file


def write_interactions(out: BinaryIO, file: InteractionsFile) -> None:
    """Write ``interactions.npz``; without a confidence there is no such array."""
    confidence = {} if file.confidence is None else {"confidence": file.confidence}
    write_npz(out, indptr=file.indptr, indices=file.indices, ratings=file.ratings, **confidence)


def read_hybrid(data: Buffer) -> HybridFile:
    """Return what ``hybrid.npz`` holds.

    Raises
    ------
    ArtifactCorrupt
        If it is no such file.
    """
    arrays = read_npz(HYBRID, data, _HYBRID)
    ridge = float(arrays.pop("ridge"))
    file = HybridFile(**arrays, ridge=ridge)
    games, factors = file.factors.shape
    expected = ((games,), (factors,), (factors, factors), (_FOLD_IN,))
    shapes = tuple(array.shape for array in (file.trust, file.mean_user, file.gramian, file.fold_in))
    expect(HYBRID, sound=shapes == expected, problem=f"arrays of {shapes} instead of {expected}")
    return file


def write_hybrid(out: BinaryIO, file: HybridFile) -> None:
    """Write ``hybrid.npz``."""
    import numpy as np

    write_npz(
        out,
        factors=file.factors,
        trust=file.trust,
        mean_user=file.mean_user,
        ridge=np.array(file.ridge),
        gramian=file.gramian,
        fold_in=file.fold_in,
    )


def read_item_item(data: Buffer) -> ItemItemFile:
    """Return what ``item_item.npz`` holds.

    Raises
    ------
    ArtifactCorrupt
        If it is no such file, or its arrays make no square CSR matrix.
    """
    file = ItemItemFile(**read_npz(ITEM_ITEM, data, _ITEM_ITEM))
    indptr, entries, items = file.indptr, len(file.indices), len(file.trend)
    sound = len(indptr) == items + 1 and indptr[0] == 0 and indptr[-1] == entries == len(file.values)
    sound = sound and bool((indptr[1:] >= indptr[:-1]).all()) and len(file.usual) == items
    expect(
        ITEM_ITEM, sound=sound, problem=f"its {len(indptr) - 1:,} rows and {entries:,} entries do not belong together"
    )
    inside = not entries or (file.indices.min() >= 0 and file.indices.max() < items)
    expect(ITEM_ITEM, sound=bool(inside), problem=f"it names an item beyond its {items:,}")
    return file


def write_item_item(out: BinaryIO, file: ItemItemFile) -> None:
    """Write ``item_item.npz``."""
    write_npz(out, indptr=file.indptr, indices=file.indices, values=file.values, trend=file.trend, usual=file.usual)
