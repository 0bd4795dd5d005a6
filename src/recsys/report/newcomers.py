"""New games and new people: what the hybrid is worth where ratings say little or nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recsys.report import figures
from recsys.report.missing import Missing, evaluated, said
from recsys.report.scores import label

if TYPE_CHECKING:
    from recsys.release.metrics import ColdGames, ShortProfiles
    from recsys.report.contents import Contents, View

_HYBRID, _ALONE = "hybrid", "cf"
_TOLD = {
    "hybrid": "as blend serves it",
    "hybrid without content": "factors alone",
    "content": "texts like those they liked",
    "tags": "popularity of its tags",
    "cf": "ratings alone",
}


def newcomers(release: Contents, _: Contents | None) -> View:
    """Return the scores on games held out whole and on short profiles; one of them may say what it lacks."""
    found = said(evaluated(release).newcomers, "newcomers")
    if found.missing:
        raise Missing(found.missing)
    games = said(found.cold_games, "newcomers", "cold_games")
    people = said(found.short_profiles, "newcomers", "short_profiles")
    if games.missing and people.missing:
        raise Missing(f"{games.missing} {people.missing}")
    return {"sample": found.sample, "games": _games(games), "people": _people(people)}


def _games(found: ColdGames) -> View:
    if found.missing:
        return {"missing": found.missing}
    held_out = said(found.held_out, "newcomers", "cold_games", "held_out")
    everything = said(found.all, "newcomers", "cold_games", "all")
    chosen = figures.colours(list(held_out.models))
    return {
        "missing": "",
        "metric": label(found.metric),
        "folds": found.folds,
        "rankings": held_out.rankings,
        "rows": [
            {
                "name": name,
                "told": _TOLD.get(name, ""),
                "colour": chosen[name],
                "ours": name == _HYBRID,
                "cells": [
                    {"score": part.models[name], "lead": part.leads.get(name)} for part in (held_out, everything)
                ],
            }
            for name in held_out.models
        ],
    }


def _people(found: ShortProfiles) -> View:
    if found.missing:
        return {"missing": found.missing}
    profiles = said(found.profiles, "newcomers", "short_profiles", "profiles")
    metric, names = label(found.metric), list(profiles[0].models)
    chosen = figures.colours(names)
    drawn = [name for name in names if name in {_HYBRID, _ALONE}]
    points = [
        {"name": name, "liked": profile.liked, **profile.models[name].model_dump()}
        for profile in profiles
        for name in drawn
    ]
    return {
        "missing": "",
        "metric": metric,
        "people": profiles[0].rankings,
        "chart": figures.profiles(points, metric, {name: chosen[name] for name in drawn}),
        "key": {name: chosen[name] for name in drawn},
        "sizes": [profile.liked for profile in profiles],
        "rows": [
            {
                "name": name,
                "told": _TOLD.get(name, ""),
                "colour": chosen[name],
                "ours": name == _HYBRID,
                "cells": [profile.models[name] for profile in profiles],
            }
            for name in names
        ],
        "leads": [profile.leads[_ALONE] for profile in profiles],
    }
