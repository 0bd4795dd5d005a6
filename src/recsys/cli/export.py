"""``recsys export``: a release as tables, for warehouses and files."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple, TypeAlias

import typer

from recsys.cli.options import (
    CURRENT,
    Config,
    Json,
    Log,
    LogFormat,
    Models,
    Overrides,
    Release,
    Verbose,
    overrides,
    releases_folder,
)
from recsys.cli.query import Collapse, Conditions, Way, path_of
from recsys.cli.rules import AtMost, Boost, Bury, Diversity, Exclude, Newcomers, Only, Pin, Scenario, read_rules
from recsys.cli.state import begin
from recsys.system import streams

if TYPE_CHECKING:
    from recsys.config import Settings
    from recsys.export import Exported, Options
    from recsys.export.tables import What
    from recsys.serving import Recommender

app = typer.Typer(
    name="export",
    help="Write a release as tables: as Parquet, or into DuckDB or Snowflake.",
    no_args_is_help=True,
)


class Of(StrEnum):
    """Whose factors."""

    users = "users"
    games = "games"


Target: TypeAlias = Annotated[
    str, typer.Argument(help="FILE.parquet, a folder for parts, duckdb:FILE, or snowflake.", metavar="TARGET")
]
TableName: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--table",
        help="In a database: the table, perhaps with its schema.",
        show_default="RECOMMENDATIONS, SIMILAR_GAMES, USER_FACTORS, GAME_FACTORS or GAME_EMBEDDINGS",
        metavar="NAME",
    ),
]
Recreate: TypeAlias = Annotated[
    bool, typer.Option("--recreate", help="Replace also a table with other columns that stands at the target.")
]
Length: TypeAlias = Annotated[int, typer.Option("-k", "--k", min=1, help="Games in a list at most.", metavar="N")]


@app.command("recommendations")
def recommendations(
    context: typer.Context,
    target: Target,
    *,
    k: Length = 20,
    by: Annotated[Way, typer.Option(help="Their players, their texts, or both.")] = Way.taste,
    filter_: Conditions = None,
    collapse: Collapse = False,
    only: Only = None,
    exclude: Exclude = None,
    boost: Boost = None,
    bury: Bury = None,
    diversity: Diversity = None,
    at_most: AtMost = None,
    pin: Pin = None,
    newcomers: Newcomers = None,
    scenario: Scenario = None,
    why: Annotated[bool, typer.Option("--why", help="Name for each the game that speaks most for it.")] = False,
    users: Annotated[
        Path | None,
        typer.Option(
            help="Lists for these users alone: a file with an id in each line.",
            show_default="all users",
            metavar="FILE",
        ),
    ] = None,
    table: TableName = None,
    recreate: Recreate = False,
    models: Models = None,
    release: Release = CURRENT,
    config: Config = None,
    set_: Overrides = None,
    json: Json = False,
    log_format: Log = LogFormat.human,
    verbose: Verbose = False,
) -> None:
    """Write a list of games for every user, a row for each place."""
    begin(context, json=json, verbose=verbose, log_format=log_format)
    from recsys.config import load_settings
    from recsys.export import Options
    from recsys.serving import ListOptions

    settings = load_settings(config, overrides(set_))
    recommender = _load(models, release, settings)
    asked = None if users is None else _read_ids(users, recommender)
    rules = read_rules(recommender, only, exclude, boost, bury, diversity, at_most, pin, newcomers)
    lists = ListOptions(k, filter_ or (), collapse, why, rules, scenario)
    options = Options(by.value, lists, asked)
    _export("recommendations", recommender, options, _Place(target, table, recreate, settings), json=json)


@app.command("similar")
def similar(
    context: typer.Context,
    target: Target,
    *,
    k: Length = 20,
    by: Annotated[Way, typer.Option(help="Liked by the same people, described alike, or both.")] = Way.blend,
    filter_: Conditions = None,
    collapse: Collapse = False,
    only: Only = None,
    exclude: Exclude = None,
    boost: Boost = None,
    bury: Bury = None,
    diversity: Diversity = None,
    at_most: AtMost = None,
    pin: Pin = None,
    scenario: Scenario = None,
    table: TableName = None,
    recreate: Recreate = False,
    models: Models = None,
    release: Release = CURRENT,
    config: Config = None,
    set_: Overrides = None,
    json: Json = False,
    log_format: Log = LogFormat.human,
    verbose: Verbose = False,
) -> None:
    """Write the games that are most like each game, a row for each place."""
    begin(context, json=json, verbose=verbose, log_format=log_format)
    from recsys.config import load_settings
    from recsys.export import Options
    from recsys.serving import ListOptions

    settings = load_settings(config, overrides(set_))
    recommender = _load(models, release, settings)
    rules = read_rules(recommender, only, exclude, boost, bury, diversity, at_most, pin)
    options = Options(by.value, ListOptions(k, filter_ or (), collapse, rules=rules, scenario=scenario))
    _export("similar", recommender, options, _Place(target, table, recreate, settings), json=json)


@app.command("factors")
def factors(
    context: typer.Context,
    target: Target,
    *,
    of: Annotated[Of, typer.Option("--of", help="Whose.")] = Of.users,
    table: TableName = None,
    recreate: Recreate = False,
    models: Models = None,
    release: Release = CURRENT,
    config: Config = None,
    set_: Overrides = None,
    json: Json = False,
    log_format: Log = LogFormat.human,
    verbose: Verbose = False,
) -> None:
    """Write the factors of every user or game, a row for each."""
    begin(context, json=json, verbose=verbose, log_format=log_format)
    from recsys.config import load_settings
    from recsys.export import Options

    settings = load_settings(config, overrides(set_))
    place = _Place(target, table, recreate, settings)
    _export("factors", _load(models, release, settings), Options(of=of.value), place, json=json)


@app.command("embeddings")
def embeddings(
    context: typer.Context,
    target: Target,
    *,
    table: TableName = None,
    recreate: Recreate = False,
    models: Models = None,
    release: Release = CURRENT,
    config: Config = None,
    set_: Overrides = None,
    json: Json = False,
    log_format: Log = LogFormat.human,
    verbose: Verbose = False,
) -> None:
    """Write the vector of every game's text, a row for each."""
    begin(context, json=json, verbose=verbose, log_format=log_format)
    from recsys.config import load_settings
    from recsys.export import Options

    settings = load_settings(config, overrides(set_))
    place = _Place(target, table, recreate, settings)
    _export("embeddings", _load(models, release, settings), Options(), place, json=json)


class _Place(NamedTuple):
    """Where a table goes, and what may be replaced there."""

    target: str
    table: str | None
    recreate: bool
    settings: Settings


def _export(what: What, recommender: Recommender, options: Options, place: _Place, *, json: bool) -> None:
    from recsys.export import export, open_target, table_of

    table = table_of(recommender, what, replace(options, threads=place.settings.cf.threads))
    target = open_target(place.target, place.table or table.name, place.settings.snowflake)
    done = export(table, target, recreate=place.recreate)
    for note in () if json else done.notes:
        streams.note(note)
    streams.tell(streams.as_json(done.to_json()) if json else _sentence(done))


def _sentence(done: Exported) -> str:
    by = ", ".join(f"{lists:,} by {way}" for way, lists in sorted(done.ranked_by.items(), key=lambda each: -each[1]))
    lists = f": lists {by}" if by else ""
    lists += f", {done.short:,} of them shorter than asked" if done.short else ""
    return f"exported {done.rows:,} rows of release {done.release} to {done.target}{lists} ({done.seconds:.1f} s)"


def _load(models: str | None, release: str, settings: Settings) -> Recommender:
    from recsys.serving import load

    return load(path_of(releases_folder(models, settings), release))


def _read_ids(path: Path, recommender: Recommender) -> list[object]:
    """Return the ids that a file names, one a line; empty lines count for nothing."""
    from recsys.errors import ConfigError
    from recsys.system.paths import local_path

    try:
        lines = local_path(path, "--users").read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text in UTF-8"
        raise ConfigError(
            f"--users {path} cannot be read: {reason}; it takes a file with an id in each line"
        ) from error
    ids: list[object] = []
    for number, line in enumerate(lines, 1):
        if line:
            id_ = recommender.snapshot.people.user_id(line)
            if id_ is None:
                raise ConfigError(
                    f"--users {path}, line {number}: {line!r} is no user id: those of this release are whole numbers"
                )
            ids.append(id_)
    if not ids:
        raise ConfigError(f"--users {path} names nobody; it takes a file with an id in each line")
    return ids
