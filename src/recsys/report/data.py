"""What the data are like: ratings, the long tail, and how they drifted."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

from recsys.report import figures
from recsys.report.missing import Missing, evaluated, said, whole
from recsys.report.scores import deciding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from recsys.release.facts import ChangeFacts, DataFacts
    from recsys.release.metrics import Exposure
    from recsys.report.contents import Contents, View

_FIGURES = {
    "ratings": "Ratings",
    "users": "Users",
    "rated_games": "Rated games",
    "games": "Games in the catalogue",
    "mean_rating": "Mean rating",
    "rating_histogram": "Histogram of ratings (stability index)",
    "unknown_share": "Ratings of games that the catalogue lacks",
}


class _Bin(NamedTuple):
    """A bin of the histogram: its share of the ratings now and before, and what shows on hover."""

    bin: str
    share: float
    before: float
    told: str


class _Place(NamedTuple):
    """A point of a line along the tail: the share of the games so far, and of what is counted."""

    name: str
    games: float
    share: float


class _Strip(NamedTuple):
    """A section of the tail, from a share of the games to another, and the share of its games that are shown."""

    name: str
    games: float
    until: float
    shown: float
    told: str


def exposure(release: Contents, current: Contents | None) -> View:
    """Return the histogram of ratings, and who is shown along the long tail."""
    metrics = evaluated(release)
    profile, tail = said(metrics.data, "data"), whole(said(metrics.exposure, "exposure"))
    names = list(tail.recommended)
    games = [0, *accumulate(tail.games)]
    places = [number / max(games[-1], 1) for number in games]
    half = next(place for place, share in zip(places, _cumulated(tail.ratings), strict=True) if share >= 0.5)
    before = None if current is None or current.metrics is None else current.metrics.data
    if before is not None and before.edges != profile.edges:
        before = None
    chosen = figures.colours(names)
    bins = [row._asdict() for row in _histogram(profile, before)]
    lines = [place._asdict() for place in _lines(tail, places, deciding(release))]
    strips = [strip._asdict() for strip in _strips(tail, places)]
    return {
        "histogram": figures.histogram(bins, compared=before is not None),
        "compared": before is not None,
        "mean": profile.mean_rating,
        "ratings": profile.ratings,
        "half": half,
        "tail": figures.long_tail(lines, names),
        "coverage": figures.coverage(strips, names),
        "shown": {name: sum(tail.shown[name]) / max(games[-1], 1) for name in names},
        "key": {"ratings": "var(--ink)", **chosen},
        "games": games[-1],
    }


def _histogram(profile: DataFacts, before: DataFacts | None) -> list[_Bin]:
    shares = _shares(profile.histogram)
    earlier = shares if before is None else _shares(before.histogram)
    rows = []
    for low, high, share, was in zip(profile.edges, profile.edges[1:], shares, earlier, strict=False):
        span = f"{high:g}" if high - low == 1 else f"{low:g}–{high:g}"
        compared = "" if before is None else f" (before: {was:.1%})"
        rows.append(_Bin(span, share, was, f"above {low:g} up to {high:g}: {share:.1%}{compared}"))
    return rows


def _shares(counts: Sequence[float]) -> list[float]:
    total = sum(counts) or 1
    return [count / total for count in counts]


def _cumulated(shares: Sequence[float]) -> list[float]:
    return [0.0, *accumulate(shares)]


def _lines(tail: Exposure, places: Sequence[float], candidate: str) -> list[_Place]:
    # Drawn in this order: the candidate last, on top of what it may coincide with.
    names = sorted(tail.recommended, key=lambda name: name == candidate)
    shares = {"ratings": tail.ratings, **{name: tail.recommended[name] for name in names}}
    return [
        _Place(name, place, share)
        for name, sections in shares.items()
        for place, share in zip(places, _cumulated(sections), strict=True)
    ]


def _strips(tail: Exposure, places: Sequence[float]) -> list[_Strip]:
    rows = []
    for name, shown in tail.shown.items():
        for start, end, number, games in zip(places, places[1:], shown, tail.games, strict=False):
            told = f"{name}: {number} of {games} games shown, {start:.0%} to {end:.0%} of the tail"
            rows.append(_Strip(name, start, end, number / max(games, 1), told))
    return rows


def drift(release: Contents, _: Contents | None) -> View:
    """Return every figure of the data, then and now, and where its change stands between its bounds."""
    metrics = evaluated(release)
    said(metrics.data, "data")
    found = metrics.drift
    if found is None:
        raise Missing("There is nothing to compare with: no release with a profile of its data was current before.")
    return {
        "release": found.release,
        "reason": found.reason,
        "accepted": found.accepted,
        "rows": [_change(change) for change in found.changes],
    }


def _change(change: ChangeFacts) -> View:
    low, high = change.low, change.high
    start = 0.0 if low is None else low
    width = (high - start) if high is not None and high > start else 1.0
    where = min(max((change.change - start) / width, 0.0), 1.0)
    zero = min(max(-start / width, 0.0), 1.0)
    kinds = {"mean_rating": "points", "rating_histogram": "index", "unknown_share": "share"}
    return {
        "before": change.before,
        "now": change.now,
        "change": change.change,
        "low": low,
        "high": high,
        "within": change.within,
        "label": _FIGURES.get(change.figure, change.figure),
        "kind": kinds.get(change.figure, "growth"),
        "at": where,
        "zero": zero,
    }
