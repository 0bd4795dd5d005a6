"""The files of a release, read: whatever is wrong with their bytes is damage that names the file."""

from __future__ import annotations

import io
import json
import random
from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from factories.small_release import Parts, make_parts, npz
from recsys.errors import ArtifactCorrupt
from recsys.marts.ids import IdMap
from recsys.release.arrays import (
    ItemItemFile,
    read_factors,
    read_hybrid,
    read_interactions,
    read_item_item,
    write_interactions,
    write_item_item,
)
from recsys.release.formats import (
    id_kinds,
    read_game_ids,
    read_games,
    read_ids,
    read_index,
    read_vectors,
    write_ids,
    write_mappings,
)
from recsys.release.layout import (
    FACTORS,
    GAMES,
    HYBRID,
    INDEX,
    INTERACTIONS,
    ITEM_ITEM,
    ITEMS,
    MAPPINGS,
    METADATA,
    USER_SCORES,
    USERS,
)
from recsys.release.loading import load_release
from recsys.release.store import ReleaseStore
from recsys.release.user_scores import read_user_scores, user_scores_bytes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from recsys.marts.ids import Id

READERS: dict[str, Callable[[bytes], object]] = {
    INDEX: read_index,
    METADATA: read_game_ids,
    MAPPINGS: lambda data: read_ids({MAPPINGS: data}, ("integer", "integer")),
    FACTORS: read_factors,
    INTERACTIONS: read_interactions,
    HYBRID: read_hybrid,
    ITEM_ITEM: read_item_item,
    GAMES: read_games,
    USER_SCORES: read_user_scores,
}


def written(write: Callable[..., None], *file: object) -> bytes:
    """Return what is written of a file."""
    out = io.BytesIO()
    write(out, *file)
    return out.getvalue()


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Parts:
    """Return the parts of a small release, with the optional files."""
    made = make_parts(tmp_path_factory.mktemp("parts"), games=20)
    items = len(read_factors(made.files[FACTORS]).item_factors)
    half = ItemItemFile(
        indptr=np.arange(items + 1, dtype=np.int64),
        indices=np.roll(np.arange(items, dtype=np.int32), 1),
        values=np.linspace(0, 1, items, dtype=np.float32),
        trend=np.zeros(items, dtype=np.float32),
        usual=np.zeros(items, dtype=np.float32),
    )
    counts = np.arange(20)
    scores = user_scores_bytes(
        [f"{user:032x}" for user in counts],
        {"RATINGS": counts, "DAYS": None, "RELEVANT": counts},
        {"cf": {"ndcg@10": np.linspace(0, 1, 20)}},
    )
    return replace(made, files=made.files | {ITEM_ITEM: written(write_item_item, half), USER_SCORES: scores})


def _problem(read: Callable[[bytes], object], data: bytes) -> str:
    try:
        read(data)
    except ArtifactCorrupt as error:
        return str(error)
    return ""


@pytest.mark.parametrize("name", READERS)
def test_any_bytes_are_read_or_damage_that_names_the_file(parts: Parts, name: str) -> None:
    """Cut, flipped or foreign bytes never end a reader with anything else than ArtifactCorrupt."""
    whole, read, draw = parts.files[name], READERS[name], random.Random(4711)
    read(whole)
    broken = [
        b"",
        b"\0" * 64,
        b"[" * 100_000,
        b"{}",
        b"null",
        *(parts.files[other] for other in READERS if other != name),
    ]
    broken += [whole[: draw.randrange(len(whole))] for _ in range(60)]
    for _ in range(200):
        flipped = bytearray(whole)
        flipped[draw.randrange(len(whole))] ^= 1 << draw.randrange(8)
        broken.append(bytes(flipped))
    problems = [problem for data in broken if (problem := _problem(read, data))]
    assert len(problems) > 60
    assert all(name in problem for problem in problems)


@pytest.mark.parametrize(
    ("name", "change", "problem"),
    [
        (FACTORS, {"item_factors": None}, "holds no array item_factors"),
        (FACTORS, {"item_factors": np.zeros((20, 8))}, "2 dimensions of float64 instead of 2 of float32"),
        (FACTORS, {"id_types": np.array(["integer", "uuid"])}, "its ids are"),
        (FACTORS, {"recipe": np.array("[]")}, "its recipe is no JSON object"),
        (FACTORS, {"recommendable": np.ones(3, dtype=bool)}, "do not belong together"),
        (INTERACTIONS, {"ratings": np.ones(1, dtype=np.float32)}, "1 ratings of"),
        (INTERACTIONS, {"confidence": np.ones(1, dtype=np.float32)}, "1 confidence of"),
        (INTERACTIONS, {"indptr": np.zeros(31, dtype=np.int32)}, "do not divide its"),
        (ITEM_ITEM, {"trend": np.zeros(3, dtype=np.float32)}, "do not belong together"),
        (ITEM_ITEM, {"indices": np.full(20, 99, dtype=np.int32)}, "it names an item beyond its 20"),
        (HYBRID, {"fold_in": np.zeros(4)}, "instead of"),
    ],
)  # fmt: skip
def test_an_array_that_is_missing_or_something_else_is_named(
    parts: Parts, name: str, change: dict[str, np.ndarray | None], problem: str
) -> None:
    """Names, dtypes and shapes are checked where the file is read."""
    with np.load(io.BytesIO(parts.files[name])) as archive:
        arrays = {key: value for key, value in (dict(archive) | change).items() if value is not None}
    with pytest.raises(ArtifactCorrupt, match=rf"{name} cannot be read: .*{problem}"):
        READERS[name](npz(**arrays))


@pytest.mark.parametrize("ids", [[1, 1], [1.5], [True], {"1": 0}, None])
def test_ids_are_distinct_whole_numbers_or_texts(ids: object) -> None:
    """Two rows with one id would be one game at two places."""
    with pytest.raises(ArtifactCorrupt, match=METADATA):
        read_game_ids(json.dumps({"ids": ids}).encode())


def test_rows_of_the_factors_follow_the_order_of_the_ids() -> None:
    """Codes are places in the ascending order of ids: numbered in another order they are damage."""
    mapping = {"user_id_to_idx": {"2": 0, "10": 1}, "item_id_to_idx": {"b": 0, "a": 1}}
    with pytest.raises(ArtifactCorrupt, match="item_id_to_idx are not in ascending order"):
        read_ids({MAPPINGS: json.dumps(mapping).encode()}, ("integer", "string"))
    mapping["item_id_to_idx"] = {}
    users, items = read_ids({MAPPINGS: json.dumps(mapping).encode()}, ("integer", "string"))
    assert (users.ids(), len(items)) == ([2, 10], 0)


BEYOND = 2**80
"""No 64 bits hold it."""


@pytest.mark.parametrize(
    ("users", "items"),
    [([3, 1, 2], [10, 20]), (["b", "ä", "a", "\U0001f3b2"], [7]), ([5, BEYOND], ["x", 'q"uote']), ([-4, 0, 4], [1])],
)
def test_ids_come_back_from_either_file(users: list[Id], items: list[Id]) -> None:
    """Whole numbers of any width and texts: mapped from Arrow or read from JSON, the ids are the same, in one order."""
    maps = IdMap.of(users), IdMap.of(items)
    kinds = id_kinds(*maps)
    both = {USERS: written(partial(write_ids, ids=maps[0])), ITEMS: written(partial(write_ids, ids=maps[1]))}
    mappings = {MAPPINGS: written(partial(write_mappings, users=maps[0], items=maps[1]))}
    for contents in (both, mappings, both | mappings, {MAPPINGS: mappings[MAPPINGS], USERS: both[USERS]}):
        assert read_ids(contents, kinds) == maps
    again, _ = read_ids(both, kinds)
    assert [again.code_of(id_) for id_ in again.ids()] == list(range(len(users)))
    assert [again.code_of(id_) for id_ in (None, 1.5, True, Decimal("NaN"), "none such", 10**30, -(10**30))] == [
        None
    ] * 7


def test_mappings_are_streamed_as_json_writes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Piece by piece, ``cf_mappings.json`` has the bytes that it had in one: no reader sees a difference."""
    monkeypatch.setattr("recsys.release.formats._IDS", 3)
    users, items = IdMap.of([f"ü{number}" for number in range(8)]), IdMap.of(range(4))
    whole = {
        "user_id_to_idx": {str(id_): code for code, id_ in enumerate(users.ids())},
        "item_id_to_idx": {str(id_): code for code, id_ in enumerate(items.ids())},
    }
    expected = json.dumps(whole, ensure_ascii=False).encode()
    assert written(partial(write_mappings, users=users, items=items)) == expected


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        (pa.array([2, 1]), "not in ascending order"),
        (pa.array([1, 1]), "not in ascending order"),
        (pa.array([1, None]), "not in ascending order"),
        (pa.array([1.0, 2.0]), "of type double"),
        (pa.array(["a", "b"]), "its ids are no integer and integer"),
    ],
)
def test_other_ids_are_damage(values: pa.Array, problem: str) -> None:
    """A user's row is the place of their id: out of order it would be somebody else's."""
    items = written(partial(write_ids, ids=IdMap.of([1])))
    with pytest.raises(ArtifactCorrupt, match=problem):
        read_ids({USERS: written(partial(write_ids, ids=IdMap(values))), ITEMS: items}, ("integer", "integer"))


def test_a_table_without_its_columns_is_damage() -> None:
    """What serves the games counts on five columns."""
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"GAME_ID": [1], "NAME": ["x"]}), sink)
    with pytest.raises(ArtifactCorrupt, match=r"games.parquet cannot be read: it has no column CATEGORIES, MECHANICS"):
        read_games(sink.getvalue().to_pybytes())


def test_vectors_are_the_rows_of_the_index(parts: Parts) -> None:
    """What is read back is what was indexed."""
    vectors = read_vectors(parts.files[INDEX])
    assert vectors.shape == (20, 8)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-6)


def test_confidence_is_kept_where_there_is_one(parts: Parts) -> None:
    """The confidence of a rating as trained is optional: older files have none, and lose no byte for it."""
    stored = read_interactions(parts.files[INTERACTIONS])
    assert stored.confidence is not None
    assert read_interactions(written(write_interactions, replace(stored, confidence=None))).confidence is None
    assert written(write_interactions, stored) == parts.files[INTERACTIONS]
    confidence = np.linspace(0, 1, len(stored.ratings), dtype=np.float32)
    again = read_interactions(written(write_interactions, replace(stored, confidence=confidence)))
    assert again.confidence is not None
    np.testing.assert_array_equal(again.confidence, confidence)


def test_what_a_later_version_adds_is_passed_over(tmp_path: Path, parts: Parts) -> None:
    """A release with an array and a file that nobody here knows is verified and loaded."""
    stored = read_interactions(parts.files[INTERACTIONS])
    arrays = {"indptr": stored.indptr, "indices": stored.indices, "ratings": stored.ratings}
    more = {
        INTERACTIONS: npz(**arrays, confidence=stored.confidence, later=np.zeros(3)),
        "later.bin": b"later",
    }
    store = ReleaseStore(tmp_path, check=lambda *_: None)
    files = {name: data for name, data in parts.files.items() if name != ITEM_ITEM}  # which would change the answers
    replace(parts, files=files | more).publish(store, "later")
    store.verify()
    release = load_release(store.path())
    assert release.confidence is not None
    assert "later.bin" in set(release.manifest.files)
