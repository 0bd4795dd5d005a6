"""What somebody hands over as a table: a plain data frame, each of whose columns stands once.

``fit`` takes frames of anybody's making, so that what pandas and Arrow cannot convert is met here,
and named.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from recsys.errors import DataContractError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pandas as pd

_REMEDIES = {
    "to_pandas": ".to_pandas()",
    "toPandas": ".toPandas()",
    "collect": ".collect().to_pandas()",
    "compute": ".compute()",
    "df": ".df()",
    "to_frame": ".to_frame()",
}
"""Methods by which a table of another library is told, and what makes a data frame of it."""


class NotPlain(ValueError):
    """A column's values that Arrow has no type for; the message says what they are."""


def require_frame(table: object, what: str) -> None:
    """Refuse what is no data frame, or has columns on several levels.

    Parameters
    ----------
    table
        What was handed over.
    what
        What messages call it.

    Raises
    ------
    DataContractError
        If it is none.
    """
    import pandas as pd

    if not isinstance(table, pd.DataFrame):
        kind = "nothing (None)" if table is None else f"of type {type(table).__module__}.{type(table).__qualname__}"
        kind = kind.replace("builtins.", "")
        raise DataContractError(f"{what}: a pandas DataFrame is needed, and what was given is {kind}; {_remedy(table)}")
    if isinstance(table.columns, pd.MultiIndex):
        raise DataContractError(
            f"{what}: the columns are on {table.columns.nlevels} levels (such as {table.columns[0]!r});"
            " give each column one name"
        )


def absent_columns(frame: pd.DataFrame, columns: Iterable[str]) -> list[str]:
    """Return those of the columns that a frame lacks."""
    return [column for column in columns if column not in frame.columns]


def listed_absent(frame: pd.DataFrame, absent: Sequence[str]) -> str:
    """Name columns that a frame lacks, and those that it has."""
    present = ", ".join(map(str, frame.columns)) or "none"
    indexed = [str(name) for name in frame.index.names if name in absent]
    hint = f"; {', '.join(indexed)} is in the index: call .reset_index()" if indexed else ""
    return f"{', '.join(absent)}; the columns are {present}{hint}"


def repeated_columns(frame: pd.DataFrame, columns: Iterable[str]) -> list[str]:
    """Return those of the columns that a frame has more than once."""
    return [column for column in columns if (frame.columns == column).sum() > 1]


def require_columns(frame: object, columns: Iterable[str], what: str) -> None:
    """Refuse what is no frame that has each of the columns once.

    Raises
    ------
    DataContractError
        Naming what is missing or repeated.
    """
    import pandas as pd

    require_frame(frame, what)
    assert isinstance(frame, pd.DataFrame)
    columns = tuple(columns)
    if absent := absent_columns(frame, columns):
        noun = "column" if len(absent) == 1 else "columns"
        raise DataContractError(f"{what} have no {noun} {listed_absent(frame, absent)}")
    if repeated := repeated_columns(frame, columns):
        raise DataContractError(f"{what} have {', '.join(repeated)} more than once; keep one column of a name")


def _remedy(table: object) -> str:
    for method, call in _REMEDIES.items():
        if hasattr(table, method):
            return f"call its {call}"
    if isinstance(table, dict | list | tuple | np.ndarray):
        return "make one with pandas.DataFrame(…), with the names of the columns"
    return "read or make one first, with the names of the columns"


def arrow_of(values: Any) -> pa.Array:
    """Return a column of a data frame as one Arrow array, NaN as null.

    Raises
    ------
    NotPlain
        If Arrow has no type for the values.
    """
    plain = native(values)
    try:
        array = pa.Array.from_pandas(plain)
    except UnicodeEncodeError:
        raise NotPlain("text with half a character (a lone surrogate)") from None
    except OverflowError:
        array = _wide(plain)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, ArithmeticError, TypeError, ValueError):
        raise NotPlain(kinds_of(plain)) from None
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    if getattr(plain, "dtype", None) == np.dtype(object) and (
        pa.types.is_timestamp(array.type) or pa.types.is_date(array.type)
    ):
        _check_times(plain)
    if pa.types.is_floating(array.type) and has_booleans(plain):
        raise NotPlain(kinds_of(plain))
    return array


def native(values: Any) -> Any:
    """Return values in an order of bytes, and without gaps, that Arrow takes."""
    dtype = getattr(values, "dtype", None)
    if isinstance(dtype, np.dtype) and not dtype.isnative:
        return np.asarray(values).astype(dtype.newbyteorder("="))
    if type(dtype).__name__ == "SparseDtype":
        return np.asarray(values)
    return values


def is_nothing(value: Any) -> bool:
    """Tell whether a Python object is a null of any library: None, NaN, NaT or NA."""
    if value is None or type(value).__name__ in {"NAType", "NaTType"}:
        return True
    if isinstance(value, Decimal):
        return value.is_nan()
    return isinstance(value, float | np.floating) and bool(np.isnan(value))


def has_booleans(values: Any) -> bool:
    """Tell whether Python objects, and nothing else, have booleans among them."""
    if isinstance(values, list | tuple) or getattr(values, "dtype", None) == np.dtype(object):
        return any(issubclass(kind, bool | np.bool_) for kind in {type(value) for value in values})
    return False


def kinds_of(values: Any) -> str:
    """Name the types of a column's values."""
    dtype = getattr(values, "dtype", None)
    if dtype is not None and dtype != np.dtype(object):
        return str(dtype)
    kinds = sorted({type(value).__name__ for value in values if not is_nothing(value)})
    return kinds[0] if len(kinds) == 1 else f"of mixed types ({', '.join(kinds)})"


def _wide(values: Any) -> pa.Array:
    """Convert Python integers beyond int64, as floats: no time is one of them."""
    try:
        return pa.array([None if is_nothing(value) else float(value) for value in values], pa.float64())
    except (TypeError, ValueError, OverflowError):
        raise NotPlain(kinds_of(values)) from None


def _check_times(values: Any) -> None:
    """Refuse objects that Arrow takes for one type and are not: with and without a zone, numbers among dates."""
    kinds = {
        (type(value).__name__.replace("Timestamp", "datetime"), getattr(value, "tzinfo", None) is not None)
        for value in values
        if not is_nothing(value)
    }
    if len({name for name, _ in kinds}) > 1:
        raise NotPlain(f"of mixed types ({', '.join(sorted({name for name, _ in kinds}))})")
    if len(kinds) > 1:
        raise NotPlain("with a zone in one row and without one in another")
