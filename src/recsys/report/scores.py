"""What was measured: the verdict, the scores, the learning curve, the search of settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from recsys.models.recipe import FACTORS_ALONE, FOUND
from recsys.release.metrics import Estimate
from recsys.report import figures
from recsys.report.missing import Missing, evaluated, said

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from recsys.release.metrics import Metrics
    from recsys.release.records import Json
    from recsys.report.contents import Contents, View

Score: TypeAlias = Estimate | float | None
"""A score with its interval, or one that has none."""

_LABELS = {
    "ndcg": "NDCG",
    "recall": "Recall",
    "map": "MAP",
    "mrr": "MRR",
    "hit_rate": "Hit rate",
    "coverage": "Coverage",
    "gini": "Gini",
    "novelty": "Novelty",
    "diversity": "Diversity",
    "popular_share": "Popular share",
}
_PERCENT = {"coverage", "popular_share"}
_LESS = {"gini", "popular_share"}
"""The lower the better."""
_WHY = {
    "ndcg": "order of the list, 1 is perfect",
    "recall": "share of the liked games that were found",
    "map": "mean average precision",
    "mrr": "1 / place of the first hit",
    "hit_rate": "users with any hit",
    "coverage": "games recommended to anybody",
    "gini": "0: every game as often, 1: one alone",
    "novelty": "mean self-information, bits",
    "diversity": "distance within a list",
    "popular_share": "places taken by the most popular games",
}
_TRIALS = 8


def label(metric: str) -> str:
    """Return how people write a metric: ``NDCG@10``."""
    name, _, cut = metric.partition("@")
    return _LABELS.get(name, name.replace("_", " ").capitalize()) + (f"@{cut}" if cut else "")


def value(score: Score) -> float | None:
    """Return a score without its interval."""
    return score.value if isinstance(score, Estimate) else score


def deciding(release: Contents) -> str:
    """Return the name of the contender whose score decides."""
    verdict = None if release.metrics is None else release.metrics.verdict
    return "cf" if verdict is None else verdict.contender


def verdict(release: Contents, _: Contents | None) -> View:
    """Return the verdict, the headline that it makes, and every rule with what it found."""
    metrics = evaluated(release)
    judged = said(metrics.verdict, "verdict")
    rows = said(metrics.evaluation.contenders, "evaluation", "contenders")
    rival = value(rows.get("popularity", {}).get(judged.metric))
    score = judged.score
    state = "passed" if judged.passed else "overridden" if judged.published else "refused"
    return {
        "state": state,
        "metric": label(judged.metric),
        "contender": judged.contender,
        "score": score,
        "override": judged.override,
        "gain": score.value / rival - 1 if rival and score.value is not None else None,
        "rival": rival,
        "users": metrics.evaluation.users,
        "facts": _facts(metrics, rows.get(judged.contender, {})),
        "checks": judged.checks,
    }


def _facts(metrics: Metrics, row: Mapping[str, Score]) -> list[tuple[str, str]]:
    """Return a few figures that a reader wants at hand, each with what it counts."""
    facts = []
    gain = metrics.gains.get("current recipe")
    if gain is not None and gain.value is not None:
        facts.append((f"{100 * gain.value:+.1f}%".replace("-", "−"), "against the current recipe"))
    coverage = value(row.get("coverage"))
    if coverage is not None:
        facts.append((f"{100 * coverage:.0f}%", "of the rated games shown"))
    data = metrics.data
    if data is not None:
        counts = {"ratings": data.ratings, "users": data.users, "games": data.games}
        facts += [(f"{count:,}", name) for name, count in counts.items()]
    return facts


class _Column(NamedTuple):
    """A metric of the table: how people write it, what it says, whether as a percentage, and the best value."""

    key: str
    label: str
    why: str
    percent: bool
    best: float | None


class _Cell(NamedTuple):
    """A contender's score by one metric, with its interval if it has one, and whether no other is better."""

    value: float | None
    low: float | None
    high: float | None
    percent: bool
    best: bool


def contenders(release: Contents, _: Contents | None) -> View:
    """Return the table of scores, and the chart of the deciding one."""
    metrics = evaluated(release)
    evaluation = said(metrics.evaluation, "evaluation")
    rows = said(evaluation.contenders, "evaluation", "contenders")
    names = list(dict.fromkeys(name for row in rows.values() for name in row))
    metric = names[0] if metrics.verdict is None else metrics.verdict.metric
    order = sorted(rows, key=lambda name: -(value(rows[name][metric]) or 0))
    columns = [_column(name, rows) for name in names]
    scored = [
        {"name": name, "value": score.value, "low": score.low, "high": score.high}
        for name in order
        if isinstance(score := rows[name][metric], Estimate) and score.low is not None
    ]
    return {
        "chart": figures.intervals(scored, label(metric)) if scored else None,
        "metric": label(metric),
        "columns": columns,
        "rows": [
            {
                "name": name,
                "colour": figures.colours(order)[name],
                "deciding": name == deciding(release),
                "gain": metrics.gains.get(name),
                "cells": [_cell(rows[name].get(column.key), column) for column in columns],
            }
            for name in order
        ],
        "random_draw": _random_draw(metrics, order, metric),
        "deciding": deciding(release),
        "split": evaluation.split,
        "users": evaluation.users,
        "resamples": evaluation.resamples,
    }


def _random_draw(metrics: Metrics, order: Sequence[str], metric: str) -> list[tuple[str, Score, Score]]:
    """Return the deciding metric on the cut in time and on a random draw, by contender; nothing without a draw."""
    if metrics.random_draw is None:
        return []
    tomorrow, drawn = metrics.evaluation.contenders, metrics.random_draw.contenders
    return [(name, tomorrow[name][metric], drawn[name][metric]) for name in order if metric in drawn.get(name, {})]


def _column(metric: str, rows: Mapping[str, Mapping[str, Score]]) -> _Column:
    name = metric.partition("@")[0]
    values = [value(row.get(metric)) for row in rows.values()]
    known = [number for number in values if number is not None]
    best = (min if name in _LESS else max)(known) if known else None
    return _Column(metric, label(metric), _WHY.get(name, ""), name in _PERCENT, best)


def _cell(score: Score, column: _Column) -> _Cell:
    low, high = (score.low, score.high) if isinstance(score, Estimate) else (None, None)
    number = value(score)
    return _Cell(number, low, high, column.percent, number is not None and number == column.best)


def curve(release: Contents, _: Contents | None) -> View:
    """Return the learning curve, and what the last iteration still brought."""
    metrics = evaluated(release)
    scores = metrics.learning_curve
    if not scores:
        raise Missing(
            "Nobody asked for it: evaluation.learning_curve = true scores the candidate after each iteration."
        )
    if len(scores) < 2:
        raise Missing("The learning curve has fewer than two points: nothing to draw.")
    metric = label("ndcg@10" if metrics.verdict is None else metrics.verdict.metric)
    late = scores[-1] / scores[-3] - 1 if len(scores) > 2 and scores[-3] else None
    best = max(range(len(scores)), key=scores.__getitem__) + 1
    return {
        "chart": figures.learning_curve(scores, metric),
        "metric": metric,
        "iterations": len(scores),
        "last": scores[-1],
        "late": late,
        "best": best,
        "settled": late is not None and abs(late) < 0.01,
    }


class _Tried(NamedTuple):
    """A trial of the search: its number, score, the best of its stage so far, its recipe, what shows on hover."""

    trial: int
    stage: str
    score: float
    best: float
    recipe: str
    told: str


def search(release: Contents, _: Contents | None) -> View:
    """Return the trials of a search, those that scored best, and what won."""
    history = None if release.metrics is None else release.metrics.tuning
    if history is None or not history.search.trials:
        raise Missing("No settings were searched for this release: it was trained with the settings that were given.")
    found = history.search
    best: dict[str, float] = {}
    rows = []
    for number, trial in enumerate(found.trials, 1):
        stage, score, recipe = trial.stage, trial.ndcg, _recipe(trial.recipe)
        best[stage] = max(best.get(stage, score), score)
        told = f"trial {number}, {stage}: {score:.4f} with {recipe}"
        rows.append(_Tried(number, stage, score, best[stage], recipe, told))
    return {
        "chart": figures.search([row._asdict() for row in rows], "NDCG@10, inner hold-out"),
        "number": len(rows),
        "because": history.because,
        "age": history.age,
        "stages": list(best),
        "winner": _recipe(found.winner),
        "rule": found.rule,
        "best": found.best,
        "used": found.used,
        "seconds": found.seconds,
        "complete": found.complete,
        "ended_by": found.ended_by,
        "top": sorted(rows, key=lambda row: -row.score)[:_TRIALS],
    }


def _recipe(settings: Mapping[str, Json]) -> str:
    chosen = {key: settings[key] for key in FOUND if key in settings and settings[key] != FACTORS_ALONE.get(key)}
    return ", ".join(
        f"{key} {setting:.3g}" if isinstance(setting, float) else f"{key} {setting}" for key, setting in chosen.items()
    )
