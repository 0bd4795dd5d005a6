"""Fingerprints of the data: equal for equal rows in any order, and for nothing else by accident.

Every row gets a 64-bit hash; the sums of all hashes and of their squares, modulo 2^64, do not depend
on the order of rows. That is the multiset hash AdHash (Bellare & Micciancio, EUROCRYPT 1997)
with a mixing function in place of a cryptographic one: it tells whether a nightly load has changed,
it does not withstand somebody who forges one.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

from recsys.ranking.hashing import GAMMA, mix

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt
    import pyarrow as pa

    from recsys.marts.ids import IdMap


def ratings_fingerprint(
    users: IdMap,
    items: IdMap,
    matrix: Any,
    rated_at: npt.NDArray[np.int64] | None = None,
    *,
    chunk: int = 1 << 17,
) -> str:
    """Return the fingerprint of who rated what, how (and when).

    Parameters
    ----------
    users, items
        Ids of rows and columns.
    matrix
        CSR, float32, users × items.
    rated_at
        int64, microseconds, aligned with ``matrix.data``; None where the mart does not say.
    chunk
        Ratings hashed at once: few enough to stay in the processor's cache.

    Returns
    -------
    str
        Number of ratings and two sums: ``"1163960-<16 hex digits>-<16 hex digits>"``.
    """
    user_hashes, item_hashes = _id_hashes(users.values), _id_hashes(items.values)
    sums = np.zeros(2, dtype=np.uint64)
    rows = np.searchsorted(matrix.indptr, np.arange(0, matrix.nnz, chunk), side="right") - 1
    for number, start in enumerate(range(0, matrix.nnz, chunk)):
        stop = min(start + chunk, matrix.nnz)
        last = int(np.searchsorted(matrix.indptr, stop, side="left"))
        bounds = np.clip(matrix.indptr[rows[number] : last + 1], start, stop)
        hashes = np.repeat(user_hashes[rows[number] : last], np.diff(bounds))
        hashes ^= mix(item_hashes[matrix.indices[start:stop]])
        hashes += matrix.data[start:stop].view(np.uint32) * GAMMA
        if rated_at is not None:
            hashes ^= mix(rated_at[start:stop].view(np.uint64))
        sums += _two_sums(hashes)
    return _text(matrix.nnz, sums)


def games_fingerprint(columns: Sequence[Iterable[object]]) -> str:
    """Return the fingerprint of a catalogue.

    Parameters
    ----------
    columns
        The values of each column, all of one length; the order of columns counts, that of rows does
        not.

    Returns
    -------
    str
        Number of games and two sums: ``"22000-<16 hex digits>-<16 hex digits>"``.
    """
    hashes = np.array([_text_hash(repr(row)) for row in zip(*columns, strict=True)], dtype=np.uint64)
    return _text(len(hashes), _two_sums(hashes))


def _id_hashes(values: pa.Array) -> npt.NDArray[np.uint64]:
    import pyarrow as pa

    if pa.types.is_int64(values.type):
        return mix(np.asarray(values).view(np.uint64))
    return np.array([_text_hash(str(value)) for value in values.to_pylist()], dtype=np.uint64)


def _text_hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def _two_sums(hashes: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    mixed = mix(hashes)
    return np.array([mixed.sum(dtype=np.uint64), np.dot(mixed, mixed)], dtype=np.uint64)


def _text(rows: int, sums: npt.NDArray[np.uint64]) -> str:
    return f"{rows}-{int(sums[0]):016x}-{int(sums[1]):016x}"
