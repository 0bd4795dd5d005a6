"""Editions and reprints of one game, which need not fill a list."""

from __future__ import annotations

import re
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from recsys.serving.names import plain

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    import numpy.typing as npt

    from recsys.ranking.scorer import Ranked, Ranking

SAME_TEXT = 0.97
"""Cosine of embeddings from which on two texts tell of the same game."""

_SUBTITLE = re.compile(r"\s*[:(\[–—]|\s-\s")
_EDITION = re.compile(
    r"\b(the|a|an|(?:\w+ )?(?:edition|printing|anniversary)|deluxe|revised|collectors?|limited|classic|new|big box|"
    r"\d+(?:st|nd|rd|th)|(?:18|19|20)\d\d)\b"
)


def stem(name: str) -> str:
    """Return what editions of one game have in common: ``Catan: 3D Edition`` and ``CATAN (2015)`` are ``catan``.

    Games of one series have it in common too (``Star Wars: Rebellion``, ``Star Wars: X-Wing``): names do
    not tell them apart from editions, and on real catalogues neither do the texts.
    """
    main = plain(_SUBTITLE.split(name.strip(), maxsplit=1)[0]) or plain(name) or name.strip()
    bare = " ".join(_EDITION.sub(" ", main).split())
    return bare or main


class Editions:
    """Tells which games of a catalogue are one game.

    Parameters
    ----------
    names
        Names of all games, in the order of ``vectors``.
    vectors
        float32, (games, dimension): their embeddings, unit rows.
    """

    def __init__(self, names: Sequence[str], vectors: npt.NDArray[np.float32]) -> None:
        self._names = names
        self._vectors = vectors

    def distinct(self, rows: Collection[int], known: Sequence[int] = ()) -> Iterator[int]:
        """Yield the rows that are no edition of an earlier one, nor of a ``known`` one."""
        kept = np.empty((len(known) + len(rows), self._vectors.shape[1]), dtype=np.float32)
        kept[: len(known)] = self._vectors[list(known)]
        number = len(known)
        stems = {self._stems[row] for row in known}
        for row in rows:
            vector = self._vectors[row]
            if self._stems[row] in stems or (kept[:number] @ vector).max(initial=-1) >= SAME_TEXT:
                continue
            stems.add(self._stems[row])
            kept[number] = vector
            number += 1
            yield row

    def collapsed(self, rank: Ranking, k: int, without: npt.NDArray[np.intp]) -> Ranked:
        """Return the first ``k`` of a ranking, one edition of each game, and none of the games ``without``."""
        length = k * 2 + 20
        while True:
            rows, scores = rank(length)
            score_of = dict(zip(rows.tolist(), scores.tolist(), strict=True))
            kept = list(islice(self.distinct(score_of, without.tolist()), k))
            if len(kept) == k or len(rows) < length:
                return np.array(kept, dtype=np.intp), np.array([score_of[row] for row in kept], dtype=np.float32)
            length *= 4

    def prepare(self) -> None:
        """Build what the first question would build."""
        _ = self._stems

    @cached_property
    def _stems(self) -> list[str]:
        return [stem(name) for name in self._names]
