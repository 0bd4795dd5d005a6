"""How texts are encoded on a machine: device, precision and engine."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from recsys.embedding.processors import line_of
from recsys.errors import ConfigError, MissingExtra
from recsys.system.log import events, keys

if TYPE_CHECKING:
    from recsys.config import ContentSettings
    from recsys.embedding.hardware import Hardware
    from recsys.embedding.processors import Precision

log = events(__name__)

CPU_TOKENS = 2048
"""Tokens in a batch: 8 texts of full length, which a CPU encodes faster than 32."""
GPU_TOKENS = 32768
"""128 texts of full length, four times what ``encode()`` takes at once: docs/performance.md has the measurement."""

Engine = Literal["torch", "openvino"]

_PACKAGES: dict[Engine, tuple[str, ...]] = {
    "torch": ("torch", "sentence_transformers", "transformers", "tokenizers"),
    "openvino": ("openvino", "safetensors", "tokenizers"),
}
_EXTRAS: dict[Engine, str] = {"torch": "torch", "openvino": "train"}


@dataclass(frozen=True)
class Plan:
    """What was decided; ``auto`` has become a choice.

    Attributes
    ----------
    device
        ``cpu``, ``mps``, ``cuda`` or ``cuda:N``.
    precision
        Precision of matrix products and activations; vectors are always float32.
    engine
        What runs the model.
    threads
        CPU threads.
    batch_tokens
        Tokens in a batch, padding included.
    because
        Where the precision comes from, in words.
    """

    device: str
    precision: Precision
    engine: Engine
    threads: int
    batch_tokens: int = CPU_TOKENS
    because: str = field(default="", compare=False)


def is_installed(engine: Engine) -> bool:
    """Return whether everything that an engine imports is there, without importing it."""
    return all(importlib.util.find_spec(package) for package in _PACKAGES[engine])


def require_engine(plan: Plan) -> None:
    """Go on where the plan's engine is installed.

    Raises
    ------
    MissingExtra
        If it is not.
    """
    if not is_installed(plan.engine):
        raise MissingExtra(_EXTRAS[plan.engine], "encoding texts")


def computed_in(plan: Plan) -> Precision:
    """Return the precision that the plan's engine, which is installed, computes in here; OpenVINO is asked itself."""
    if (plan.engine, plan.precision) != ("openvino", "bfloat16"):
        return plan.precision
    from recsys.embedding.openvino_engine import computes_bfloat16

    return "bfloat16" if computes_bfloat16() else "float32"


def require_precision(plan: Plan) -> None:
    """Go on where the plan's engine computes in the plan's precision on this machine.

    Raises
    ------
    ConfigError
        If it would compute in another.
    """
    if computed_in(plan) != plan.precision:
        raise ConfigError(
            "content.precision = bfloat16, and OpenVINO computes in float32 on this processor all the same; "
            "set content.precision = float32, or auto, which also takes bfloat16 vectors from the cache"
        )


def choose(
    settings: ContentSettings,
    hardware: Hardware,
    *,
    openvino: bool | None = None,
    torch: bool | None = None,
    bert: bool = True,
) -> Plan:
    """Decide what the settings leave open: the fastest way on this hardware that keeps float32's neighbours.

    The precision on a CPU is what :data:`recsys.embedding.processors.TABLE` says of it; float32 on a GPU.

    Where neither engine is installed, the plan names the one to install: a machine that only reads
    releases encodes nothing. :func:`require_engine` says so where texts are about to be encoded.

    Parameters
    ----------
    settings
        ``device``, ``precision``, ``engine``, ``threads`` and ``batch_tokens``; what they name is taken or is an error.
    hardware
        What the machine can do.
    openvino, torch
        Whether the engine is installed; looked up when not given.
    bert
        Whether the model is one that OpenVINO runs here: see :mod:`recsys.embedding.openvino_bert`.

    Raises
    ------
    ConfigError
        If the settings ask for a device that is not there, for OpenVINO with a model that it does
        not run here, or contradict each other.
    MissingExtra
        If the settings ask for an engine that is not installed, or for a GPU or a model that only torch runs, and
        torch is not installed.
    """
    openvino = is_installed("openvino") if openvino is None else openvino
    torch = is_installed("torch") if torch is None else torch
    device = _device(settings.device, hardware, torch=torch)
    precision, because = _precision(settings, hardware, device)
    if settings.engine == "openvino":
        _require_openvino(settings, device, installed=openvino, bert=bert)
    elif not torch:
        _do_without_torch(settings, device, openvino=openvino, bert=bert)
        if hardware.cuda and settings.device == "auto":
            log.info("a GPU is here, and is not used", extra=keys(needs="the extra 'torch'"))
    engine: Engine = "openvino" if device == "cpu" and bert and (openvino or not torch) else "torch"
    if settings.engine != "auto":
        engine = settings.engine
    tokens = CPU_TOKENS if device == "cpu" else GPU_TOKENS
    if settings.batch_tokens != "auto":
        tokens = settings.batch_tokens
    return Plan(device, precision, engine, settings.threads or hardware.cores, tokens, because)


def keep(plan: Plan, settings: ContentSettings, kept: Precision | None) -> Plan:
    """Return a plan in the precision of the vectors that there are, unless the settings name another.

    Parameters
    ----------
    plan
        What was chosen for this machine.
    settings
        Those it was chosen by.
    kept
        Precision of the current release's vectors; None where there are none of this model.
    """
    if settings.precision != "auto" or kept in {None, plan.precision}:
        return plan
    log.info(
        "the precision of the current release's vectors is kept",
        extra=keys(precision=kept, here=plan.precision, to_change=f"content.precision={plan.precision}"),
    )
    because = f"the current release's; without one {plan.precision}, {plan.because}"
    return replace(plan, precision=kept, because=because)


def _precision(settings: ContentSettings, hardware: Hardware, device: str) -> tuple[Precision, str]:
    """Return the precision, and where it comes from."""
    if settings.precision != "auto":
        return settings.precision, "content.precision"
    if device != "cpu":
        return "float32", "on a GPU"
    line = line_of(hardware)
    return line.precision, f"on {line.name}"


def _require_openvino(settings: ContentSettings, device: str, *, installed: bool, bert: bool) -> None:
    if device != "cpu":
        raise ConfigError(f"content.engine = openvino runs on the CPU, and content.device is {device}; set one of them")
    if not installed:
        raise MissingExtra("openvino", "content.engine = openvino")
    if not bert:
        raise ConfigError(
            f"content.engine = openvino, and content.model = {settings.model} is no BERT with mean pooling, the only "
            "kind that OpenVINO runs here; set content.engine = torch, or leave it auto"
        )


def _do_without_torch(settings: ContentSettings, device: str, *, openvino: bool, bert: bool) -> None:
    if settings.engine == "torch":
        raise MissingExtra("torch", "content.engine = torch")
    if device != "cpu":
        raise MissingExtra("torch", f"content.device = {settings.device}")
    if openvino and not bert:
        raise MissingExtra(
            "torch",
            f"content.model = {settings.model} is no BERT with mean pooling, the only kind that OpenVINO runs here; it",
        )


def _device(device: str, hardware: Hardware, *, torch: bool) -> str:
    if device == "auto":
        return "cpu" if not torch else "cuda" if hardware.cuda else "mps" if hardware.mps else "cpu"
    there = {"cpu": True, "mps": hardware.mps, "cuda": hardware.cuda}
    if not there[device.partition(":")[0]]:
        raise ConfigError(
            f"content.device = {device}, and this machine has no such device (or CUDA_VISIBLE_DEVICES hides it, or the "
            "installed torch cannot use it); auto takes what is there"
        )
    return device
