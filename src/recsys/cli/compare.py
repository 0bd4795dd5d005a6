"""``recsys compare A B``: two releases side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from recsys.cli.options import Json, Models, Verbose, releases_folder
from recsys.cli.state import begin
from recsys.cli.tables import draw, ruled
from recsys.system import streams

if TYPE_CHECKING:
    from recsys.evaluation.comparison import Comparison


def compare(
    context: typer.Context,
    a: Annotated[str, typer.Argument(help="A release: its run id, or current.", metavar="A")],
    b: Annotated[str, typer.Argument(help="The other one.", metavar="B")],
    *,
    models: Models = None,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Print two releases side by side: scores, data, and the settings that differ."""
    begin(context, json=json, verbose=verbose, quiet=True)
    from recsys.evaluation.comparison import compare as side_by_side
    from recsys.release.store import ReleaseStore

    store = ReleaseStore(releases_folder(models))
    comparison = side_by_side(store.manifest(a), store.manifest(b))
    if json:
        streams.answer(streams.as_json(comparison.as_json()))
    else:
        _print(comparison)


def _print(comparison: Comparison) -> None:
    table = ruled("", comparison.a, comparison.b, "change", numbers={comparison.a, comparison.b, "change"})
    section = ""
    for row in comparison.rows:
        if row.section != section:
            table.add_section()
            table.add_row(f"[bold]{row.section}[/bold]")
            section = row.section
        change = "" if row.change is None else f"{row.change:+.1%}"
        table.add_row(row.name, _text(row.a), _text(row.b), change)
    unlike = "The two were scored in different ways: their scores cannot be compared."
    draw(table, "" if comparison.comparable else unlike)


def _text(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.4f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
