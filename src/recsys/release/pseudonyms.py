"""Names for people that say nothing of them: on the page of a release, and in ``metrics.parquet``.

A pseudonym is a hash of the user's id, keyed with a digest of who rated what. Keyed, and not salted by chance: the same
ratings give the same names, so that a release can be made again to the byte. Ids alone can be guessed and hashed; who
rated what cannot. Whoever has the ratings can look a user up, and has all there is to know of them already. Where one
rating changes, everybody has another name: nobody is followed from night to night.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from recsys.marts.ids import Id

SHORT = 8
"""Signs of a pseudonym that a page shows."""

_BYTES = 16
"""Two of a billion users share a name with a chance of 1e-21."""


def pseudonym_key(
    indptr: npt.NDArray[np.integer], indices: npt.NDArray[np.integer], ratings: npt.NDArray[np.float32]
) -> bytes:
    """Return the key of a release's pseudonyms: SHA-256 of who rated what.

    Parameters
    ----------
    indptr, indices, ratings
        The three arrays of the CSR matrix users × games of all its ratings, sorted within rows.
    """
    digest = hashlib.sha256()
    for array, kind in ((indptr, np.int64), (indices, np.int32), (ratings, np.float32)):
        digest.update(np.ascontiguousarray(array, dtype=kind).data)
    return digest.digest()


def pseudonym(user_id: Id, key: bytes) -> str:
    """Return the name of a user: 32 hexadecimal signs, keyed BLAKE2b (RFC 7693) of the id as text."""
    return hashlib.blake2b(str(user_id).encode(), key=key, digest_size=_BYTES).hexdigest()
