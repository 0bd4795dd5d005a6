"""The two marts: their columns, their contracts, and what the models train on.

Each check is one vectorised pass. Every broken rule is collected, with a count and up to five
sample ids, so that one message tells them all; what is repaired is counted and reported.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from recsys.errors import DataContractError, EmptyResult
from recsys.marts.cells import ARROW_TYPES
from recsys.marts.frames import codes_of
from recsys.marts.ids import IdMap, NotAnId, id_array_of, python_ids, rivals
from recsys.marts.schema import GAME_COLUMNS, GAME_ID, NAME, RATING, RATING_COLUMNS, USER_ID
from recsys.system.log import events, keys

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy.typing as npt
    import pandas as pd
    import scipy.sparse as sp

    from recsys.config import DataSettings
    from recsys.marts.notations import Unread

log = events(__name__)

_SAMPLES = 5


@dataclass(frozen=True)
class Violation:
    """One broken rule of one mart."""

    mart: str
    rule: str
    count: int
    samples: tuple[str, ...] = ()

    def __str__(self) -> str:
        shown = f" (such as {', '.join(self.samples)})" if self.samples else ""
        return f"{self.mart}: {self.count:,} {self.rule}{shown}"


@dataclass
class ContractReport:
    """What the checks of both marts found.

    Attributes
    ----------
    violations
        Broken rules; training stops when there are any.
    repairs
        How often each kind of repair was made, by name.
    people
        Whether a debug event names the users of the samples.
    unread
        Columns of tags in a notation that is not read: told, and no reason to stop.
    """

    violations: list[Violation] = field(default_factory=list)
    repairs: dict[str, int] = field(default_factory=dict)
    people: bool = False
    unread: list[Unread] = field(default_factory=list)

    def broken(
        self, mart: str, rule: str, count: int, samples: Iterable[object] = (), users: Sequence[str] = ()
    ) -> None:
        """Note a broken rule, if ``count`` says that it is.

        Parameters
        ----------
        mart, rule, count, samples
            As in :class:`Violation`.
        users
            Whose rows the samples are. Ids of people are told to those who debug, and in no message.
        """
        if count:
            texts = tuple(str(sample) for sample in islice(samples, _SAMPLES))
            self.violations.append(Violation(mart, rule, int(count), texts))
            if users:
                self.people = True
                log.debug("broken rule", extra=keys(mart=mart, rule=rule, users=", ".join(users)))

    def repaired(self, kinds: Mapping[Any, int]) -> None:
        """Add repairs, kind by kind."""
        for kind, count in kinds.items():
            if count:
                self.repairs[str(kind)] = self.repairs.get(str(kind), 0) + int(count)

    def raise_if_broken(self) -> None:
        """Raise one error that names every broken rule.

        Raises
        ------
        DataContractError
            If there is any.
        """
        if self.violations:
            rules = "; ".join(str(violation) for violation in self.violations)
            whose = " (-v names the users of these ratings)" if self.people else ""
            raise DataContractError(
                f"the marts break the data contract: {rules}. Nothing was trained: mend the marts{whose}"
            )


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
            As for :func:`check_ratings`.

        Raises
        ------
        DataContractError
            Naming every broken rule.
        """
        report = ContractReport()
        ratings = check_ratings(frame, settings, report, time_column=time_column)
        report.raise_if_broken()
        assert ratings is not None
        return ratings


def check_games(
    frame: pd.DataFrame, settings: DataSettings, report: ContractReport, mart: str = "games", more: Sequence[str] = ()
) -> pd.DataFrame:
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
        Further columns that are kept as they are.

    Returns
    -------
    pandas.DataFrame
        The five columns, clean text in four of them, and those of ``more``, in ascending order of
        ``GAME_ID``; not to be used if the report holds violations.
    """
    from recsys.marts.columns import read_texts

    if not _has_columns(frame, (*GAME_COLUMNS, *more), report, mart):
        return frame
    try:
        ids = id_array_of(frame[GAME_ID])
    except NotAnId as error:
        report.broken(mart, f"games whose {GAME_ID} is no id: {error}", len(frame))
        return frame
    null = np.asarray(ids.is_null())
    report.broken(mart, f"games with a null or blank {GAME_ID}", null.sum(), _pick(frame[NAME].tolist(), null))
    if not null.any():
        codes, known = codes_of(frame[GAME_ID])
        repeated = np.flatnonzero(np.bincount(codes, minlength=len(known)) > 1)
        report.broken(mart, f"duplicate {GAME_ID}s", len(repeated), known.ids(repeated[:_SAMPLES]))
        _check_spellings(known, report, mart)
    texts = read_texts(frame, types=frame.attrs.get(ARROW_TYPES))
    game_ids = python_ids(ids)
    odd = np.zeros(len(frame), dtype=np.bool_)
    for some in texts.misfits:
        report.broken(mart, some.rule, len(some.rows), some.samples(game_ids))
        odd[some.rows] = True
    nameless = np.array([not name for name in texts.columns[NAME]]) & ~odd
    report.broken(mart, f"games with a null or empty {NAME}", nameless.sum(), _pick(game_ids, nameless))
    if len(frame) < settings.min_games:
        report.broken(mart, f"games, fewer than the {settings.min_games:,} that data.min_games asks for", len(frame))
    if report.violations:
        return frame
    report.repaired(texts.repaired)
    report.unread += texts.unread
    read = frame[[*GAME_COLUMNS, *more]].assign(**texts.columns)
    ordered = read.iloc[np.argsort(codes, kind="stable")].reset_index(drop=True)
    ordered.attrs = {}
    ordered[GAME_ID] = known.ids()
    return ordered


def check_ratings(
    frame: pd.DataFrame,
    settings: DataSettings | None,
    report: ContractReport,
    *,
    mart: str = "ratings",
    time_column: str = "",
) -> Ratings | None:
    """Check the ratings mart and convert it to codes.

    Of several ratings of one game by one user the highest stays; the others are counted as
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
    wanted = (*RATING_COLUMNS, time_column) if time_column else RATING_COLUMNS
    if not _has_columns(frame, wanted, report, mart):
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


def _has_columns(frame: pd.DataFrame, wanted: Iterable[str], report: ContractReport, mart: str) -> bool:
    absent = [column for column in wanted if column not in frame.columns]
    if absent:
        seen = ", ".join(map(str, frame.columns)) or "none"
        report.broken(mart, f"columns missing: {', '.join(absent)}; the columns are {seen}", len(absent))
        return False
    if frame.empty:
        raise EmptyResult(
            f"{mart} has no rows: the query answered, but with nothing to train on; did the dbt run finish?"
        )
    return True


def _checked_ids(
    frame: pd.DataFrame, column: str, report: ContractReport, mart: str
) -> tuple[npt.NDArray[np.int32], IdMap] | None:
    try:
        codes, known = codes_of(frame[column])
    except NotAnId as error:
        report.broken(mart, f"ratings whose {column} is no id: {error}", len(frame))
        return None
    null = codes < 0
    report.broken(mart, f"ratings with a null or blank {column}", null.sum(), *_rows(frame, null))
    if column == GAME_ID:
        _check_spellings(known, report, mart)
    return codes, known


def _check_spellings(known: IdMap, report: ContractReport, mart: str) -> None:
    """Refuse ids that would fall together where the marts are joined."""
    found = [" and ".join(map(repr, group)) for group in rivals(known)]
    report.broken(mart, f"groups of {GAME_ID}s that are spellings of one id; keep one of each", len(found), found)


def _checked_values(
    frame: pd.DataFrame, settings: DataSettings | None, report: ContractReport, mart: str
) -> npt.NDArray[np.float32]:
    import pandas as pd

    column = frame[RATING]
    numeric = column if pd.api.types.is_numeric_dtype(column.dtype) else pd.to_numeric(column, errors="coerce")
    values: npt.NDArray[np.float32] = numeric.to_numpy(dtype=np.float32, na_value=np.nan)
    null = column.isna().to_numpy()
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
    import pandas as pd

    times = pd.to_datetime(frame[column], errors="coerce", utc=True)
    missing = times.isna().to_numpy()
    report.broken(mart, f"ratings whose {column} is null or no time", missing.sum(), *_rows(frame, missing))
    stamps = times.dt.tz_localize(None).to_numpy().astype("datetime64[us]")
    return np.asarray(stamps.astype(np.int64))


def _pick(ids: list[Any], rows: npt.NDArray[np.bool_]) -> list[Any]:
    return [ids[row] for row in np.flatnonzero(rows)[:_SAMPLES]]


def _rows(frame: pd.DataFrame, rows: npt.NDArray[np.bool_]) -> tuple[list[str], list[str]]:
    """Name the first few of ``rows`` by their game and rating, and by their user."""
    first = frame.iloc[np.flatnonzero(rows)[:_SAMPLES]].to_dict("records")
    told = [f"game {_told(row[GAME_ID])} rating {_told(row[RATING])}" for row in first]
    return told, [_told(row[USER_ID]) for row in first]


def _told(value: Any) -> str:
    """Return a cell as people name it: NULL where there is nothing, a blank text in quotes."""
    import pandas as pd

    if pd.api.types.is_scalar(value) and pd.isna(value):
        return "NULL"
    return repr(value) if isinstance(value, str) and not value.strip() else str(value)


def _assemble(
    users: tuple[npt.NDArray[np.int32], IdMap],
    items: tuple[npt.NDArray[np.int32], IdMap],
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
    indptr = np.concatenate(([0], np.cumsum(np.bincount(kept // shape[1], minlength=shape[0]))))
    data = np.maximum.reduceat(values[order], starts)
    matrix = sp.csr_matrix((data, (kept % shape[1]).astype(np.int32), indptr.astype(np.int32)), shape=shape)
    return Ratings(users[1], items[1], matrix, None if times is None else np.maximum.reduceat(times[order], starts))
