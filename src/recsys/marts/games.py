"""The games mart: its rules, and the catalogue in the order of its ids."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from recsys.marts.cells import ARROW_TYPES
from recsys.marts.columns import Texts, read_texts
from recsys.marts.contract import SAMPLES, ContractReport, check_spellings, has_columns
from recsys.marts.extras import check_extras
from recsys.marts.frames import codes_of
from recsys.marts.ids import NotAnId, id_array_of, python_ids
from recsys.marts.schema import GAME_COLUMNS, GAME_ID, NAME
from recsys.marts.text import tell_unread

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    import pandas as pd

    from recsys.config import DataSettings
    from recsys.marts.ids import Id


def read_games(
    frame: pd.DataFrame, settings: DataSettings, report: ContractReport, mart: str = "games", more: Sequence[str] = ()
) -> pd.DataFrame | None:
    """Check the games mart, repair its texts, and sort it by id.

    Parameters
    ----------
    frame
        Columns ``GAME_COLUMNS``, in any order and with others beside them.
    settings
        ``min_games`` is used.
    report
        Takes the broken rules and the repairs.
    mart
        What messages call the table.
    more
        Further columns that are kept as they are; of a type that a release can keep.

    Returns
    -------
    pandas.DataFrame or None
        The five columns, clean text in four of them, and those of ``more``, in ascending order of
        ``GAME_ID``; None if a rule is broken.
    """
    before = len(report.violations)
    if not has_columns(frame, (*GAME_COLUMNS, *more), report, mart):
        return None
    try:
        ids = id_array_of(frame[GAME_ID])
    except NotAnId as error:
        report.broken(mart, f"games whose {GAME_ID} is no id: {error}", len(frame))
        return None
    null = np.asarray(ids.is_null())
    report.broken(mart, f"games with a null or blank {GAME_ID}", null.sum(), _pick(frame[NAME].tolist(), null))
    if not null.any():
        codes, known = codes_of(frame[GAME_ID])
        repeated = np.flatnonzero(np.bincount(codes, minlength=len(known)) > 1)
        report.broken(mart, f"duplicate {GAME_ID}s", len(repeated), known.ids(repeated[:SAMPLES]))
        check_spellings(known, report, mart)
    texts = read_texts(frame, types=frame.attrs.get(ARROW_TYPES))
    _check_texts(texts, python_ids(ids), report, mart)
    check_extras(frame, more, report, mart)
    if len(frame) < settings.min_games:
        report.broken(mart, f"games, fewer than the {settings.min_games:,} that data.min_games asks for", len(frame))
    if len(report.violations) > before:
        return None
    report.repaired(texts.repaired)
    tell_unread(texts.unread)
    clean = frame[[*GAME_COLUMNS, *more]].assign(**texts.columns)
    ordered = clean.iloc[np.argsort(codes, kind="stable")].reset_index(drop=True)
    ordered.attrs = {}
    ordered[GAME_ID] = known.ids()
    return ordered


def _check_texts(texts: Texts, ids: Sequence[Id | None], report: ContractReport, mart: str) -> None:
    """Report cells that hold no text, and names that are nothing but for these."""
    odd = np.zeros(len(ids), dtype=np.bool_)
    for some in texts.misfits:
        report.broken(mart, some.rule, len(some.rows), some.samples(ids))
        odd[some.rows] = True
    nameless = np.array([not name for name in texts.columns[NAME]]) & ~odd
    report.broken(mart, f"games with a null or empty {NAME}", nameless.sum(), _pick(ids, nameless))


def _pick(values: Sequence[Any], rows: npt.NDArray[np.bool_]) -> list[Any]:
    return [values[row] for row in np.flatnonzero(rows)[:SAMPLES]]
