"""The routes of the service, over one recommender."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from fastapi import Body, Depends, FastAPI, Path, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from recsys import __version__
from recsys.service import ids, schema
from recsys.service.about import add_about
from recsys.service.exchange import exchange_of
from recsys.service.front import Front, ServiceOptions
from recsys.service.metrics import Metrics
from recsys.service.refusals import add_refusals
from recsys.service.responses import Answered
from recsys.service.rules import asked_rules, read_rules
from recsys.service.strict import StrictRoute, declared
from recsys.service.visitors import VisitorBody
from recsys.serving.answers import Way
from recsys.serving.rule_texts import RuleTexts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from recsys.service.watch import Watch
    from recsys.serving import Recommender
    from recsys.serving.answers import Answer, Explanation

_QUICK = 100
"""Games up to which a plain list is made at once; what takes longer gets a thread, and keeps nobody waiting."""

By = Annotated[Way, Query(description="What the answer goes by.")]
Count = Annotated[int, Query(ge=1, le=schema.LONGEST, description="Games at most.")]
Conditions = Annotated[
    Sequence[schema.Condition],
    Query(
        alias="filter",
        description="Conditions such as `tag=Economic` or `N_RATINGS>=100`; every game meets all of them.",
        max_length=schema.CONDITIONS,
    ),
]
Collapse = Annotated[bool, Query(description="Show one edition of a game only.")]
Why = Annotated[bool, Query(description="Name the liked games that speak for each.")]
AskedRules = Annotated[RuleTexts, Depends(asked_rules)]
Text = Annotated[str, Query(min_length=1, max_length=500)]
GameId = Annotated[str, Path(description="A game's id; one of `.` or `..` can only be a parameter.")]
UserId = Annotated[str, Path(description="A user's id; an unknown user gets the most rated games.")]
Somebody = Annotated[VisitorBody, Body(description="What somebody likes, has rated and dislikes.")]
AnyGame = Annotated[str, Query(description="A game's id, whatever signs it is made of.")]
AnyUser = Annotated[str, Query(description="A user's id, whatever signs it is made of.")]

_NO_RULES = RuleTexts()
_Responses: TypeAlias = dict[int | str, dict[str, Any]]
"""What FastAPI takes as the further answers of a route."""
_WRONG: _Responses = {422: {"model": schema.Problem, "description": "An argument is wrong"}}
_NO_MODEL: _Responses = {501: {"model": schema.Problem, "description": "The embedding model is not at hand"}}
_UNKNOWN: _Responses = {404: {"model": schema.Problem, "description": "No such game or user"}}


def create_app(recommender: Recommender, watch: Watch | None = None, options: ServiceOptions | None = None) -> FastAPI:
    """Return the service over a recommender.

    Parameters
    ----------
    recommender
        Answers the questions.
    watch
        Started and stopped with the service; without one, the release that is loaded stays.
    options
        What it asks of requests, and what it keeps of them.

    Raises
    ------
    ConfigError
        If the access log cannot be written.
    """
    metrics = Metrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        declared(app)  # the first question need not wait for it
        metrics.look(recommender, watch)
        if watch is not None:
            watch.looked = partial(metrics.look, recommender, watch)
            watch.start()
        try:
            yield
        finally:
            if watch is not None:
                watch.stop()

    app = Front(
        options or ServiceOptions(),
        metrics,
        title="recsys",
        version=__version__,
        description="Games that are alike, and games for people, from one release at a time.",
        lifespan=lifespan,
    )
    app.state.recommender = recommender
    app.router.route_class = StrictRoute
    add_refusals(app)
    _add_games(app, recommender)
    _add_people(app, recommender)
    add_about(app, recommender, watch, metrics)
    return app


# Most answers take about a millisecond: handing them to a thread would cost more. They are written as JSON
# here and not checked against their own schema again; tests do that.


def _add_games(app: FastAPI, recommender: Recommender) -> None:
    @app.get("/similar/{game_id:path}", response_model=schema.Answer, responses=_UNKNOWN | _WRONG, tags=["games"])
    async def similar(
        request: Request,
        *,
        game_id: GameId,
        k: Count = 10,
        by: By = "blend",
        filters: Conditions = (),
        collapse: Collapse = False,
        rules: AskedRules,
    ) -> Response:
        """Return the games that are most like one."""
        return await similar_to(
            game=ids.in_path(request, game_id), k=k, by=by, filters=filters, collapse=collapse, rules=rules
        )

    @app.get("/similar", response_model=schema.Answer, responses=_UNKNOWN | _WRONG, tags=["games"])
    async def similar_to(
        *,
        game: AnyGame,
        k: Count = 10,
        by: By = "blend",
        filters: Conditions = (),
        collapse: Collapse = False,
        rules: AskedRules,
    ) -> Response:
        """Return the games that are most like one, named by a parameter."""
        id_ = ids.game_id(recommender, game)
        ask = partial(
            recommender.similar,
            id_,
            k,
            by=by,
            filters=filters,
            collapse=collapse,
            rules=read_rules(recommender, rules),
            scenario=rules.scenario,
        )
        return await _answered(ask, quick=_is_quick(k, filters, rules, collapse=collapse))

    @app.get(
        "/search",
        response_model=schema.Answer,
        responses=_UNKNOWN
        | _WRONG
        | {501: {"model": schema.Problem, "description": "The embedding model is not at hand"}},
        tags=["games"],
    )
    def search(  # a thread of its own: embedding the text takes a while
        *,
        text: Text,
        k: Count = 10,
        filters: Conditions = (),
        collapse: Collapse = False,
        rules: AskedRules,
    ) -> Response:
        """Return the games whose descriptions are nearest to a text."""
        return _answer(
            recommender.search(
                text,
                k,
                filters=filters,
                collapse=collapse,
                rules=read_rules(recommender, rules),
                scenario=rules.scenario,
            )
        )

    @app.get("/games", response_model=schema.Names, responses=_WRONG, tags=["games"])
    def games(name: Text, k: Annotated[int, Query(ge=1, le=100)] = 10) -> Response:
        """Return the games whose names resemble a name, forgivingly."""
        at = recommender.snapshot
        matches = [
            {
                "game_id": game.game_id,
                "name": game.name,
                "likeness": game.score,
                "n_ratings": int(at.catalogue.n_ratings[row := at.catalogue.row(game.game_id)]),
                "tags": [tag for column in at.catalogue.tags.values() for tag in column[row]],
            }
            for game in at.named(name, k)
        ]
        return Answered({"release": at.name, "games": matches})


def _add_people(app: FastAPI, recommender: Recommender) -> None:
    @app.get(
        "/recommend/user/{user_id:path}", response_model=schema.Answer, responses=_UNKNOWN | _WRONG, tags=["people"]
    )
    async def recommend(
        request: Request,
        *,
        user_id: UserId,
        k: Count = 10,
        by: By = "taste",
        filters: Conditions = (),
        collapse: Collapse = False,
        why: Why = False,
        rules: AskedRules,
    ) -> Response:
        """Return games for a user, none of which they have rated."""
        return await recommend_to(
            user=ids.in_path(request, user_id), k=k, by=by, filters=filters, collapse=collapse, why=why, rules=rules
        )

    @app.get("/recommend/user", response_model=schema.Answer, responses=_UNKNOWN | _WRONG, tags=["people"])
    async def recommend_to(
        *,
        user: AnyUser,
        k: Count = 10,
        by: By = "taste",
        filters: Conditions = (),
        collapse: Collapse = False,
        why: Why = False,
        rules: AskedRules,
    ) -> Response:
        """Return games for a user who is named by a parameter, none of which they have rated."""
        id_ = ids.user_id(recommender, user)
        ask = partial(
            recommender.recommend,
            id_,
            k,
            by=by,
            filters=filters,
            collapse=collapse,
            why=why,
            rules=read_rules(recommender, rules),
            scenario=rules.scenario,
        )
        return await _answered(ask, quick=_is_quick(k, filters, rules, collapse=collapse))

    @app.get("/recommend/from", response_model=schema.Answer, responses=_UNKNOWN | _WRONG, tags=["people"])
    async def recommend_from(
        *,
        like: Annotated[
            list[str], Query(min_length=1, max_length=500, description="Ids of games that somebody likes.")
        ],
        k: Count = 10,
        by: By = "blend",
        filters: Conditions = (),
        collapse: Collapse = False,
        why: Why = False,
        rules: AskedRules,
    ) -> Response:
        """Return games for somebody of whom only a few liked games are known."""
        liked = [ids.game_id(recommender, text) for text in like]
        ask = partial(
            recommender.recommend_from,
            liked,
            k,
            by=by,
            filters=filters,
            collapse=collapse,
            why=why,
            rules=read_rules(recommender, rules),
            scenario=rules.scenario,
        )
        return await _answered(ask, quick=_is_quick(k + len(liked), filters, rules, collapse=collapse))

    @app.post("/recommend/from", response_model=schema.Answer, responses=_UNKNOWN | _WRONG, tags=["people"])
    async def recommend_for(request: Request, body: Somebody) -> Response:
        """Return games for somebody of whom likes, ratings and dislikes are known."""
        exchange_of(request.scope).scenario = body.scenario
        who, rules = body.visitor(recommender), body.rules(recommender)
        ask = partial(
            recommender.recommend_from,
            who.likes,
            body.k,
            ratings=who.ratings,
            dislikes=who.dislikes,
            by=body.by,
            filters=body.filters,
            collapse=body.collapse,
            why=body.why,
            rules=rules,
            scenario=body.scenario,
        )
        plain = rules is None and body.scenario is None
        return await _answered(
            ask, quick=plain and _is_quick(body.k + body.named, body.filters, collapse=body.collapse)
        )

    @app.get(
        "/explain/{user_id}/{game_id:path}",
        response_model=schema.Explanation,
        responses=_UNKNOWN | _WRONG,
        tags=["people"],
    )
    async def explain(request: Request, user_id: UserId, game_id: GameId) -> Response:
        """Return which of the games that a user likes speak for a game."""
        user, game = ids.both_in_path(request, user_id, game_id)
        return await explain_to(user, game)

    @app.get("/explain", response_model=schema.Explanation, responses=_UNKNOWN | _WRONG, tags=["people"])
    async def explain_to(user: AnyUser, game: AnyGame) -> Response:
        """Return which of the games that a user likes speak for a game, both named by parameters."""
        return _answer(recommender.explain(ids.user_id(recommender, user), ids.game_id(recommender, game)))


def _is_quick(k: int, filters: Sequence[str], rules: RuleTexts = _NO_RULES, *, collapse: bool) -> bool:
    return k <= _QUICK and not filters and not collapse and rules.are_none


async def _answered(ask: Callable[[], Answer], *, quick: bool) -> Response:
    return _answer(ask() if quick else await run_in_threadpool(ask))


def _answer(answer: Answer | Explanation) -> Response:
    return Answered(answer.to_json())
