"""Games as a command line names them, and somebody who is told of by them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from recsys.errors import NotInModel
from recsys.system import streams

if TYPE_CHECKING:
    from collections.abc import Iterable

    from recsys.marts import Id
    from recsys.serving import Answer, Recommender, Visitor


def visitor_of(
    recommender: Recommender, likes: Iterable[str], rated: Iterable[str], dislikes: Iterable[str]
) -> Visitor:
    """Return who is meant; games are named as for :func:`resolve`, ratings as ``GAME=9``.

    Raises
    ------
    NotInModel
        If a game is meant by nothing for certain.
    typer.BadParameter
        If a rating is no number, or a game is rated twice.
    """
    from recsys.serving import Visitor

    ratings: dict[Id, float] = {}
    for text in rated:
        game, equals, number = text.rpartition("=")
        rating = _number(number)
        if not equals or not game.strip() or rating is None:
            raise typer.BadParameter(f"--rate {text}: a game and a number are expected, such as Catan=9")
        id_ = resolve(recommender, game)
        if id_ in ratings:
            raise typer.BadParameter(f"--rate {text}: {name_of(recommender, id_)} was rated {ratings[id_]:g} before")
        ratings[id_] = rating
    liked, disliked = ([resolve(recommender, text) for text in texts] for texts in (likes, dislikes))
    return Visitor(liked, ratings, disliked)


def asked_by(recommender: Recommender, visitor: Visitor) -> tuple[dict[str, object], str]:
    """Return what was asked, as JSON and in words."""

    def named(ids: Iterable[Id]) -> list[dict[str, object]]:
        return [{"game_id": id_, "name": name_of(recommender, id_)} for id_ in ids]

    liked, disliked = named(visitor.likes), named(visitor.dislikes)
    rated = [{**game, "rating": visitor.ratings[id_]} for id_ in visitor.ratings for game in named([id_])]
    said = {"likes": [str(game["name"]) for game in liked]}
    said["rates"] = [f"{game['name']} {game['rating']:g}" for game in rated]
    said["dislikes"] = [str(game["name"]) for game in disliked]
    words = "; ".join(f"{verb} {', '.join(games)}" for verb, games in said.items() if games)
    more = {"rated": rated, "disliked": disliked}
    return {"liked": liked, **{name: games for name, games in more.items() if games}}, f"for somebody who {words}"


def unused(answer: Answer) -> str:
    """Return in words what of a visitor the answer does not rest on; empty where it rests on all."""
    if answer.used is None or not answer.used.unused or answer.by == "popularity":
        return ""
    return "did not count: " + "; ".join(f"{game.name} ({game.why})" for game in answer.used.unused)


def name_of(recommender: Recommender, id_: Id) -> str:
    """Return what a game is called."""
    catalogue = recommender.snapshot.catalogue
    return catalogue.names[catalogue.row(id_)]


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def resolve(recommender: Recommender, text: str) -> Id:
    """Return the id of the game that a text means: by id, else by name, forgivingly.

    Raises
    ------
    NotInModel
        If no game is meant for certain; the message names those that may be.
    """
    catalogue = recommender.snapshot.catalogue
    id_ = catalogue.id_from(text)
    if id_ is not None and catalogue.find(id_) is not None:
        return id_
    games, hint = recommender.find(text, 5), catalogue.hint(text)
    if not games:
        like = f"called anything like {text!r}"
        nothing = f"no game is {like}" if id_ is None else f"no game has the id {id_}, nor is any {like}"
        raise NotInModel(f"{nothing}; try another part of the name, or describe it: recsys search{hint}")
    if not recommender.is_certain(games):
        close = ", ".join(f"{game.name} ({game.game_id})" for game in games)
        raise NotInModel(
            f"no game is called {text!r}; the nearest names are {close}: ask by name or id of one of them{hint}"
        )
    first, *others = games
    if first.score < 1:
        streams.note(f"taking {text!r} for {first.name} ({first.game_id})")
    elif namesakes := [game for game in others if game.score == 1]:
        also = ", ".join(f"{game.name} ({game.game_id})" for game in namesakes)
        most = "the most rated, " if any(game.name.casefold() == first.name.casefold() for game in namesakes) else ""
        streams.note(f"taking {most}{first.name} ({first.game_id}); also: {also}")
    return first.game_id
