"""The ratings mart: its rules, and the matrix of codes that every model of taste trains on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from recsys.marts.cells import ARROW_TYPES
from recsys.marts.contract import SAMPLES, ContractReport, check_spellings, has_columns
from recsys.marts.counts import column_counts
from recsys.marts.frames import codes_of
from recsys.marts.ids import IdMap, NotAnId
from recsys.marts.plain import is_nothing
from recsys.marts.schema import GAME_ID, RATING, RATING_COLUMNS, USER_ID
from recsys.marts.times import read_times
from recsys.marts.values import kinds_of_misfits, numbers, plain_values
from recsys.system import events, keys

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd
    import scipy.sparse as sp

    from recsys.config import DataSettings

log = events(__name__)

_Coded: TypeAlias = "tuple[npt.NDArray[np.int32], IdMap]"
"""Codes of a column, one a row, and the ids behind them."""


@dataclass(frozen=True)
class Ratings:
    """Who rated what, as codes: what every model of taste trains on.

    Attributes
    ----------
    users, items
        The ids behind rows and columns, in ascending order.
    matrix
        CSR, float32, shape (users, items): the ratings, sorted within rows, one per pair.
    rated_at
        int64, microseconds since 1970, aligned with ``matrix.data``; None without a time column.
    """

    users: IdMap
    items: IdMap
    matrix: sp.csr_matrix
    rated_at: npt.NDArray[np.int64] | None = None

    @classmethod
    def from_frame(cls, frame: pd.DataFrame, settings: DataSettings | None = None, time_column: str = "") -> Ratings:
        """Check a frame of ratings by its contract and convert it.

        Parameters
        ----------
        frame, settings, time_column
            The arguments of :func:`read_ratings`.

        Raises
        ------
        DataContractError
            Naming every broken rule.
        """
        report = ContractReport()
        return report.sound(read_ratings(frame, settings, report, time_column=time_column))


def read_ratings(
    frame: pd.DataFrame,
    settings: DataSettings | None,
    report: ContractReport,
    *,
    mart: str = "ratings",
    time_column: str = "",
) -> Ratings | None:
    """Check the ratings mart and convert it to codes.

    Where a user rated a game several times, the highest rating stays; the others are counted as
    repairs.

    Parameters
    ----------
    frame
        Columns ``RATING_COLUMNS`` and, if it is named, ``time_column``.
    settings
        Range and minimum sizes; None for a frame that somebody hands to ``fit``, which may be of any
        size, on any scale from 0 up.
    report
        Takes the broken rules and the repairs.
    mart
        What messages call the table.
    time_column
        When the rating was given; empty if the mart does not say.

    Returns
    -------
    Ratings or None
        None if a rule is broken.
    """
    columns = (*RATING_COLUMNS, time_column) if time_column else RATING_COLUMNS
    if not has_columns(frame, columns, report, mart):
        return None
    before = len(report.violations)
    encoded = {column: _checked_ids(frame, column, report, mart) for column in (USER_ID, GAME_ID)}
    values = _checked_values(frame, settings, report, mart)
    times = _checked_times(frame, time_column, report, mart) if time_column else None
    users, items = encoded[USER_ID], encoded[GAME_ID]
    if settings is not None:
        _check_sizes(len(frame), None if users is None else len(users[1]), settings, report, mart)
    if len(report.violations) > before or users is None or items is None:
        return None
    ratings = _assemble(users, items, values, times)
    report.repaired({"duplicate ratings": len(frame) - ratings.matrix.nnz})
    return ratings


def _check_sizes(ratings: int, users: int | None, settings: DataSettings, report: ContractReport, mart: str) -> None:
    if ratings < settings.min_ratings:
        report.broken(mart, f"ratings, fewer than the {settings.min_ratings:,} that data.min_ratings asks for", ratings)
    if users is not None and users < settings.min_users:
        report.broken(mart, f"users, fewer than the {settings.min_users:,} that data.min_users asks for", users)


def _checked_ids(frame: pd.DataFrame, column: str, report: ContractReport, mart: str) -> _Coded | None:
    try:
        codes, known = codes_of(frame[column])
    except NotAnId as error:
        report.broken(mart, f"ratings whose {column} is no id: {error}", len(frame))
        return None
    null = codes < 0
    report.broken(mart, f"ratings with a null or blank {column}", null.sum(), *_rows(frame, null))
    if column == GAME_ID:
        check_spellings(known, report, mart)
    return codes, known


def _checked_values(
    frame: pd.DataFrame, settings: DataSettings | None, report: ContractReport, mart: str
) -> npt.NDArray[np.float32]:
    column = plain_values(frame[RATING])
    null = column.isna().to_numpy()
    odd = kinds_of_misfits(column, null, frame.attrs.get(ARROW_TYPES, {}).get(RATING, ""))
    for kind, rows in odd.items():
        report.broken(
            mart,
            f"ratings whose {RATING} is {kind}, not a number; send it as a number",
            rows.sum(),
            *_rows(frame, rows),
        )
    if odd:
        return np.zeros(len(frame), np.float32)
    values = numbers(column)
    nan = np.isnan(values)
    infinite = np.isinf(values)
    outside, span = _outside(np.where(infinite, np.float32(np.nan), values), settings)
    for rule, rows in (
        (f"ratings whose {RATING} is null or NaN", null),
        (f"ratings whose {RATING} is not a number", nan & ~null),
        (f"ratings whose {RATING} is infinite", infinite),
        (f"ratings {span}", outside),
    ):
        report.broken(mart, rule, rows.sum(), *_rows(frame, rows))
    return values


def _outside(values: npt.NDArray[np.float32], settings: DataSettings | None) -> tuple[npt.NDArray[np.bool_], str]:
    """Return which ratings are beyond the bounds, NaN not among them, and the bounds in words."""
    if settings is None:
        return values < 0, "below 0; a scale may begin anywhere from there: 1-5, 0.5-5, 1-10, 0-100"
    low, high = values <= settings.rating_min, values > settings.rating_max
    changes = (("lower data.rating_min", low), ("raise data.rating_max", high))
    remedy = " and ".join(words for words, rows in changes if rows.any())
    bounds = f"{settings.rating_min:g} < rating <= {settings.rating_max:g}"
    return low | high, f"outside {bounds}; where the scale is wider, {remedy}"


def _checked_times(frame: pd.DataFrame, column: str, report: ContractReport, mart: str) -> npt.NDArray[np.int64]:
    times = read_times(frame[column], column)
    for fault in times.faults:
        games, people = _rows(frame, fault.rows, rated=False)
        cells = times.samples(np.flatnonzero(fault.rows)[:SAMPLES])
        samples = [f"{game} {column} {cell}" for game, cell in zip(games, cells, strict=True)]
        report.broken(mart, fault.rule, fault.rows.sum(), samples, people)
    if times.form and not times.faults:
        first, last = (np.datetime64(int(end), "us") for end in (times.micros.min(), times.micros.max()))
        log.info("times read", extra=keys(column=column, **{"as": times.form, "from": first, "to": last}))
    return times.micros


def _rows(frame: pd.DataFrame, rows: npt.NDArray[np.bool_], *, rated: bool = True) -> tuple[list[str], list[str]]:
    """Name the first few of ``rows`` by their game, and the rating if it is asked for, and by their user."""
    places = np.flatnonzero(rows)[:SAMPLES]
    games, values, users = (
        [_shown(frame[column].iloc[row]) for row in places] for column in (GAME_ID, RATING, USER_ID)
    )
    return [
        f"game {game}" + (f" rating {value}" if rated else "") for game, value in zip(games, values, strict=True)
    ], users


def _shown(value: Any) -> str:
    """Return a cell as people name it: NULL where there is nothing, a blank text in quotes."""
    if is_nothing(value):
        return "NULL"
    return repr(value) if isinstance(value, str) and not value.strip() else str(value)


def _assemble(
    users: _Coded,
    items: _Coded,
    values: npt.NDArray[np.float32],
    times: npt.NDArray[np.int64] | None,
) -> Ratings:
    """Sort rows by user and game, keep the highest of duplicates, and build the matrix."""
    import scipy.sparse as sp

    shape = (len(users[1]), len(items[1]))
    if times is None:
        matrix = sp.csr_matrix((values, (users[0], items[0])), shape=shape, dtype=np.float32)
        if matrix.nnz == len(values):
            return Ratings(users[1], items[1], matrix)
    # The constructor has summed duplicates: sort the pairs ourselves and take each group's maximum.
    pairs = users[0].astype(np.int64) * shape[1] + items[0]
    order = np.argsort(pairs, kind="stable")
    pairs = pairs[order]
    starts = np.flatnonzero(np.concatenate(([True], pairs[1:] != pairs[:-1])))
    kept = pairs[starts]
    indptr = np.concatenate(([0], np.cumsum(column_counts(kept // shape[1], shape[0]))))
    data = np.maximum.reduceat(values[order], starts)
    matrix = sp.csr_matrix((data, (kept % shape[1]).astype(np.int32), indptr), shape=shape)  # int64 beyond 2^31 entries
    return Ratings(users[1], items[1], matrix, None if times is None else np.maximum.reduceat(times[order], starts))
