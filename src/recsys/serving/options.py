"""What a list should be like: its length, conditions on its games, editions, reasons."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from recsys.errors import ArgumentError
from recsys.serving.filters import read_filters
from recsys.serving.rules import EDITION, Rules

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from recsys.serving.filters import Filter


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
    rules
        What else the list must hold, may hold, and prefers.
    scenario
        Name of one of the release's scenarios, whose rules hold too.

    Raises
    ------
    ArgumentError
        If ``k`` is no whole number from 1 up, a filter cannot be read, a rule is none, or rules contradict each other.
    """

    k: int = 10
    filters: Iterable[Filter | str] | Filter | str = ()
    collapse: bool = False
    why: bool = False
    rules: Rules | Mapping[str, object] | None = None
    scenario: str | None = None
    own: Rules = field(init=False)
    """The rules that were given, the filters among them, read: whatever was given can be gone through once only."""

    def __post_init__(self) -> None:
        if type(self.k) is not int or self.k < 1:
            raise ArgumentError(f"k = {self.k!r}: a list has a whole number of games, at least 1")
        if self.scenario is not None and not isinstance(self.scenario, str):
            raise ArgumentError(f"scenario = {self.scenario!r}: a scenario is asked for by its name")
        rules = Rules.of(self.rules)
        most = dict(rules.limits).get(EDITION, 1)
        if self.collapse and most != 1:
            raise ArgumentError(f"collapse shows one edition of a game, and at_most {EDITION} allows {most}: drop one")
        own = rules if not (filters := read_filters(self.filters)) else rules.over(Rules(filters))
        object.__setattr__(self, "own", own)

    @property
    def is_ruled(self) -> bool:
        """Whether there are rules beside ``filters`` and ``collapse``."""
        return self.rules is not None or self.scenario is not None
