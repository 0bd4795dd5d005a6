"""Engines in microseconds, which compute in the precision that they say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from factories.tables import WordEncoder
from recsys.embedding.encoder import TextEncoder
from recsys.embedding.model import PINNED
from recsys.embedding.plan import Plan
from recsys.embedding.processors import PRECISIONS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from recsys.embedding.cache import VectorCache
    from recsys.embedding.processors import Precision


class WordEngine:
    """The vectors of :class:`factories.tables.WordEncoder`; in bfloat16 cut to its eight bits.

    Parameters
    ----------
    precision
        What it computes in.
    """

    def __init__(self, precision: Precision) -> None:
        self.precision: Precision = precision
        self.asked: list[str] = []

    def embed(self, texts: Sequence[str]) -> Iterator[tuple[NDArray[np.intp], NDArray[np.float32]]]:
        """Yield all the vectors at once."""
        self.asked += texts
        vectors = WordEncoder().encode(texts)
        if self.precision == "bfloat16":
            vectors = (vectors.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)
        yield np.arange(len(texts)), vectors


def word_encoder(
    engine: WordEngine, cache: VectorCache | None, planned: Precision | None = None, *, named: bool = False
) -> TextEncoder:
    """Return an encoder around an engine, under the recipe of the default model.

    Parameters
    ----------
    engine
        Computes the vectors.
    cache
        Where they are kept.
    planned
        The precision that was chosen; the engine's own when not given.
    named
        Whether the settings name it.
    """
    plan = Plan("cpu", planned or engine.precision, "openvino", 1)
    return TextEncoder(PINNED, plan, lambda: engine, cache, () if named else PRECISIONS)
