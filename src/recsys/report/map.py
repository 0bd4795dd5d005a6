"""The map of games: best-known games laid out on a plane, those that the same people like side by side."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple, TypedDict

import numpy as np

from recsys.marts.tags import split_tags
from recsys.report import figures
from recsys.report.games import nearest
from recsys.report.missing import Missing, shown, taste

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from recsys.report.contents import Catalogue, Contents

    Points = npt.NDArray[np.float32]

MAPPED = 3000
"""Games on the map at most."""
_GROUPS = 7
_MARGIN = 46
_OTHER = "other"

NEIGHBOURS = 15
"""Games that pull on a game."""
LANDMARKS = 200
"""Games that push it away, drawn anew for each sweep; with fewer games, all of them."""
SWEEPS = 240
_EARLY = 80
_EXAGGERATION = 8.0
"""Neighbours pull so much harder in the first sweeps, while groups find their places."""

_LONGEST = 24
_GLYPH, _LINE = 6.3, 15.0
"""Mean width of a letter and height of a line, in pixels, with some air."""
_MOST = 70
_AIR = (16.0, 7.0)
"""Free space around a name, across and down: the next best-known game nearby stays without one."""


class _Point(TypedDict):
    """A game on the map: its place in pixels, its group, its area, its name, and what shows on hover."""

    x: float
    y: float
    group: str
    size: float
    name: str
    told: str


class DrawnMap(TypedDict):
    """The map as SVG, how many games are on it, and the colour and size of each group."""

    map: str
    games: int
    palette: dict[str, tuple[str, int]]


def drawn_map(release: Contents, _: Contents | None) -> DrawnMap:
    """Return the map of the best-known games, laid out by what the same people like."""
    catalogue, half = shown(release), taste(release)
    codes = half.items.codes_of(catalogue.ids)
    rows = catalogue.best_known(len(catalogue.ids))
    rows = rows[codes[rows] >= 0]
    rows = rows[half.directions[codes[rows]].any(axis=1)][:MAPPED]
    if len(rows) < 3:
        raise Missing("Fewer than three games have factors: there is no map to draw.")
    places = _on_page(project(half.directions[codes[rows]]))
    groups, palette = _groups([catalogue.tags[row] for row in rows])
    points = _points(catalogue, rows, places, groups)
    labels = place_labels([Label(p["x"], p["y"], p["name"], p["size"]) for p in points], figures.MAP_SIZE)
    # The best-known are drawn last, on top.
    return {
        "map": figures.game_map(points[::-1], [label._asdict() for label in labels], palette),
        "games": len(rows),
        "palette": {group: (colour, groups.count(group)) for group, colour in palette.items()},
    }


def _on_page(places: Points) -> Points:
    """Return the places in pixels of the page's map; far-off ones stand at its rim."""
    low, high = np.percentile(places, [0.5, 99.5], axis=0)
    shares = np.clip((places - low) / np.maximum(high - low, 1e-9), -0.02, 1.02)
    width, height = figures.MAP_SIZE
    across = _MARGIN + shares[:, 0] * (width - 2 * _MARGIN)
    down = _MARGIN + (1 - shares[:, 1]) * (height - 2 * _MARGIN)
    return np.stack([across, down], axis=1).round(1)


def _groups(cells: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Return each game's group, the rarest of its categories among the most common ones, and the colours."""
    tags = split_tags(cells)
    common = [tag for tag, _ in Counter(tag for game in tags for tag in game).most_common(_GROUPS)]
    rank = {tag: place for place, tag in enumerate(common)}
    groups = [max((tag for tag in game if tag in rank), key=rank.__getitem__, default=_OTHER) for game in tags]
    palette = {tag: f"var(--g{place + 1})" for place, tag in enumerate(common)}
    return groups, {**palette, _OTHER: "var(--grey)"}


def _points(catalogue: Catalogue, rows: npt.NDArray[np.int64], places: Points, groups: Sequence[str]) -> list[_Point]:
    most = float(catalogue.raters[rows[0]])
    small = 18 if len(rows) > 1500 else 34
    return [
        {
            "x": float(x),
            "y": float(y),
            "group": group,
            "size": round(small + 200 * float(catalogue.raters[row]) / most, 1),
            "name": catalogue.names[row],
            "told": f"{catalogue.names[row]} · {group} · {catalogue.raters[row]:,} ratings",
        }
        for (x, y), row, group in zip(places, rows, groups, strict=True)
    ]


def project(vectors: Points, seed: int = 0) -> Points:
    """Lay points out so that near ones stay near: t-SNE with a sampled repulsion.

    The forces are those of t-SNE (van der Maaten & Hinton, "Visualizing Data using t-SNE", 2008)
    on the graph of each point's nearest neighbours, all with one weight. What pushes points apart
    is estimated from a few landmarks in each sweep, so that a sweep is linear in the points.

    Parameters
    ----------
    vectors
        float32, (points, dimensions): unit rows; near is a high inner product.
    seed
        Of the landmarks: the same vectors and seed give the same map.

    Returns
    -------
    numpy.ndarray
        float32, (points, 2), centred, along its principal axes; the wider one first.
    """
    places = _principal_axes(vectors)
    if len(places) <= 2:
        return places
    places *= np.float32(1e-2 / max(float(places.std()), 1e-12))
    edges = _edges(vectors)
    draws = np.random.default_rng(seed)
    velocity = np.zeros_like(places)
    rate = np.float32(len(places) / _EXAGGERATION)
    for sweep in range(SWEEPS):
        early = sweep < _EARLY
        pull = _attraction(places, edges) * np.float32(_EXAGGERATION if early else 1)
        landmarks = draws.choice(len(places), min(LANDMARKS, len(places)), replace=False)
        push = _repulsion(places, places[landmarks])
        velocity *= np.float32(0.5 if early else 0.8)
        velocity += rate * np.float32(4) * (push - pull)
        places += velocity
        places -= places.mean(axis=0)
    return _principal_axes(places)


class _Edges(NamedTuple):
    """Directed neighbours i → j of the graph, both ways; ``weight`` sums to 1 over all."""

    start: npt.NDArray[np.intp]
    end: npt.NDArray[np.intp]
    weight: np.float32


def _principal_axes(vectors: Points) -> Points:
    centred = vectors - vectors.mean(axis=0)
    # Of the squares, not of the rows: a tenth of the time, and two axes need no more digits.
    wide = centred.astype(np.float64)
    chosen = np.linalg.eigh(wide.T @ wide)[1].T[::-1][:2].astype(np.float32)
    found = np.zeros((len(vectors), 2), dtype=np.float32)
    # An axis has no sign of its own: the largest coordinate is made positive, the same in every run.
    largest = np.abs(chosen).argmax(axis=1)
    chosen = chosen * np.sign(chosen[np.arange(len(chosen)), largest])[:, None]
    found[:, : len(chosen)] = centred @ chosen.T
    return found


def _edges(vectors: Points) -> _Edges:
    everyone = np.arange(len(vectors))
    near = nearest(vectors, everyone, min(NEIGHBOURS, len(vectors) - 1))
    start, end = np.repeat(everyone, near.shape[1]), near.ravel()
    start, end = start[end >= 0], end[end >= 0]
    return _Edges(np.append(start, end), np.append(end, start), np.float32(1 / max(2 * len(start), 1)))


def _attraction(places: Points, edges: _Edges) -> Points:
    apart = places[edges.start] - places[edges.end]
    apart *= (edges.weight / (1 + np.square(apart).sum(axis=1)))[:, None]
    return _summed(edges.start, apart, len(places))


def _summed(rows: npt.NDArray[np.intp], values: Points, length: int) -> Points:
    return np.stack([np.bincount(rows, values[:, axis], length) for axis in (0, 1)], axis=1).astype(np.float32)


def _repulsion(places: Points, landmarks: Points) -> Points:
    near = np.square(places[:, :1] - landmarks[:, 0])
    near += np.square(places[:, 1:] - landmarks[:, 1])
    near += 1
    np.reciprocal(near, out=near)
    total = near.sum(dtype=np.float64)
    near *= near
    # Σ near² (place - landmark), as one product. Both sums run over the same landmarks: their
    # number, and its share of all points, cancel out.
    pushed = near @ np.column_stack((landmarks, np.ones(len(landmarks), dtype=np.float32)))
    force: Points = ((places * pushed[:, 2:] - pushed[:, :2]) / total).astype(np.float32)
    return force


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
