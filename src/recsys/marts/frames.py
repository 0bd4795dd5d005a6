"""From Arrow batches to the data frame that the trainer works with, in bounded memory.

Ids of the ratings arrive as millions of repeated values. They are dictionary-encoded as they come,
so that a row costs its two codes and its rating, and string ids cost their dictionary.
"""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recsys.marts.cells import ARROW_TYPES, DECLARED_TYPE
from recsys.marts.ids import DECIMAL, IdMap, NotAnId, encode, id_array, id_array_of, python_ids, sort_codes
from recsys.marts.schema import RATING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from concurrent.futures import Future

    import numpy.typing as npt
    import pandas as pd

_GROUP = 1 << 20
"""Values of a column that are encoded at once."""
_PART = 1 << 17
"""Codes that are renumbered at once."""
_NULL = -(2**31)
"""Stands for null among integers of 32 bits."""


def frame_of(schema: pa.Schema, batches: Iterable[pa.RecordBatch], encoded: frozenset[str]) -> pd.DataFrame:
    """Collect batches into a data frame.

    Parameters
    ----------
    schema
        Schema of every batch; a column of integers may come as decimals from some batch on.
    batches
        Consumed once.
    encoded
        Columns that become categorical, their categories in ascending order. A column whose
        values cannot be ids stays as it is, for the data contract to report.

    Returns
    -------
    pandas.DataFrame
        Numbers with a fraction as float64, ratings beside encoded columns as float32; categorical ids,
        integers as int64 (as objects where there are nulls, so that none loses digits), dates and timestamps
        beside encoded columns as datetime64 (with a zone in UTC), everything else as pandas objects. ``attrs``
        names the type that each column arrived in.
    """
    import pandas as pd

    columns: list[_Codes | _Plain] = [
        _Codes() if field.name in encoded else _Plain(field, rated=bool(encoded)) for field in schema
    ]
    with _system_memory(), ThreadPoolExecutor(len(columns), thread_name_prefix="encoding") as threads:
        # Arrow encodes without the interpreter's lock: one batch is encoded while the next one is fetched.
        encoding: list[Future[None]] = []
        for batch in batches:
            schema = _widest(schema, batch.schema)
            _finish(encoding)
            encoding = [threads.submit(each.append, part) for each, part in zip(columns, batch.columns, strict=True)]
        _finish(encoding)
        series = list(threads.map(lambda column: column.series(), columns))
    frame = pd.DataFrame(dict(zip(schema.names, series, strict=True)), copy=False)
    frame.attrs[ARROW_TYPES] = {field.name: _type_of(field) for field in schema}
    return frame


def _widest(schema: pa.Schema, of_batch: pa.Schema) -> pa.Schema:
    for index, (field, kind) in enumerate(zip(schema, of_batch.types, strict=True)):
        if _widens(field.type, kind):
            schema = schema.set(index, field.with_type(kind))
    return schema


def _widens(before: pa.DataType, kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(before) and pa.types.is_decimal(kind))


def _type_of(field: pa.Field) -> str:
    """Return a column's type in words: the warehouse's where the source says it, else Arrow's."""
    declared = (field.metadata or {}).get(DECLARED_TYPE)
    return declared.decode() if declared else re.sub(r"list<\w*: ", "list<", str(field.type))


@contextmanager
def _system_memory() -> Iterator[None]:
    """Have Arrow ask the system for memory: its own pool keeps what is freed, hundreds of MB at 19M rows."""
    before = pa.default_memory_pool()
    pa.set_memory_pool(pa.system_memory_pool())
    try:
        yield
    finally:
        pa.set_memory_pool(before)


def _finish(tasks: list[Future[None]]) -> None:
    for task in tasks:
        task.result()


class _Plain:
    """A column that is kept as Arrow sends it; numbers with a fraction become of one type.

    Parameters
    ----------
    field
        Its name and type.
    rated
        Whether it is of the ratings, of which there are millions: they take float32, and times no objects.
    """

    def __init__(self, field: pa.Field, *, rated: bool) -> None:
        kind = field.type
        if pa.types.is_floating(kind) or (pa.types.is_decimal(kind) and kind.scale > 0):
            kind = _fraction(field, rated=rated)
        elif rated and pa.types.is_timestamp(kind) and kind.tz:
            kind = pa.timestamp(kind.unit, "UTC")  # the same moments; pandas need not know the zone
        self.kind = kind
        self.rated = rated
        self.chunks: list[pa.Array] = []
        self.numbers = _Grown(kind.to_pandas_dtype()) if pa.types.is_floating(kind) else None

    def append(self, values: pa.Array) -> None:
        if _widens(self.kind, values.type):
            self.kind = values.type
            self.chunks = [chunk.cast(self.kind) for chunk in self.chunks]
        values = values.cast(self.kind, safe=False) if values.type != self.kind else values
        if self.numbers is None:
            self.chunks.append(values)
        else:
            self.numbers.append(values.to_numpy(zero_copy_only=False))  # NaN for null

    def series(self) -> pd.Series:
        import pandas as pd

        if self.numbers is not None:
            return pd.Series(self.numbers.taken(), copy=False)
        chunked = pa.chunked_array(self.chunks, type=self.kind)
        self.chunks = []
        if pa.types.is_decimal(self.kind):
            return pd.Series([None if value is None else int(value) for value in chunked.to_pylist()], dtype=object)
        if not _becomes_pandas(self.kind):
            return pd.Series(chunked.to_pylist(), dtype=object)
        # Python's dates end with the year 9999; those of a warehouse may be infinite.
        objects = not self.rated and not _is_beyond_python(chunked)
        return pd.Series(
            chunked.to_pandas(integer_object_nulls=True, date_as_object=objects, self_destruct=True), copy=False
        )


def _fraction(field: pa.Field, *, rated: bool) -> pa.DataType:
    if not rated:
        return pa.float64()
    if field.name == RATING:
        return pa.float32()
    return field.type if pa.types.is_floating(field.type) else pa.float64()  # a float of 32 bits stays known as one


def _is_beyond_python(column: pa.ChunkedArray) -> bool:
    """Tell whether a column holds dates that Python has no object for."""
    if not pa.types.is_date(column.type):
        return False
    first, last = (pa.scalar(day).cast(column.type) for day in (date.min, date.max))
    return bool(pc.any(pc.or_(pc.less(column, first), pc.greater(column, last))).as_py())


def _becomes_pandas(kind: pa.DataType) -> bool:
    """Tell whether Arrow makes a column of pandas of a type: of unions and lists of string views it does not."""
    try:
        pa.chunked_array([], type=kind).to_pandas()
    except pa.ArrowNotImplementedError:
        return False
    return True


class _Grown:
    """An array that grows at its end in place, so that its values are held once.

    Parameters
    ----------
    kind
        Its type.
    """

    def __init__(self, kind: npt.DTypeLike) -> None:
        self._held: npt.NDArray[Any] = np.empty(0, kind)
        self._rows = 0

    def __len__(self) -> int:
        return self._rows

    def append(self, values: npt.NDArray[Any]) -> None:
        end = self._rows + len(values)
        if end > len(self._held):
            # No view of it outlives a statement. The system moves the pages of a large one and copies none.
            self._held.resize(end + end // 8 + _GROUP // 16, refcheck=False)
        self._held[self._rows : end] = values
        self._rows = end

    def taken(self) -> npt.NDArray[Any]:
        """Return the array; nothing is appended any more."""
        self._held.resize(self._rows, refcheck=False)
        return self._held


class _Codes:
    """A column of ids, held as codes.

    Batches are encoded in groups with a dictionary each: one for each batch would hold nearly every
    id again in each of them, and waiting for the last one would hold every value. Integers of 32 bits take no
    more room than codes: they are held as they are, and where they lie close together, none is ever hashed.
    """

    def __init__(self) -> None:
        self.values: list[pa.Array] = []
        self.codes = _Grown(np.int32)
        self.groups: list[tuple[int, pa.Array]] = []
        """Number of values, and dictionary."""
        self.raw = True
        """Whether ``codes`` are the ids themselves, ``_NULL`` for null."""
        self.least, self.greatest = 2**31, -(2**31)

    def append(self, values: pa.Array) -> None:
        if not len(values):
            return  # a group of nothing but empty batches would have no dictionary
        values = values.dictionary_decode() if pa.types.is_dictionary(values.type) else values
        if self.raw and self._append_raw(values):
            return
        if self.raw:
            self._leave_raw()
        if self.values and _widens(self.values[0].type, values.type):
            self._encode()
        self.values.append(values)
        if sum(map(len, self.values)) >= _GROUP:
            self._encode()

    def series(self) -> pd.Series:
        import pandas as pd

        if self.raw and len(self.codes) and not self._is_dense():
            self._leave_raw()
        if self.values:
            self._encode()
        if not len(self.codes):
            return pd.Series(pd.Categorical([]))
        codes = self.codes.taken()
        if self.raw:
            ids = self._counted(codes)
        else:
            unified = self._unified()
            dictionary = unified.chunk(unified.num_chunks - 1).dictionary
            try:
                renumbered, ids = sort_codes(
                    np.concatenate([np.asarray(part.indices) for part in unified.chunks]), dictionary
                )
            except NotAnId:
                return self._decoded(codes)
            self._renumber(codes, renumbered)
        return pd.Series(pd.Categorical.from_codes(codes, categories=categories(ids), validate=False))

    def _append_raw(self, values: pa.Array) -> bool:
        """Hold integers as they are, if all of them are of 32 bits; return whether they are."""
        kind = values.type
        if not (pa.types.is_integer(kind) or (pa.types.is_decimal128(kind) and kind.scale == 0)):
            return False
        try:
            numbers = values.cast(pa.int64()).cast(pa.int32())
        except pa.ArrowInvalid:
            return False
        ends = pc.min_max(numbers).as_py()
        if ends["min"] is not None:
            if ends["min"] == _NULL:
                return False
            self.least, self.greatest = min(self.least, ends["min"]), max(self.greatest, ends["max"])
        self.codes.append(np.asarray(numbers.fill_null(_NULL)))
        return True

    def _leave_raw(self) -> None:
        """Encode the integers that are held, group by group, in their place."""
        self.raw = False
        held, self.codes = self.codes.taken(), _Grown(np.int32)
        for start in range(0, len(held), _GROUP):
            part = held[start : start + _GROUP]
            self.values = [pa.array(part, mask=part == _NULL).cast(pa.int64())]
            self._encode()

    def _is_dense(self) -> bool:
        """Tell whether a table of all numbers between the least id and the greatest takes less than the codes."""
        return self.greatest - self.least < max(len(self.codes) // 2, _GROUP // 16)

    def _counted(self, codes: npt.NDArray[np.int32]) -> IdMap:
        """Turn integers into codes in place, without hashing; return their map."""
        parts = [codes[start : start + _PART] for start in range(0, len(codes), _PART)]
        used = np.zeros(max(self.greatest - self.least + 1, 0), dtype=bool)
        for part in parts:
            used[part[part != _NULL] - np.int32(self.least)] = True
        places = np.cumsum(used, dtype=np.int32) - np.int32(1)
        for part in parts:
            known = part != _NULL
            part[known] = places[part[known] - np.int32(self.least)]
            part[~known] = -1
        return IdMap(pa.array(np.flatnonzero(used) + self.least, pa.int64()))

    def _encode(self) -> None:
        """Turn the values that wait into a group."""
        encoded = pa.chunked_array(self.values).dictionary_encode()
        self.values = []
        for chunk in encoded.chunks:
            self.codes.append(np.asarray(chunk.indices.fill_null(-1)))
        self.groups.append((len(encoded), encoded.chunk(0).dictionary))

    def _unified(self) -> pa.ChunkedArray:
        """Return each group's dictionary as codes into one that all share."""
        kind = self._kind()
        each = [
            pa.DictionaryArray.from_arrays(np.arange(len(dictionary), dtype=np.int32), dictionary.cast(kind))
            for _, dictionary in self.groups
        ]
        return pa.chunked_array(each).unify_dictionaries()

    def _kind(self) -> pa.DataType:
        """Return the type that holds every group's ids."""
        kinds = {dictionary.type for _, dictionary in self.groups}
        return kinds.pop() if len(kinds) == 1 else DECIMAL

    def _renumber(self, codes: npt.NDArray[np.int32], renumbered: npt.NDArray[np.int32]) -> None:
        """Turn each group's codes into the final ones in place.

        Parameters
        ----------
        codes
            Of all values, -1 for null.
        renumbered
            The final code of each entry of each group's dictionary, one group after the other.
        """
        start = begin = 0
        for rows, dictionary in self.groups:
            own = np.append(renumbered[begin : begin + len(dictionary)], np.int32(-1))
            begin += len(dictionary)
            for place in range(start, start + rows, _PART):
                part = codes[place : min(place + _PART, start + rows)]
                part[:] = own[part]
            start += rows

    def _decoded(self, codes: npt.NDArray[np.int32]) -> pd.Series:
        """Return the values as they came."""
        kind, start, parts = self._kind(), 0, []
        for rows, dictionary in self.groups:
            part = codes[start : start + rows]
            parts.append(dictionary.take(pa.array(part, mask=part < 0)).cast(kind))
            start += rows
        return cast("pd.Series[Any]", pa.chunked_array(parts).to_pandas())


def categories(ids: IdMap) -> pd.Index[Any]:
    """Return a map's ids as the categories of a categorical column."""
    import pandas as pd

    exact = pa.types.is_decimal(ids.values.type)
    index = pd.Index(python_ids(ids.values), dtype=object) if exact else pd.Index(ids.values.to_pandas())
    return cast("pd.Index[Any]", index)


def codes_of(column: pd.Series) -> tuple[npt.NDArray[np.int32], IdMap]:
    """Split a data frame's column of ids, categorical or not, into codes and their map.

    Returns
    -------
    codes
        int32, shape (rows,), following the ids' order; -1 where the id is null.
    ids
        The distinct ids.

    Raises
    ------
    recsys.marts.ids.NotAnId
        If the values cannot be ids.
    """
    import pandas as pd

    if isinstance(column.dtype, pd.CategoricalDtype):
        try:
            return _of_categories(column)
        except NotAnId:  # of a category that no row has, perhaps
            return _of_categories(column.cat.remove_unused_categories())
    return encode(id_array_of(column))


def _of_categories(column: pd.Series) -> tuple[npt.NDArray[np.int32], IdMap]:
    codes = column.cat.codes.to_numpy().astype(np.int32, copy=False)
    return sort_codes(codes, id_array(id_array_of(column.cat.categories)))
