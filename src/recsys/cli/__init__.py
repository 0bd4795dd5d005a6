"""The command line: thin commands, one error line, the exit codes of :mod:`recsys.errors`."""

from __future__ import annotations

import logging
import os
import sys
import time
import traceback
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from recsys import __version__
from recsys.cli import (
    cache,
    compare,
    doctor,
    export,
    hold,
    init,
    prune,
    query,
    rebuild,
    releases,
    report,
    serve,
    train,
    tune,
)
from recsys.cli.state import State
from recsys.pipeline import github
from recsys.pipeline.observers import failure_line
from recsys.pipeline.outcome import Failure
from recsys.release.durable import writing
from recsys.system import end_at_once_on_signals, events, json_event, keys, set_up, streams

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["app", "main", "run"]

log = events(__name__)

app = typer.Typer(
    name="recsys",
    help="From clean warehouse tables to a verified recommender release.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("init")(init.init)
app.command("train")(train.train)
app.command("doctor")(doctor.doctor)
app.command("tune")(tune.tune)
app.command("compare")(compare.compare)
app.command("report")(report.report)
app.command("card")(report.card)
app.command("releases")(releases.releases)
app.command("verify")(releases.verify)
app.command("rebuild")(rebuild.rebuild)
app.command("rollback")(releases.rollback)
app.command("hold")(hold.hold)
app.command("prune")(prune.prune)
app.command("show")(releases.show)
app.add_typer(cache.app)
app.command("similar")(query.similar)
app.command("search")(query.search)
app.command("recommend")(query.recommend)
app.command("serve")(serve.serve)
app.add_typer(export.app)


_USAGE = 2
_INTERRUPTED = Failure("Interrupted", "interrupted; nothing was published", 130, "run again")
_UsageError: type[Any] = typer.BadParameter.__bases__[0]
"""Typer brings its own copy of click, and exports no name for this."""


def _version(*, show: bool) -> None:
    if show:
        streams.answer(f"recsys {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    *,
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """From clean warehouse tables to a verified recommender release."""


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run one command and end the process with its exit code.

    The process ends at once, whatever threads of other libraries still do: a download that hangs
    must not keep a run alive that has already failed.
    """
    streams.take_over()  # first of all: whatever is opened before could get the number of a closed stream
    arguments = sys.argv[1:] if argv is None else argv
    set_up(quiet=True)  # for commands that set up nothing: warnings with their keys
    hand_over = end_at_once_on_signals(partial(_last_words, arguments))
    code = run(arguments, State(hand_over_signals=hand_over))
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()
    os._exit(code)


def run(argv: Sequence[str], state: State | None = None) -> int:
    """Run one command and return its exit code; every failure has become one line on stderr.

    Parameters
    ----------
    argv
        The arguments, without the program's name.
    state
        What the command is given from outside; nothing when not given.
    """
    state = state or State()
    state.json_log = _logs_json(argv)
    try:
        result = app(list(argv), prog_name="recsys", standalone_mode=False, obj=state)
        if (failure := streams.undelivered(but_left=True)) is not None:
            with writing("write the answer to stdout"):
                raise failure
    except typer.Abort:
        return _failed(state, _INTERRUPTED)
    except _UsageError as error:
        if not state.json_log:
            error.show()
            return _USAGE
        set_up("json")
        usage = Failure("Usage", error.format_message(), _USAGE, "correct the command line; --help shows its options")
        return _failed(state, usage)
    except KeyboardInterrupt:
        state.observed = False  # no observer has heard of it
        return _failed(state, _INTERRUPTED)
    except Exception as error:  # noqa: BLE001 - the last line of defence: what is no error of ours is a bug
        if state.verbose and not state.json_log:
            traceback.print_exc()
        return _failed(state, Failure.of(error), error if state.verbose else None)
    return result if isinstance(result, int) else 0


def _logs_json(arguments: Sequence[str]) -> bool:
    """Return whether events are to be JSON, also where the rest of the line cannot be read."""
    return "--log-format=json" in arguments or ("--log-format", "json") in pairwise(arguments)


def _last_words(arguments: Sequence[str], name: str, code: int) -> tuple[str, str]:
    failure = replace(_INTERRUPTED, message=f"interrupted by {name}; ended at once", exit_code=code)
    event = json_event(log.name, "error", "failed", time.time(), failure.to_json()) + "\n"
    line = f"{failure_line(failure)}\n" if "--json" in arguments else ""
    return event if _logs_json(arguments) else f"\nrecsys: error: {failure.message}\n", line


def _failed(state: State, failure: Failure, error: Exception | None = None) -> int:
    if not state.observed:
        github.summarize(f"❌ {failure.message}", failure.trial)
    if state.json_log:
        log.error("failed", extra=keys(**failure.to_json()), exc_info=error)
    else:
        streams.note(f"recsys: error: {failure.message}")
    github.announce(failure.kind, failure.message)
    if state.json and not state.observed:
        streams.answer(failure_line(failure))
    return failure.exit_code
