"""Filters: which games of the catalogue a list may hold."""

from __future__ import annotations

import difflib
import operator
import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from recsys.errors import ArgumentError
from recsys.serving.catalogue import TAG_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import numpy.typing as npt

    from recsys.serving.catalogue import Catalogue

OPERATORS = (">=", "<=", "!=", "=")
ANY_TAG = "tag"
"""Stands for a tag of any kind, category or mechanic."""

_FORM = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)\s*(>=|<=|!=|=)(?![=<>])\s*(.+)", re.DOTALL)
ORDERED: dict[str, Callable[[Any, Any], Any]] = {">=": operator.ge, "<=": operator.le}
"""Operators that compare numbers."""
_REMEMBERED = 256
"""Masks kept: people ask for the same few tags again and again."""


@dataclass(frozen=True)
class Filter:
    """One condition on a game: ``tag=Economic|Fantasy``, ``N_RATINGS>=100``, ``MECHANICS!=Dice Rolling``.

    Attributes
    ----------
    column
        A column of ``games.parquet`` in any case, or ``tag`` for categories and mechanics both.
    operator
        ``=`` and ``!=`` for everything, ``>=`` and ``<=`` for numbers.
    value
        What to compare with. Alternatives are separated by ``|``. A column of numbers is compared by
        number (2017 is 2017.0), another one by text, whose case does not count; tags are compared one by one.
    """

    column: str
    operator: str
    value: str

    @classmethod
    def parse(cls, text: str) -> Filter:
        """Read a condition as people write it.

        Raises
        ------
        ArgumentError
            If it is not of the form COLUMN=VALUE, COLUMN!=VALUE, COLUMN>=NUMBER or COLUMN<=NUMBER.
        """
        form = _FORM.fullmatch(text.strip())
        if not form:
            raise ArgumentError(
                f"the filter {text!r} is not of the form COLUMN=VALUE, COLUMN!=VALUE, COLUMN>=NUMBER or "
                "COLUMN<=NUMBER, such as 'tag=Economic' or 'N_RATINGS>=100'"
            )
        return cls(form[1], form[2], form[3])

    def __post_init__(self) -> None:
        if self.operator not in OPERATORS:
            raise ArgumentError(f"filter {self}: {self.operator!r} is none of {' '.join(OPERATORS)}")

    def __str__(self) -> str:
        return f"{self.column}{self.operator}{self.value}"


def read_filters(filters: Iterable[Filter | str] | Filter | str) -> tuple[Filter, ...]:
    """Return conditions read; one alone is a condition too, not a list of letters.

    Raises
    ------
    ArgumentError
        If one cannot be read.
    """
    several = [filters] if isinstance(filters, str | Filter) else filters
    return tuple(each if isinstance(each, Filter) else Filter.parse(each) for each in several)


class Filters:
    """Applies filters to one catalogue, and remembers the last masks."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._masks: dict[tuple[Filter, ...], npt.NDArray[np.bool_]] = {}

    def mask(self, filters: tuple[Filter, ...]) -> npt.NDArray[np.bool_] | None:
        """Return which games meet every filter.

        Returns
        -------
        numpy.ndarray or None
            bool, (games,), read-only; None where there is no filter.

        Raises
        ------
        ArgumentError
            If a filter names a column or number that the catalogue does not have, or asks for a tag that no game has.
        """
        if not filters:
            return None
        mask = self._masks.get(filters)
        if mask is None:
            mask = np.logical_and.reduce([self._one(each) for each in filters])
            mask.flags.writeable = False
            if len(self._masks) >= _REMEMBERED:
                self._masks = {}
            self._masks[filters] = mask
        return mask

    def met(self, condition: Filter, *, tag_may_be_unknown: bool = False) -> npt.NDArray[np.bool_]:
        """Return which games meet one condition, as :meth:`mask` does.

        Parameters
        ----------
        condition
            The condition.
        tag_may_be_unknown
            Whether a tag that no game has is met by none, and no error.
        """
        if not tag_may_be_unknown or not self.unknown(condition):
            mask = self.mask((condition,))
            assert mask is not None
            return mask
        return self._tagged(condition, self._tag_columns(condition), strict=False)

    def unknown(self, condition: Filter) -> str:
        """Return what to say of the tags of a condition that no game has; empty where there are none."""
        columns = self._tag_columns(condition)
        if not columns or condition.operator in ORDERED:
            return ""
        missing = [
            f"no game has the tag {tag.strip()!r}{self._close(tag, columns)}"
            for tag in condition.value.split("|")
            if not any(tag.strip().casefold() in self._index[name] for name in columns)
        ]
        return "; ".join(missing)

    def prepare(self) -> None:
        """Build what the first question would build."""
        _ = self._index

    @staticmethod
    def _tag_columns(condition: Filter) -> list[str]:
        """Return the columns whose tags a condition is about; none where it is about another column."""
        column = condition.column.upper()
        return list(TAG_COLUMNS) if column == ANY_TAG.upper() else [column] if column in TAG_COLUMNS else []

    def _one(self, condition: Filter) -> npt.NDArray[np.bool_]:
        column = condition.column.upper()
        if tag_columns := self._tag_columns(condition):
            # A tag that nobody has is no game's: what must not have it loses nothing.
            return self._tagged(condition, tag_columns, strict=condition.operator != "!=")
        names = {name.upper(): name for name in self._catalogue.columns}
        if column not in names:
            raise ArgumentError(
                f"filter {condition}: the catalogue has no column {condition.column}; it has {self._known()}"
            )
        values = self._catalogue.column(names[column])
        if condition.operator in ORDERED:
            return _compared(condition, values)
        if holds_numbers(values):
            equal = _equals(condition, values)
            return equal if condition.operator == "=" else ~equal
        meant = {part.strip().casefold() for part in condition.value.split("|")}
        equal = np.array([value is not None and str(value).casefold() in meant for value in values], dtype=bool)
        return equal if condition.operator == "=" else ~equal

    def _tagged(self, condition: Filter, columns: Sequence[str], *, strict: bool) -> npt.NDArray[np.bool_]:
        if condition.operator in ORDERED:
            raise ArgumentError(f"filter {condition}: tags have no order; write {condition.column}={condition.value}")
        rows: list[npt.NDArray[np.int32]] = []
        for tag in condition.value.split("|"):
            tagged = [
                self._index[name][key] for name in columns if (key := tag.strip().casefold()) in self._index[name]
            ]
            if not tagged and strict:
                raise ArgumentError(
                    f"filter {condition}: no game has the tag {tag.strip()!r}{self._close(tag, columns)}"
                )
            rows += tagged
        mask = np.zeros(len(self._catalogue), dtype=bool)
        mask[np.concatenate([np.zeros(0, dtype=np.int32), *rows])] = True
        return mask if condition.operator == "=" else ~mask

    @cached_property
    def _index(self) -> dict[str, dict[str, npt.NDArray[np.int32]]]:
        """Rows of each tag, by column and case-folded tag."""
        index: dict[str, dict[str, npt.NDArray[np.int32]]] = {name: {} for name in TAG_COLUMNS}
        for name, cells in self._catalogue.tags.items():
            rows: dict[str, list[int]] = {}
            for row, tags in enumerate(cells):
                for tag in tags:
                    rows.setdefault(tag.casefold(), []).append(row)
            index[name] = {tag: np.array(places, dtype=np.int32) for tag, places in rows.items()}
        return index

    def _close(self, tag: str, columns: Sequence[str]) -> str:
        known = {
            name.casefold(): name
            for column in columns
            for tags in self._catalogue.tags.get(column, ())
            for name in tags
        }
        close = difflib.get_close_matches(tag.strip().casefold(), known, n=3, cutoff=0.6)
        return f"; did you mean {' or '.join(known[name] for name in close)}?" if close else ""

    def _known(self) -> str:
        return ", ".join([*self._catalogue.columns, ANY_TAG])


def _compared(condition: Filter, values: Sequence[Any]) -> npt.NDArray[np.bool_]:
    bound = _number(condition, condition.value)
    odd = next((value for value in values if not isinstance(value, int | float | Decimal | None)), None)
    if odd is not None:
        kind = "text" if isinstance(odd, str) else f"values such as {odd}"
        raise ArgumentError(
            f"filter {condition}: {condition.column} holds {kind}; {condition.operator} compares numbers"
        )
    compare = ORDERED[condition.operator]
    return np.array([value is not None and compare(value, bound.like(value)) for value in values], dtype=bool)


def holds_numbers(values: Sequence[Any]) -> bool:
    """Say whether a column is of numbers: it has some, and nothing else."""
    kinds = {type(value) for value in values} - {type(None)}
    return bool(kinds) and kinds <= {int, float, Decimal}


def _equals(condition: Filter, values: Sequence[Any]) -> npt.NDArray[np.bool_]:
    """Compare numbers as numbers, however they are spelled: 2017.0 is 2017."""
    meant = [_number(condition, part) for part in condition.value.split("|")]
    return np.array(
        [value is not None and any(value == each.like(value) for each in meant) for value in values], dtype=bool
    )


class _Number(NamedTuple):
    """A number as it is written, and the float that is nearest to it."""

    exact: Decimal
    nearest: float

    def like(self, value: float | Decimal) -> float | Decimal:
        """Return the number to compare with a value: a float's 4.1 is the nearest to what is written 4.1."""
        return self.nearest if isinstance(value, float) else self.exact


def _number(condition: Filter, text: str) -> _Number:
    try:
        number = _Number(Decimal(text.strip()), float(text))
    except (ValueError, InvalidOperation):
        number = _Number(Decimal("NaN"), np.nan)
    if not np.isfinite(number.nearest):
        holds = "" if condition.operator in ORDERED else f"{condition.column} holds numbers, and "
        raise ArgumentError(
            f"filter {condition}: {holds}{text!r} is no number; {condition.operator} compares numbers"
            + ("" if condition.operator in ORDERED else " there")
        )
    return number
