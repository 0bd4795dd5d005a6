"""What a search costs: work that is counted, the same on every machine, and a clock that only brakes.

The unit is what one rating costs a factor in one sweep over both sides. To train on E ratings of U users and G games::

    sweeps · d · (E + (U + G) · d / 32)

where the second term is the Gramians and rotations of :mod:`recsys.models.solvers.ials`, d² for each row, in loops 32
times as fast. To score n users is to multiply factors and to find the places of what was held out::

    n · G · (d / 96 + 2)

and the item-item half (:mod:`recsys.models.item_item`) costs, with n̄ ratings of a mean user::

    E · n̄ / 4 + G³ / 64                 where all games are solved at once
    E · n̄ / 4 + G · (2 F + K³ / 16)     where each of them is, on K of F features

The divisors are those of one machine (two cores of an EPYC of Zen 5: 1.3 ns a unit); others differ by some tens of
percent, and a search is the same search there.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from recsys.models.item_item import DENSE, FEATURES
from recsys.system.log import events, keys

if TYPE_CHECKING:
    from collections.abc import Callable

    import scipy.sparse as sp

log = events(__name__)

UNIT = 1e9
"""Units in one of ``cf.tuning_work``."""


def of_sweeps(table: sp.csr_matrix, factors: int, sweeps: int) -> float:
    """Return the units of so many sweeps over a table of users × games."""
    return float(sweeps) * factors * (table.nnz + sum(table.shape) * factors / 32)


def of_scores(users: int, games: int, factors: int) -> float:
    """Return the units of ranking all games for some users."""
    return float(users) * games * (factors / 96 + 2)


def of_item_item(table: sp.csr_matrix, neighbours: int) -> float:
    """Return the units of one item-item half of a table, solved on so many neighbours a game where not all at once."""
    users, games = table.shape
    gram = table.nnz * (table.nnz / max(users, 1)) / 4
    if games <= DENSE:
        return gram + float(games) ** 3 / 64
    return gram + games * (2 * min(FEATURES, games) + float(neighbours) ** 3 / 16)


class BudgetSpent(Exception):
    """A search ends with the trials that it has."""


@dataclass
class Budget:
    """What a search may still do.

    Parameters
    ----------
    work
        Units that it may spend.
    seconds
        After so many the clock ends it.
    clock
        Seconds, for that alone.

    Attributes
    ----------
    spent
        Units so far.
    ended_by
        What ended the search, or a part of it; empty where nothing did.
    """

    work: float
    seconds: float
    clock: Callable[[], float] = time.monotonic
    spent: float = 0.0
    ended_by: Literal["", "work", "clock"] = ""
    began: float = field(init=False)

    def __post_init__(self) -> None:
        self.began = self.clock()
        self._share = 1.0

    def keep(self, share: float) -> None:
        """Hold a share of the whole back, of work and of time, for what comes later; 0 releases it."""
        self._share = 1 - share

    def spend(self, work: float) -> None:
        """Begin something that costs so much.

        Raises
        ------
        BudgetSpent
            If less is left, or the time is up; then nothing is spent.
        """
        if self.spent + work > self._share * self.work:
            self.ended_by = "work"
            raise BudgetSpent
        self.look()
        self.spent += work

    def look(self) -> None:
        """Look at the clock, in the middle of something.

        Raises
        ------
        BudgetSpent
            If the time is up.
        """
        used = self.clock() - self.began
        if used > self._share * self.seconds:
            if self.ended_by != "clock":
                log.warning(
                    "the clock ended a search: on a quicker or less busy machine it would have gone on, and may have"
                    " found other settings",
                    extra=keys(seconds=used, brake_s=self.seconds, spent=self.spent / UNIT, of=self.work / UNIT),
                )
            self.ended_by = "clock"
            raise BudgetSpent
