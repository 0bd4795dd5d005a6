"""What the run did: how its inputs differ from those of the release before, and what it took."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from recsys.report import figures
from recsys.report.missing import Missing, replaced
from recsys.report.scores import deciding, label, value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from recsys.release.manifest import Provenance
    from recsys.release.records import Json
    from recsys.report.contents import Contents, View

_NAMED = 12

Kind = TypeVar("Kind")


class _Pair(NamedTuple, Generic[Kind]):
    """A figure or setting with its value in either release; None where a release does not say."""

    name: str
    before: Kind
    now: Kind


class _Took(NamedTuple):
    """A step with its wall time and peak memory in MB, as numbers and as people write them."""

    step: str
    seconds: float
    seconds_told: str
    memory: float
    memory_told: str


def changes(release: Contents, current: Contents | None) -> View:
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
        "lists": None if release.metrics is None else release.metrics.overlap,
    }


def _scores(release: Contents, before: Contents) -> list[_Pair[str]]:
    """Return the deciding contender's scores in both releases' own evaluations."""
    if release.metrics is None or before.metrics is None:
        return []
    name = deciding(release)
    then, now = (each.evaluation.contenders.get(name, {}) for each in (before.metrics, release.metrics))
    pairs = [(key, value(then.get(key)), value(score)) for key, score in now.items()]
    return [
        _Pair(label(key), f"{old:.4f}", f"{new:.4f}") for key, old, new in pairs if old is not None and new is not None
    ]


def _rows(pairs: list[tuple[str, Provenance, Provenance]]) -> list[_Pair[int | None]]:
    titles = {("content", "games"): "games in the catalogue", ("cf", "games"): "rated games"}
    return [
        _Pair(titles.get((half, key), key), old.rows.get(key), count)
        for half, old, new in pairs
        for key, count in new.rows.items()
    ]


def _settings(pairs: list[tuple[str, Provenance, Provenance]]) -> list[_Pair[Json]]:
    found: dict[str, _Pair[Json]] = {}
    for _, old, new in pairs:
        flat_old, flat_new = _flat(old.settings), _flat(new.settings)
        for key in {**flat_old, **flat_new}:
            if flat_old.get(key) != flat_new.get(key):
                found[key] = _Pair(key, flat_old.get(key), flat_new.get(key))
    return list(found.values())


def _flat(tree: Mapping[str, Json], prefix: str = "") -> dict[str, Json]:
    flat: dict[str, Json] = {}
    for key, setting in tree.items():
        name = f"{prefix}{key}"
        flat |= _flat(setting, f"{name}.") if isinstance(setting, dict) else {name: setting}
    return flat


def _libraries(pairs: list[tuple[str, Provenance, Provenance]]) -> list[_Pair[str | None]]:
    old = {name: version for _, half, _ in pairs for name, version in half.libraries.items()}
    new = {name: version for _, _, half in pairs for name, version in half.libraries.items()}
    names = sorted({*old, *new})
    return [_Pair(name, old.get(name), new.get(name)) for name in names if old.get(name) != new.get(name)]


def _games(release: Contents, before: Contents) -> View | None:
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


def resources(release: Contents, _: Contents | None) -> View:
    """Return seconds and peak memory of every step."""
    found = release.facts.steps
    if not found:
        raise Missing("The manifest names no steps.")
    rows = [
        _Took(
            name.replace("_", " "),
            step.seconds,
            _seconds(step.seconds),
            step.peak_memory_mb,
            f"{step.peak_memory_mb:,.0f} MB",
        )
        for name, step in found.items()
    ]
    bars = [row._asdict() for row in rows]
    total = sum(row.seconds for row in rows)
    longest = max(rows, key=lambda row: row.seconds)
    return {
        "time": figures.steps(bars, "seconds", "seconds", "var(--accent)"),
        "memory": figures.steps(bars, "memory", "peak memory", "var(--violet)"),
        "total": _seconds(total),
        "longest": longest.step,
        "share": longest.seconds / total if total else 0,
        "peak": max(row.memory for row in rows),
    }


def _seconds(seconds: float) -> str:
    if seconds >= 120:
        return f"{seconds // 60:.0f} min {seconds % 60:.0f} s"
    return f"{seconds:.1f} s" if seconds >= 1 else f"{1000 * seconds:.0f} ms"
