"""What there may be enough of in a list: games that share a tag or a value, and editions of one game."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from recsys.errors import ArgumentError
from recsys.serving.catalogue import TAG_COLUMNS
from recsys.serving.filters import ANY_TAG
from recsys.serving.rules import EDITION

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from recsys.serving.catalogue import Catalogue
    from recsys.serving.editions import Editions
    from recsys.serving.rules import Rules

    Rows = npt.NDArray[np.intp]


class Labels:
    """What games share with others: their tags, or the value of a column, in lower case; remembered.

    Parameters
    ----------
    catalogue
        The games.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._of: dict[tuple[str, int], frozenset[str]] = {}
        self._rows: dict[str, dict[str, Rows]] = {}

    def of(self, name: str, row: int) -> frozenset[str]:
        """Return what a game has of ``tag`` or of a column, named in upper case; nothing where it has no value."""
        labels = self._of.get((name, row))
        if labels is None:
            labels = self._of[name, row] = self._read(name, row)
        return labels

    def rows(self, name: str, label: str) -> Rows:
        """Return the rows of the games that have a label."""
        index = self._rows.get(name)
        if index is None:
            places: dict[str, list[int]] = {}
            for row in range(len(self._catalogue)):
                for each in self._read(name, row):
                    places.setdefault(each, []).append(row)
            index = self._rows[name] = {each: np.array(rows, dtype=np.intp) for each, rows in places.items()}
        return index[label]

    def check(self, rules: Rules) -> None:
        """Refuse a limit on a column that the catalogue lacks.

        Raises
        ------
        ArgumentError
            If there is one.
        """
        columns = {name.upper() for name in self._catalogue.columns}
        for name, _ in rules.limits:
            if name not in {EDITION, ANY_TAG, *columns}:
                known = ", ".join([*self._catalogue.columns, ANY_TAG, EDITION])
                raise ArgumentError(f"at_most {name}: the catalogue has no column {name}; there are {known}")

    def _read(self, name: str, row: int) -> frozenset[str]:
        if name == ANY_TAG or name in TAG_COLUMNS:
            columns = TAG_COLUMNS if name == ANY_TAG else (name,)
            tags = self._catalogue.tags
            return frozenset(tag.casefold() for column in columns if column in tags for tag in tags[column][row])
        value = self._catalogue.values(name)[row]
        return frozenset() if value is None or value == "" else frozenset([str(value).casefold()])


class Limits:
    """Says of each game that would be next whether there is room for it.

    Parameters
    ----------
    rules
        ``limits`` is used.
    labels, editions
        Of the games of the release.
    pinned
        Rows that stand in the list already.
    known
        Rows that are not in the list, and whose editions count as if they were.

    Raises
    ------
    ArgumentError
        If the pinned games alone are too many.
    """

    def __init__(
        self, rules: Rules, labels: Labels, editions: Editions, pinned: Sequence[int], known: Sequence[int]
    ) -> None:
        limits = dict(rules.limits)
        most = limits.pop(EDITION, None)
        self._labels, self._limits = labels, limits
        self._counts = {name: Counter[str]() for name in limits}
        self._full: dict[str, set[str]] = {name: set() for name in limits}
        self._shown = None if most is None else editions.shown(most)
        if not all(self.takes(row) for row in pinned):
            told = ", ".join(f"{name} {number}" for name, number in rules.limits)
            raise ArgumentError(
                f"more games of a kind are pinned than at_most allows ({told}); take a pin out, or raise the number"
            )
        if self._shown is not None and len(known):
            self._shown.add([row for row in known if row not in pinned])

    def takes(self, row: int) -> bool:
        """Say whether there is room for a game; where there is, it is counted."""
        for name, full in self._full.items():
            if not full.isdisjoint(self._labels.of(name, row)):
                return False
        if self._shown is not None and not self._shown.takes(row):
            return False
        for name, most in self._limits.items():
            labels, counts = self._labels.of(name, row), self._counts[name]
            counts.update(labels)
            self._full[name].update(label for label in labels if counts[label] >= most)
        return True

    def close(self, allowed: npt.NDArray[np.bool_]) -> None:
        """Take out of the games that are allowed, bool (games,), those that have what there is enough of."""
        for name, full in self._full.items():
            for label in full:
                allowed[self._labels.rows(name, label)] = False
