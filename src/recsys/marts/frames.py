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
from recsys.marts.ids import IdMap, NotAnId, encode, id_array, id_array_of, python_ids, sort_codes
from recsys.marts.schema import RATING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from concurrent.futures import Future

    import numpy.typing as npt
    import pandas as pd

_GROUP = 1 << 20
"""Values of a column that are encoded at once."""


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

    def append(self, values: pa.Array) -> None:
        if _widens(self.kind, values.type):
            self.kind = values.type
            self.chunks = [chunk.cast(self.kind) for chunk in self.chunks]
        self.chunks.append(values.cast(self.kind, safe=False) if values.type != self.kind else values)

    def series(self) -> pd.Series:
        import pandas as pd

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


class _Codes:
    """A column of ids, held as codes.

    Batches are encoded in groups with a dictionary each: one for each batch would hold nearly every
    id again in each of them, and waiting for the last one would hold every value.
    """

    def __init__(self) -> None:
        self.values: list[pa.Array] = []
        self.groups: list[tuple[list[pa.Array], pa.Array]] = []

    def append(self, values: pa.Array) -> None:
        if not len(values):
            return  # a group of nothing but empty batches would have no dictionary
        values = values.dictionary_decode() if pa.types.is_dictionary(values.type) else values
        if self.values and _widens(self.values[0].type, values.type):
            self._encode()
        self.values.append(values)
        if sum(map(len, self.values)) >= _GROUP:
            self._encode()

    def series(self) -> pd.Series:
        import pandas as pd

        if self.values:
            self._encode()
        if not self.groups:
            return pd.Series(pd.Categorical([]))
        unified = self._unified()
        dictionary = unified.chunk(unified.num_chunks - 1).dictionary
        try:
            renumbered, ids = sort_codes(
                np.concatenate([np.asarray(part.indices) for part in unified.chunks]), dictionary
            )
        except NotAnId:
            kind = self.groups[-1][1].type
            decoded = [dictionary.take(part).cast(kind) for parts, dictionary in self.groups for part in parts]
            return cast("pd.Series[Any]", pa.chunked_array(decoded).to_pandas())
        return pd.Series(pd.Categorical.from_codes(self._codes(renumbered), categories=categories(ids), validate=False))

    def _encode(self) -> None:
        """Turn the values that wait into a group."""
        encoded = pa.chunked_array(self.values).dictionary_encode()
        self.values = []
        self.groups.append(([chunk.indices for chunk in encoded.chunks], encoded.chunk(0).dictionary))

    def _unified(self) -> pa.ChunkedArray:
        """Return each group's dictionary as codes into one that all share."""
        kind = self.groups[-1][1].type  # the widest
        each = [
            pa.DictionaryArray.from_arrays(np.arange(len(dictionary), dtype=np.int32), dictionary.cast(kind))
            for _, dictionary in self.groups
        ]
        return pa.chunked_array(each).unify_dictionaries()

    def _codes(self, renumbered: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        """Return the final codes of all values, -1 for null, letting go of each group.

        Parameters
        ----------
        renumbered
            The final code of each entry of each group's dictionary, one group after the other.
        """
        codes = np.empty(sum(len(part) for parts, _ in self.groups for part in parts), dtype=np.int32)
        start = begin = 0
        for parts, dictionary in _released(self.groups):
            own = np.append(renumbered[begin : begin + len(dictionary)], np.int32(-1))
            begin += len(dictionary)
            for part in parts:
                np.take(own, part.fill_null(-1), out=codes[start : start + len(part)])
                start += len(part)
        return codes


def _released(groups: list[Any]) -> Iterator[Any]:
    groups.reverse()
    while groups:
        yield groups.pop()


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
