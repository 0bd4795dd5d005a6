"""What was measured: the verdict, the scores, the learning curve, the search of settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from recsys.models.recipe import SEARCHED
from recsys.report import figures
from recsys.report.missing import Missing, measured

if TYPE_CHECKING:
    from recsys.report.contents import Contents

_LABELS = {
    "ndcg": "NDCG",
    "recall": "Recall",
    "map": "MAP",
    "mrr": "MRR",
    "hit_rate": "Hit rate",
    "coverage": "Coverage",
    "novelty": "Novelty",
    "diversity": "Diversity",
    "popular_share": "Popular share",
}
_PERCENT = {"coverage", "popular_share"}
_WHY = {
    "ndcg": "order of the list, 1 is perfect",
    "recall": "share of the liked games that were found",
    "map": "mean average precision",
    "mrr": "1 / place of the first hit",
    "hit_rate": "users with any hit",
    "coverage": "games recommended to anybody",
    "novelty": "mean self-information, bits",
    "diversity": "distance within a list",
    "popular_share": "places taken by the most popular games",
}
_TRIALS = 8


def label(metric: str) -> str:
    """Return how people write a metric: ``NDCG@10``."""
    name, _, cut = metric.partition("@")
    return _LABELS.get(name, name.replace("_", " ").capitalize()) + (f"@{cut}" if cut else "")


def verdict(release: Contents, _: Contents | None) -> dict[str, Any]:
    """Return the verdict, the headline that it makes, and every rule with what it found."""
    found = measured(release, "verdict")
    rows = measured(release, "evaluation", "contenders")
    rival = rows.get("popularity", {}).get(found["metric"], {}).get("value")
    score = found["score"]
    state = "passed" if found["passed"] else "overridden" if found["published"] else "refused"
    return {
        "state": state,
        "metric": label(found["metric"]),
        "contender": found["contender"],
        "score": score,
        "override": found.get("override"),
        "gain": score["value"] / rival - 1 if rival else None,
        "rival": rival,
        "users": measured(release, "evaluation").get("users"),
        "facts": _facts(release, rows.get(found["contender"], {})),
        "checks": found["checks"],
    }


def _facts(release: Contents, row: dict[str, Any]) -> list[tuple[str, str]]:
    """Return a few figures that a reader wants at hand, each with what it counts."""
    facts = []
    rival = release.metrics.get("gains", {}).get("current recipe")
    if rival and rival["value"] is not None:
        facts.append((f"{100 * rival['value']:+.1f}%".replace("-", "−"), "against the current recipe"))
    if row.get("coverage") is not None:
        facts.append((f"{100 * row['coverage']:.0f}%", "of the rated games shown"))
    data = release.metrics.get("data", {})
    facts += [(f"{data[name]:,}", name) for name in ("ratings", "users", "games") if name in data]
    return facts


def contenders(release: Contents, _: Contents | None) -> dict[str, Any]:
    """Return the table of scores, and the chart of the deciding one."""
    evaluation = measured(release, "evaluation")
    rows = measured(release, "evaluation", "contenders")
    metric = release.metrics.get("verdict", {}).get("metric") or next(iter(next(iter(rows.values()))))
    deciding = release.metrics.get("verdict", {}).get("contender", "cf")
    order = sorted(rows, key=lambda name: -(rows[name][metric]["value"] or 0))
    metrics = list(dict.fromkeys(name for row in rows.values() for name in row))
    columns = [_column(name, rows) for name in metrics]
    gains = release.metrics.get("gains", {})
    scored = [{"name": name, **rows[name][metric]} for name in order if rows[name][metric]["low"] is not None]
    return {
        "chart": figures.intervals(scored, label(metric)) if scored else None,
        "metric": label(metric),
        "columns": columns,
        "rows": [
            {
                "name": name,
                "colour": figures.colours(order)[name],
                "deciding": name == deciding,
                "gain": gains.get(name),
                "cells": [_cell(rows[name].get(column["key"]), column) for column in columns],
            }
            for name in order
        ],
        "deciding": deciding,
        "split": evaluation.get("split", {}),
        "users": evaluation.get("users"),
        "resamples": evaluation.get("resamples"),
    }


def _column(metric: str, rows: dict[str, Any]) -> dict[str, Any]:
    name = metric.partition("@")[0]
    values = [_value(row.get(metric)) for row in rows.values()]
    known = [value for value in values if value is not None]
    best = (min if name == "popular_share" else max)(known) if known else None
    return {"key": metric, "label": label(metric), "why": _WHY.get(name, ""), "percent": name in _PERCENT, "best": best}


def _value(cell: Any) -> float | None:
    value: float | None = cell.get("value") if isinstance(cell, dict) else cell
    return value


def _cell(cell: Any, column: dict[str, Any]) -> dict[str, Any]:
    value = _value(cell)
    low, high = (cell.get("low"), cell.get("high")) if isinstance(cell, dict) else (None, None)
    best = value is not None and value == column["best"]
    return {"value": value, "low": low, "high": high, "percent": column["percent"], "best": best, "of": column["label"]}


def curve(release: Contents, _: Contents | None) -> dict[str, Any]:
    """Return the learning curve, and what the last iteration still brought."""
    found = measured(release, "learning_curve")
    if len(found) < 2:
        raise Missing("The learning curve has fewer than two points: nothing to draw.")
    metric = label(release.metrics.get("verdict", {}).get("metric", "ndcg@10"))
    late = found[-1] / found[-3] - 1 if len(found) > 2 and found[-3] else None
    best = max(range(len(found)), key=found.__getitem__) + 1
    return {
        "chart": figures.learning_curve(found, metric),
        "metric": metric,
        "iterations": len(found),
        "last": found[-1],
        "late": late,
        "best": best,
        "settled": late is not None and abs(late) < 0.01,
    }


def search(release: Contents, _: Contents | None) -> dict[str, Any]:
    """Return the trials of a search, those that scored best, and what won."""
    memory: dict[str, Any] = release.metrics.get("tuning") or {}
    found: dict[str, Any] = memory.get("search") or {}
    trials = found.get("trials")
    if not trials:
        raise Missing("No settings were searched for this release: it was trained with the settings that were given.")
    best: dict[str, float] = {}
    rows = []
    for number, trial in enumerate(trials, 1):
        stage, score = str(trial.get("stage", "trial")), trial["ndcg"]
        best[stage] = max(best.get(stage, score), score)
        told = f"trial {number}, {stage}: {score:.4f} with {_recipe(trial['recipe'])}"
        rows.append({"trial": number, "stage": stage, "score": score, "best": best[stage], "told": told})
    top = sorted(zip(rows, trials, strict=True), key=lambda pair: -pair[0]["score"])[:_TRIALS]
    return {
        "chart": figures.search(rows, "NDCG@10, inner hold-out"),
        "number": len(trials),
        "because": memory.get("because"),
        "age": memory.get("age") or 0,
        "stages": list(best),
        "winner": _recipe(found.get("winner") or {}),
        "rule": found.get("rule"),
        "best": found.get("best"),
        "used": found.get("used"),
        "seconds": found.get("seconds"),
        "complete": found.get("complete", True),
        "top": [{**row, "recipe": _recipe(trial["recipe"])} for row, trial in top],
    }


def _recipe(settings: dict[str, Any]) -> str:
    chosen = {key: settings[key] for key in SEARCHED if key in settings}
    return ", ".join(
        f"{key} {value:.3g}" if isinstance(value, float) else f"{key} {value}" for key, value in chosen.items()
    )
