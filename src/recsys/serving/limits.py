"""What there may be enough of in a list: games that share a tag or a value, and editions of one game."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from recsys.errors import ArgumentError
from recsys.serving.catalogue import TAG_COLUMNS
from recsys.serving.filters import ANY_TAG
from recsys.serving.rules import EDITION

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from recsys.serving.catalogue import Catalogue
    from recsys.serving.editions import Editions
    from recsys.serving.rules import Rules


class Limits:
    """Says of each game that would be next whether there is room for it.

    Parameters
    ----------
    rules
        ``limits`` is used.
    catalogue, editions
        The games of the release.
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
        self, rules: Rules, catalogue: Catalogue, editions: Editions, pinned: Sequence[int], known: Sequence[int]
    ) -> None:
        limits = dict(rules.limits)
        most = limits.pop(EDITION, None)
        self._catalogue, self._limits = catalogue, limits
        self._counts = {name: Counter[str]() for name in limits}
        self._shown = None if most is None else editions.shown(most)
        for row in pinned:
            if not self.takes(row):
                told = ", ".join(f"{name} {number}" for name, number in rules.limits)
                raise ArgumentError(
                    f"{catalogue.ids[row]!r} is pinned, and more of its kind than at_most allows ({told});"
                    " take the pin out, or raise the number"
                )
        if self._shown is not None and len(known):
            self._shown.add([row for row in known if row not in pinned])

    @staticmethod
    def check(catalogue: Catalogue, rules: Rules) -> None:
        """Refuse a limit on a column that the catalogue lacks.

        Raises
        ------
        ArgumentError
            If there is one.
        """
        columns = {name.upper() for name in catalogue.columns}
        for name, _ in rules.limits:
            if name not in {EDITION, ANY_TAG, *columns}:
                known = ", ".join([*catalogue.columns, ANY_TAG, EDITION])
                raise ArgumentError(f"at_most {name}: the catalogue has no column {name}; there are {known}")

    def takes(self, row: int) -> bool:
        """Say whether there is room for a game; where there is, it is counted."""
        labels = {name: self._labels(name, row) for name in self._limits}
        if any(self._counts[name][label] >= self._limits[name] for name in labels for label in labels[name]):
            return False
        if self._shown is not None and not self._shown.takes(row):
            return False
        for name, values in labels.items():
            self._counts[name].update(values)
        return True

    def _labels(self, name: str, row: int) -> Iterable[str]:
        """Return what a game shares with others, in lower case; nothing where it has no value."""
        if name == ANY_TAG or name in TAG_COLUMNS:
            columns = TAG_COLUMNS if name == ANY_TAG else (name,)
            tags = self._catalogue.tags
            return {tag.casefold() for column in columns if column in tags for tag in tags[column][row]}
        value = self._catalogue.values(name)[row]
        return () if value is None or value == "" else (str(value).casefold(),)
