"""The application behind what every request passes: its id, its limits, the token, the time it may take."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI

from recsys.service.access_log import AccessLog
from recsys.service.bearer import Guarded
from recsys.service.head import Head
from recsys.service.limits import MAX_BODY, Bounded, Timed
from recsys.service.observed import Observed
from recsys.service.open_routes import OPEN

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from recsys.service.metrics import Metrics

_SCHEME = "token"


@dataclass(frozen=True)
class ServiceOptions:
    """What a service asks of requests, and what it keeps of them.

    Attributes
    ----------
    token
        What ``Authorization: Bearer`` must bring, but for the open routes; None for a service that anybody may ask.
    access_log
        File of the access log, or ``-`` for standard output; None for none.
    timeout
        Seconds that an answer may take.
    max_body
        Bytes that the body of a request may have.
    max_age_hours
        Where a key is asked for: ``/ready`` says no once the switch to the release was signed longer ago; 0: never.
    """

    token: str | None = field(default=None, repr=False)
    access_log: str | None = None
    timeout: float = 30.0
    max_body: int = MAX_BODY
    max_age_hours: float = 0.0


class Front(FastAPI):
    """An application all of whose answers, refusals and failures too, pass through one front.

    FastAPI's own middleware stands inside of what answers a failure, and would not see that.

    Parameters
    ----------
    options
        What requests must meet.
    metrics
        Counts them.
    given
        Of FastAPI.
    """

    def __init__(self, options: ServiceOptions, metrics: Metrics, **given: Any) -> None:
        # The pages of its own ask another site for their scripts; those in `about` do not.
        super().__init__(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False, **given)
        self._has_token = options.token is not None
        self.max_age_hours = options.max_age_hours
        access_log = None if options.access_log is None else AccessLog(options.access_log, metrics.lost.inc)
        app: ASGIApp = Timed(super().__call__, options.timeout)
        if options.token is not None:
            app = Guarded(app, options.token)
        self._front = Observed(Head(Bounded(app, options.max_body)), metrics, access_log)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; what is none, such as the beginning and the end of the service, goes straight through."""
        front = self._front if scope["type"] == "http" else super().__call__
        await front(scope, receive, send)

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document; with a token, it says which routes ask for it."""
        document = super().openapi()
        if self._has_token:
            schemes = document.setdefault("components", {}).setdefault("securitySchemes", {})
            schemes[_SCHEME] = {"type": "http", "scheme": "bearer"}
            for path, operations in document["paths"].items():
                for operation in operations.values() if path not in OPEN else ():
                    operation["security"] = [{_SCHEME: []}]
        return document
