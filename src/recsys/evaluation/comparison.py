"""Two releases side by side, from what their manifests say."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from recsys.release.manifest import Manifest

_COUNTS = ("ratings", "users", "rated_games", "games", "mean_rating", "unknown_share")


@dataclass(frozen=True)
class Row:
    """One line: what it is about, its value in either release, and how the second differs.

    Attributes
    ----------
    section
        ``scores``, ``data``, ``recipe`` or ``measure``.
    name
        Name of the figure or setting.
    a, b
        Its values; None where a release does not say.
    change
        b − a as a share of a, for numbers; None otherwise, and where a is 0.
    """

    section: str
    name: str
    a: object
    b: object
    change: float | None = None


@dataclass(frozen=True)
class Comparison:
    """Two releases side by side.

    Attributes
    ----------
    a, b
        Names of the releases.
    rows
        Scores and data in full; of recipe and measure only what differs.
    comparable
        Whether both were scored in the same way. Scores of different nights are of different
        hold-outs all the same: the difference of one release from the next is judged by its gate.
    """

    a: str
    b: str
    rows: tuple[Row, ...]
    comparable: bool

    def as_json(self) -> dict[str, object]:
        """Return the comparison ready for JSON."""
        return {"a": self.a, "b": self.b, "comparable": self.comparable, "rows": [asdict(row) for row in self.rows]}


def compare(a: Manifest, b: Manifest) -> Comparison:
    """Put two releases side by side."""
    measures = [{} if (how := m.facts.measure) is None else how.model_dump(exclude={"score"}) for m in (a, b)]
    data = [{} if (profile := m.facts.data) is None else profile.model_dump() for m in (a, b)]
    recipes = [m.cf.section("cf") if m.facts.recipe is None else m.facts.recipe for m in (a, b)]
    rows = [
        *_rows("scores", a.scores, b.scores, list({**a.scores, **b.scores})),
        *_rows("data", data[0], data[1], _COUNTS),
        *_differing("recipe", recipes[0], recipes[1]),
        *_differing("measure", measures[0], measures[1]),
    ]
    return Comparison(a.release, b.release, tuple(rows), measures[0] == measures[1])


def _rows(section: str, a: Mapping[str, object], b: Mapping[str, object], names: Iterable[str]) -> list[Row]:
    return [Row(section, name, a.get(name), b.get(name), _change(a.get(name), b.get(name))) for name in names]


def _differing(section: str, a: Mapping[str, object], b: Mapping[str, object]) -> list[Row]:
    return [row for row in _rows(section, a, b, list({**a, **b})) if row.a != row.b]


def _change(a: object, b: object) -> float | None:
    if isinstance(a, bool) or isinstance(b, bool) or not isinstance(a, int | float) or not isinstance(b, int | float):
        return None
    return round(b / a - 1, 6) if a else None
