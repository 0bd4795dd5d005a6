"""A hook for schemathesis (SCHEMATHESIS_HOOKS=standins.unknown_parameter): every request has a parameter too many."""

from __future__ import annotations

from typing import Any

import schemathesis


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Add it, whatever the request is about."""
    case.query = {**(case.query or {}), "colour": "red"}
