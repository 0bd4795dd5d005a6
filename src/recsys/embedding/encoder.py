"""The encoder: each distinct text once, from the cache or through the model."""

from __future__ import annotations

import hashlib
import time
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from recsys.system.log import events, keys
from recsys.system.pulse import progress

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from recsys.embedding.cache import VectorCache
    from recsys.embedding.engine import Engine
    from recsys.embedding.model import ModelIdentity
    from recsys.embedding.plan import Plan

log = events(__name__)

RECIPE_VERSION = "1"
"""Raised whenever the same text, model, precision and length would give another vector."""

_STORED_AT_ONCE = 1024
"""Vectors in one transaction of the cache: what an interrupted run loses at most."""


class TextEncoder:
    """Encodes texts; see :class:`recsys.embedding.Encoder`.

    Parameters
    ----------
    model
        What the model is.
    plan
        How it is run.
    load
        Loads it; called when the first text has to be encoded.
    cache
        Where vectors are kept, or None.
    """

    def __init__(
        self, model: ModelIdentity, plan: Plan, load: Callable[[], Engine], cache: VectorCache | None = None
    ) -> None:
        self.dimension = model.dimension
        self.plan = plan
        self.recipe: Mapping[str, str] = {
            "revision": model.revision,
            "recipe_version": RECIPE_VERSION,
            "precision": plan.precision,
            "max_tokens": str(model.max_tokens),
        }
        self.runs_on: Mapping[str, str] = {"engine": plan.engine, "device": plan.device}
        self._load = load
        self._cache = cache

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return a unit vector for each text.

        Parameters
        ----------
        texts
            A list of texts; identical ones are encoded once.

        Returns
        -------
        ndarray of float32, shape (len(texts), dimension)
            C-contiguous.

        Raises
        ------
        TypeError
            If ``texts`` is one text: its characters would be taken for texts.
        ModelNotFound, MissingExtra
            If a text has to be encoded, and the model or a package is missing.
        ValueError
            If the model returns something that has no direction.
        """
        if isinstance(texts, str):
            raise TypeError("encode takes a list of texts and was given one text; pass [text]")
        place = {text: number for number, text in enumerate(dict.fromkeys(texts))}
        distinct = list(place)
        vectors = np.empty((len(distinct), self.dimension), dtype=np.float32)
        names = [self._key(text) for text in distinct]
        known = self._cache.look_up(names) if self._cache else {}
        for row, name in enumerate(names):
            if name in known:
                vectors[row] = known[name]
        missing = [row for row, name in enumerate(names) if name not in known]
        if missing:
            self._encode_new(distinct, names, missing, vectors)
        return vectors if len(distinct) == len(texts) else vectors[[place[text] for text in texts]]

    def unload(self) -> None:
        """Forget the model, and free its memory; it is loaded again when a text has to be encoded."""
        self.__dict__.pop("_engine", None)

    def _encode_new(self, texts: list[str], names: list[bytes], rows: list[int], vectors: NDArray[np.float32]) -> None:
        """Encode ``texts[row]`` into ``vectors[row]``, and into the cache, for each of ``rows``."""
        engine = self._engine
        started, done = time.perf_counter(), list[int]()
        with progress("encoding texts", len(rows)) as advance:
            for places, outputs in engine.embed([texts[row] for row in rows]):
                some = [rows[place] for place in places]
                vectors[some] = unit(outputs)
                done += some
                advance(len(some))
                if len(done) >= _STORED_AT_ONCE:
                    self._keep(names, done, vectors)
                    done = []
        self._keep(names, done, vectors)
        plan, seconds = self.plan, time.perf_counter() - started
        log.info(
            "encoded texts",
            extra=keys(
                new=len(rows), cached=len(texts) - len(rows), seconds=seconds, per_second=len(rows) / seconds,
                engine=plan.engine, precision=plan.precision, device=plan.device, threads=plan.threads,
            ),
        )  # fmt: skip

    def _keep(self, names: list[bytes], rows: list[int], vectors: NDArray[np.float32]) -> None:
        if self._cache and rows:
            self._cache.store([names[row] for row in rows], vectors[rows])

    @cached_property
    def _engine(self) -> Engine:
        started = time.perf_counter()
        with progress("loading the model", bar=False):
            engine = self._load()
        log.debug("model loaded", extra=keys(engine=self.plan.engine, seconds=time.perf_counter() - started))
        return engine

    @cached_property
    def _recipe_digest(self) -> bytes:
        return hashlib.sha256("\n".join(f"{name}={value}" for name, value in self.recipe.items()).encode()).digest()

    def _key(self, text: str) -> bytes:
        return hashlib.sha256(self._recipe_digest + text.encode()).digest()


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the rows scaled to length 1: lower precisions leave lengths of 0.996 to 1.004.

    Raises
    ------
    ValueError
        If a row is not finite, or zero.
    """
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not np.all(np.isfinite(lengths) & (lengths > 0)):
        wrong = int((~(np.isfinite(lengths) & (lengths > 0))).sum())
        raise ValueError(
            f"the embedding model returned {wrong} of {len(vectors)} vectors that are zero or not finite; "
            "try content.precision = float32 with content.engine = torch, and report it"
        )
    scaled: NDArray[np.float32] = (vectors / lengths).astype(np.float32, copy=False)
    return scaled
