"""How fast each way of encoding is on this machine."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from recsys.embedding import is_bert
from recsys.embedding.engine import load_engine
from recsys.embedding.hardware import probe
from recsys.embedding.model import find_model
from recsys.embedding.plan import choose, is_installed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from recsys.config import ContentSettings
    from recsys.embedding.engine import Engine
    from recsys.embedding.plan import Plan

ROUNDS = 3
"""Of each way, as long as they are short."""
_LONG_S = 5.0
"""A way that has taken so long is known well enough."""
_WARM_UP = 8
"""Texts that are encoded before: the first ones pay for what is made once."""
_AS_FAST = 0.9
"""Share of the best's speed from which on a difference may be chance."""


@dataclass(frozen=True)
class Way:
    """A way of encoding, and its speed.

    Attributes
    ----------
    plan
        The way.
    per_second
        Texts a second: the median of the rounds.
    """

    plan: Plan
    per_second: float

    @property
    def settings(self) -> dict[str, str]:
        """The settings that take this way on any machine that can."""
        plan = self.plan
        return {"content.engine": plan.engine, "content.precision": plan.precision, "content.device": plan.device}


def measure(settings: ContentSettings, texts: Sequence[str]) -> Iterator[Way]:
    """Encode the same texts in every way that this machine has and the settings leave open; nothing is kept.

    Parameters
    ----------
    settings
        What they name is kept to.
    texts
        Some texts of usual length.
    """
    folder = find_model(settings.model)
    for plan in _plans(settings):
        engine = load_engine(folder, plan)
        _seconds(engine, texts[:_WARM_UP])
        taken = list[float]()
        while len(taken) < ROUNDS and sum(taken) < _LONG_S:
            taken.append(_seconds(engine, texts))
        yield Way(plan, len(texts) / statistics.median(taken))


def _seconds(engine: Engine, texts: Sequence[str]) -> float:
    start = time.perf_counter()
    for _ in engine.embed(texts):
        pass
    return time.perf_counter() - start


def best(ways: Sequence[Way], chosen: Plan) -> Way:
    """Return the fastest way; the one that is taken anyway, where that is as fast."""
    fastest = max(ways, key=lambda way: way.per_second)
    own = next((way for way in ways if way.plan == chosen), fastest)
    return own if own.per_second >= _AS_FAST * fastest.per_second else fastest


def _plans(settings: ContentSettings) -> Iterator[Plan]:
    hardware, torch = probe(), is_installed("torch")
    cpu = [name for name in ("openvino", "torch") if is_installed(name) and (name == "torch" or is_bert(settings))]
    there = [("cpu", engine) for engine in cpu]
    gpu = "cuda" if not settings.device.startswith("cuda:") else settings.device
    there += [(name, "torch") for name, has in ((gpu, hardware.cuda), ("mps", hardware.mps)) if torch and has]
    for device, engine in there:
        for precision in ("float32", "bfloat16"):
            way = {"device": device, "engine": engine, "precision": precision}
            if all(getattr(settings, name) in {"auto", value} for name, value in way.items()):
                yield choose(settings.model_copy(update=way), hardware, bert=is_bert(settings))
