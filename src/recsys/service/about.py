"""Routes about the service itself: what it serves, whether it is well, and pages to try it."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

from fastapi import Response
from fastapi.responses import FileResponse

from recsys.errors import ReleaseNotFound
from recsys.service import metrics as exposition
from recsys.service import schema
from recsys.service.page import DOCS, PAGE, Page
from recsys.service.responses import json_response, problem

if TYPE_CHECKING:
    from fastapi import FastAPI

    from recsys.service.front import Front
    from recsys.service.metrics import Metrics
    from recsys.service.watch import Watch
    from recsys.serving import Recommender

_ASSETS = files("fastapi_offline") / "static"
_NOTHING = "nothing sound is loaded yet"


def add_about(app: Front, recommender: Recommender, watch: Watch | None, metrics: Metrics) -> None:
    """Add the routes to a service.

    Parameters
    ----------
    app
        The service.
    recommender
        What it serves.
    watch
        Knows whether that is what should be served.
    metrics
        What it counts.
    """
    _add_probes(app, recommender, app.max_age_hours)
    _add_pages(app)

    @app.get("/health", response_model=schema.Health, tags=["service"])
    async def health() -> Response:
        """Return what is being served, and whether it is what should be."""
        cause = watch.problem if watch else None
        if not recommender.is_loaded:
            raise ReleaseNotFound(f"{_NOTHING}: {cause or 'the first look is under way'}")
        at = recommender.snapshot
        return json_response(
            {
                "status": "degraded" if cause else "ok",
                "problem": cause,
                "release": at.name,
                "created": at.manifest.created,
                "games": len(at.catalogue),
                "users": len(at.people.users),
            }
        )

    @app.get("/scenarios", response_model=schema.Scenarios, tags=["service"])
    async def scenarios() -> Response:
        """Return the scenarios that lists can be asked by, and their rules."""
        at = recommender.snapshot
        return json_response({"release": at.name, "scenarios": at.shelf.scenarios})

    @app.get(
        "/metrics",
        tags=["service"],
        response_class=Response,
        responses={200: {"content": {exposition.CONTENT_TYPE.partition(";")[0]: {"schema": {"type": "string"}}}}},
    )
    async def read_metrics() -> Response:
        """Return what Prometheus reads: requests, latency, the release and its age."""
        metrics.look(recommender, watch)
        return Response(metrics.text(), headers={"Content-Type": exposition.CONTENT_TYPE})


def _add_probes(app: FastAPI, recommender: Recommender, max_age_hours: float) -> None:
    @app.get("/live", response_model=schema.State, tags=["service"])
    async def live() -> Response:
        """Say that the process answers; a process that does not is to be restarted."""
        return json_response({"status": "live"})

    @app.get("/ready", response_model=schema.State, tags=["service"])
    async def ready() -> Response:
        """Say that a sound release is loaded: questions are answered."""
        if not recommender.is_loaded:
            return problem("NotReady", f"{_NOTHING}; /health says why", 503)
        hours = recommender.current.signed_hours_ago
        if max_age_hours and hours is not None and hours > max_age_hours:
            aged = f"the release {recommender.release} was signed {hours:,.1f} hours ago"
            return problem("NotReady", f"{aged}, and serving.max_age_hours is {max_age_hours:g}", 503)
        return json_response({"status": "ready"})


def _add_pages(app: FastAPI) -> None:
    @app.get("/", include_in_schema=False)
    async def page() -> Response:
        return _html(PAGE)

    @app.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        return _html(DOCS)

    @app.get("/docs/swagger-ui-bundle.js", include_in_schema=False)
    async def script() -> Response:
        return FileResponse(str(_ASSETS / "swagger-ui-bundle.js"), media_type="text/javascript")

    @app.get("/docs/swagger-ui.css", include_in_schema=False)
    async def style() -> Response:
        return FileResponse(str(_ASSETS / "swagger-ui.css"), media_type="text/css")

    @app.get("/openapi.json", include_in_schema=False)
    async def document() -> Response:
        return json_response(app.openapi())


def _html(page: Page) -> Response:
    return Response(page.html, media_type="text/html; charset=utf-8", headers={"Content-Security-Policy": page.policy})
