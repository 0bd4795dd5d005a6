"""Columns that the settings add to the games mart: kept as they are, where a release can keep them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from recsys.marts.cells import ARROW_TYPES

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from recsys.marts.contract import ContractReport

_UNKEPT = re.compile(r"(struct|map|dense_union|sparse_union|(large_|fixed_size_)?binary|\w*interval|duration)\b")
"""Types, in Arrow's words, that ``games.parquet`` or a filter does not hold as what they are."""


def check_extras(frame: pd.DataFrame, names: Sequence[str], report: ContractReport, mart: str) -> None:
    """Report columns whose type a release cannot keep.

    Parameters
    ----------
    frame
        The games as they were fetched.
    names
        The columns that the settings add.
    report
        Takes the broken rules.
    mart
        What messages call the table.
    """
    types = frame.attrs.get(ARROW_TYPES, {})
    for name in names:
        if problem := _problem(frame[name], types.get(name, "")):
            rule = (
                f"games whose {name} cannot be kept: {problem}; source.game_columns takes numbers, texts, dates and "
                "truths, and lists of these: cast it in the mart, or leave it out"
            )
            report.broken(mart, rule, len(frame))


def _problem(column: pd.Series[Any], declared: str) -> str:
    """Say what is wrong with a column; nothing if it can be kept."""
    if _UNKEPT.search(declared):
        return f"its type is {declared}"
    try:
        kind = str(pa.array(column, from_pandas=True).type)
    except (pa.ArrowException, OverflowError, TypeError, ValueError) as error:
        return f"its values{f' of type {declared}' if declared else ''} have no common type of 64 bits ({error})"
    return f"its type is {kind}" if _UNKEPT.search(kind) else ""
