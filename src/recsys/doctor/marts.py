"""The two marts: built by dbt, their source reached, readable, there, filled, and meeting each other."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from recsys.doctor.findings import Seen
from recsys.errors import DataContractError, DeadlineExceeded, EmptyResult, PrivilegeError

if TYPE_CHECKING:
    import pyarrow as pa

    from recsys.config import Settings
    from recsys.doctor.case import Case
    from recsys.marts import MartQuery, Meeting
    from recsys.sources import Source

_SAMPLE = 100_000
"""Ratings whose games are looked up in the catalogue."""
_CATALOGUE = 1_000_000
"""Games at most whose ids are fetched for that."""
_ENOUGH = 20
"""Games of a sample that must have been looked up before anything is said of all."""
_SHARE = 0.8
"""Of the time that may be waited: Snowflake's own limits end first, and say what they waited for."""
_A_DAY = timedelta(days=1)
"""Time zones may take as much."""


def dbt(case: Case) -> Seen:
    """Say what dbt left of the marts, where a run asks for that."""
    from recsys.pipeline.dbt import check_upstream

    named, target = case.settings.source, case.settings.dbt.target
    if not target:
        return Seen("it is not asked: dbt.target names no folder", applies=False)
    build = check_upstream(target, (named.games_table, named.ratings_table))
    counts = f"{build.nodes} nodes, {build.tests} tests and {build.sources} sources"
    return Seen(f"the marts and all above them are sound: {counts}, built at {build.generated_at}", vars(build))


def source(case: Case) -> Seen:
    """Open the source; a role that is refused is the next check's."""
    from recsys.sources import open_source
    from recsys.sources.snowflake.names import variables

    url = case.settings.source.url
    try:
        case.source = open_source(url, _bounded(case.settings, _SHARE * case.left_s), variables(case.environ))
    except PrivilegeError as error:
        case.excess = error
        return Seen("signed in to Snowflake")
    except DeadlineExceeded as error:
        raise DeadlineExceeded(f"{error} (a check waits no longer than --limit allows)") from error
    return Seen(f"{'signed in to ' if url == 'snowflake' else ''}{case.source.name}", {"name": case.source.name})


def _bounded(settings: Settings, seconds: float) -> Settings:
    """Return settings with which Snowflake is waited for no longer than so many seconds."""
    given, whole = settings.snowflake, max(1, int(seconds))
    bounds = {
        "deadline_s": min(given.deadline_s, seconds),
        "login_timeout_s": min(given.login_timeout_s, seconds),
        "network_timeout_s": min(given.network_timeout_s, whole),
        "statement_timeout_s": min(given.statement_timeout_s, whole),
    }
    return settings.model_copy(update={"snowflake": given.model_copy(update=bounds)})


def role(case: Case) -> Seen:
    """Say whether the role can only read, which is proved as the source is opened."""
    if case.excess is not None:
        raise case.excess
    wanted = case.settings.snowflake.require_read_only
    if case.settings.source.url != "snowflake":
        return Seen("files have none; they are opened for reading alone", applies=False)
    if wanted is True:
        return Seen("it can only read")
    looked = "what more it can do is a warning" if wanted == "warn" else "it is not looked at"
    return Seen(f"{looked}: snowflake.require_read_only = {str(wanted).lower()}", applies=False)


def games(case: Case) -> Seen:
    """Look at the games mart: its columns, and how many rows it has."""
    from recsys.marts import MartQuery

    settings = case.settings
    rows = _rows(_opened(case), MartQuery.of_games(settings.source), settings.data.min_games, "data.min_games")
    return Seen(f"{settings.source.games_table}: {rows:,} rows, all columns there", {"rows": rows})


def ratings(case: Case) -> Seen:
    """Look at the ratings mart: its columns, how many rows it has, and how old the newest is."""
    from recsys.marts import MartQuery

    settings, source_ = case.settings, _opened(case)
    query = MartQuery.of_ratings(settings.source)
    rows = _rows(source_, query, settings.data.min_ratings, "data.min_ratings")
    facts: dict[str, object] = {"rows": rows}
    text = f"{settings.source.ratings_table}: {rows:,} rows, all columns there"
    if not settings.source.time_column:
        return Seen(f"{text}; how fresh they are only source.time_column would tell", facts)
    newest, age = _newest(source_, query, settings.source.time_column)
    return Seen(f"{text}; the newest is of {newest}{age}", {**facts, "newest": newest})


def _opened(case: Case) -> Source:
    assert case.source is not None, "this check needs the one that opens the source"
    return case.source


def _rows(source_: Source, query: MartQuery, least: int, setting: str) -> int:
    """Return how many rows a mart has that has all columns; no row is fetched."""
    from recsys.sources import Describes

    if isinstance(source_, Describes):
        present = list(source_.column_types(query.table))
        names = {name.upper() for name in present}
        if lacking := [bare for name in query.columns if (bare := name.strip('"')).upper() not in names]:
            raise DataContractError(
                f"{query.table} lacks {', '.join(lacking)}; it has {', '.join(present)}; add what is missing"
            )
    _answer(source_, f"{query} LIMIT 0")  # the right to read each of them
    rows = int(_answer(source_, f"SELECT count(*) FROM {query.table}")[0][0].as_py())
    if not rows:
        raise EmptyResult(f"{query.table} has no rows; did the dbt run finish?")
    if rows < least:
        raise DataContractError(
            f"{query.table} has {rows:,} rows, fewer than the {least:,} that {setting} asks for; fill it, or lower that"
        )
    return rows


def _newest(source_: Source, query: MartQuery, column: str) -> tuple[str, str]:
    """Return the time of the newest rating, and how long ago that was, as far as one cell tells."""
    import pandas as pd

    from recsys.marts import read_times

    newest = _answer(source_, f"SELECT max({query.columns[-1]}) FROM {query.table}")[0]
    times = read_times(pd.Series(newest.to_pylist()), column)
    if times.faults or not newest[0].is_valid:
        return str(newest[0].as_py()), f" ({column} is read with the whole column; `recsys train --dry-run` does)"
    moment = datetime.fromtimestamp(int(times.micros[0]) / 1e6, UTC)
    age = datetime.now(UTC) - moment
    if age < -_A_DAY:
        raise DataContractError(
            f"{query.table}: the newest rating is dated {moment:%Y-%m-%d}, later than today; correct {column} in the"
            " mart, or leave source.time_column empty"
        )
    return f"{moment:%Y-%m-%d}", f", {max(age.days, 0):,} days ago" if age >= _A_DAY else ", today"


def ids(case: Case) -> Seen:
    """Look up the games of some ratings in the catalogue, by what their ids mean."""
    from recsys.marts import MartQuery

    source_, named = _opened(case), case.settings.source
    catalogue = _ids(source_, MartQuery.of_games(named).table, _CATALOGUE + 1)
    if len(catalogue) > _CATALOGUE:
        return Seen(f"more than {_CATALOGUE:,} games are too many to fetch here", applies=False)
    rated = _ids(source_, MartQuery.of_ratings(named).table, _SAMPLE)
    meeting, whole = _meeting(rated, catalogue, named.ratings_table), len(rated) < _SAMPLE
    games, lost = len(meeting.items), len(meeting.lost_games)
    most = case.settings.data.max_unknown
    # The first rows of a mart may be of a few games, or of old ones: only where nothing meets, that says it of all.
    if meeting.share > most if whole else lost == games >= _ENOUGH:
        raise DataContractError(
            f"{named.ratings_table}: {meeting.lost_ratings:,} {meeting.rule(most, named.games_table)}"
        )
    some = "" if whole else f" of the first {_SAMPLE:,} ratings"
    facts: dict[str, object] = {"rated_games": games, "in_catalogue": games - lost, "ratings": len(rated)}
    return Seen(f"{games - lost:,} of {games:,} rated games{some} are in the catalogue", facts)


def _ids(source_: Source, table: str, most: int) -> pa.ChunkedArray:
    from recsys.marts import GAME_ID, MartQuery

    return _answer(source_, f"{MartQuery((GAME_ID,), table)} LIMIT {most}")[0]


def _meeting(rated: pa.ChunkedArray, catalogue: pa.ChunkedArray, table: str) -> Meeting:
    from recsys.marts import Meeting, NotAnId, encode

    try:
        codes, items = encode(rated.combine_chunks())
        return Meeting.however_spelled(items, codes[codes >= 0], encode(catalogue.combine_chunks())[1])
    except NotAnId as error:
        raise DataContractError(
            f"GAME_ID of {table} or of the games is no id: {error}; give both whole numbers or texts"
        ) from error


def _answer(source_: Source, sql: str) -> Any:
    """Return the answer to a small query as a table."""
    return source_.execute(sql).table()
