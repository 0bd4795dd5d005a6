"""``recsys compare A B``: two releases side by side."""

from __future__ import annotations

import json as json_
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recsys.cli.state import State
from recsys.system.streams import answer, is_terminal

if TYPE_CHECKING:
    from recsys.evaluation.comparison import Comparison


def compare(
    context: typer.Context,
    a: Annotated[str, typer.Argument(help="A release: its run id, or current.", metavar="A")],
    b: Annotated[str, typer.Argument(help="The other one.", metavar="B")],
    *,
    models: Annotated[Path, typer.Option(help="Folder of the releases.", metavar="DIR")] = Path("models"),
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Print two releases side by side: scores, data, and the settings that differ."""
    context.ensure_object(State).json = json
    from recsys.evaluation.comparison import compare as side_by_side
    from recsys.release.store import ReleaseStore

    store = ReleaseStore(models)
    found = side_by_side(store.manifest(a), store.manifest(b))
    if json:
        answer(json_.dumps(found.as_json()))
    else:
        _print(found)


def _print(found: Comparison) -> None:
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    table = Table("", found.a, found.b, "change", box=SIMPLE)
    for column in table.columns[1:]:
        column.justify = "right"
    section = ""
    for row in found.rows:
        if row.section != section:
            table.add_section()
            table.add_row(f"[bold]{row.section}[/bold]")
            section = row.section
        change = "" if row.change is None else f"{row.change:+.1%}"
        table.add_row(row.name, _text(row.a), _text(row.b), change)
    console = Console(width=None if is_terminal(sys.stdout) else 120)
    console.print(table)
    if not found.comparable:
        console.print("The two were scored in different ways: their scores cannot be compared.")


def _text(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.4f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
