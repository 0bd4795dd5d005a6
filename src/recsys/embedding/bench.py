"""How fast each way of encoding is on this machine."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from recsys.embedding import is_bert
from recsys.embedding.engine import load_engine
from recsys.embedding.hardware import probe
from recsys.embedding.model import find_model
from recsys.embedding.plan import choose, is_installed
from recsys.embedding.processors import PRECISIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from recsys.config import ContentSettings
    from recsys.embedding.engine import Engine
    from recsys.embedding.model import ModelFolder
    from recsys.embedding.plan import Plan

Name = TypeVar("Name")

ROUNDS = 5
"""Of each way, as long as they are short."""
_LONG_S = 5.0
"""A way that has taken so long is known well enough."""
_WARM_UP = 8
"""Texts that are encoded before: the first ones pay for what is made once."""
_FASTER = 1.1
"""How many times as fast another way must be: less may be chance."""


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
        """The settings of section ``content`` that take this way on any machine that can."""
        return {"engine": self.plan.engine, "precision": self.plan.precision, "device": self.plan.device}


def measure(settings: ContentSettings, texts: Sequence[str]) -> list[Way]:
    """Encode the same texts in every way that this machine has and the settings leave open; nothing is kept.

    The ways take turns, so that a machine that is busy for a while slows all of them.

    Parameters
    ----------
    settings
        What they name is kept to.
    texts
        Some texts of usual length.
    """
    folder = find_model(settings.model)
    rounds = in_turns({plan: encoding(engine) for plan, engine in engines(folder, settings)}, texts)
    return [Way(plan, len(texts) / statistics.median(seconds)) for plan, seconds in rounds.items()]


def encoding(engine: Engine) -> Callable[[Sequence[str]], None]:
    """Return what encodes texts by an engine, and lets go of the vectors."""

    def encode(texts: Sequence[str]) -> None:
        for _ in engine.embed(texts):
            pass

    return encode


def in_turns(
    encoders: Mapping[Name, Callable[[Sequence[str]], object]],
    texts: Sequence[str],
    rounds: int = ROUNDS,
    long_s: float = _LONG_S,
) -> dict[Name, list[float]]:
    """Let encoders encode the same texts in turns, round by round.

    Parameters
    ----------
    encoders
        What encodes, by name.
    texts
        What is encoded in each round; some of them once before.
    rounds
        How many rounds each has.
    long_s
        One that has taken so many seconds has no further round.

    Returns
    -------
    dict
        The seconds of each one's rounds, in the order of ``encoders``.
    """
    seconds: dict[Name, list[float]] = {name: [] for name in encoders}
    for encode in encoders.values():
        encode(texts[:_WARM_UP])
    for _ in range(rounds):
        for name, encode in encoders.items():
            if sum(seconds[name]) < long_s:
                start = time.perf_counter()
                encode(texts)
                seconds[name].append(time.perf_counter() - start)
    return seconds


def best(ways: Sequence[Way], chosen: Plan) -> Way:
    """Return the fastest way; the one that is taken anyway, where none is faster by a tenth."""
    fastest, own = max(ways, key=lambda way: way.per_second), taken(ways, chosen)
    return fastest if fastest.per_second >= _FASTER * own.per_second else own


def taken(ways: Sequence[Way], chosen: Plan) -> Way:
    """Return the way that a run takes: the engine's only one where it does not compute in the plan's precision here."""
    same = [way for way in ways if (way.plan.engine, way.plan.device) == (chosen.engine, chosen.device)]
    return next((way for way in same if way.plan.precision == chosen.precision), same[0])


def engines(folder: ModelFolder, settings: ContentSettings) -> Iterator[tuple[Plan, Engine]]:
    """Yield every way of encoding that this machine has and the settings leave open, with its engine."""
    for plan in _plans(settings):
        engine = load_engine(folder, plan)
        if engine.precision == plan.precision:
            yield plan, engine


def _plans(settings: ContentSettings) -> Iterator[Plan]:
    hardware, torch = probe(), is_installed("torch")
    cpu = [name for name in ("openvino", "torch") if is_installed(name) and (name == "torch" or is_bert(settings))]
    there = [("cpu", engine) for engine in cpu]
    gpu = "cuda" if not settings.device.startswith("cuda:") else settings.device
    there += [(name, "torch") for name, has in ((gpu, hardware.cuda), ("mps", hardware.mps)) if torch and has]
    for device, engine in there:
        for precision in PRECISIONS:
            way = {"device": device, "engine": engine, "precision": precision}
            if all(getattr(settings, name) in {"auto", value} for name, value in way.items()):
                yield choose(settings.model_copy(update=way), hardware, bert=is_bert(settings))
