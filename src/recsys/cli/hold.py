"""``recsys hold``: nothing is published until somebody lifts the hold."""

from __future__ import annotations

import json as json_
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from recsys.cli.options import Json, Models, Verbose, releases_folder
from recsys.cli.state import begin
from recsys.errors import ArgumentError
from recsys.release.line import checked_name, checked_reason
from recsys.system import streams

if TYPE_CHECKING:
    from collections.abc import Callable

    from recsys.release.hold import Hold, Holds


def _usage(check: Callable[[str], str]) -> Callable[[str | None], str | None]:
    """Return the callback of an option whose text is checked: what is refused is wrong usage."""

    def checked(text: str | None) -> str | None:
        try:
            return None if text is None else check(text)
        except ArgumentError as error:
            raise typer.BadParameter(str(error)) from error

    return checked


By: TypeAlias = Annotated[
    str | None,
    typer.Option("--by", help="Who.", show_default="this user", metavar="NAME", callback=_usage(checked_name)),
]
reason_given = _usage(checked_reason)
"""Callback of a reason."""


def told(holds: Holds, found: Hold | None) -> str:
    """Say whether publishing is held, and how that is lifted."""
    return f"publishing into {holds.store} is not held" if found is None else f"{found}. Lift it with {found.cure}"


def hold(
    context: typer.Context,
    reason: Annotated[
        str | None,
        typer.Argument(
            help="Hold publishing, and say why.",
            show_default="only say whether there is a hold",
            metavar="REASON",
            callback=reason_given,
        ),
    ] = None,
    *,
    release: Annotated[bool, typer.Option("--release", help="Lift the hold.")] = False,
    by: By = None,
    models: Models = None,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Hold publishing: until it is lifted, a run ends with exit code 3 before it fetches anything.

    Without a reason, say whether there is a hold, whose, since when and why. A run that is under way publishes
    nothing either. Nothing but `--release` lifts a hold.
    """
    if release and reason is not None:
        raise typer.BadParameter("a reason places a hold, and --release lifts it: give one of them")
    if by is not None and reason is None and not release:
        raise typer.BadParameter("--by goes with a reason, or with --release")
    begin(context, json=json, verbose=verbose)
    from recsys.release.store import ReleaseStore

    holds = ReleaseStore(releases_folder(models)).holds
    found = holds.lift(by) if release else holds.current() if reason is None else holds.place(reason, by)
    status = "not held" if found is None else "lifted" if release else "held"
    if json:
        text = json_.dumps({"status": status, "hold": None if found is None else found.to_json()})
    elif found is not None and release:
        text = f"publishing into {holds.store} is free again; it was held{found.facts}"
    else:
        text = told(holds, found)
    streams.tell(text)
