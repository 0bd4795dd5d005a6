"""Cells of ``RATING``: numbers, or text that is a number."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np

from recsys.marts.plain import kinds_of, native

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

_LARGEST = np.finfo(np.float64).max.item()


def plain_values(column: pd.Series[Any]) -> pd.Series[Any]:
    """Return a column without categories or gaps, in this machine's byte order: its dtype says what its cells are."""
    import pandas as pd

    if isinstance(column.dtype, pd.CategoricalDtype):
        return pd.Series(np.asarray(column), copy=False)
    plain = native(column)
    return column if plain is column else pd.Series(plain, copy=False)


def kinds_of_misfits(
    column: pd.Series[Any], null: npt.NDArray[np.bool_], kind: str
) -> dict[str, npt.NDArray[np.bool_]]:
    """Find the cells that cannot be a number, whatever they hold: times, booleans, lists.

    Parameters
    ----------
    column
        From :func:`plain_values`.
    null
        bool, (rows,): cells without a value.
    kind
        The type that the column arrived in, if it is known.

    Returns
    -------
    dict[str, numpy.ndarray]
        By type, in words, the rows.
    """
    if null.all():
        return {}
    if column.dtype == np.dtype(object):
        kinds = {type(value) for value in column}
        return {
            kind or each.__name__: rows
            for each in sorted(kinds, key=str)
            if not _may_be_number(each)
            and (rows := np.fromiter((type(value) is each for value in column), np.bool_, len(column)) & ~null).any()
        }
    return {} if _may_hold_numbers(column.dtype) else {kind or kinds_of(column): ~null}


def _may_be_number(kind: type) -> bool:
    return issubclass(kind, (str, bytes, int, float, Decimal, np.integer, np.floating)) and not issubclass(kind, bool)


def _may_hold_numbers(dtype: Any) -> bool:
    from pandas.api import types

    if types.is_numeric_dtype(dtype):
        return not (types.is_bool_dtype(dtype) or types.is_complex_dtype(dtype))
    return bool(types.is_string_dtype(dtype))


def numbers(column: pd.Series[Any]) -> npt.NDArray[np.float32]:
    """Return the cells as float32, NaN where there is none or text that is no number."""
    import pandas as pd

    if column.dtype == np.dtype(object):
        column = column.where(~column.map(_is_beyond_float), np.inf)
    numeric = column if pd.api.types.is_numeric_dtype(column.dtype) else pd.to_numeric(column, errors="coerce")
    values: npt.NDArray[np.float32] = numeric.to_numpy(dtype=np.float32, na_value=np.nan)
    return values


def _is_beyond_float(value: Any) -> bool:
    return isinstance(value, int) and abs(value) > _LARGEST
