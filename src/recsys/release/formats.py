"""The content of the files of a release that are no arrays, read and written here and nowhere else.

Readers take a file's content. Whatever is wrong with it is an :class:`~recsys.errors.ArtifactCorrupt` that names
the file and the fault. Nothing is unpickled; ``cf_model.pkl`` is the matter of :mod:`recsys.release.unpickle`,
and files of arrays that of :mod:`recsys.release.arrays`.
"""

from __future__ import annotations

import json
import pickle
from typing import TYPE_CHECKING, BinaryIO, TypeAlias

from recsys.errors import ArtifactCorrupt
from recsys.release.damage import expect, reading
from recsys.release.layout import GAMES, INDEX, ITEMS, MAPPINGS, METADATA, USERS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import faiss
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa
    from implicit.cpu.als import AlternatingLeastSquares

    from recsys.marts.ids import Id, IdMap
    from recsys.release.arrays import IdKind
    from recsys.release.durable import Buffer

    Floats: TypeAlias = npt.NDArray[np.float32]

PICKLE_PROTOCOL = 5
"""Protocol of ``cf_model.pkl``, the one that is written and read: others spell arrays in other ways."""

_IDS = 1 << 16
"""Ids that are written at once."""
_NAMES = ("GAME_ID", "NAME", "CATEGORIES", "MECHANICS", "N_RATINGS")


def read_index(data: Buffer) -> faiss.IndexFlatL2:
    """Return the index of ``rag_index.faiss``; row i is the i-th id of ``metadata.json``.

    Raises
    ------
    ArtifactCorrupt
        If it is no exact L2 index.
    """
    import faiss
    import numpy as np

    with reading(INDEX):
        index = faiss.deserialize_index(np.frombuffer(data, dtype=np.uint8))
    if not isinstance(index, faiss.IndexFlatL2):
        raise ArtifactCorrupt(f"{INDEX} holds a {type(index).__name__} instead of an IndexFlatL2")
    return index


def read_vectors(data: Buffer) -> Floats:
    """Return the vectors of ``rag_index.faiss``, float32, (games, dimension); fails as :func:`read_index`."""
    index = read_index(data)
    vectors: Floats = index.reconstruct_n(0, index.ntotal)
    return vectors


def index_bytes(index: faiss.IndexFlatL2) -> memoryview:
    """Return the content of ``rag_index.faiss``.

    ``faiss.write_index`` "succeeds" on a full disk: it is for us to write the bytes.
    """
    import faiss

    data: memoryview = faiss.serialize_index(index).data
    return data


def read_game_ids(data: Buffer) -> list[Id]:
    """Return the ids of the catalogue's games that ``metadata.json`` holds, in the order of the index.

    Raises
    ------
    ArtifactCorrupt
        If it holds no list of distinct whole numbers or texts.
    """
    with reading(METADATA):
        ids = json.loads(bytes(data))["ids"]
    sound = isinstance(ids, list) and all(type(id_) in {int, str} for id_ in ids)
    expect(METADATA, sound=sound, problem="its ids are no list of whole numbers or texts")
    expect(METADATA, sound=len(set(ids)) == len(ids), problem="it holds an id twice")
    checked: list[Id] = ids
    return checked


def game_ids_bytes(ids: Sequence[Id]) -> bytes:
    """Return the content of ``metadata.json``."""
    return json.dumps({"ids": ids}, allow_nan=False, ensure_ascii=False).encode()


def read_ids(contents: Mapping[str, Buffer], kinds: tuple[IdKind, IdKind]) -> tuple[IdMap, IdMap]:
    """Return the maps of users and of rated games: of ``users.arrow`` and ``items.arrow``, else ``cf_mappings.json``.

    Parameters
    ----------
    contents
        Of the files of a release, by name.
    kinds
        ``integer`` or ``string`` for users and for games: :attr:`recsys.release.arrays.FactorsFile.id_kinds`.

    Raises
    ------
    ArtifactCorrupt
        If a file is not what its name says, or ids are not numbered 0 … n-1 in ascending order: a row of the factors
        would be somebody else's.
    """
    if USERS in contents and ITEMS in contents:
        users, items = _read_arrow(USERS, contents[USERS]), _read_arrow(ITEMS, contents[ITEMS])
        expect(MAPPINGS, sound=id_kinds(users, items) == kinds, problem=f"its ids are no {kinds[0]} and {kinds[1]}")
        return users, items
    return _read_mappings(contents[MAPPINGS], kinds)


def _read_arrow(name: str, data: Buffer) -> IdMap:
    import pyarrow as pa

    from recsys.marts.ids import IdMap

    with reading(name):
        table = pa.ipc.open_file(pa.BufferReader(pa.py_buffer(data))).read_all()
        (chunk,) = table.column(0).chunks or [pa.array([], table.schema.field(0).type)]
        chunk.validate(full=True)
    ids = IdMap(chunk)
    whole = pa.types.is_int64(chunk.type) or pa.types.is_decimal128(chunk.type) or pa.types.is_string(chunk.type)
    expect(name, sound=whole, problem=f"its ids are of type {chunk.type}")
    expect(name, sound=not chunk.null_count and _ascend(ids), problem="its ids are not in ascending order")
    return ids


def write_ids(out: BinaryIO, ids: IdMap) -> None:
    """Write ``users.arrow`` or ``items.arrow``: Arrow's file format, one column, one batch."""
    import pyarrow as pa

    batch = pa.record_batch([ids.values], names=["ID"])
    with pa.ipc.new_file(pa.PythonFile(out, mode="w"), batch.schema) as writer:
        writer.write_batch(batch)


def _read_mappings(data: Buffer, kinds: tuple[IdKind, IdKind]) -> tuple[IdMap, IdMap]:
    from recsys.marts.ids import IdMap

    maps = []
    with reading(MAPPINGS):
        tree = json.loads(bytes(data))
        for name, kind in zip(("user_id_to_idx", "item_id_to_idx"), kinds, strict=True):
            mapping = tree[name]
            if list(mapping.values()) != list(range(len(mapping))):
                raise ArtifactCorrupt(f"{MAPPINGS} does not number its ids 0 … {len(mapping) - 1} in order")
            ids = IdMap.from_texts(list(mapping), kind)
            expect(MAPPINGS, sound=_ascend(ids), problem=f"the ids of {name} are not in ascending order")
            maps.append(ids)
    return maps[0], maps[1]


def _ascend(ids: IdMap) -> bool:
    import pyarrow.compute as pc

    return pc.all(pc.less(ids.values[:-1], ids.values[1:]), min_count=0).as_py() is True


def id_kinds(users: IdMap, items: IdMap) -> tuple[IdKind, IdKind]:
    """Return the kinds of ids, which :func:`read_ids` takes."""
    return _kind(users), _kind(items)


def _kind(ids: IdMap) -> IdKind:
    return "string" if ids.kind == "string" else "integer"


def write_mappings(out: BinaryIO, users: IdMap, items: IdMap) -> None:
    """Write ``cf_mappings.json``: ids as texts, and their rows."""
    for name, ids, begin, end in (("user_id_to_idx", users, "{", ", "), ("item_id_to_idx", items, "", "}")):
        out.write(f'{begin}"{name}": {{'.encode())
        for start in range(0, len(ids), _IDS):
            codes = range(start, min(start + _IDS, len(ids)))
            some = {str(id_): code for id_, code in zip(ids.ids(codes), codes, strict=True)}
            out.write((", " * (start > 0) + json.dumps(some, ensure_ascii=False)[1:-1]).encode())
        out.write(f"}}{end}".encode())


def write_model(out: BinaryIO, model: AlternatingLeastSquares) -> None:
    """Write ``cf_model.pkl``; :func:`recsys.release.unpickle.load_als` reads it."""
    pickle.dump(model, out, protocol=PICKLE_PROTOCOL)


def read_games(data: Buffer) -> pa.Table:
    """Return the table of ``games.parquet``, which :func:`recsys.release.games.games_table` writes.

    Raises
    ------
    ArtifactCorrupt
        If it is no such table.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with reading(GAMES):
        # Threads cost more than they save on a table of this size; pq.read_table would import pandas.
        table = pq.ParquetFile(pa.BufferReader(data), pre_buffer=False).read(use_threads=False)
    missing = [name for name in _NAMES if name not in table.column_names]
    expect(GAMES, sound=not missing, problem=f"it has no column {', '.join(missing)}")
    expect(GAMES, sound=pa.types.is_integer(table["N_RATINGS"].type), problem="N_RATINGS holds no whole numbers")
    return table
