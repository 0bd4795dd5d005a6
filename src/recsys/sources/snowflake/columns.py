"""One Arrow schema for a result, whatever widths its chunks came in.

Snowflake sends an integer column in the smallest width that holds a chunk's values, so that one
column may be int8 in one chunk, int64 in the next and a Decimal in a third; nothing announces
which. The schema is decided from the cursor's description, where the column's declared type
stands, and every chunk is cast to it, checked; the first chunk that int64 does not hold widens it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from recsys.errors import QueryFailed, SourceUnavailable
from recsys.marts import DECLARED_TYPE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

WIDE = pa.decimal128(38, 0)
"""Of an integer column with values beyond 2^63."""

_INT64_DIGITS = 18

_JSON = frozenset({"VARIANT", "OBJECT", "ARRAY"})
"""Kinds that arrive as JSON in text: which one it was is kept with the column."""

# Of a column's kind, by the connector's own type names. Numbers with a fraction are doubles: a
# rating needs no more, and an id is never one.
_ARROW: dict[str, Callable[[], pa.DataType]] = {
    "REAL": pa.float64,
    "TEXT": pa.string,
    "VARIANT": pa.string,
    "OBJECT": pa.string,
    "ARRAY": pa.string,
    "BOOLEAN": pa.bool_,
    "DATE": pa.date32,
    "TIMESTAMP_NTZ": lambda: pa.timestamp("us"),
    "TIMESTAMP_LTZ": lambda: pa.timestamp("us", "UTC"),
    "TIMESTAMP_TZ": lambda: pa.timestamp("us", "UTC"),
    "TIME": lambda: pa.time64("us"),
    "BINARY": pa.binary,
}


def described(description: Sequence[Any], type_names: Sequence[str]) -> tuple[pa.Schema, list[str]]:
    """Return the schema that a description asks for.

    Parameters
    ----------
    description
        The cursor's: objects with ``name``, ``type_code``, ``precision`` and ``scale``.
    type_names
        Name of each ``type_code``.

    Returns
    -------
    schema
        Integer columns are int64.
    undecided
        Names of the integer columns that may hold more than int64 does (``NUMBER(38, 0)``, which
        is what Snowflake makes of ``INTEGER``): :func:`widen` decides, chunk by chunk.

    Raises
    ------
    QueryFailed
        If a column is of a type that no mart has.
    """
    fields, undecided = [], []
    for column in description:
        kind = type_names[column.type_code]
        if kind == "FIXED" and not column.scale:
            fields.append(pa.field(column.name, pa.int64()))
            if (column.precision or 38) > _INT64_DIGITS:
                undecided.append(column.name)
        elif kind == "FIXED":
            fields.append(pa.field(column.name, pa.float64()))
        elif kind in _ARROW:
            fields.append(
                pa.field(column.name, _ARROW[kind](), metadata={DECLARED_TYPE: kind} if kind in _JSON else None)
            )
        else:
            known = ", ".join(["FIXED", *_ARROW])
            raise QueryFailed(f"column {column.name} is of type {kind}, which is not read; cast it to one of: {known}")
    return pa.schema(fields), undecided


def widen(schema: pa.Schema, undecided: Iterable[str], table: pa.Table) -> pa.Schema:
    """Return ``schema`` with those undecided columns as ``decimal128(38, 0)`` that do not fit int64 in this chunk."""
    for name in undecided:
        index = schema.get_field_index(name)
        if schema.field(index).type != WIDE and index < table.num_columns and not _fits(table.column(index)):
            schema = schema.set(index, pa.field(name, WIDE))
    return schema


def _fits(column: pa.ChunkedArray) -> bool:
    if pa.types.is_integer(column.type):
        return True
    try:
        column.cast(pa.int64())
    except pa.ArrowInvalid:
        return False
    return True


def cast(table: pa.Table, schema: pa.Schema, chunk: str) -> pa.Table:
    """Bring one chunk to the schema of the result.

    Raises
    ------
    SourceUnavailable
        If the chunk is not what the description announced.
    """
    if table.num_columns != len(schema):
        raise SourceUnavailable(
            f"{chunk} has {table.num_columns} columns where {len(schema)} were announced; run again"
        )
    columns = []
    for field, column in zip(schema, table.columns, strict=True):
        if pa.types.is_integer(field.type) and not (
            pa.types.is_integer(column.type) or pa.types.is_decimal(column.type) or pa.types.is_null(column.type)
        ):
            # A float has lost digits already; casting it would hide that.
            raise SourceUnavailable(f"{chunk} holds column {field.name} as {column.type} where integers were announced")
        try:
            # Unsafe for times alone: Snowflake's nanoseconds are cut to microseconds.
            columns.append(column.cast(field.type, safe=not pa.types.is_temporal(field.type)))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise SourceUnavailable(
                f"{chunk} holds column {field.name} as {column.type}, which does not fit the announced {field.type}: "
                f"{error}"
            ) from error
    return pa.Table.from_arrays(columns, schema=schema)
