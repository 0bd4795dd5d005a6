"""What a list should be like: its length, conditions on its games, editions, reasons."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from recsys.errors import ArgumentError
from recsys.serving.filters import Filter, read_filters

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True)
class ListOptions:
    """What a list should be like.

    Attributes
    ----------
    k
        How many games at most.
    filters
        Conditions that every game meets.
    collapse
        Whether editions of one game appear once.
    why
        Whether each suggestion names the games that speak for it.

    Raises
    ------
    ArgumentError
        If ``k`` is no whole number from 1 up, or a filter cannot be read.
    """

    k: int = 10
    filters: Iterable[Filter | str] | Filter | str = ()
    collapse: bool = False
    why: bool = False
    conditions: tuple[Filter, ...] = field(init=False)
    """The filters, read: whatever was given can be gone through once only."""

    def __post_init__(self) -> None:
        if type(self.k) is not int or self.k < 1:
            raise ArgumentError(f"k = {self.k!r}: a list has a whole number of games, at least 1")
        object.__setattr__(self, "conditions", read_filters(self.filters))
