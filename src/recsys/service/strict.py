"""Routes that take what they declare and nothing else, and answer 304 where the client has the answer already.

A route's own signature says which parameters it has: what the OpenAPI document names for it is what it takes. Each
parameter that is not of a list is taken once, and so is each key of a body.
"""

from __future__ import annotations

import difflib
import json
from typing import TYPE_CHECKING, Any

from fastapi.routing import APIRoute

from recsys.errors import ArgumentError
from recsys.service import etag, ids, schema
from recsys.service.exchange import exchange_of
from recsys.service.open_routes import OPEN
from recsys.service.responses import Answered

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from fastapi import FastAPI, Request, Response

_ANSWERS = {"games", "people"}
"""Tags of the routes that a release answers."""
_REFUSALS = {
    401: "The token is missing or wrong, where the server has one",
    413: "The body is too large",
    414: "The address is too long",
    422: "An argument is wrong, unknown, or given twice",
    431: "The headers are too large",
    503: "Nothing sound is served yet, or the answer took too long",
}


class StrictRoute(APIRoute):
    """A route that refuses what it does not declare, and says in OpenAPI what every route may refuse."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **given: Any) -> None:  # fastapi's own many
        responses = {
            status: {"model": schema.Problem, "description": about}
            for status, about in _REFUSALS.items()
            if status != 401 or path not in OPEN
        }
        tags = _ANSWERS.intersection(given.get("tags") or ())
        if tags and "GET" in (given.get("methods") or ()):
            responses[304] = {"description": "The answer is the one that If-None-Match names"}
        given["responses"] = {**responses, **(given.get("responses") or {})}
        self._by_release = bool(tags)
        super().__init__(path, endpoint, **given)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what answers a request of this route."""
        answer = super().get_route_handler()

        async def handle(request: Request) -> Response:
            exchange = exchange_of(request.scope)
            exchange.route = self.path_format
            exchange.user, exchange.scenario = _user(request), request.query_params.get("scenario")
            _check(request, declared(request.app).get((self.path_format, request.method), {}))
            if request.method == "POST":
                _refuse_repeated(await request.body())
            if not self._by_release or request.method != "GET":
                return await answer(request)
            known = etag.matching(request)
            if known is not None:
                exchange.release, exchange.etag = known.release, known.tag
                return known.unchanged()
            response = await answer(request)
            if isinstance(response, Answered):
                etag.put(request, response)
            return response

        return handle


def declared(app: FastAPI) -> Mapping[tuple[str, str], Mapping[str, bool]]:
    """Return the query parameters of each documented path and method, and whether one may be repeated."""
    if not hasattr(app.state, "declared"):
        app.state.declared = {
            (path, method.upper()): {
                each["name"]: _is_list(each["schema"])
                for each in operation.get("parameters", ())
                if each["in"] == "query"
            }
            for path, operations in app.openapi()["paths"].items()
            for method, operation in operations.items()
        }
    known: Mapping[tuple[str, str], Mapping[str, bool]] = app.state.declared
    return known


def _is_list(schema_: Mapping[str, Any]) -> bool:
    kinds = [schema_, *schema_.get("anyOf", ())]
    return any(kind.get("type") == "array" for kind in kinds)


def _check(request: Request, known: Mapping[str, bool]) -> None:
    seen: set[str] = set()
    for name, _ in request.query_params.multi_items():
        if name not in known:
            raise ArgumentError(f"{name}: unknown parameter; {_possible(name, known)}")
        if name in seen and not known[name]:
            raise ArgumentError(f"{name}: given twice; this route takes it once")
        seen.add(name)


def _refuse_repeated(body: bytes) -> None:
    """Refuse a JSON object that has a key twice, of which a parser keeps the last; what is no JSON is told later."""
    try:
        json.loads(body, object_pairs_hook=_once)
    except ArgumentError:
        raise
    except (ValueError, RecursionError):
        return


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    seen: dict[str, object] = {}
    for key, value in pairs:
        if key in seen:
            raise ArgumentError(f"body: {key!r} stands twice in one object; give it once")
        seen[key] = value
    return seen


def _possible(name: str, known: Mapping[str, bool]) -> str:
    if not known:
        return "this route takes none"
    close = difflib.get_close_matches(name, known, n=1)
    return (f"did you mean {close[0]}? " if close else "") + f"this route takes {', '.join(known)}"


def _user(request: Request) -> str | None:
    """Return the user that a request names, in its address or by a parameter."""
    named = request.path_params
    if "user_id" not in named:
        return request.query_params.get("user")
    if "game_id" in named:
        return ids.both_in_path(request, named["user_id"], named["game_id"])[0]
    return ids.in_path(request, named["user_id"])
