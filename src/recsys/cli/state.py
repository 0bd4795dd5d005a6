"""What a command and the error handler around it know of each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from recsys.cli.options import LogFormat
from recsys.system import set_up

if TYPE_CHECKING:
    from collections.abc import Callable

    import typer

    from recsys.embedding import Encoder


def _nothing() -> None:
    pass


@dataclass
class State:
    """Options that decide how a failure is shown, and what a command is given from outside.

    Attributes
    ----------
    verbose
        Print tracebacks.
    json
        Print a JSON object on stdout, also for a failure.
    json_log
        Write events as JSON; a failure is one of them.
    observed
        A run is under way, whose observers hear of its failure.
    encoder
        Reads the texts that people search for; the release's own where there is none.
    hand_over_signals
        Ends the command line's own watch on signals, for a command that ends by itself.
    """

    verbose: bool = False
    json: bool = False
    json_log: bool = False
    observed: bool = False
    encoder: Encoder | None = None
    hand_over_signals: Callable[[], None] = _nothing


def begin(
    context: typer.Context,
    *,
    json: bool = False,
    verbose: bool = False,
    log_format: LogFormat = LogFormat.human,
    quiet: bool = False,
) -> State:
    """Begin a command: tell the error handler its options, and set up its logging.

    Parameters
    ----------
    context
        The command's.
    json, verbose
        The fields of :class:`State`.
    log_format
        How events are written.
    quiet
        Show warnings alone, for a command whose answer is all that is asked for; ``verbose`` shows all.
    """
    state = context.ensure_object(State)
    state.verbose, state.json = verbose, json
    if verbose or not quiet:  # warnings are shown from the start
        set_up(log_format.value, verbose=verbose)
    return state
