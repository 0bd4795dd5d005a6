"""What the models say about games: neighbours then and now, neighbours by content and by taste, the map."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from recsys.marts.tags import split_tags
from recsys.report import figures
from recsys.report.labels import Label, place_labels
from recsys.report.missing import Missing, replaced, shown, taste
from recsys.report.neighbours import nearest
from recsys.report.projection import project

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from recsys.marts.ids import Id
    from recsys.report.contents import Catalogue, Contents

    Points = npt.NDArray[np.float32]

COMPARED = 10
"""Neighbours of a game that are compared between two releases."""
MAPPED = 3000
"""Games on the map at most."""
_ASKED = 3000
"""Best-known games whose neighbours are compared: the whole catalogue squared would take minutes."""
_MOVED = 8
_KNOWN, _SIDE = 10, 6
_GROUPS = 7
_MARGIN = 46
_OTHER = "other"


class _Space(NamedTuple):
    """Games as unit vectors in one order, with their ids, and which of them may be found."""

    ids: list[Id]
    vectors: Points
    allowed: npt.NDArray[np.bool_]

    def neighbours(self, ids: Sequence[Id], k: int) -> dict[Id, list[Id]]:
        row_of = {id_: row for row, id_ in enumerate(self.ids)}
        asked = [id_ for id_ in ids if id_ in row_of]
        found = nearest(self.vectors, np.array([row_of[id_] for id_ in asked], dtype=np.int64), k, self.allowed)
        return {id_: [self.ids[row] for row in rows if row >= 0] for id_, rows in zip(asked, found, strict=True)}


def _content_space(release: Contents) -> _Space:
    catalogue = shown(release)
    if release.vectors is None:
        raise Missing("This release holds no content index.")
    return _Space(catalogue.ids, release.vectors, np.ones(len(catalogue.ids), dtype=bool))


def _taste_space(release: Contents) -> _Space:
    half = taste(release)
    return _Space(half.items.ids(), half.directions, half.recommendable)


def moved(release: Contents, current: Contents | None) -> dict[str, Any]:
    """Return the games whose neighbours differ most from those in the release before, by content and by taste."""
    catalogue, before = shown(release), replaced(release, current)
    asked = [catalogue.ids[row] for row in catalogue.best_known(_ASKED)]
    names = {**_names(shown(before)), **_names(catalogue)}
    halves = {}
    for half, space in (("taste", _taste_space), ("content", _content_space)):
        now, then = (space(each).neighbours(asked, COMPARED) for each in (release, before))
        halves[half] = _compared(now, then, names)
    return {"halves": halves, "release": before.facts.release, "asked": len(asked), "k": COMPARED}


def _compared(now: dict[Id, list[Id]], then: dict[Id, list[Id]], names: dict[Id, str]) -> dict[str, Any]:
    """Compare lists of neighbours; games that only one release has, or that have none, are left out."""
    both = [id_ for id_ in now if now[id_] and then.get(id_)]
    kept = {id_: len(set(now[id_]) & set(then[id_])) for id_ in both}
    changed = sorted((id_ for id_ in both if set(now[id_]) != set(then[id_])), key=lambda id_: kept[id_])
    rows = [
        {
            "name": names[id_],
            "kept": kept[id_],
            "gone": [names.get(other, str(other)) for other in then[id_] if other not in now[id_]],
            "came": [names.get(other, str(other)) for other in now[id_] if other not in then[id_]],
        }
        for id_ in changed[:_MOVED]
    ]
    mean = float(np.mean([kept[id_] / len(now[id_]) for id_ in both])) if both else None
    return {"rows": rows, "mean": mean, "changed": len(changed), "games": len(both)}


def well_known(release: Contents, _: Contents | None) -> dict[str, Any]:
    """Return the ten games with the most ratings, each with its neighbours by content and by taste."""
    catalogue = shown(release)
    names = _names(catalogue)
    rows = catalogue.best_known(_KNOWN)
    if not len(rows):
        raise Missing("No game of the catalogue has a rating.")
    asked = [catalogue.ids[row] for row in rows]
    content = _content_space(release).neighbours(asked, _SIDE)
    liked = _taste_space(release).neighbours(asked, _SIDE)
    return {
        "games": [
            {
                "name": names[id_],
                "raters": int(catalogue.raters[row]),
                "both": [names[other] for other in content[id_] if other in liked.get(id_, [])],
                "content": [names[other] for other in content[id_]],
                "taste": [names[other] for other in liked.get(id_, [])],
            }
            for id_, row in zip(asked, rows, strict=True)
        ],
    }


def drawn_map(release: Contents, _: Contents | None) -> dict[str, Any]:
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


def _names(catalogue: Catalogue) -> dict[Id, str]:
    return dict(zip(catalogue.ids, catalogue.names, strict=True))


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


def _points(
    catalogue: Catalogue, rows: npt.NDArray[np.int64], places: Points, groups: Sequence[str]
) -> list[dict[str, Any]]:
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
