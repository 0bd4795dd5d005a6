"""What the data are like: ratings, the long tail, and how they drifted."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, Any

from recsys.report import figures
from recsys.report.missing import Missing, measured

if TYPE_CHECKING:
    from collections.abc import Sequence

    from recsys.report.contents import Contents

_FIGURES = {
    "ratings": "Ratings",
    "users": "Users",
    "rated_games": "Rated games",
    "games": "Games in the catalogue",
    "mean_rating": "Mean rating",
    "rating_histogram": "Histogram of ratings (stability index)",
    "unknown_share": "Ratings of games that the catalogue lacks",
}


def exposure(release: Contents, current: Contents | None) -> dict[str, Any]:
    """Return the histogram of ratings, and who is shown along the long tail."""
    profile, tail = measured(release, "data"), measured(release, "exposure")
    names = list(tail["recommended"])
    games = [0, *accumulate(tail["games"])]
    places = [number / max(games[-1], 1) for number in games]
    candidate = release.metrics.get("verdict", {}).get("contender", "cf")
    half = next(place for place, share in zip(places, _cumulated(tail["ratings"]), strict=True) if share >= 0.5)
    before = {} if current is None else current.metrics.get("data", {})
    chosen = figures.colours(names)
    return {
        "histogram": figures.histogram(_histogram(profile, before), compared=_comparable(profile, before)),
        "compared": _comparable(profile, before),
        "mean": profile["mean_rating"],
        "ratings": profile["ratings"],
        "half": half,
        "tail": figures.long_tail(_lines(tail, places, candidate), names),
        "coverage": figures.coverage(_strips(tail, places), names),
        "shown": {name: sum(tail["shown"][name]) / max(games[-1], 1) for name in names},
        "key": {"ratings": "var(--ink)", **chosen},
        "games": games[-1],
    }


def _comparable(profile: dict[str, Any], before: dict[str, Any]) -> bool:
    return bool(before) and before.get("edges") == profile["edges"]


def _histogram(profile: dict[str, Any], before: dict[str, Any]) -> list[dict[str, Any]]:
    shares = _shares(profile["histogram"])
    compared = _comparable(profile, before)
    earlier = _shares(before["histogram"]) if compared else shares
    rows = []
    for low, high, share, was in zip(profile["edges"], profile["edges"][1:], shares, earlier, strict=False):
        span = f"{high:g}" if high - low == 1 else f"{low:g}–{high:g}"
        told = f"above {low:g} up to {high:g}: {share:.1%}" + (f" (before: {was:.1%})" if compared else "")
        rows.append({"bin": span, "share": share, "before": was, "told": told})
    return rows


def _shares(counts: Sequence[float]) -> list[float]:
    total = sum(counts) or 1
    return [count / total for count in counts]


def _cumulated(shares: Sequence[float]) -> list[float]:
    return [0.0, *accumulate(shares)]


def _lines(tail: dict[str, Any], places: Sequence[float], candidate: str) -> list[dict[str, Any]]:
    # Drawn in this order: the candidate last, on top of what it may coincide with.
    names = sorted(tail["recommended"], key=lambda name: name == candidate)
    shares = {"ratings": tail["ratings"], **{name: tail["recommended"][name] for name in names}}
    return [
        {"name": name, "games": place, "share": share}
        for name, sections in shares.items()
        for place, share in zip(places, _cumulated(sections), strict=True)
    ]


def _strips(tail: dict[str, Any], places: Sequence[float]) -> list[dict[str, Any]]:
    rows = []
    for name, shown in tail["shown"].items():
        for start, end, number, games in zip(places, places[1:], shown, tail["games"], strict=False):
            told = f"{name}: {number} of {games} games shown, {start:.0%} to {end:.0%} of the tail"
            rows.append({"name": name, "games": start, "until": end, "shown": number / max(games, 1), "told": told})
    return rows


def drift(release: Contents, _: Contents | None) -> dict[str, Any]:
    """Return every figure of the data, then and now, and where its change stands between its bounds."""
    measured(release, "data")
    found = release.metrics.get("drift")
    if not found:
        raise Missing("There is nothing to compare with: no release with a profile of its data was current before.")
    return {
        "release": found["release"],
        "reason": found["reason"],
        "accepted": found["accepted"],
        "rows": [_change(change) for change in found["changes"]],
    }


def _change(change: dict[str, Any]) -> dict[str, Any]:
    low, high = change["low"], change["high"]
    start = 0.0 if low is None else low
    width = (high - start) if high is not None and high > start else 1.0
    where = min(max((change["change"] - start) / width, 0.0), 1.0)
    zero = min(max(-start / width, 0.0), 1.0)
    kind = {"mean_rating": "points", "rating_histogram": "index", "unknown_share": "share"}.get(
        change["figure"], "growth"
    )
    return {
        **change,
        "label": _FIGURES.get(change["figure"], change["figure"]),
        "kind": kind,
        "at": where,
        "zero": zero,
    }
