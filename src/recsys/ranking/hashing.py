"""Random numbers that belong to an id: the same for ever, whatever else the data holds.

A generator deals its numbers in the order of the rows, so one new row reshuffles everything after
it. A hash of the ids themselves does not.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from recsys.marts.ids import IdMap

GAMMA = np.uint64(0x9E3779B97F4A7C15)
"""2^64 divided by the golden ratio, and odd: adding it, or multiplying by it, repeats nothing for 2^64 steps."""
_ROUNDS = (
    (np.uint64(30), np.uint64(0xBF58476D1CE4E5B9)),
    (np.uint64(27), np.uint64(0x94D049BB133111EB)),
)
_LAST = np.uint64(31)


def mix(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Scramble 64-bit numbers one to one: every bit of the input moves half of the output's.

    The output function of SplitMix64 (Steele, Lea & Flood, "Fast splittable pseudorandom number
    generators", 2014).
    """
    mixed = values + GAMMA
    shifted = np.empty_like(mixed)
    for shift, factor in _ROUNDS:
        mixed ^= np.right_shift(mixed, shift, out=shifted)
        mixed *= factor
    mixed ^= np.right_shift(mixed, _LAST, out=shifted)
    return mixed


def id_hashes(ids: IdMap, purpose: str, seed: int) -> npt.NDArray[np.uint64]:
    """Return a 64-bit hash of each id's text; uint64, shape (ids,).

    The number 12 and the text "12" hash alike: a warehouse that changes the type of its ids does
    not reshuffle anything.

    Parameters
    ----------
    ids
        The map whose ids are hashed, in its order.
    purpose
        Up to 16 characters; different purposes get independent hashes.
    seed
        Different seeds get independent hashes.
    """
    key, person = seed.to_bytes(8, "little"), purpose.encode()
    digests = b"".join(blake2b(str(id_).encode(), digest_size=8, key=key, person=person).digest() for id_ in ids.ids())
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64)
