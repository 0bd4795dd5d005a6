"""What the run did: how its inputs differ from those of the release before, and what it took."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from recsys.report import figures
from recsys.report.missing import Missing, replaced
from recsys.report.scores import label

if TYPE_CHECKING:
    from collections.abc import Mapping

    from recsys.release.manifest import Provenance
    from recsys.report.contents import Contents

_NAMED = 12


def changes(release: Contents, current: Contents | None) -> dict[str, Any]:
    """Return what differs from the release before: scores, data, settings, libraries, catalogue."""
    before = replaced(release, current)
    now, then = release.facts, before.facts
    pairs = [(half, getattr(then, half), getattr(now, half)) for half in ("content", "cf")]
    pairs = [pair for pair in pairs if pair[1] is not None and pair[2] is not None]
    return {
        "release": then.release,
        "scores": _scores(release, before),
        "rows": _rows(pairs),
        "settings": _settings(pairs),
        "libraries": _libraries(pairs),
        "code": any(old.code != new.code for _, old, new in pairs),
        "commits": (then.commit, now.commit),
        "carried": [half for half, old, new in pairs if old.trained_by == new.trained_by],
        "games": _games(release, before),
    }


def _scores(release: Contents, before: Contents) -> list[dict[str, Any]]:
    """Return the deciding contender's scores in both releases' own evaluations."""
    name = release.metrics.get("verdict", {}).get("contender", "cf")
    rows = [each.metrics.get("evaluation", {}).get("contenders", {}).get(name, {}) for each in (before, release)]
    values = [{key: cell["value"] if isinstance(cell, dict) else cell for key, cell in row.items()} for row in rows]
    return [
        {"name": label(key), "before": f"{values[0][key]:.4f}", "now": f"{value:.4f}"}
        for key, value in values[1].items()
        if value is not None and values[0].get(key) is not None
    ]


def _rows(pairs: list[tuple[str, Provenance, Provenance]]) -> list[dict[str, Any]]:
    titles = {("content", "games"): "games in the catalogue", ("cf", "games"): "rated games"}
    return [
        {"name": titles.get((half, key), key), "before": old.rows.get(key), "now": value}
        for half, old, new in pairs
        for key, value in new.rows.items()
    ]


def _settings(pairs: list[tuple[str, Provenance, Provenance]]) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for _, old, new in pairs:
        flat_old, flat_new = _flat(old.settings), _flat(new.settings)
        for key in {**flat_old, **flat_new}:
            if flat_old.get(key) != flat_new.get(key):
                found[key] = {"name": key, "before": flat_old.get(key), "now": flat_new.get(key)}
    return list(found.values())


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        name = f"{prefix}{key}"
        flat |= _flat(value, f"{name}.") if isinstance(value, dict) else {name: value}
    return flat


def _libraries(pairs: list[tuple[str, Provenance, Provenance]]) -> list[dict[str, Any]]:
    old = {name: version for _, half, _ in pairs for name, version in half.libraries.items()}
    new = {name: version for _, _, half in pairs for name, version in half.libraries.items()}
    names = sorted({*old, *new})
    return [
        {"name": name, "before": old.get(name), "now": new.get(name)}
        for name in names
        if old.get(name) != new.get(name)
    ]


def _games(release: Contents, before: Contents) -> dict[str, Any] | None:
    if release.catalogue is None or before.catalogue is None:
        return None
    now = dict(zip(release.catalogue.ids, release.catalogue.names, strict=True))
    then = dict(zip(before.catalogue.ids, before.catalogue.names, strict=True))
    came = [name for id_, name in now.items() if id_ not in then]
    gone = [name for id_, name in then.items() if id_ not in now]
    return {
        "came": came[:_NAMED],
        "gone": gone[:_NAMED],
        "more_came": len(came[_NAMED:]),
        "more_gone": len(gone[_NAMED:]),
    }


def resources(release: Contents, _: Contents | None) -> dict[str, Any]:
    """Return seconds and peak memory of every step."""
    found = release.facts.steps
    if not found:
        raise Missing("The manifest names no steps.")
    rows: list[dict[str, Any]] = [
        {
            "step": name.replace("_", " "),
            "seconds": step.seconds,
            "seconds_told": _seconds(step.seconds),
            "memory": step.peak_memory_mb,
            "memory_told": f"{step.peak_memory_mb:,.0f} MB",
        }
        for name, step in found.items()
    ]
    total = sum(step.seconds for step in found.values())
    longest = max(rows, key=lambda row: row["seconds"])
    return {
        "time": figures.steps(rows, "seconds", "seconds", "var(--accent)"),
        "memory": figures.steps(rows, "memory", "peak memory", "var(--violet)"),
        "total": _seconds(total),
        "longest": longest["step"],
        "share": longest["seconds"] / total if total else 0,
        "peak": max(row["memory"] for row in rows),
    }


def _seconds(seconds: float) -> str:
    if seconds >= 120:
        return f"{seconds // 60:.0f} min {seconds % 60:.0f} s"
    return f"{seconds:.1f} s" if seconds >= 1 else f"{1000 * seconds:.0f} ms"
