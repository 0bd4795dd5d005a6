"""The headings of a table: a column is found by its name in any case, and so no two may differ in case alone."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from recsys.errors import DataContractError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def twins(present: Iterable[object], wanted: Iterable[str] | None = None) -> list[tuple[str, ...]]:
    """Return the columns that have one name but for its case, group by group, such as ``[("rating", "RATING")]``.

    Parameters
    ----------
    present
        Names of all columns, in their order.
    wanted
        The names that are asked for, in any case; all of them when not given.
    """
    groups: dict[str, list[str]] = defaultdict(list)
    for name in map(str, present):
        groups[name.upper()].append(name)
    asked = None if wanted is None else {name.upper() for name in wanted}
    return [tuple(group) for name, group in groups.items() if len(group) > 1 and (asked is None or name in asked)]


def told(groups: Sequence[tuple[str, ...]]) -> str:
    """Return groups of :func:`twins` as a message names them: ``rating and RATING``."""
    return "; ".join(" and ".join(group) for group in groups)


def refuse_twins(where: str, present: Iterable[object], wanted: Iterable[str] | None = None) -> None:
    """Refuse columns of which nobody can say which one counts.

    Parameters
    ----------
    where
        What has the columns.
    present, wanted
        The arguments of :func:`twins`.

    Raises
    ------
    DataContractError
        Naming them.
    """
    if groups := twins(present, wanted):
        raise DataContractError(
            f"{where}: these columns differ in case alone: {told(groups)}. Which one counts? Rename or drop all but one"
        )
