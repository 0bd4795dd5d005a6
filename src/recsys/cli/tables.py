"""Tables on stdout: ruled ones for people, and plain lines that other programs cut as well."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from recsys.system import streams

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from rich.table import Table

WIDTH = 120
"""Columns of a table that no terminal shows."""


def ruled(*names: str, numbers: Collection[str] = ()) -> Table:
    """Return an empty table with a line beneath its head.

    Parameters
    ----------
    names
        Heads of the columns.
    numbers
        Those whose cells stand at the right.
    """
    from rich.box import SIMPLE
    from rich.table import Table

    table = Table(box=SIMPLE)
    for name in names:
        table.add_column(name, justify="right" if name in numbers else "left")
    return table


def draw(table: Table, note: str = "") -> None:
    """Print a table as wide as the terminal, and a line below it."""
    from rich.console import Console

    console = Console(width=None if streams.is_terminal(sys.stdout) else WIDTH, highlight=False)
    console.print(table)
    if note:
        console.print(note)


def aligned(lines: Sequence[Sequence[str]], numbers: Collection[int] = ()) -> str:
    """Return rows of cells as plain lines, two blanks between the columns.

    Parameters
    ----------
    lines
        The head, then the rows, all of one length. A cell of a row may be wider than its column where
        the cells behind it are empty.
    numbers
        Places of the columns whose cells stand at the right.
    """
    widths = [
        max(len(line[column]) for line in lines if column + 1 == len(line) or any(line[column + 1 :]))
        for column in range(len(lines[0]))
    ]
    return "\n".join(
        "  ".join(
            text.rjust(width) if column in numbers else text.ljust(width)
            for column, (text, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )
