"""Names on a map: as many as fit without one covering another."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

_LONGEST = 24
_GLYPH, _LINE = 6.3, 15.0
"""Mean width of a letter and height of a line, in pixels, with some air."""
_MOST = 70
_AIR = (16.0, 7.0)
"""Free space around a name, across and down: the next best-known game nearby stays without one."""


class Label(NamedTuple):
    """A name and the middle of where it stands, in pixels; ``size`` is the area of the point that it names."""

    x: float
    y: float
    name: str
    size: float


def place_labels(points: Sequence[Label], page: tuple[int, int]) -> list[Label]:
    """Return the labels that fit, above or below their points.

    Parameters
    ----------
    points
        Most important first: they get their place before others.
    page
        Width and height of the map in pixels.
    """
    placed: list[Label] = []
    taken: list[tuple[float, float, float, float]] = []
    for point in points:
        name = point.name if len(point.name) <= _LONGEST else f"{point.name[: _LONGEST - 1].rstrip(' :,-–')}…"
        away = (point.size / 3.14) ** 0.5 + 9
        for y in (point.y - away, point.y + away):
            box = _box(point.x, y, name)
            inside = box[0] >= 0 and box[1] >= 0 and box[2] <= page[0] and box[3] <= page[1]
            if inside and not any(_overlap(box, other) for other in taken):
                placed.append(Label(point.x, round(y, 1), name, point.size))
                taken.append((box[0] - _AIR[0], box[1] - _AIR[1], box[2] + _AIR[0], box[3] + _AIR[1]))
                break
        if len(placed) == _MOST:
            break
    return placed


def _box(x: float, y: float, name: str) -> tuple[float, float, float, float]:
    half = len(name) * _GLYPH / 2
    return x - half, y - _LINE / 2, x + half, y + _LINE / 2


def _overlap(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
