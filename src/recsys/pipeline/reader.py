"""Where a run's two tables come from: fetched, checked, and brought together."""

from __future__ import annotations

import re
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from recsys.errors import DataContractError, EmptyResult, QueryFailed, RecsysError, SourceError, TruncatedResult
from recsys.marts.check import Marts, check_games, check_join, check_marts, check_ratings
from recsys.marts.headings import refuse_twins
from recsys.marts.join import Meeting
from recsys.marts.query import MartQuery
from recsys.marts.schema import ENCODED, RATING_COLUMNS, USER_ID
from recsys.pipeline.dbt import check_upstream
from recsys.sources import Describes, open_source
from recsys.system.log import events, keys
from recsys.system.pulse import progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import pandas as pd
    import pyarrow as pa

    from recsys.config import Settings
    from recsys.marts.ids import IdMap
    from recsys.marts.ratings import Ratings
    from recsys.pipeline.dbt import DbtBuild
    from recsys.sources import Source
    from recsys.system.steps import Steps

log = events(__name__)

_DAY = 86_400
_OF_TIME = re.compile(r"DATE|TIMESTAMP.*")
_NAMED_FOR_TIME = re.compile(r"(?:.*_)?(?:AT|ON|TS|DATE|TIME|DATETIME|TIMESTAMP)|.*(?:DATE|TIMESTAMP)", re.IGNORECASE)


class Warehouse:
    """The source of a trainer: one that is open and stays so, or one that is opened while it is needed.

    Parameters
    ----------
    settings
        Section ``source`` says which source, ``snowflake`` how it is asked.
    credentials
        Snowflake's identity and secrets.
    source
        An open source; None to open the settings'.
    read_at
        The moment as of which Snowflake's marts are read; now when not given.

    Attributes
    ----------
    query_ids
        The source's own name of each query that was last run, where it has one.
    moments
        The moment as of which the answer of each query is; None where the source reads the present.
    """

    def __init__(
        self,
        settings: Settings,
        credentials: Mapping[str, str],
        source: Source | None = None,
        read_at: str | None = None,
    ) -> None:
        self.query_ids: dict[str, str | None] = {}
        self.moments: dict[str, str | None] = {}
        self._read_at = read_at
        self._settings = settings
        self._credentials = credentials
        self._source = source

    def require_identity(self) -> None:
        """Read what Snowflake is signed in to with: where that is missing, the run ends before it writes anything.

        Raises
        ------
        ConfigError, AuthenticationFailed
            If it is not complete, or the private key is none.
        """
        if self._source is None and self._settings.source.url == "snowflake":
            from recsys.sources.snowflake import Credentials

            Credentials.from_mapping(self._credentials)

    @contextmanager
    def opened(self) -> Iterator[Source]:
        """Yield the source; what is opened here is closed here."""
        if self._source is not None:
            yield self._source
            return
        url, credentials = self._settings.source.url, dict(self._credentials)
        with open_source(url, self._settings, credentials, self._read_at) as source:
            log.info("opened source", extra=keys(source=source.name))
            self._source = source
            try:
                yield source
            finally:
                self._source = None

    def fetch(self, query: str) -> pd.DataFrame:
        """Run one query and return its rows; see :meth:`recsys.trainer.Trainer._fetch_data`."""
        import pyarrow as pa

        from recsys.marts.frames import frame_of

        with self.opened() as source, _logged(source.name):
            result = source.execute(query)
            self.query_ids[query], self.moments[query] = result.query_id, result.read_at
            asked = MartQuery.read(query)
            wanted = None if asked is None or "*" in asked.columns else [name.strip('"') for name in asked.columns]
            refuse_twins(f"the answer of {source.name}", result.schema.names, wanted)
            schema = pa.schema([field.with_name(field.name.upper()) for field in result.schema])
            encoded = ENCODED if USER_ID in schema.names else frozenset[str]()
            with progress("fetching rows", result.rows_announced) as advance:
                frame = frame_of(schema, _counted(result.batches, advance), encoded)
            if result.rows_announced not in {None, len(frame)}:
                raise TruncatedResult(
                    f"{source.name} announced {result.rows_announced:,} rows and sent {len(frame):,}: "
                    "the result is not complete; run again"
                )
        if frame.empty:
            raise EmptyResult(f"{source.name} answered no rows to: {query}; did the dbt run finish?")
        return frame


@dataclass
class MartReader:
    """Reads the marts of one run, and counts what it read.

    Attributes
    ----------
    settings
        Sections ``source`` and ``data`` are used.
    warehouse
        Where queries are answered.
    fetch
        Runs one query and returns its rows.
    steps
        The clock of the run.
    rows
        Counts of what was read and left out.
    repairs
        What was mended, by kind.
    dbt
        The run of dbt that built them; None where ``dbt.target`` names none, and before they are read.
    """

    settings: Settings
    warehouse: Warehouse
    fetch: Callable[[str], pd.DataFrame]
    steps: Steps
    rows: dict[str, int] = field(default_factory=dict)
    repairs: dict[str, int] = field(default_factory=dict)
    dbt: DbtBuild | None = None

    @property
    def games_query(self) -> MartQuery:
        """The query of the games mart."""
        return MartQuery.of_games(self.settings.source)

    @property
    def ratings_query(self) -> MartQuery:
        """The query of the ratings mart."""
        return MartQuery.of_ratings(self.settings.source)

    @property
    def read_at(self) -> str | None:
        """The one moment as of which both marts were read; None where there is none."""
        games, ratings = (self.warehouse.moments.get(query) for query in (self.games_query, self.ratings_query))
        return games if games == ratings else None

    def games(self) -> pd.DataFrame:
        """Fetch and check the games alone."""
        self._ask_dbt(self.settings.source.games_table)
        return check_games(self._fetched("games", self.games_query), self.settings.data, self.settings.source)

    def ratings(self, known: IdMap | None = None) -> Ratings:
        """Fetch and check the ratings alone.

        Parameters
        ----------
        known
            Ids of the catalogue that they are joined with; None for none.
        """
        data, source = self.settings.data, self.settings.source
        self._ask_dbt(source.ratings_table)
        ratings = check_ratings(self._fetched("ratings", self.ratings_query), data, source)
        _refuse_dates_to_come(ratings, source.time_column)
        return ratings if known is None else check_join(ratings, known, data, source)

    def both(self) -> Marts:
        """Read both marts over one connection, and report every rule that either breaks at once."""
        self._ask_dbt(self.settings.source.games_table, self.settings.source.ratings_table)
        with self.warehouse.opened() as source:
            try:
                games = self._fetched("games", self.games_query)
            except (DataContractError, QueryFailed) as error:
                raise self._with_other_failure(error, source) from error
            ratings = self._fetched("ratings", self.ratings_query)
            if not self.settings.source.time_column:
                _name_unused_dates(source, self.ratings_query)
        with self.steps.step("check"):
            marts = check_marts(games, ratings, self.settings.data, self.settings.source)
            _refuse_dates_to_come(marts.ratings, self.settings.source.time_column)
        self._count(marts)
        return marts

    def _ask_dbt(self, *tables: str) -> None:
        """Hold the last run of dbt against the marts, before anything is fetched; see :func:`check_upstream`."""
        if self.settings.dbt.target:
            self.dbt = check_upstream(self.settings.dbt.target, tables)

    def _fetched(self, mart: str, query: str) -> pd.DataFrame:
        step = f"fetch_{mart}"
        with self.steps.step(step):
            frame = self.fetch(query)
        self.rows[mart] = len(frame)
        log.info("fetched %s", mart, extra=keys(rows=len(frame), seconds=self.steps.seconds[step]))
        return frame

    def _with_other_failure(self, error: RecsysError, source: Source) -> RecsysError:
        """Return what is wrong with the games mart, and with it what is wrong in the same way with the other one."""
        try:
            source.execute(self.ratings_query)
        except (DataContractError, QueryFailed) as other:
            return type(error)(f"{error}; and {other}")
        return error

    def _count(self, marts: Marts) -> None:
        ratings = marts.ratings
        meeting = Meeting.of(ratings.items, ratings.matrix.indices, marts.known)
        orphans = meeting.lost_games
        self.rows |= {
            "users": len(ratings.users),
            "rated_games": len(ratings.items),
            "orphan_games": len(orphans),
            "orphan_ratings": meeting.lost_ratings,
        }
        self.repairs |= marts.repairs
        log.info("checked", extra=keys(**self.rows))
        if orphans:
            sample = ", ".join(map(str, orphans[:5]))
            log.warning(
                "rated games that the catalogue lacks train, but are never recommended",
                extra=keys(games=self.rows["orphan_games"], ratings=self.rows["orphan_ratings"], such_as=sample),
            )
        if marts.repairs:
            log.warning("repaired", extra=keys(**{kind.replace(" ", "_"): n for kind, n in marts.repairs.items()}))


def _name_unused_dates(source: Source, query: MartQuery) -> None:
    """Say in one line that the ratings mart has a column of times, and which setting reads it."""
    if not isinstance(source, Describes):
        return
    try:
        types = source.column_types(query.table)
    except SourceError as error:
        log.debug("the columns of the ratings mart were not seen", extra=keys(reason=error))
        return
    own = {name.upper() for name in RATING_COLUMNS}
    dated = [
        name
        for name, kind in types.items()
        if name.upper() not in own and (_OF_TIME.fullmatch(kind) or _NAMED_FOR_TIME.fullmatch(name))
    ]
    if dated:
        log.info(
            "the ratings have dates that are not read; with them, lists follow what people like now",
            extra=keys(columns=", ".join(dated), setting=f"source.time_column={dated[0]}"),
        )


def _refuse_dates_to_come(ratings: Ratings, column: str) -> None:
    """Refuse ratings that are dated later than now, by a day that time zones may take.

    Ages are counted from the newest rating: one of them in 2098 would leave nothing of all others.
    """
    if ratings.rated_at is None or not len(ratings.rated_at):
        return
    limit = (time.time() + _DAY) * 1e6
    later = int((ratings.rated_at > limit).sum())
    if later:
        newest = np.datetime64(int(ratings.rated_at.max()), "us").astype("datetime64[s]")
        raise DataContractError(
            f"{column}: {later:,} of {len(ratings.rated_at):,} ratings are dated later than today, the latest at"
            f" {newest}; ages are counted from the newest rating; correct these dates in the"
            " mart, or leave source.time_column empty"
        )


@contextmanager
def _logged(source: str) -> Iterator[None]:
    """Log a failure of the database where it happens, and pass it on."""
    try:
        yield
    except SourceError as error:
        log.warning("fetch failed", extra=keys(source=source, error=type(error).__name__, reason=str(error)))
        raise


def _counted(batches: Iterator[pa.RecordBatch], advance: Any) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        yield batch
        advance(len(batch))
