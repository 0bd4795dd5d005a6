"""When ratings were given: one documented set of forms, decided for a column as a whole (docs/data.md).

What is no time, is written in another form than the rest, or is far from any time of a rating is
named, and nothing is guessed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recsys.marts.ids import UNLOADED_NULL
from recsys.marts.instants import EARLIEST, LATEST, NUMBER_FORMS, SPAN, numbers_of, short, shown, stamps_of
from recsys.marts.plain import NotPlain, arrow_of
from recsys.marts.time_texts import EITHER_WAY, FORMS, NUMBER, UNREAD, read_texts_of_times

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

_CAST = "cast it to a timestamp or a date"
_NUMBERS = (
    "numbers are read where a whole column holds Unix seconds, milliseconds, microseconds or nanoseconds of 1990 to"
    f" 2099, days written as 20240131, times written as 20240131100000, or years of 1900 to 2099; {_CAST}"
)


@dataclass(frozen=True)
class NoTimes:
    """Cells of a column that are no time.

    Attributes
    ----------
    rule
        What they are, what was expected, and what to do.
    rows
        bool, (rows,): where they stand.
    """

    rule: str
    rows: npt.NDArray[np.bool_]


@dataclass
class Times:
    """A column of times, read.

    Attributes
    ----------
    column
        The cells as they came; a series where Arrow has no type for them.
    micros
        int64, (rows,): microseconds since 1970, UTC; 0 where a cell is no time.
    form
        How numbers or texts were read, in words; empty where the column's type says what it is.
    faults
        What is no time, rule by rule; no row stands in two of them.
    """

    column: pa.Array | pd.Series[Any]
    micros: npt.NDArray[np.int64]
    form: str = ""
    faults: list[NoTimes] = field(default_factory=list)

    def samples(self, rows: npt.NDArray[np.intp]) -> list[str]:
        """Return the cells of some rows as people name them."""
        if isinstance(self.column, pa.Array):
            return shown(self.column, rows.tolist())
        return [short(self.column.iloc[row]) for row in rows]

    def refuse(self, rule: str, rows: npt.NDArray[np.bool_]) -> None:
        """Note rows that break a rule, if there are any."""
        if rows.any():
            self.faults.append(NoTimes(rule, rows))

    def only(self, form: str) -> None:
        """Say how the column was read."""
        self.form = form


def read_times(values: pd.Series[Any], name: str) -> Times:
    """Read a column that says when each rating was given.

    Parameters
    ----------
    values
        Dates or timestamps of any unit, with or without a zone, also as Python's objects; or numbers or
        texts, of one form each column.
    name
        What messages call the column.
    """
    try:
        column = arrow_of(values)
    except NotPlain as error:
        times = Times(values, np.zeros(len(values), np.int64))
        times.refuse(f"ratings whose {name} is {error}, not a time; {_CAST}", np.ones(len(values), dtype=np.bool_))
        return times
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if _is_text(column.type):
        column = column.cast(pa.large_string())
    times = Times(column, np.zeros(len(column), np.int64))
    present = np.asarray(column.is_valid())
    if _is_text(column.type):
        present &= ~np.asarray(
            pc.is_in(pc.utf8_trim_whitespace(column), value_set=pa.array(["", UNLOADED_NULL], column.type))
        )
    times.refuse(f"ratings whose {name} is null or blank", ~present)
    if present.any():
        _read_present(times, np.flatnonzero(present), name)
    if not times.faults and len(column) > 1 and times.micros.min() == times.micros.max():
        rule = "which orders nothing; name the column that says when each was given, or leave source.time_column empty"
        times.refuse(f"ratings whose {name} is one and the same time, {rule}", np.ones(len(column), dtype=np.bool_))
    return times


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _read_present(times: Times, rows: npt.NDArray[np.intp], name: str) -> None:
    """Read the cells that hold something, by the column's type."""
    column, kind = times.column.take(pa.array(rows)), times.column.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        micros, within = stamps_of(column)
        times.micros[rows[within]] = micros[within]
        times.refuse(_outside(name), _mask(times, rows[~within]))
    elif pa.types.is_float32(kind) or pa.types.is_float16(kind):
        rule = "which has too few digits for a time: its seconds and days are rounded"
        times.refuse(f"ratings whose {name} is {kind}, {rule}; {_CAST} where it is made", _mask(times, rows))
    elif pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        _read_numbers(times, rows, numbers_of(column), name)
    elif _is_text(kind):
        _read_texts(times, rows, pc.utf8_trim_whitespace(column), name)
    else:
        times.refuse(f"ratings whose {name} is {kind}, not a time; {_CAST}", _mask(times, rows))


def _mask(times: Times, rows: npt.NDArray[np.intp]) -> npt.NDArray[np.bool_]:
    mask = np.zeros(len(times.column), dtype=np.bool_)
    mask[rows] = True
    return mask


def _outside(name: str) -> str:
    return f"ratings whose {name} is not within {SPAN}; mend it, or leave such ratings out"


def _read_numbers(times: Times, rows: npt.NDArray[np.intp], numbers: npt.NDArray[Any], name: str) -> None:
    fitting = [form.fits(numbers) for form in NUMBER_FORMS]
    best = int(np.argmax([fits.sum() for fits in fitting]))
    form, fits = NUMBER_FORMS[best], fitting[best]
    if not fits.any():
        times.refuse(f"ratings whose {name} is a number that is no time; {_NUMBERS}", _mask(times, rows))
        return
    times.micros[rows[fits]] = form.micros(numbers[fits])
    times.refuse(
        f"ratings whose {name} is a number, and not {form.name} as most are; {_NUMBERS}", _mask(times, rows[~fits])
    )
    times.only(form.name)


def _read_texts(times: Times, rows: npt.NDArray[np.intp], texts: pa.Array, name: str) -> None:
    digits = np.asarray(pc.match_substring_regex(texts, NUMBER))
    if digits.all():
        whole = not pc.any(pc.match_substring(texts, ".")).as_py()
        _read_numbers(times, rows, _numbers(texts, whole=whole), name)
        return
    read = read_texts_of_times(texts)
    counts = np.bincount(read.form[read.form != UNREAD], minlength=len(FORMS))
    most = int(np.argmax(counts))
    either = np.asarray(pc.match_substring_regex(texts, EITHER_WAY)) & (read.form == UNREAD)
    unread = (read.form == UNREAD) & ~either
    other = (read.form != UNREAD) & (read.form != most)
    micros = np.where(read.real, read.micros, 0)
    within = (micros >= EARLIEST.astype(np.int64)) & (micros < LATEST.astype(np.int64))
    own = read.form == most
    good = own & read.real & within
    times.micros[rows[good]] = micros[good]
    for rule, some in (
        (
            f"ratings whose {name} has day and month that may stand either way round; write the year first: 2024-01-31",
            either,
        ),
        (f"ratings whose {name} is text in no form that is read; write 2024-01-31, or 2024-01-31 10:00:00", unread),
        (f"ratings whose {name} is not written as most are, {FORMS[most]}; write all in one form", other),
        (f"ratings whose {name} is a day or time that does not exist", own & ~read.real),
        (_outside(name), own & read.real & ~within),
    ):
        times.refuse(rule, _mask(times, rows[some]))
    times.only(f"text written as {FORMS[most]}")


def _numbers(texts: pa.Array, *, whole: bool) -> npt.NDArray[Any]:
    try:
        return np.asarray(texts.cast(pa.int64() if whole else pa.float64()))
    except pa.ArrowInvalid:  # beyond int64
        return np.asarray(texts.cast(pa.float64()))
