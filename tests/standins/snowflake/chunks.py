"""Results cut into chunks, each integer column in the narrowest width that holds its values there."""

from __future__ import annotations

import base64
import itertools
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc


def read(encoded: str) -> pa.Table:
    """Return the Arrow table of a ``rowsetBase64``."""
    with pa.ipc.open_stream(base64.b64decode(encoded)) as stream:
        return stream.read_all()


def write(table: pa.Table) -> bytes:
    """Return a table as an Arrow stream, as Snowflake's chunks are."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    body: bytes = sink.getvalue().to_pybytes()
    return body


def half(piece: bytes) -> bytes:
    """Return a chunk with only the first half of its rows: a stream as valid as the whole."""
    with pa.ipc.open_stream(piece) as stream:
        table = stream.read_all()
    return write(table.slice(0, table.num_rows // 2))


def split(table: pa.Table, count: int) -> list[pa.Table]:
    """Cut a table into ``count`` chunks of about the same size, none of them empty, narrowed one by one."""
    count = max(1, min(count, table.num_rows))
    bounds = [table.num_rows * number // count for number in range(count + 1)]
    return [narrow(table.slice(start, end - start)) for start, end in itertools.pairwise(bounds)]


def narrow(table: pa.Table) -> pa.Table:
    """Bring every integer column to its narrowest width, and mark nulls where they belong."""
    for index, field in enumerate(table.schema):
        metadata: dict[bytes, Any] = field.metadata or {}
        if metadata.get(b"logicalType") == b"FIXED" and metadata.get(b"scale") == b"0":
            column = _narrowest(table.column(index))
            table = table.set_column(index, pa.field(field.name, column.type, metadata=field.metadata), column)
        elif pa.types.is_struct(field.type):
            table = table.set_column(index, field, _with_nulls(table.column(index)))
    return table


def _with_nulls(times: pa.ChunkedArray) -> pa.ChunkedArray:
    """Mark the structs of times as null whose seconds are: fakesnow leaves that out."""
    column = times.combine_chunks()
    parts = [column.field(index).fill_null(0) for index in range(column.type.num_fields)]
    missing = column.field(0).is_null()
    return pa.chunked_array([pa.StructArray.from_arrays(parts, fields=list(column.type), mask=missing)])


def _narrowest(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_decimal(column.type) and column.null_count < len(column):
        bounds = pc.min_max(column).as_py()
        if max(abs(int(bounds["min"])), abs(int(bounds["max"]))) >= 2**63:
            return column
        column = column.cast(pa.int64())
    for width in (pa.int8(), pa.int16(), pa.int32()):
        try:
            return column.cast(width)
        except pa.ArrowInvalid:
            continue
    return column.cast(pa.int64())
