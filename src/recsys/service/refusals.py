"""What the service says where it cannot answer: errors of ours, of the framework, and faults."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute

from recsys.errors import ConfigError, IncompatibleArtifact, MissingDependency, NotInModel, RecsysError, ReleaseNotFound
from recsys.service.responses import problem

if TYPE_CHECKING:
    from fastapi import FastAPI, HTTPException, Request, Response

_STATUS: dict[type[RecsysError], int] = {
    NotInModel: 404,
    ConfigError: 422,
    MissingDependency: 501,
    IncompatibleArtifact: 501,
    ReleaseNotFound: 503,
}


def add_refusals(app: FastAPI) -> None:
    """Teach a service to tell errors."""

    @app.exception_handler(RecsysError)
    async def failed(_: Request, error: RecsysError) -> Response:
        status = next((code for kind, code in _STATUS.items() if isinstance(error, kind)), 500)
        return problem(type(error).__name__, str(error), status)

    @app.exception_handler(404)
    @app.exception_handler(405)
    async def refused(request: Request, error: HTTPException) -> Response:
        message = f"{request.method} {request.url.path}: {error.detail}; /docs lists what can be asked"
        headers = {"Allow": ", ".join(_methods(request))} if error.status_code == 405 else error.headers
        return problem("HTTPException", message, error.status_code, headers)

    @app.exception_handler(400)
    async def unreadable(_: Request, error: HTTPException) -> Response:
        return problem("ArgumentError", f"body: {error.detail}; JSON in UTF-8 is expected", 422)

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


def _methods(request: Request) -> list[str]:
    """Return the methods of all routes with the path of a request: the framework names those of the first alone."""
    routes = (route for route in request.app.routes if isinstance(route, APIRoute))
    matching = (route for route in routes if route.path_regex.match(request.url.path))
    return sorted({method for route in matching for method in route.methods or ()})
