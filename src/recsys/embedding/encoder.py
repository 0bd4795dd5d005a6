"""The encoder: each distinct text once, from the cache or through the model."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
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
    from recsys.embedding.processors import Precision

log = events(__name__)

RECIPE_VERSION = "1"
"""Raised whenever the same text, model, precision and length would give another vector."""

_STORED_AT_ONCE = 1024
"""Vectors in one transaction of the cache: what an interrupted run loses at most."""


def recipe_of(model: ModelIdentity, precision: Precision) -> dict[str, str]:
    """Return everything that decides the vector of a text."""
    return {
        "revision": model.revision,
        "recipe_version": RECIPE_VERSION,
        "precision": precision,
        "max_tokens": str(model.max_tokens),
    }


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
    admitted
        Other precisions whose vectors are taken from the cache where it lacks a text in the plan's.

    Attributes
    ----------
    precisions
        How many of the vectors that :meth:`encode` returned last are of each precision.
    """

    def __init__(
        self,
        model: ModelIdentity,
        plan: Plan,
        load: Callable[[], Engine],
        cache: VectorCache | None = None,
        admitted: Sequence[Precision] = (),
    ) -> None:
        self.dimension = model.dimension
        self.plan = plan
        self.recipe: Mapping[str, str] = recipe_of(model, plan.precision)
        self.runs_on: Mapping[str, str] = {"engine": plan.engine, "device": plan.device}
        self.precisions: Mapping[str, int] = {}
        self._load = load
        self._cache = cache
        self._model = model
        self._admitted = tuple(dict.fromkeys((plan.precision, *admitted)))

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
        made = self._recall(distinct, vectors)
        if missing := [row for row in range(len(distinct)) if row not in made]:
            made |= dict.fromkeys(missing, self._encode_new(distinct, missing, vectors))
        counted = Counter[str](made[place[text]] for text in texts)
        self.precisions = dict(sorted(counted.items()))
        if self.precisions.keys() - {self.plan.precision}:
            chosen = keys(chosen=self.plan.precision, **self.precisions)
            log.info("not all vectors are of the precision that was chosen", extra=chosen)
        return vectors if len(distinct) == len(texts) else vectors[[place[text] for text in texts]]

    def unload(self) -> None:
        """Forget the model, and free its memory; it is loaded again when a text has to be encoded."""
        self.__dict__.pop("_engine", None)

    def _recall(self, texts: list[str], vectors: NDArray[np.float32]) -> dict[int, Precision]:
        """Write what the cache knows of ``texts[row]`` into ``vectors[row]``, and return its precision by row."""
        made: dict[int, Precision] = {}
        for precision in self._admitted:
            missing = [row for row in range(len(texts)) if row not in made]
            if self._cache is None or not missing:
                break
            digest = self._digest(precision)
            names = {row: _key(digest, texts[row]) for row in missing}
            known = self._cache.look_up(list(names.values()))
            for row, name in names.items():
                if name in known:
                    vectors[row], made[row] = known[name], precision
        return made

    def _encode_new(self, texts: list[str], rows: list[int], vectors: NDArray[np.float32]) -> Precision:
        """Encode ``texts[row]`` into ``vectors[row]``, and into the cache, for each of ``rows``; return in what."""
        engine = self._engine
        started, done = time.perf_counter(), list[int]()
        with progress("encoding texts", len(rows)) as advance:
            for places, outputs in engine.embed([texts[row] for row in rows]):
                some = [rows[place] for place in places]
                vectors[some] = unit(outputs)
                done += some
                advance(len(some))
                if len(done) >= _STORED_AT_ONCE:
                    self._keep(texts, done, vectors)
                    done = []
        self._keep(texts, done, vectors)
        plan, seconds = self.plan, time.perf_counter() - started
        log.info(
            "encoded texts",
            extra=keys(
                new=len(rows), cached=len(texts) - len(rows), seconds=seconds, per_second=len(rows) / seconds,
                engine=plan.engine, precision=engine.precision, device=plan.device, threads=plan.threads,
            ),
        )  # fmt: skip
        return engine.precision

    def _keep(self, texts: list[str], rows: list[int], vectors: NDArray[np.float32]) -> None:
        if self._cache and rows:
            digest = self._digest(self._engine.precision)
            self._cache.store([_key(digest, texts[row]) for row in rows], vectors[rows])

    @cached_property
    def _engine(self) -> Engine:
        started = time.perf_counter()
        with progress("loading the model", bar=False):
            engine = self._load()
        log.debug("model loaded", extra=keys(engine=self.plan.engine, seconds=time.perf_counter() - started))
        return engine

    def _digest(self, precision: Precision) -> bytes:
        recipe = recipe_of(self._model, precision)
        return hashlib.sha256("\n".join(f"{name}={value}" for name, value in recipe.items()).encode()).digest()


def _key(digest: bytes, text: str) -> bytes:
    return hashlib.sha256(digest + text.encode()).digest()


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
