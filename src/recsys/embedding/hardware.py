"""What this machine can do, asked of the machine itself and without importing torch."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from recsys.system.cores import usable_cores

if TYPE_CHECKING:
    from collections.abc import Mapping

_CPUINFO = Path("/proc/cpuinfo")
_NVIDIA = Path("/proc/driver/nvidia/gpus")
_NVIDIA_DEVICE = Path("/dev/nvidiactl")


@dataclass(frozen=True)
class Hardware:
    """What matters for encoding texts.

    Attributes
    ----------
    cores
        CPU cores that this process may use: its affinity, and the quota of its container.
    name
        What the maker calls the processor; the kind of machine where the system does not say.
    vendor, family
        Its maker and family as ``/proc/cpuinfo`` has them, such as ``AuthenticAMD`` and 25; ``""`` and None where the
        system does not say.
    amx, avx512_bf16
        Whether the CPU multiplies bfloat16 matrices in tiles, or in vectors. What that is worth:
        :mod:`recsys.embedding.processors`.
    cuda, mps
        Whether there is a GPU that torch can use: the torch that is installed, where one is.
    """

    cores: int
    name: str = ""
    vendor: str = ""
    family: int | None = None
    amx: bool = False
    avx512_bf16: bool = False
    cuda: bool = False
    mps: bool = False


def probe(cpuinfo_file: Path = _CPUINFO) -> Hardware:
    """Ask this machine."""
    cpuinfo = cpuinfo_file.read_text(encoding="utf-8", errors="replace") if cpuinfo_file.is_file() else ""
    flags, family = cpu_flags(cpuinfo), _entry(cpuinfo, {"cpu family"})
    return Hardware(
        cores=usable_cores(),
        name=_entry(cpuinfo, {"model name"}) or platform.processor() or platform.machine(),
        vendor=_entry(cpuinfo, {"vendor_id"}),
        family=int(family) if family.isdecimal() else None,
        amx="amx_bf16" in flags,
        avx512_bf16="avx512_bf16" in flags,
        cuda=nvidia_gpu() and not for_cpu_alone(_torch_version()),
        mps=platform.system() == "Darwin" and platform.machine() == "arm64",
    )


def cpu_flags(cpuinfo: str) -> frozenset[str]:
    """Return the instruction sets that a text in the form of ``/proc/cpuinfo`` lists for the first CPU."""
    return frozenset(_entry(cpuinfo, {"flags", "Features"}).split())


def _entry(cpuinfo: str, names: set[str]) -> str:
    for line in cpuinfo.splitlines():
        name, _, value = line.partition(":")
        if name.strip() in names:
            return value.strip()
    return ""


def nvidia_gpu(environ: Mapping[str, str] = os.environ, gpus: Path = _NVIDIA, device: Path = _NVIDIA_DEVICE) -> bool:
    """Return whether this process may use an NVIDIA GPU.

    ``CUDA_VISIBLE_DEVICES`` hides them: CUDA reads it up to the first entry that is no device, so
    that ``""`` and ``-1`` leave none. A container without a GPU still sees the host's in ``/proc``, and lacks the
    device file.
    """
    visible = environ.get("CUDA_VISIBLE_DEVICES", "0").partition(",")[0].strip()
    named = visible.isdecimal() or visible.startswith(("GPU-", "MIG-"))
    return named and gpus.is_dir() and any(gpus.iterdir()) and device.exists()


def for_cpu_alone(torch: str | None) -> bool:
    """Return whether a version of torch is a build that uses no GPU; one that is not installed yet may become any."""
    return torch is not None and torch.endswith("+cpu")


def _torch_version() -> str | None:
    try:
        return importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return None
