"""Rules at answer time: what a list must hold, may hold, and prefers, beyond what its scores say."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Self, TypeAlias

import numpy as np

from recsys.errors import ArgumentError
from recsys.serving.filters import ANY_TAG, ORDERED, Filter, read_filters

if TYPE_CHECKING:
    from recsys.marts.ids import Id
    from recsys.release.records import Json

EDITION = "edition"
"""In ``at_most``: editions of one game, as :mod:`recsys.serving.editions` tells them."""
STRONGEST = 100.0
"""Standard deviations that a boost moves a score by at most; beyond, float32 would tell close games apart no longer."""

Conditions: TypeAlias = "Iterable[Filter | str] | Filter | str"
Strengths: TypeAlias = "Mapping[str, float] | Mapping[Filter, float]"


@dataclass(frozen=True)
class Rules:
    """What a list must hold, may hold, and prefers.

    Applied in this order: ``filters``, ``only`` and ``exclude`` say which games may be listed; these are scored;
    ``boost`` and ``bury`` move the scores; ``diversity`` orders the best 10·k anew; ``at_most`` passes over what there
    is enough of; ``pin`` puts its games first; ``newcomers`` take their places; the list ends after k. Rules that
    contradict each other are an error.

    Parameters
    ----------
    filters
        Conditions that every game meets, such as ``tag=Economic`` or ``N_RATINGS>=100``.
    only
        Ids of the games that may be listed; any when not given, none when empty.
    exclude
        Ids of games that may not be listed; as many as there are.
    boost, bury
        From a condition to a strength in (0, 100]: what meets it rises or falls by that many standard deviations of
        the scores. Strengths of several conditions add up.
    diversity
        In [0, 1]: how far a list avoids games whose texts are alike; 0 does not, 1 regards nothing else. By maximal
        marginal relevance (Carbonell and Goldstein 1998) over the best 10·k.
    at_most
        From ``tag``, a column or ``edition`` to a number: at most so many games share a tag, a value, or are editions
        of one game. A game without a tag or value is never passed over.
    pin
        Ids of the games that come first, in their order. They count in k, and in ``at_most``.
    newcomers
        Places of a list for somebody, from 1, that are kept for games which no rating speaks of: the best of them for
        this person by the hybrid model, by texts alone where ratings say nothing of the person.

    Attributes
    ----------
    conditions
        The filters, read.
    lifts
        Conditions with their strengths in standard deviations; negative where they bury.
    limits
        What is limited, by its name in upper case (``edition`` and ``tag`` in lower case), and how far.
    allowed, excluded, pinned
        The ids; ``allowed`` is None where any game may be listed.
    places
        The places for newcomers, ascending.

    Raises
    ------
    ArgumentError
        If a rule is none, or two contradict each other.
    """

    filters: Conditions = field(default=(), compare=False, repr=False)
    only: Iterable[Id] | None = field(default=None, compare=False, repr=False)
    exclude: Iterable[Id] = field(default=(), compare=False, repr=False)
    boost: Strengths = field(default_factory=dict, compare=False, repr=False)
    bury: Strengths = field(default_factory=dict, compare=False, repr=False)
    diversity: float | None = None
    at_most: Mapping[str, int] = field(default_factory=dict, compare=False, repr=False)
    pin: Iterable[Id] = field(default=(), compare=False, repr=False)
    newcomers: Iterable[int] = field(default=(), compare=False, repr=False)
    conditions: tuple[Filter, ...] = field(init=False)
    lifts: tuple[tuple[Filter, float], ...] = field(init=False)
    limits: tuple[tuple[str, int], ...] = field(init=False)
    allowed: tuple[Id, ...] | None = field(init=False)
    excluded: tuple[Id, ...] = field(init=False)
    pinned: tuple[Id, ...] = field(init=False)
    places: tuple[int, ...] = field(init=False)
    _hash: int = field(init=False, compare=False, repr=False)

    def __hash__(self) -> int:
        """Of what rules say, worked out once: a list of ids may be long."""
        return self._hash

    @classmethod
    def of(cls, given: Rules | Mapping[str, object] | None) -> Self:
        """Return rules as they are, or as a mapping says them; None are no rules.

        Raises
        ------
        ArgumentError
            If it is neither, or holds a rule that there is not.
        """
        if isinstance(given, cls):
            return given
        if given is None:
            return cls()
        if not isinstance(given, Mapping):
            raise ArgumentError(f"rules are a mapping such as {{'exclude': [13]}}, not {given!r}")
        names = [each.name for each in fields(cls) if each.init]
        if unknown := [str(name) for name in given if name not in names]:
            raise ArgumentError(f"there is no rule {', '.join(unknown)}; rules are {', '.join(names)}")
        return cls(**{str(name): value for name, value in given.items() if value is not None})  # type: ignore[arg-type]

    def __post_init__(self) -> None:
        boosts, buries = _strengths("boost", self.boost), _strengths("bury", self.bury)
        settled = {
            "conditions": _conditions(self.filters),
            "lifts": (*boosts, *((condition, -strength) for condition, strength in buries)),
            "diversity": None if self.diversity is None else _share(self.diversity),
            "limits": _limits(self.at_most),
            "allowed": None if self.only is None else _ids("only", self.only),
            "excluded": _ids("exclude", self.exclude),
            "pinned": _ids("pin", self.pin),
            "places": _places(self.newcomers),
        }
        for name, value in settled.items():
            object.__setattr__(self, name, value)
        object.__setattr__(self, "_hash", hash(tuple(settled.values())))
        # Whatever was given can be gone through once only.
        for name, given in (("only", self.allowed), ("exclude", self.excluded), ("pin", self.pinned)):
            object.__setattr__(self, name, given)
        object.__setattr__(self, "filters", self.conditions)
        object.__setattr__(self, "newcomers", self.places)
        self._refuse_contradictions({meaning(each) for each, _ in boosts} & {meaning(each) for each, _ in buries})

    def _refuse_contradictions(self, both: set[tuple[str, str, str]]) -> None:
        if both:
            told = ", ".join(sorted("".join(each) for each in both))
            raise ArgumentError(f"{told} is boosted and buried; keep one of them")
        if repeated := [str(id_) for id_, times in Counter(self.pinned).items() if times > 1]:
            raise ArgumentError(f"pin: {_some(repeated)} stands there twice; a game has one place")
        if self.places and self.places[0] <= len(self.pinned):
            raise ArgumentError(
                f"newcomers: place {self.places[0]} is a pinned game's; give places from {len(self.pinned) + 1} on"
            )
        excluded = set(self.excluded)
        if odd := [str(id_) for id_ in self.pinned if id_ in excluded]:
            raise ArgumentError(f"{_some(odd)} is pinned and excluded; take it out of one of them")
        if self.allowed is None:
            return
        allowed = set(self.allowed)
        if odd := [str(id_) for id_ in self.pinned if id_ not in allowed]:
            raise ArgumentError(f"{_some(odd)} is pinned and not among the games of only; add it there, or take it out")

    def over(self, base: Rules) -> Rules:
        """Return what holds where these rules are given with those of a scenario.

        Both conditions hold, of ``filters``, ``only`` and ``exclude``. Where both say a strength for one condition, a
        limit, a diversity, pins or places, these rules are taken and not the scenario's.

        Raises
        ------
        ArgumentError
            If both together contradict each other.
        """
        lifts = {meaning(each): (each, strength) for each, strength in (*base.boosts, *self.boosts)}
        falls = {meaning(each): (each, strength) for each, strength in (*base.buries, *self.buries)}
        both = None if self.allowed is None else set(self.allowed)
        common = [id_ for id_ in base.allowed or () if both is None or id_ in both]
        return Rules(
            tuple(dict.fromkeys((*base.conditions, *self.conditions))),
            self.allowed if base.allowed is None else common,
            tuple(dict.fromkeys((*base.excluded, *self.excluded))),
            dict(lifts.values()),
            dict(falls.values()),
            base.diversity if self.diversity is None else self.diversity,
            {**dict(base.limits), **dict(self.limits)},
            self.pinned or base.pinned,
            self.places or base.places,
        )

    @property
    def boosts(self) -> tuple[tuple[Filter, float], ...]:
        """The conditions that raise a score, with their strengths."""
        return tuple((condition, strength) for condition, strength in self.lifts if strength > 0)

    @property
    def buries(self) -> tuple[tuple[Filter, float], ...]:
        """The conditions that lower a score, with their strengths, which are positive."""
        return tuple((condition, -strength) for condition, strength in self.lifts if strength < 0)

    def as_json(self) -> dict[str, Json]:
        """Return what was said, as JSON values that :meth:`of` reads; nothing of what was not."""
        said: dict[str, Json] = {
            "filters": [str(each) for each in self.conditions],
            "exclude": list(self.excluded),
            "boost": {str(condition): strength for condition, strength in self.boosts},
            "bury": {str(condition): strength for condition, strength in self.buries},
            "at_most": dict(self.limits),
            "pin": list(self.pinned),
            "newcomers": list(self.places),
        }
        given: dict[str, Json] = {name: value for name, value in said.items() if value}
        if self.allowed is not None:
            given["only"] = list(self.allowed)
        if self.diversity is not None:
            given["diversity"] = self.diversity
        return given


RulesGiven: TypeAlias = "Rules | Mapping[str, object] | None"
"""Rules as people give them."""


def meaning(condition: Filter) -> tuple[str, str, str]:
    """Return what is equal for two spellings of one condition: cases, the order of alternatives, a number's digits."""
    values = sorted({part.strip().casefold() for part in condition.value.split("|")})
    if condition.operator in ORDERED and (bound := _number_in(condition.value)) is not None:
        values = [str(bound)]
    return condition.column.upper(), condition.operator, "|".join(values)


def _number_in(text: str) -> Decimal | None:
    """Return the number that a text spells, in one form."""
    try:
        number = Decimal(text.strip())
    except InvalidOperation:
        return None
    return number.normalize() if number.is_finite() else None


def _conditions(given: object) -> tuple[Filter, ...]:
    if not isinstance(given, Filter | str) and (not isinstance(given, Iterable) or isinstance(given, Mapping | bytes)):
        raise ArgumentError(f"filters: {given!r} is no list of conditions such as ['tag=Economic']")
    several = given if isinstance(given, Filter | str) else list(given)
    if not isinstance(several, Filter | str) and (
        odd := [each for each in several if not isinstance(each, Filter | str)]
    ):
        raise ArgumentError(f"filters: {odd[0]!r} is no condition such as 'tag=Economic'")
    return read_filters(several)


def _strengths(rule: str, given: object) -> tuple[tuple[Filter, float], ...]:
    """Return the conditions of a rule with their strengths, read."""
    if not isinstance(given, Mapping):
        raise ArgumentError(f"{rule}: {given!r} is no mapping such as {{'tag=Economic': 0.5}}")
    read: dict[tuple[str, str, str], tuple[Filter, float]] = {}
    for text, strength in given.items():
        (condition,) = _conditions([text])
        number = _number(strength)
        if number is None or not 0 < number <= STRONGEST:
            other = "bury" if rule == "boost" else "boost"
            hint = f"; {other} does the opposite" if number is not None and number < 0 else ""
            raise ArgumentError(
                f"{rule} {condition}: the strength {strength!r} is no number above 0 and up to {STRONGEST:g}{hint}"
            )
        if meaning(condition) in read:
            raise ArgumentError(f"{rule}: {condition} stands there twice; give it one strength")
        read[meaning(condition)] = condition, number
    return tuple(read.values())


def _limits(given: object) -> tuple[tuple[str, int], ...]:
    if not isinstance(given, Mapping):
        raise ArgumentError(f"at_most: {given!r} is no mapping such as {{'tag': 2}}")
    limits: dict[str, int] = {}
    for name, most in given.items():
        if not isinstance(name, str) or not name.strip():
            raise ArgumentError(f"at_most: {name!r} is neither tag, a column nor edition")
        plain = name.strip().lower() if name.strip().lower() in {ANY_TAG, EDITION} else name.strip().upper()
        if isinstance(most, bool) or not isinstance(most, int | np.integer) or most < 1:
            raise ArgumentError(f"at_most {name}: {most!r} is no whole number from 1 up; a filter leaves games out")
        if plain in limits:
            raise ArgumentError(f"at_most: {name} stands there twice; give it one number")
        limits[plain] = int(most)
    return tuple(limits.items())


def _places(given: object) -> tuple[int, ...]:
    if isinstance(given, str | bytes | Mapping) or not isinstance(given, Iterable):
        raise ArgumentError(f"newcomers: {given!r} is no list of places such as [10, 20]")
    places = list(given)
    if odd := [each for each in places if isinstance(each, bool) or not isinstance(each, int | np.integer) or each < 1]:
        raise ArgumentError(f"newcomers: {odd[0]!r} is no place of a list: places are whole numbers from 1 up")
    if repeated := [each for each, times in Counter(places).items() if times > 1]:
        raise ArgumentError(f"newcomers: place {repeated[0]} stands there twice; it holds one game")
    return tuple(sorted(int(each) for each in places))


def _ids(rule: str, given: object) -> tuple[Id, ...]:
    """Return ids as they are; what can be none is refused, since 13.0 would silently not be 13."""
    if isinstance(given, str | bytes | Mapping) or not isinstance(given, Iterable):
        raise ArgumentError(f"{rule}: {given!r} is no list of ids such as [13, 822]")
    if rule == "pin" and not isinstance(given, Sequence | np.ndarray):
        given = _ordered(given)
    ids: list[Id] = []
    for id_ in given:
        if isinstance(id_, bool) or not isinstance(id_, int | str | np.integer):
            raise ArgumentError(f"{rule}: {id_!r} is no id: ids are whole numbers or texts")
        ids.append(int(id_) if isinstance(id_, np.integer) else id_)
    return tuple(ids)


def _ordered(given: Iterable[object]) -> Iterable[object]:
    if isinstance(given, set | frozenset):
        raise ArgumentError("pin: a set has no order; give a list")
    return given


def _share(given: object) -> float:
    share = _number(given)
    if share is None or not 0 <= share <= 1:
        raise ArgumentError(f"diversity = {given!r}: it is a number from 0 (off) to 1")
    return share


def _number(value: object) -> float | None:
    """Return a finite number, or None for anything else: True is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        return None
    try:
        number = float(value)
    except OverflowError:  # an integer beyond all floats
        return None
    return number if math.isfinite(number) else None


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3:,} more" if len(names) > 3 else "")
