"""Which precision is fast on which processor: a table of measurements, the first line that fits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

    from recsys.embedding.hardware import Hardware

Precision = Literal["float32", "bfloat16"]
PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16")

_ZEN_4_AND_5 = {25, 26}
"""Families of AMD; 25 is Zen 3 too, which has no AVX512-BF16."""


@dataclass(frozen=True)
class Line:
    """One line of the table.

    Attributes
    ----------
    name
        Which processors, in words.
    fits
        Whether a processor is one of them.
    precision
        What ``auto`` takes there.
    measured
        What was measured, on real texts and two cores; ``encode()`` is sentence-transformers' own, in float32.
    """

    name: str
    fits: Callable[[Hardware], bool]
    precision: Precision
    measured: str


TABLE = (
    Line(
        "a CPU with AMX",
        lambda hardware: hardware.amx,
        "bfloat16",
        "Xeon with AMX, against encode(): OpenVINO bfloat16 4.27, float32 1.27; torch bfloat16 2.95",
    ),
    Line(
        "AMD Zen 4 or 5 with AVX512-BF16",
        lambda hardware: hardware.avx512_bf16 and hardware.vendor == "AuthenticAMD" and hardware.family in _ZEN_4_AND_5,
        "bfloat16",
        "EPYC with AVX512-BF16, against encode(): OpenVINO bfloat16 2.57, float32 1.56; torch bfloat16 1.91",
    ),
    Line(
        "another CPU with AVX512-BF16 and without AMX",
        lambda hardware: hardware.avx512_bf16,
        "float32",
        "Xeon with AVX512-BF16, texts/s: encode() 36, OpenVINO float32 48, bfloat16 29; torch float32 43, bfloat16 25",
    ),
    Line(
        "a CPU with neither AMX nor AVX512-BF16",
        lambda _: True,
        "float32",
        "EPYC Zen 3, against encode(): OpenVINO float32 1.70; torch float32 0.87, bfloat16 0.22",
    ),
)
"""A processor that nobody has measured falls to the last lines: OpenVINO in float32 beat ``encode()`` on all."""


def line_of(hardware: Hardware) -> Line:
    """Return the line of the table for this machine's processor."""
    return next(line for line in TABLE if line.fits(hardware))
