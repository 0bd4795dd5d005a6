"""The routes of the service, over one recommender."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from fastapi import FastAPI, HTTPException, Path, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from pydantic import StringConstraints

from recsys import __version__
from recsys.errors import ConfigError, IncompatibleArtifact, MissingDependency, NotInModel, RecsysError, ReleaseNotFound
from recsys.service import ids, schema
from recsys.service.about import add_about
from recsys.service.front import Front, ServiceOptions
from recsys.service.metrics import Metrics
from recsys.service.responses import Answered, problem
from recsys.service.strict import StrictRoute, declared
from recsys.serving.answers import Way

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from recsys.service.watch import Watch
    from recsys.serving import Recommender
    from recsys.serving.answers import Answer, Explanation

LONGEST = 1000
"""Games that one answer may have."""
_QUICK = 100
"""Games up to which a plain list is made at once; what takes longer gets a thread, and keeps nobody waiting."""

By = Annotated[Way, Query(description="What the answer goes by.")]
Count = Annotated[int, Query(ge=1, le=LONGEST, description="Games at most.")]
# What all of them may be at most is an address that servers still take. Ids have no limit: they may be of any length.
Condition = Annotated[str, StringConstraints(max_length=500)]
Conditions = Annotated[
    Sequence[Condition],
    Query(
        alias="filter",
        description="Conditions such as `tag=Economic` or `N_RATINGS>=100`; every game meets all of them.",
        max_length=20,
    ),
]
Collapse = Annotated[bool, Query(description="Show one edition of a game only.")]
Why = Annotated[bool, Query(description="Name the liked games that speak for each.")]
Text = Annotated[str, Query(min_length=1, max_length=500)]
GameId = Annotated[str, Path(description="A game's id; one of `.` or `..` can only be a parameter.")]
UserId = Annotated[str, Path(description="A user's id; an unknown user gets the most rated games.")]
AnyGame = Annotated[str, Query(description="A game's id, whatever signs it is made of.")]
AnyUser = Annotated[str, Query(description="A user's id, whatever signs it is made of.")]

_STATUS: dict[type[RecsysError], int] = {
    NotInModel: 404,
    ConfigError: 422,
    MissingDependency: 501,
    IncompatibleArtifact: 501,
    ReleaseNotFound: 503,
}
_Responses: TypeAlias = dict[int | str, dict[str, Any]]
"""What FastAPI takes as the further answers of a route."""
_WRONG: _Responses = {422: {"model": schema.Problem, "description": "An argument is wrong"}}
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
    _add_errors(app)
    _add_games(app, recommender)
    _add_people(app, recommender)
    add_about(app, recommender, watch, metrics)
    return app


def _add_errors(app: FastAPI) -> None:
    @app.exception_handler(RecsysError)
    async def failed(_: Request, error: RecsysError) -> Response:
        status = next((code for kind, code in _STATUS.items() if isinstance(error, kind)), 500)
        return problem(type(error).__name__, str(error), status)

    @app.exception_handler(404)
    @app.exception_handler(405)
    async def refused(request: Request, error: HTTPException) -> Response:
        message = f"{request.method} {request.url.path}: {error.detail}; /docs lists what can be asked"
        return problem("HTTPException", message, error.status_code, error.headers)

    @app.exception_handler(Exception)
    async def unforeseen(_: Request, error: Exception) -> Response:
        message = f"{type(error).__name__}: a bug, please report it; the service's log says more"
        return problem("Unforeseen", message, 500)

    @app.exception_handler(RequestValidationError)
    async def wrong(_: Request, error: RequestValidationError) -> Response:
        # A place in a list is no name: the parameter's is what comes before it.
        names = [[part for part in each["loc"] if isinstance(part, str)][-1] for each in error.errors()]
        message = "; ".join(f"{name}: {each['msg']}" for name, each in zip(names, error.errors(), strict=True))
        return problem("ArgumentError", message, 422)


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
    ) -> Response:
        """Return the games that are most like one."""
        return await similar_to(game=ids.in_path(request, game_id), k=k, by=by, filters=filters, collapse=collapse)

    @app.get("/similar", response_model=schema.Answer, responses=_UNKNOWN | _WRONG, tags=["games"])
    async def similar_to(
        *,
        game: AnyGame,
        k: Count = 10,
        by: By = "blend",
        filters: Conditions = (),
        collapse: Collapse = False,
    ) -> Response:
        """Return the games that are most like one, named by a parameter."""
        id_ = ids.game_id(recommender, game)
        ask = partial(recommender.similar, id_, k, by=by, filters=filters, collapse=collapse)
        return await _answered(ask, quick=_is_quick(k, filters, collapse=collapse))

    @app.get(
        "/search",
        response_model=schema.Answer,
        responses=_WRONG | {501: {"model": schema.Problem, "description": "The embedding model is not at hand"}},
        tags=["games"],
    )
    def search(  # a thread of its own: embedding the text takes a while
        *,
        text: Text,
        k: Count = 10,
        filters: Conditions = (),
        collapse: Collapse = False,
    ) -> Response:
        """Return the games whose descriptions are nearest to a text."""
        return _answer(recommender.search(text, k, filters=filters, collapse=collapse))

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
    @app.get("/recommend/user/{user_id:path}", response_model=schema.Answer, responses=_WRONG, tags=["people"])
    async def recommend(
        request: Request,
        *,
        user_id: UserId,
        k: Count = 10,
        by: By = "taste",
        filters: Conditions = (),
        collapse: Collapse = False,
        why: Why = False,
    ) -> Response:
        """Return games for a user, none of which they have rated."""
        return await recommend_to(
            user=ids.in_path(request, user_id), k=k, by=by, filters=filters, collapse=collapse, why=why
        )

    @app.get("/recommend/user", response_model=schema.Answer, responses=_WRONG, tags=["people"])
    async def recommend_to(
        *,
        user: AnyUser,
        k: Count = 10,
        by: By = "taste",
        filters: Conditions = (),
        collapse: Collapse = False,
        why: Why = False,
    ) -> Response:
        """Return games for a user who is named by a parameter, none of which they have rated."""
        id_ = ids.user_id(recommender, user)
        ask = partial(recommender.recommend, id_, k, by=by, filters=filters, collapse=collapse, why=why)
        return await _answered(ask, quick=_is_quick(k, filters, collapse=collapse))

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
    ) -> Response:
        """Return games for somebody of whom only a few liked games are known."""
        liked = [ids.game_id(recommender, text) for text in like]
        ask = partial(recommender.recommend_from, liked, k, by=by, filters=filters, collapse=collapse, why=why)
        return await _answered(ask, quick=_is_quick(k + len(liked), filters, collapse=collapse))

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


def _is_quick(k: int, filters: Sequence[str], *, collapse: bool) -> bool:
    return k <= _QUICK and not filters and not collapse


async def _answered(ask: Callable[[], Answer], *, quick: bool) -> Response:
    return _answer(ask() if quick else await run_in_threadpool(ask))


def _answer(answer: Answer | Explanation) -> Response:
    return Answered(answer.to_json())
