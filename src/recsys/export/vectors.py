"""Factors and embeddings: a row for each user or game, the vector a list of float32."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import numpy.typing as npt

    from recsys.serving.snapshot import Snapshot

    Floats = npt.NDArray[np.float32]

_NUMBERS = 1 << 22
"""Numbers of the vectors of a batch, about; 16 MB."""


def vectors_of(
    at: Snapshot, games: pa.Array, of: str | None, origin: Mapping[str, pa.Scalar]
) -> tuple[pa.Schema, int, Iterator[pa.RecordBatch]]:
    """Return the columns, the number of rows, and the rows of a table of vectors.

    Parameters
    ----------
    at
        The release.
    games
        Ids of the catalogue.
    of
        Factors of ``users`` or ``games``, who have any; None for the embeddings of all games.
    origin
        Columns that are the same in all rows.
    """
    width = at.taste.factors.shape[1]
    table: Callable[[slice], Floats]
    if of is None:
        key, column, ids, width = "GAME_ID", "EMBEDDING", games, at.content.vectors.shape[1]
        table = at.content.vectors.__getitem__
    elif of == "games":
        key, column, ids = "GAME_ID", "FACTORS", games.take(pa.array(at.taste.rows))
        table = at.taste.factors.__getitem__
    else:
        known, users = np.flatnonzero(at.people.factors.known()), at.people.users.values
        key, column, ids = "USER_ID", "FACTORS", users if len(known) == len(users) else users.take(pa.array(known))

        def folded(rows: slice) -> Floats:
            return at.people.factors.many(known[rows])

        table = folded
    same = [(name, scalar.type) for name, scalar in origin.items()]
    schema = pa.schema([(key, ids.type), (column, pa.list_(pa.float32())), *same])
    return schema, len(ids), _batches(schema, ids, table, width, origin)


def _batches(
    schema: pa.Schema, ids: pa.Array, table: Callable[[slice], Floats], width: int, origin: Mapping[str, pa.Scalar]
) -> Iterator[pa.RecordBatch]:
    step = max(1, _NUMBERS // max(width, 1))
    for start in range(0, len(ids), step):
        part = np.ascontiguousarray(table(slice(start, start + step)))
        ends = pa.array(np.arange(0, part.size + 1, max(width, 1), dtype=np.int32))
        vectors = pa.ListArray.from_arrays(ends, pa.array(part.ravel()))
        same = [pa.repeat(scalar, len(part)) for scalar in origin.values()]
        yield pa.RecordBatch.from_arrays([ids.slice(start, len(part)), vectors, *same], schema=schema)
