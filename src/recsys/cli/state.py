"""What a command tells the error handler about itself."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class State:
    """Options that decide how a failure is told.

    Attributes
    ----------
    verbose
        Print tracebacks.
    json
        Print a JSON object on stdout, also for a failure.
    observed
        A run is under way, whose observers hear of its failure.
    """

    verbose: bool = False
    json: bool = False
    observed: bool = False
