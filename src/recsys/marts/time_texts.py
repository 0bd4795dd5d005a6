"""Times written as text: the forms that are read, all of which have the year first or the month by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recsys.marts.instants import day_micros, exists

if TYPE_CHECKING:
    import numpy.typing as npt

_MONTHS = (
    "jan(?:uary)?", "feb(?:ruary)?", "mar(?:ch)?", "apr(?:il)?", "may", "june?", "july?", "aug(?:ust)?",
    "sep(?:t|tember)?", "oct(?:ober)?", "nov(?:ember)?", "dec(?:ember)?",
)  # fmt: skip
_SHORT = pa.array([month[:3] for month in _MONTHS])
_NAMED = f"(?P<month>(?i:{'|'.join(_MONTHS)}))"
_WEEKDAY = r"(?:(?i:mon|tue|wed|thu|fri|sat|sun)[a-z]*,? )?"
_TIME = r"(?:[T ](?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,](?P<fraction>\d{1,9}))?)?"
_ZONE = r"(?P<zone> ?(?:Z|UTC|GMT|(?P<sign>[+-])(?P<ahead>\d{2})(?::?(?P<more>\d{2}))?))?)?"
_TIGHT = r"(?:[T ]?(?P<hour>\d{2})(?P<minute>\d{2})(?P<second>\d{2})(?:[.,](?P<fraction>\d{1,9}))?"

_DATES = (
    ("2024-01-31", r"(?P<year>\d{4})-(?P<month>\d{1,2})-(?P<day>\d{1,2})", _TIME),
    ("2024/01/31", r"(?P<year>\d{4})/(?P<month>\d{1,2})/(?P<day>\d{1,2})", _TIME),
    ("2024.01.31", r"(?P<year>\d{4})\.(?P<month>\d{1,2})\.(?P<day>\d{1,2})", _TIME),
    ("20240131", r"(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2})", _TIGHT),
    ("2024-01", r"(?P<year>\d{4})-(?P<month>\d{2})(?P<day>)", _TIME),
    ("31 Jan 2024", rf"{_WEEKDAY}(?P<day>\d{{1,2}})[ -]{_NAMED}[ -](?P<year>\d{{4}})", _TIME),
    ("Jan 31, 2024", rf"{_WEEKDAY}{_NAMED}\.? (?P<day>\d{{1,2}}),? (?P<year>\d{{4}})", _TIME),
)
_PATTERNS = tuple(f"^{date}{time}{_ZONE}$" for _, date, time in _DATES)
_KINDS = ("", " 10:00:00", " 10:00:00+02:00")
FORMS = tuple(f"{example}{kind}" for example, _, _ in _DATES for kind in _KINDS)
"""Each form, as an example of it."""
UNREAD = -1
"""The form of a text that is in none."""
_DAY, _MINUTE = len("2024-01-31"), len("2024-01-31 10:00")
_SLICE = 1 << 20
"""Texts that are read at once: their parts take ten times their room."""

NUMBER = r"^-?\d+(?:\.\d+)?$"
"""Texts that are nothing but a number are read as numbers are."""
EITHER_WAY = r"^\d{1,2}[-/. ]\d{1,2}[-/. ](?:\d{4}|\d{2})\b"
"""Texts whose day and month may stand either way round."""


class Read(NamedTuple):
    """Texts, read.

    Attributes
    ----------
    form
        int8, (texts,): places in :data:`FORMS`, or :data:`UNREAD`.
    micros
        int64, (texts,): microseconds since 1970; without a zone the text counts as UTC.
    real
        bool, (texts,): false where calendar or clock have no such moment.
    """

    form: npt.NDArray[np.int8]
    micros: npt.NDArray[np.int64]
    real: npt.NDArray[np.bool_]


def read_texts_of_times(texts: pa.Array) -> Read:
    """Read texts without null, one by one: which form each is in, and what it says."""
    if (read := _read_alike(texts)) is not None:
        return read
    distinct = texts.dictionary_encode()
    parts = [_read_slice(distinct.dictionary.slice(at, _SLICE)) for at in range(0, len(distinct.dictionary), _SLICE)]
    places = np.asarray(distinct.indices)
    return Read(*(np.concatenate(each)[places] for each in zip(*parts, strict=True)))


def _read_alike(texts: pa.Array) -> Read | None:
    """Read texts all of which are in one of the first three forms, ten times faster; None where they are not."""
    lengths = pc.min_max(pc.utf8_length(texts))
    shortest, longest = lengths["min"].as_py(), lengths["max"].as_py()
    if not (shortest == longest == _DAY or shortest >= _MINUTE):
        return None
    for form, zone in ((0 if longest == _DAY else 1, None), (2, "UTC")):
        try:
            stamps = texts.cast(pa.timestamp("us", zone))
        except pa.ArrowInvalid:
            continue
        count = len(texts)
        micros = np.asarray(stamps.cast(pa.int64()))
        return Read(np.full(count, form, np.int8), micros, np.ones(count, dtype=np.bool_))
    return None


def _read_slice(texts: pa.Array) -> Read:
    read = Read(
        np.full(len(texts), UNREAD, np.int8), np.zeros(len(texts), np.int64), np.ones(len(texts), dtype=np.bool_)
    )
    for place, pattern in enumerate(_PATTERNS):
        rows = np.flatnonzero(read.form == UNREAD)
        if not len(rows):
            break
        found = pc.extract_regex(texts.take(pa.array(rows)), pattern=pattern)
        matched = np.asarray(found.is_valid())
        if matched.any():
            own = _read_parts(found.drop_null(), place)
            places = rows[matched]
            read.form[places], read.micros[places], read.real[places] = own
    return read


def _read_parts(found: pa.StructArray, place: int) -> Read:
    year, month, day = _whole(found, "year"), _month(found), _whole(found, "day", absent="1")
    hour, minute, second = (_whole(found, part) for part in ("hour", "minute", "second"))
    fraction = pc.utf8_rpad(found.field("fraction"), 9, "0").cast(pa.int64()).to_numpy(zero_copy_only=False) // 1000
    ahead, more = _whole(found, "ahead"), _whole(found, "more")
    real = exists(year, month, day) & (hour < 24) & (minute < 60) & (second < 60) & (ahead < 24) & (more < 60)
    days = day_micros(year, np.where(real, month, 1), np.where(real, day, 1))
    behind = np.where(np.asarray(pc.equal(found.field("sign"), "-")), -1, 1) * (ahead * 60 + more)
    micros = days + ((hour * 60 + minute - behind) * 60 + second) * 1_000_000 + fraction
    timed, zoned = (np.asarray(pc.not_equal(found.field(part), "")) for part in ("hour", "zone"))
    return Read((3 * place + timed.astype(np.int8) + zoned).astype(np.int8), micros, real)


def _month(found: pa.StructArray) -> npt.NDArray[np.int64]:
    month = found.field("month")
    if pc.all(pc.utf8_is_digit(month)).as_py():
        return _whole(found, "month")
    short = pc.utf8_lower(pc.utf8_slice_codeunits(month, 0, 3))
    return np.asarray(pc.index_in(short, value_set=_SHORT), dtype=np.int64) + 1


def _whole(found: pa.StructArray, part: str, absent: str = "0") -> npt.NDArray[np.int64]:
    digits = found.field(part)
    return np.asarray(pc.if_else(pc.equal(digits, ""), absent, digits).cast(pa.int64()))
