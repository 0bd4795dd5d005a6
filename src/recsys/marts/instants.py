"""Times as the source's own types or as numbers have them, as microseconds since 1970; see ``times``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

EARLIEST, LATEST = np.datetime64("1900-01-01", "us"), np.datetime64("2100-01-01", "us")
"""The first moment that is a time of a rating, and the first that is none any more."""
SPAN = "1900-01-01 to 2099-12-31"
_UNIX = np.datetime64("1990-01-01", "s").astype(np.int64), np.datetime64("2100-01-01", "s").astype(np.int64)
_MICROS = 1_000_000
_LONGEST = 60


@dataclass(frozen=True)
class NumberForm:
    """A way to write times as numbers; no number is written in two of them.

    Attributes
    ----------
    name
        In words, with an example.
    fits
        Which of the numbers are written in it.
    micros
        Microseconds since 1970 of numbers that fit.
    """

    name: str
    fits: Callable[[npt.NDArray[Any]], npt.NDArray[np.bool_]]
    micros: Callable[[npt.NDArray[Any]], npt.NDArray[np.int64]]


def _unix(name: str, per_second: int) -> NumberForm:
    low, high = int(_UNIX[0]) * per_second, int(_UNIX[1]) * per_second

    def micros(numbers: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        if per_second > _MICROS:
            return (numbers // (per_second // _MICROS)).astype(np.int64)
        return np.asarray(np.round(numbers * (_MICROS // per_second)).astype(np.int64))

    return NumberForm(name, lambda numbers: (numbers >= low) & (numbers < high), micros)


def _is_year(numbers: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    return np.asarray((numbers >= 1900) & (numbers < 2100) & (numbers == np.floor(numbers)))


def _is_day(numbers: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    possible = (numbers >= 19000101) & (numbers <= 20991231) & (numbers == np.floor(numbers))
    whole = np.where(possible, numbers, 19000101).astype(np.int64)
    return np.asarray(possible & exists(whole // 10000, whole // 100 % 100, whole % 100))


def _day_micros(numbers: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    whole = numbers.astype(np.int64)
    return day_micros(whole // 10000, whole // 100 % 100, whole % 100)


def _is_second(numbers: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    possible = (numbers >= 19000101000000) & (numbers < 21000101000000) & (numbers == np.floor(numbers))
    day, clock = np.divmod(np.where(possible, numbers, 0).astype(np.int64), 1_000_000)
    sound = (clock // 10000 < 24) & (clock // 100 % 100 < 60) & (clock % 100 < 60)
    return np.asarray(possible & sound & _is_day(day))


def _second_micros(numbers: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    day, clock = np.divmod(numbers.astype(np.int64), 1_000_000)
    seconds = clock // 10000 * 3600 + clock // 100 % 100 * 60 + clock % 100
    return np.asarray(_day_micros(day) + seconds * _MICROS)


NUMBER_FORMS = (
    _unix("Unix seconds", 1),
    _unix("Unix milliseconds", 1_000),
    _unix("Unix microseconds", 1_000_000),
    _unix("Unix nanoseconds", 1_000_000_000),
    NumberForm("days written as 20240131", _is_day, _day_micros),
    NumberForm("times written as 20240131100000", _is_second, _second_micros),
    NumberForm("years", _is_year, lambda n: day_micros(n.astype(np.int64), np.array(1), np.array(1))),
)


def exists(
    year: npt.NDArray[np.int64], month: npt.NDArray[np.int64], day: npt.NDArray[np.int64]
) -> npt.NDArray[np.bool_]:
    """Tell which dates the calendar has."""
    sound = (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)
    first = _months(year, np.where(sound, month, 1)).astype("datetime64[D]")
    landed = (first + (np.where(sound, day, 1) - 1).astype("timedelta64[D]")).astype("datetime64[M]")
    return np.asarray(sound & (landed == first.astype("datetime64[M]")))


def day_micros(
    year: npt.NDArray[np.int64], month: npt.NDArray[np.int64], day: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Return microseconds since 1970 of days that exist, at midnight UTC."""
    first = _months(year, month).astype("datetime64[D]")
    return np.asarray((first + (day - 1).astype("timedelta64[D]")).astype("datetime64[us]").astype(np.int64))


def _months(year: npt.NDArray[np.int64], month: npt.NDArray[np.int64]) -> npt.NDArray[np.datetime64]:
    return np.asarray(((year - 1970) * 12 + month - 1).astype("datetime64[M]"))


def numbers_of(column: pa.Array) -> npt.NDArray[Any]:
    """Return integers, decimals or floats without null as int64 where that is exact, else float64."""
    if not pa.types.is_floating(column.type):
        try:
            return np.asarray(column.cast(pa.int64()))
        except pa.ArrowInvalid:  # a fraction, or beyond int64
            pass
    return np.asarray(column.cast(pa.float64(), safe=False))


def stamps_of(column: pa.Array) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Return dates or timestamps without null as microseconds since 1970, and which of them are in :data:`SPAN`.

    A timestamp without a zone counts as UTC. Of what is not in the span the microseconds mean nothing.
    """
    if pa.types.is_date32(column.type):
        column, unit = column.cast(pa.int32()).cast(pa.int64()), "D"
    elif pa.types.is_date64(column.type):
        column, unit = column.cast(pa.int64()), "ms"
    else:
        unit, column = column.type.unit, column.cast(pa.int64())
    raw = column.to_numpy(zero_copy_only=False)
    low, high = (int(bound.astype(f"datetime64[{unit}]").astype(np.int64)) for bound in (EARLIEST, LATEST))
    within = (raw >= low) & (raw < high)
    sound = np.where(within, raw, 0)
    return sound.astype(f"datetime64[{unit}]").astype("datetime64[us]").astype(np.int64), within


def shown(column: pa.Array, rows: Sequence[int]) -> list[str]:
    """Return cells as people name them; times in ISO 8601, whichever year they are of."""
    return [_shown(column[int(row)]) for row in rows]


def _shown(cell: pa.Scalar) -> str:
    kind = cell.type
    if not cell.is_valid:
        return "NULL"
    if pa.types.is_dictionary(kind):
        return _shown(cell.dictionary[cell.index.as_py()])
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        raw = pc.cast(pc.cast(cell, pa.int32()) if pa.types.is_date32(kind) else cell, pa.int64()).as_py()
        unit = kind.unit if pa.types.is_timestamp(kind) else "D" if pa.types.is_date32(kind) else "ms"
        # How DuckDB and PostgreSQL keep infinite times, and DuckDB infinite dates.
        endless = {2**63 - 1, (2**31 - 1) * 86_400_000 if unit == "ms" else 2**63 - 1}
        if abs(raw) in endless:
            return "infinity" if raw > 0 else "-infinity"
        return str(np.array(raw).astype(f"datetime64[{unit}]"))
    return short(cell.as_py())


def short(value: object) -> str:
    """Return a value as people name it, cut off where it is long."""
    text = repr(value) if isinstance(value, str) else str(value)
    text = text.encode(errors="backslashreplace").decode()
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
