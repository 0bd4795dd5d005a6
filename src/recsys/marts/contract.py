"""The data contract: what is noted of broken rules and repairs, and the one error that names them all.

Each check is one vectorised pass. Every broken rule is collected, with a count and up to five sample
ids; what is repaired is counted. What a check made is handed out only once no rule is broken.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from recsys.errors import DataContractError, EmptyResult
from recsys.marts.headings import told, twins
from recsys.marts.ids import IdMap, rivals
from recsys.marts.plain import absent_columns, listed_absent, repeated_columns, require_frame
from recsys.marts.schema import GAME_ID
from recsys.system import events, keys

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pandas as pd

log = events(__name__)

T = TypeVar("T")

SAMPLES = 5
"""Ids that a message names of each broken rule."""

_PLURAL = re.compile(r"^(column|duplicate GAME_ID|game|group|rating|user)s\b")
"""What the text of a rule counts: its first words."""


def counted(count: int, rule: str) -> str:
    """Return how many rows break a rule: ``2 games with …``, and ``1 game with …``."""
    text = _PLURAL.sub(r"\1", rule) if count == 1 else rule
    return f"{count:,} {text}"


@dataclass(frozen=True)
class Violation:
    """One broken rule of one mart."""

    mart: str
    rule: str
    count: int
    samples: tuple[str, ...] = ()

    def __str__(self) -> str:
        shown = f" (such as {', '.join(self.samples)})" if self.samples else ""
        return f"{self.mart}: {counted(self.count, self.rule)}{shown}"


@dataclass
class ContractReport:
    """What the checks of both marts saw.

    Attributes
    ----------
    violations
        Broken rules; training stops when there are any.
    repairs
        How often each kind of repair was made, by name.
    people
        Whether a debug event names the users of the samples.
    """

    violations: list[Violation] = field(default_factory=list)
    repairs: dict[str, int] = field(default_factory=dict)
    people: bool = False

    def broken(
        self, mart: str, rule: str, count: int, samples: Iterable[object] = (), users: Sequence[str] = ()
    ) -> None:
        """Note a broken rule, if ``count`` says that it is.

        Parameters
        ----------
        mart, rule, count, samples
            The fields of :class:`Violation`.
        users
            Ids of the users whose rows the samples are. They are logged at level DEBUG, and stand in no message.
        """
        if count:
            # Half a character (a lone surrogate) cannot be printed: it is shown as an escape.
            texts = tuple(str(sample).encode(errors="backslashreplace").decode() for sample in islice(samples, SAMPLES))
            self.violations.append(Violation(mart, rule, int(count), texts))
            if users:
                self.people = True
                log.debug("broken rule", extra=keys(mart=mart, rule=rule, users=", ".join(users)))

    def repaired(self, kinds: Mapping[str, int]) -> None:
        """Add repairs, kind by kind."""
        for kind, count in kinds.items():
            if count:
                self.repairs[str(kind)] = self.repairs.get(str(kind), 0) + int(count)

    def sound(self, checked: T | None) -> T:
        """Hand out what a check made: the one way to use it.

        Parameters
        ----------
        checked
            The result of a check that reported here; None where it could not be made.

        Raises
        ------
        DataContractError
            If any rule of any mart is broken; it names them all.
        """
        if self.violations:
            rules = "; ".join(str(violation) for violation in self.violations)
            whose = " (-v names the users of these ratings)" if self.people else ""
            raise DataContractError(
                f"the marts break the data contract: {rules}. Nothing was trained: mend the marts{whose}"
            )
        assert checked is not None, "a check without a result has named a broken rule"
        return checked


def has_columns(frame: pd.DataFrame, columns: Iterable[str], report: ContractReport, mart: str) -> bool:
    """Whether a frame has each of these columns once; those that it lacks or repeats are a broken rule.

    Raises
    ------
    DataContractError
        If it is no plain data frame.
    EmptyResult
        If it has them, and no rows.
    """
    require_frame(frame, mart)
    columns = tuple(columns)
    absent, repeated = absent_columns(frame, columns), repeated_columns(frame, columns)
    report.broken(mart, f"columns missing: {listed_absent(frame, absent)}", len(absent))
    report.broken(mart, f"columns repeated: {', '.join(repeated)}; keep one of each", len(repeated))
    if absent or repeated:
        return False
    if groups := twins(frame.columns, columns):
        report.broken(mart, f"columns named twice but for case: {told(groups)}; keep one of each", len(groups))
        return False
    if frame.empty:
        raise EmptyResult(
            f"{mart} has no rows: the query answered, but with nothing to train on; did the dbt run finish?"
        )
    return True


def check_spellings(ids: IdMap, report: ContractReport, mart: str) -> None:
    """Refuse ids of games that would fall together where the marts are joined."""
    groups = [" and ".join(map(repr, group)) for group in rivals(ids)]
    report.broken(mart, f"groups of {GAME_ID}s that are spellings of one id; keep one of each", len(groups), groups)
