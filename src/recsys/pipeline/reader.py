"""Where a run's two tables come from: fetched, checked, and brought together."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from recsys.errors import DataContractError, EmptyResult, QueryFailed, RecsysError, SourceError, TruncatedResult
from recsys.marts.contract import ContractReport, Ratings, check_games, check_ratings
from recsys.marts.ids import IdMap
from recsys.marts.join import Meeting, join
from recsys.marts.query import MartQuery
from recsys.marts.schema import ENCODED, GAME_ID, USER_ID
from recsys.sources import open_source
from recsys.system.log import events, keys
from recsys.system.pulse import progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import pandas as pd
    import pyarrow as pa

    from recsys.config import Settings
    from recsys.sources import Source
    from recsys.system.steps import Steps

log = events(__name__)


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

    Attributes
    ----------
    query_ids
        The source's own name of each query that was last run, where it has one.
    """

    def __init__(self, settings: Settings, credentials: Mapping[str, str], source: Source | None = None) -> None:
        self.query_ids: dict[str, str | None] = {}
        self._settings = settings
        self._credentials = credentials
        self._source = source

    @contextmanager
    def opened(self) -> Iterator[Source]:
        """Yield the source; what is opened here is closed here."""
        if self._source is not None:
            yield self._source
            return
        with open_source(self._settings.source.url, self._settings, dict(self._credentials)) as source:
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
            self.query_ids[query] = result.query_id
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


@dataclass(frozen=True)
class Marts:
    """Both tables, checked and joined.

    Attributes
    ----------
    games
        The catalogue, sorted by id, its texts mended.
    ratings
        Who rated what, game ids spelled as the catalogue's.
    known
        Ids of the catalogue, sorted.
    """

    games: pd.DataFrame
    ratings: Ratings
    known: IdMap


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
    """

    settings: Settings
    warehouse: Warehouse
    fetch: Callable[[str], pd.DataFrame]
    steps: Steps
    rows: dict[str, int] = field(default_factory=dict)
    repairs: dict[str, int] = field(default_factory=dict)

    @property
    def games_query(self) -> MartQuery:
        """The query of the games mart."""
        return MartQuery.of_games(self.settings.source)

    @property
    def ratings_query(self) -> MartQuery:
        """The query of the ratings mart."""
        return MartQuery.of_ratings(self.settings.source)

    def games(self) -> pd.DataFrame:
        """Fetch and check the games alone."""
        report = ContractReport()
        games = self._checked_games(self._fetched("games", self.games_query), report)
        report.raise_if_broken()
        return games

    def ratings(self, known: IdMap | None = None) -> Ratings:
        """Fetch and check the ratings alone.

        Parameters
        ----------
        known
            Ids of the catalogue that they are joined with; None for none.
        """
        report = ContractReport()
        ratings = self._checked_ratings(self._fetched("ratings", self.ratings_query), report)
        report.raise_if_broken()
        assert ratings is not None
        if known is not None:
            ratings = self._joined(ratings, known, report)
            report.raise_if_broken()
        return ratings

    def both(self) -> Marts:
        """Read both marts over one connection, and report every rule that either breaks at once."""
        with self.warehouse.opened() as source:
            try:
                fetched = self._fetched("games", self.games_query)
            except (DataContractError, QueryFailed) as error:
                raise self._with_other_failure(error, source) from error
            rated = self._fetched("ratings", self.ratings_query)
        report = ContractReport()
        with self.steps.step("check"):
            games = self._checked_games(fetched, report)
            ratings = self._checked_ratings(rated, report)
            known = IdMap.of([] if report.violations else games[GAME_ID].tolist())
            if ratings is not None and not report.violations:
                ratings = self._joined(ratings, known, report)
            report.raise_if_broken()
        assert ratings is not None
        self._count(ratings, known)
        self.repairs = dict(report.repairs)
        if report.repairs:
            log.warning("repaired", extra=keys(**{kind.replace(" ", "_"): n for kind, n in report.repairs.items()}))
        return Marts(games, ratings, known)

    def _fetched(self, mart: str, query: str) -> pd.DataFrame:
        step = f"fetch_{mart}"
        with self.steps.step(step):
            frame = self.fetch(query)
        self.rows[mart] = len(frame)
        log.info("fetched %s", mart, extra=keys(rows=len(frame), seconds=self.steps.seconds[step]))
        return frame

    def _checked_games(self, fetched: pd.DataFrame, report: ContractReport) -> pd.DataFrame:
        from recsys.marts.text import tell_unread

        source = self.settings.source
        games = check_games(fetched, self.settings.data, report, source.games_table, source.more_game_columns)
        tell_unread(report.unread)
        return games

    def _checked_ratings(self, fetched: pd.DataFrame, report: ContractReport) -> Ratings | None:
        source = self.settings.source
        time_column = source.time_column.upper()  # as columns are named when they are fetched
        return check_ratings(fetched, self.settings.data, report, mart=source.ratings_table, time_column=time_column)

    def _joined(self, ratings: Ratings, known: IdMap, report: ContractReport) -> Ratings:
        source = self.settings.source
        marts = source.games_table, source.ratings_table
        return join(ratings, known, report, self.settings.data.max_unknown, marts)

    def _with_other_failure(self, error: RecsysError, source: Source) -> RecsysError:
        """Return what is wrong with the games mart, and with it what is wrong in the same way with the other one."""
        try:
            source.execute(self.ratings_query)
        except (DataContractError, QueryFailed) as other:
            return type(error)(f"{error}; and {other}")
        return error

    def _count(self, ratings: Ratings, known: IdMap) -> None:
        meeting = Meeting.of(ratings.items, ratings.matrix.indices, known)
        orphans = meeting.lost_games
        self.rows |= {
            "users": len(ratings.users),
            "rated_games": len(ratings.items),
            "orphan_games": len(orphans),
            "orphan_ratings": meeting.lost_ratings,
        }
        log.info("checked", extra=keys(**self.rows))
        if orphans:
            sample = ", ".join(map(str, orphans[:5]))
            log.warning(
                "rated games that the catalogue lacks train, but are never recommended",
                extra=keys(games=self.rows["orphan_games"], ratings=self.rows["orphan_ratings"], such_as=sample),
            )


@contextmanager
def _logged(source: str) -> Iterator[None]:
    """Log a failure of the database where it happens, and pass it on."""
    try:
        yield
    except SourceError as error:
        log.error("fetch failed", extra=keys(source=source, error=type(error).__name__, reason=str(error)))  # noqa: TRY400
        raise


def _counted(batches: Iterator[pa.RecordBatch], advance: Any) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        yield batch
        advance(len(batch))
