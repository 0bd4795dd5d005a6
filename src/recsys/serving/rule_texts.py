"""Rules as addresses and command lines spell them: texts, each of which may be repeated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from recsys.errors import ArgumentError
from recsys.serving.rules import Rules

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from recsys.marts.ids import Id

FORMS = {"boost": "CONDITION:STRENGTH, such as tag=Economic:0.5", "at_most": "NAME:NUMBER, such as tag:2"}
FORMS["bury"] = FORMS["boost"]


@dataclass(frozen=True)
class RuleTexts:
    """Rules as texts.

    Attributes
    ----------
    only
        Ids of games; None where any may be listed.
    exclude, pin
        Ids of games.
    boost, bury
        ``CONDITION:STRENGTH``; what is behind the last colon is the strength.
    diversity
        A number.
    at_most
        ``NAME:NUMBER``.
    scenario
        Name of a scenario.
    newcomers
        Places for newcomers.
    """

    only: Sequence[str] | None = None
    exclude: Sequence[str] = ()
    boost: Sequence[str] = ()
    bury: Sequence[str] = ()
    diversity: float | None = None
    at_most: Sequence[str] = ()
    pin: Sequence[str] = ()
    scenario: str | None = None
    newcomers: Sequence[int] = ()

    def read(self, id_of: Callable[[str], Id]) -> Rules | None:
        """Return the rules; None where there are none, but for those of a scenario.

        Parameters
        ----------
        id_of
            Returns the id of a game that a text spells.

        Raises
        ------
        ArgumentError
            If one is none.
        """
        if self == RuleTexts(scenario=self.scenario):
            return None
        return Rules(
            only=None if self.only is None else [id_of(text) for text in self.only],
            exclude=[id_of(text) for text in self.exclude],
            boost=_numbers("boost", self.boost),
            bury=_numbers("bury", self.bury),
            diversity=self.diversity,
            at_most=_wholes("at_most", self.at_most),
            pin=[id_of(text) for text in self.pin],
            newcomers=self.newcomers,
        )

    @property
    def are_none(self) -> bool:
        """Whether nothing is asked, a scenario neither."""
        return self == RuleTexts()


def _numbers(rule: str, texts: Sequence[str]) -> dict[str, float]:
    numbers: dict[str, float] = {}
    for text in texts:
        name, colon, number = text.rpartition(":")
        try:
            value = float(number)
        except ValueError:
            value = None
        if not colon or value is None:
            raise ArgumentError(f"{rule} {text!r} is not of the form {FORMS[rule]}")
        if name in numbers:
            raise ArgumentError(f"{rule}: {name} stands there twice; give it one number")
        numbers[name] = value
    return numbers


def _wholes(rule: str, texts: Sequence[str]) -> dict[str, int]:
    numbers = _numbers(rule, texts)
    if odd := [name for name, number in numbers.items() if not number.is_integer()]:
        raise ArgumentError(f"{rule} {odd[0]}: {numbers[odd[0]]:g} is no whole number from 1 up")
    return {name: int(number) for name, number in numbers.items()}
