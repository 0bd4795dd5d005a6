"""Tags (categories, mechanics): from a cell of text to a list."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import TYPE_CHECKING

from recsys.marts.lists import parse_tags
from recsys.marts.notations import list_notation

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["TAGS_WITH_COMMAS", "game_tags", "parse_tags", "split_tags"]

TAGS_WITH_COMMAS = (
    "Deck, Bag, and Pool Building",
    "I Cut, You Choose",
    "Worker Placement, Different Worker Types",
)
"""All of BoardGameGeek's mechanics with a comma in their names; none of its categories has one."""

_SEPARATOR = ", "
_CONJUNCTIONS = ("and ", "or ", "& ")
_SEEN_ENOUGH = 3
_MOSTLY_SORTED = 0.9


def split_tags(column: Iterable[str], known: Sequence[str] = TAGS_WITH_COMMAS) -> list[list[str]]:
    """Split a column of ``", "``-joined tags, keeping tags whole that hold a comma themselves.

    A cell that is a list given as text is read exactly; one that looks like a list and cannot be
    read is one tag, for its pieces would be none. Of the others, pieces are put together when they
    spell a tag of ``known``, or one learned from the column: the two pieces never occur apart, at
    least three times, and the second starts with a conjunction (``and Pool Building``) or stands out
    of order in a column whose cells are sorted. What neither knows nor shows this (``I Cut, You
    Choose`` in a column of another vocabulary) is split at its comma.

    Parameters
    ----------
    column
        Cells; empty ones give empty lists.
    known
        Tags with commas.

    Returns
    -------
    list[list[str]]
        Tags of each cell, in its order.
    """
    cells = [cell.strip() for cell in column]
    parsed = [parse_tags(cell) if cell.startswith(("[", "(")) else None for cell in cells]
    pieces = [_pieces(cell) if tags is None else [] for cell, tags in zip(cells, parsed, strict=True)]
    whole = {tuple(tag.split(_SEPARATOR)) for tag in known if _SEPARATOR in tag}
    whole |= {tuple(tag.split(_SEPARATOR)) for tags in parsed for tag in tags or () if _SEPARATOR in tag}
    glued = _inseparable(pieces)
    first = {tag[0] for tag in whole} | {piece for piece, _ in glued}
    return [
        tags if tags is not None else cell if first.isdisjoint(cell) else _joined(cell, whole, glued)
        for cell, tags in zip(pieces, parsed, strict=True)
    ]


def game_tags(categories: Iterable[str], mechanics: Iterable[str]) -> list[list[str]]:
    """Return the tags of each game, categories first: two columns of tags, see :func:`split_tags`, as one."""
    return [[*own, *others] for own, others in zip(split_tags(categories), split_tags(mechanics), strict=True)]


def _pieces(cell: str) -> list[str]:
    if list_notation(cell):
        return [cell]
    return [piece for piece in cell.split(_SEPARATOR) if piece]


def _inseparable(cells: list[list[str]]) -> set[tuple[str, str]]:
    """Return the pairs of neighbouring pieces that must be one tag, judged by the column alone."""
    counts = Counter(piece for cell in cells for piece in cell)
    pairs = Counter(pair for cell in cells for pair in itertools.pairwise(cell))
    fast = {(a, b) for (a, b), n in pairs.items() if n == counts[a] == counts[b] >= _SEEN_ENOUGH}
    others = {pair: n for pair, n in pairs.items() if pair not in fast}
    in_order = sum(n for (a, b), n in others.items() if a.casefold() <= b.casefold())
    is_sorted = bool(others) and in_order >= _MOSTLY_SORTED * sum(others.values())
    return {(a, b) for a, b in fast if b.startswith(_CONJUNCTIONS) or (is_sorted and b.casefold() < a.casefold())}


def _joined(pieces: list[str], whole: set[tuple[str, ...]], glued: set[tuple[str, str]]) -> list[str]:
    tags: list[str] = []
    at = 0
    longest = max(map(len, whole), default=1)
    while at < len(pieces):
        known = (n for n in range(min(longest, len(pieces) - at), 1, -1) if tuple(pieces[at : at + n]) in whole)
        end = at + next(known, 1)
        while end < len(pieces) and (pieces[end - 1], pieces[end]) in glued:
            end += 1
        tags.append(_SEPARATOR.join(pieces[at:end]))
        at = end
    return tags
