"""From Arrow batches to the data frame that the trainer works with, in bounded memory.

Ids of the ratings arrive as millions of repeated values. They are dictionary-encoded as they come,
so that a row costs its two codes and its rating, and string ids cost their dictionary.
"""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recsys.marts.cells import ARROW_TYPES, DECLARED_TYPE
from recsys.marts.codes import Codes, Grown, widens
from recsys.marts.ids import IdMap, NotAnId, encode, id_array, id_array_of, sort_codes
from recsys.marts.schema import RATING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from concurrent.futures import Future

    import numpy.typing as npt
    import pandas as pd


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

    columns: list[Codes | _Plain] = [
        Codes() if field.name in encoded else _Plain(field, rated=bool(encoded)) for field in schema
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
        if widens(field.type, kind):
            schema = schema.set(index, field.with_type(kind))
    return schema


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
        self.numbers = Grown(kind.to_pandas_dtype()) if pa.types.is_floating(kind) else None

    def append(self, values: pa.Array) -> None:
        if widens(self.kind, values.type):
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
