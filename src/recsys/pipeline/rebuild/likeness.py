"""A rebuilt release beside the published one: which files are the same, which are not, and what may be why."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from recsys.evaluation.contenders import CURRENT
from recsys.release.layout import MANIFEST, METRICS, REPORT, USER_SCORES
from recsys.release.mapped import mapped
from recsys.release.user_scores import read_user_scores

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from recsys.pipeline.rebuild.recorded import RecordedRelease
    from recsys.pipeline.rebuild.vectors import Cosines
    from recsys.release.manifest import Manifest, Provenance

State: TypeAlias = Literal["same", "differs", "missing", "not compared"]

_BESIDE = frozenset({"verdict", "gains", "segments", "newcomers", "random_draw", "scenarios"})
"""Keys of ``metrics.json`` that the release which it was held against decides, or whether it passed beside it."""
_OWN = ("scores", "golden", "facts", "scenarios")
"""Keys of the manifest that the models decide; the others tell times, names and files."""


@dataclass(frozen=True)
class FileLikeness:
    """One file of a release, and the rebuilt one.

    Attributes
    ----------
    name
        The file's name.
    state
        ``same``: byte for byte, or as ``note`` says; ``missing``: only one of the two releases has it.
    note
        What differs, or was left out.
    """

    name: str
    state: State
    note: str = ""


@dataclass(frozen=True)
class Changed:
    """Something beside data and settings that decides bytes, and is another now.

    Attributes
    ----------
    what
        A library, ``code`` or ``commit``.
    then, now
        Its versions; None where there is none.
    """

    what: str
    then: str | None
    now: str | None


@dataclass(frozen=True)
class Likeness:
    """What a rebuild found.

    Attributes
    ----------
    release
        The release that was rebuilt.
    files
        Every file of either.
    changed
        What may be why, where something differs.
    vectors
        The texts encoded anew, beside the recorded vectors; None where none was encoded.
    """

    release: str
    files: tuple[FileLikeness, ...]
    changed: tuple[Changed, ...]
    vectors: Cosines | None

    @property
    def same(self) -> bool:
        """Whether the release is what its records make, and its vectors what its texts say."""
        alike = all(file.state in {"same", "not compared"} for file in self.files)
        return alike and (self.vectors is None or self.vectors.agree)

    @property
    def why(self) -> str:
        """One line: what may be why it differs; empty where it does not."""
        if self.same:
            return ""
        if self.changed:
            return f"What may be why: {', '.join(change.what for change in self.changed)} changed since."
        return (
            "Data, settings, code and libraries are those of then. What is left is the machine: its processor and its"
            " number of cores, which no release records."
        )

    def as_json(self) -> dict[str, object]:
        """Return everything, ready for JSON."""
        return {
            "status": "same" if self.same else "differs",
            "release": self.release,
            "files": [asdict(file) for file in self.files],
            "vectors": None if self.vectors is None else asdict(self.vectors),
            "changed": [asdict(change) for change in self.changed],
            "why": self.why,
        }


def likeness(recorded: RecordedRelease, rebuilt: Manifest, folder: Path, vectors: Cosines | None) -> Likeness:
    """Hold a rebuilt release against the published one.

    Parameters
    ----------
    recorded
        The published one.
    rebuilt, folder
        The manifest of the other, and where it lies.
    vectors
        What encoding anew gave.
    """
    then = recorded.manifest
    names = sorted(then.files.keys() | rebuilt.files.keys())
    files = [_file(name, recorded, rebuilt, folder) for name in names]
    return Likeness(then.release, (*files, _manifest(recorded, rebuilt)), _changed(then, rebuilt), vectors)


def _file(name: str, recorded: RecordedRelease, rebuilt: Manifest, folder: Path) -> FileLikeness:
    then, now = recorded.manifest.files.get(name), rebuilt.files.get(name)
    if name == REPORT:
        return FileLikeness(name, "not compared", "it tells times and the run")
    if then is None or now is None:
        return FileLikeness(name, "missing", "not in the rebuilt release" if now is None else "not in the release")
    if then.sha256 == now.sha256:
        return FileLikeness(name, "same")
    if name == USER_SCORES and recorded.lost:
        return _user_scores(recorded.folder, folder)
    if name == METRICS:
        return _metrics(recorded, json.loads((folder / METRICS).read_bytes()))
    return FileLikeness(name, "differs", "" if then.size == now.size else f"{then.size:,} bytes, rebuilt {now.size:,}")


def _metrics(recorded: RecordedRelease, now: Mapping[str, Any]) -> FileLikeness:
    """Compare what was measured; without the release that it was held against, what that one decided is left out."""
    then, left_out = recorded.metrics, ""
    if recorded.lost:
        then, now = _alone(then), _alone(now)
        left_out = f"without {', '.join(sorted(_BESIDE))}: the release that it was held against is gone"
    if other := _unlike(then, now, sorted(then.keys() | now.keys())):
        return FileLikeness(METRICS, "differs", "; ".join(filter(None, (f"in {', '.join(other)}", left_out))))
    return FileLikeness(METRICS, "same", left_out)


def _user_scores(then: Path, now: Path) -> FileLikeness:
    """Compare what each user was served with, but for the scores of a rival that cannot be trained again."""
    tables = [read_user_scores(mapped(folder / USER_SCORES)) for folder in (then, now)]
    own = [table.select([name for name in table.column_names if not name.startswith(CURRENT)]) for table in tables]
    left_out = f"without {CURRENT}: the release that it was held against is gone"
    return FileLikeness(USER_SCORES, "same" if own[0].equals(own[1]) else "differs", left_out)


def _alone(metrics: Mapping[str, Any]) -> dict[str, Any]:
    def without(table: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in table.items() if name != CURRENT}

    alone = {name: value for name, value in metrics.items() if name not in _BESIDE}
    alone["evaluation"] = {**alone["evaluation"], "contenders": without(alone["evaluation"]["contenders"])}
    exposure = {name: without(value) if isinstance(value, dict) else value for name, value in alone["exposure"].items()}
    return {**alone, "exposure": exposure}


def _manifest(recorded: RecordedRelease, rebuilt: Manifest) -> FileLikeness:
    """Compare what the models decide of the manifest: answers to golden queries, scores, facts, scenarios."""
    then, now = (json.loads(manifest.to_bytes()) for manifest in (recorded.manifest, rebuilt))
    if recorded.lost:
        for each in (then, now):
            each["facts"].pop("verdict", None)
    other = _unlike(then, now, _OWN)
    note = f"in {', '.join(other)}" if other else f"in {', '.join(_OWN)}; the rest tells times, names and files"
    return FileLikeness(MANIFEST, "differs" if other else "same", note)


def _unlike(then: Mapping[str, Any], now: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    return [name for name in names if then.get(name) != now.get(name)]


def _changed(then: Manifest, now: Manifest) -> tuple[Changed, ...]:
    before, after = _versions(then.content, then.cf), _versions(now.content, now.cf)
    if before["code"] != after["code"]:
        before["commit"], after["commit"] = then.commit, now.commit
    names = [name for name in (*before, *(after.keys() - before.keys())) if before.get(name) != after.get(name)]
    return tuple(Changed(name, before.get(name), after.get(name)) for name in names)


def _versions(content: Provenance, cf: Provenance) -> dict[str, str | None]:
    return {"code": cf.code, **content.libraries, **cf.libraries}
