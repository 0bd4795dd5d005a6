"""Which routes are open where the server has a token: those that hold nothing of a release."""

from __future__ import annotations

OPEN = frozenset(
    {"/", "/live", "/ready", "/docs", "/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css", "/openapi.json"}
)
"""Probes, and pages that are the same for every release; what they show of one they ask the other routes for."""
