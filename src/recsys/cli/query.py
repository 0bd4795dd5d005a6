"""``recsys similar``, ``search`` and ``recommend``: try a release from the command line."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from recsys.cli.options import CURRENT, Json, Models, Release, Verbose, releases_folder
from recsys.cli.rules import AtMost, Boost, Bury, Diversity, Exclude, Newcomers, Only, Pin, Scenario, read_rules
from recsys.cli.state import State, begin
from recsys.cli.tables import draw, ruled
from recsys.cli.visitor import asked_by, name_of, resolve, unused, visitor_of
from recsys.errors import ConfigError
from recsys.system import streams

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from recsys.marts import Id
    from recsys.serving import Answer, Recommender


class Way(StrEnum):
    """How an answer is ranked."""

    taste = "taste"
    content = "content"
    blend = "blend"


Count: TypeAlias = Annotated[int, typer.Option("-k", "--count", min=1, help="Games shown at most.", metavar="N")]
Conditions: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--filter",
        help="Show only games with this tag or column, such as tag=Economic or 'N_RATINGS>=100'; may be repeated.",
        metavar="CONDITION",
    ),
]
Collapse: TypeAlias = Annotated[bool, typer.Option("--collapse", help="Show one edition of a game only.")]


def similar(
    context: typer.Context,
    game: Annotated[str, typer.Argument(help="A game's id, or its name, forgivingly.", metavar="NAME_OR_ID")],
    *,
    by: Annotated[Way, typer.Option(help="Liked by the same people, described alike, or both.")] = Way.blend,
    count: Count = 10,
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
    models: Models = None,
    release: Release = CURRENT,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Print the games that are most like one."""
    state = begin(context, json=json, verbose=verbose, quiet=True)
    recommender = _load(models, release, state)
    id_ = resolve(recommender, game)
    rules = read_rules(recommender, only, exclude, boost, bury, diversity, at_most, pin)
    answer = recommender.similar(
        id_, count, by=by.value, filters=filter_ or (), collapse=collapse, rules=rules, scenario=scenario
    )
    name = name_of(recommender, id_)
    _tell(recommender, answer, {"game_id": id_, "name": name}, f"like {name} ({id_})", json=json)


def search(
    context: typer.Context,
    text: Annotated[str, typer.Argument(help="What the game should be like, in words.", metavar="TEXT")],
    *,
    count: Count = 10,
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
    models: Models = None,
    release: Release = CURRENT,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Print the games whose descriptions are nearest to a text."""
    state = begin(context, json=json, verbose=verbose, quiet=True)
    recommender = _load(models, release, state)
    rules = read_rules(recommender, only, exclude, boost, bury, diversity, at_most, pin)
    answer = recommender.search(text, count, filters=filter_ or (), collapse=collapse, rules=rules, scenario=scenario)
    _tell(recommender, answer, {"text": text}, "", json=json)


def recommend(
    context: typer.Context,
    user: Annotated[
        str | None,
        typer.Argument(
            help="A user's id.", show_default="somebody of whom --like, --rate and --dislike tell", metavar="USER"
        ),
    ] = None,
    *,
    like: Annotated[
        list[str] | None,
        typer.Option(help="In place of a user, a game that somebody likes; may be repeated.", metavar="NAME_OR_ID"),
    ] = None,
    rate: Annotated[
        list[str] | None,
        typer.Option(
            help="A game and somebody's rating, such as Catan=9; may be repeated.", metavar="NAME_OR_ID=RATING"
        ),
    ] = None,
    dislike: Annotated[
        list[str] | None,
        typer.Option(help="A game that somebody does not like; may be repeated.", metavar="NAME_OR_ID"),
    ] = None,
    by: Annotated[
        Way | None,
        typer.Option(help="Their players, their texts, or both.", show_default="taste for a user, else blend"),
    ] = None,
    count: Count = 10,
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
    models: Models = None,
    release: Release = CURRENT,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Print games for a user, or for somebody who likes, has rated or dislikes some, and what speaks for each."""
    state = begin(context, json=json, verbose=verbose, quiet=True)
    if (user is None) == (not like and not rate and not dislike):
        raise typer.BadParameter(
            "name either a user or, with --like, --rate and --dislike, what somebody says of some games"
        )
    recommender = _load(models, release, state)
    rules = read_rules(recommender, only, exclude, boost, bury, diversity, at_most, pin, newcomers)
    if user is not None:
        id_, question = _user(recommender, user), ""
        asked: dict[str, object] = {"user_id": id_}
        answer = recommender.recommend(
            id_,
            count,
            by=(by or Way.taste).value,
            filters=filter_ or (),
            collapse=collapse,
            why=True,
            rules=rules,
            scenario=scenario,
        )
    else:
        visitor = visitor_of(recommender, like or (), rate or (), dislike or ())
        asked, question = asked_by(recommender, visitor)
        answer = recommender.recommend_from(
            visitor.likes,
            count,
            ratings=visitor.ratings,
            dislikes=visitor.dislikes,
            by=(by or Way.blend).value,
            filters=filter_ or (),
            collapse=collapse,
            why=True,
            rules=rules,
            scenario=scenario,
        )
    _tell(recommender, answer, asked, question, json=json)


def _user(recommender: Recommender, text: str) -> Id:
    id_ = recommender.snapshot.people.user_id(text)
    if id_ is None:
        raise ConfigError(
            f"{text!r} is no user id: those of this release are whole numbers{recommender.snapshot.people.hint(text)}"
        )
    return id_


def path_of(models: Path | str, release: str) -> Path | str:
    """Return the folder of a release, or the link to the current one; or the address of one of both."""
    from recsys.release.place import address_of
    from recsys.release.pointer import LINK
    from recsys.release.store import CURRENT, ReleaseStore

    if isinstance(models, str):
        return models if release == CURRENT else address_of(models, release)
    return models / LINK if release == CURRENT else ReleaseStore(models).path(release)


def _load(models: str | None, release: str, state: State) -> Recommender:
    from recsys.serving import load

    return load(path_of(releases_folder(models), release), encoder=state.encoder)


def _tell(recommender: Recommender, answer: Answer, asked: Mapping[str, object], question: str, *, json: bool) -> None:
    if json:
        streams.answer(streams.as_json({"asked": asked, **answer.to_json()}))
        return
    for line in (question, answer.note, unused(answer)):
        if line:
            streams.answer(line)
    _print(recommender, answer)


def _year(value: Any) -> str:
    return "" if not value else f"{value:.0f}" if isinstance(value, int | float) else str(value)


def _print(recommender: Recommender, answer: Answer) -> None:
    from rich.markup import escape

    catalogue = recommender.snapshot.catalogue
    why = any(game.because for game in answer)
    score = "ratings" if answer.by == "popularity" else f"score by {answer.by}"
    years, reasons = ["year"] if catalogue.years else [], ["because of"] if why else []
    table = ruled("id", "game", *years, score, *reasons, numbers={"year", score})
    for game in answer:
        cells = [escape(str(game.game_id)), escape(game.name)]
        if catalogue.years:
            cells.append(_year(catalogue.years[catalogue.row(game.game_id)]))
        cells.append(f"{game.score:,.0f}" if answer.by == "popularity" else f"{game.score:.3f}")
        if why:
            cells.append(escape(", ".join(f"{reason.name} {reason.share:.0%}" for reason in game.because)))
        table.add_row(*cells)
    draw(table, f"{len(answer)} games from release {answer.release}")
