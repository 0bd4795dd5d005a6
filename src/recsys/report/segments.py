"""Segments: who is served better, and who worse, and which games are found."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from recsys.report.missing import evaluated, said
from recsys.report.scores import label

if TYPE_CHECKING:
    from recsys.release.metrics import Estimate, SegmentFound
    from recsys.report.contents import Contents, View

_TITLES = {
    "activity": "People by activity: the ratings known of them",
    "newcomers": "Newcomers",
    "age of the profile": "People by the age of their profile: since their first known rating",
    "popularity of the games": "Games by popularity: a quarter of the ratings each",
    "age of the games": "Games by age: a quarter of the ratings each",
}


def segments(release: Contents, _: Contents | None) -> View:
    """Return each segment with what the contenders score, and how far the deciding one leads."""
    found = said(evaluated(release).segments, "segments")
    scored = [segment for segment in found.found if segment.scores]
    rivals = list(dict.fromkeys(rival for segment in scored for rival in segment.leads))
    names = [found.contender, *rivals] if scored else []
    return {
        "metric": label(found.metric),
        "fewest": found.fewest,
        "contender": found.contender,
        "names": names,
        "rivals": [rival for rival in rivals if rival in {"popularity", "current recipe"}],
        "kinds": [
            {"title": _TITLES.get(kind, kind), "rows": [_row(segment) for segment in rows]}
            for kind, rows in groupby(found.found, key=lambda segment: segment.of)
        ],
    }


def _row(segment: SegmentFound) -> View:
    return {
        "name": segment.name,
        "users": segment.users,
        "scores": segment.scores,
        "leads": {rival: lead for rival, lead in segment.leads.items() if lead.value is not None},
        "falls": {rival for rival, lead in segment.leads.items() if _is_below(lead)},
    }


def _is_below(lead: Estimate) -> bool:
    return lead.high is not None and lead.high < 0
