"""``recsys releases``, ``verify``, ``rollback`` and ``show``: what is published, and going back."""

from __future__ import annotations

import json as json_
from typing import TYPE_CHECKING, Annotated

import typer

from recsys.cli.hold import By, reason_given, told
from recsys.cli.options import CURRENT, Json, Models, Verbose, releases_folder
from recsys.cli.state import begin
from recsys.cli.tables import aligned
from recsys.release.layout import SIGNATURE
from recsys.system import streams

if TYPE_CHECKING:
    from collections.abc import Sequence

    from recsys.release.entries import Entry
    from recsys.release.hold import Hold
    from recsys.release.journal import Line
    from recsys.release.manifest import Manifest
    from recsys.release.store import ReleaseStore

_COUNTED = ("games", "ratings", "users")


def releases(
    context: typer.Context,
    *,
    log: Annotated[
        bool,
        typer.Option("--log", help="Print who published, refused, held and went back, and check that it is whole."),
    ] = False,
    models: Models = None,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """List the releases in the order in which they were published, whatever the clock said."""
    from recsys.errors import ReleaseError

    store = _store(context, models, json=json, verbose=verbose)
    if log:
        _print_log(store, json=json)
        return
    try:
        entries = store.entries()
    except ReleaseError:
        if not json and (entries := store.entries(marked=False)):  # to choose from
            streams.answer(_table(entries))
        raise
    hold = store.holds.current()
    if json:
        streams.answer(streams.as_json([_row(entry, hold) for entry in entries]))
        return
    text = _table(entries) if entries else f"there are no releases in {store.address}; `recsys train` publishes one"
    notes = [text, "" if hold is None else told(store.holds, hold), _unexplained(store)]
    streams.answer("\n\n".join(filter(None, notes)))


def _print_log(store: ReleaseStore, *, json: bool) -> None:
    lines = store.journal.lines()
    note = store.journal.unexplained(_current(store, needed=False))
    if json:
        streams.answer(streams.as_json({"lines": [line.model_dump() for line in lines], "note": note}))
        return
    rows = [(line.at, line.event, line.release or "", line.by, _why(line)) for line in lines]
    table = aligned([("when", "event", "release", "by", "why"), *rows])
    whole = f"the chain is whole: {len(lines)} line{'s' * (len(lines) != 1)}, each holds the digest of the one before"
    text = f"{table}\n\n{whole}" if lines else f"there is no log in {store.address}; the next run begins one"
    streams.answer(f"{text}\n{note}" if note else text)


def _unexplained(store: ReleaseStore) -> str:
    """Return what is wrong with the log, for a list that does not fail for it."""
    from recsys.errors import RecsysError

    try:
        return store.journal.unexplained(_current(store, needed=False))
    except RecsysError as error:
        return str(error)


def _why(line: Line) -> str:
    overrides = (f'--{name.replace("_", "-")} "{reason}"' for name, reason in line.overrides.items())
    return "; ".join(filter(None, (line.why, *overrides)))


def verify(
    context: typer.Context,
    release: Annotated[str, typer.Argument(help="A run id, or current.", metavar="[RELEASE]")] = CURRENT,
    *,
    models: Models = None,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Check every byte of a release, load it, and repeat its golden queries."""
    manifest = _store(context, models, json=json, verbose=verbose).verify(release)
    size = sum(facts.size for facts in manifest.files.values())
    queries = sum(len(answers) for answers in manifest.golden.values())
    result = {
        "status": "sound",
        "release": manifest.release,
        "files": len(manifest.files),
        "bytes": size,
        "golden_queries": queries,
    }
    sentence = (
        f"{manifest.release} is sound: {len(manifest.files)} files, {size / 1e6:,.1f} MB, {queries} golden queries"
    )
    streams.tell(streams.as_json(result) if json else sentence)


def rollback(
    context: typer.Context,
    release: Annotated[
        str | None, typer.Argument(help="A run id.", show_default="the release that the current one replaced")
    ] = None,
    *,
    reason: Annotated[
        str | None,
        typer.Option(
            "--reason", help="Why; the hold says so.", show_default="no reason", metavar="TEXT", callback=reason_given
        ),
    ] = None,
    by: By = None,
    no_hold: Annotated[
        bool, typer.Option("--no-hold", help="Do not hold: the next run may publish the same again.")
    ] = False,
    models: Models = None,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Verify an older release, make it current, and hold publishing.

    Until `recsys hold --release`, a run ends with exit code 3 before it fetches anything. Without a reason, a
    hold that is there stays as it is.
    """
    store = _store(context, models, json=json, verbose=verbose)
    before = _current(store, needed=release is None)
    manifest = store.rollback(release, reason=reason, by=by, hold=not no_hold)
    hold = store.holds.current()
    result = {
        "status": "rolled back",
        "release": manifest.release,
        "before": before,
        "hold": None if hold is None else hold.to_json(),
    }
    moved = f"current is now {manifest.release} of {_when(manifest)}; before it was {before or 'none'}"
    sentence = f"{moved}; {told(store.holds, hold)}"
    streams.tell(streams.as_json(result) if json else sentence)


def show(
    context: typer.Context,
    release: Annotated[str, typer.Argument(help="A run id, or current.")],
    *,
    models: Models = None,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Print what the manifest of a release says."""
    store = _store(context, models, json=json, verbose=verbose)
    manifest = store.manifest(release)
    path, current = store.where(release), _current(store, needed=False) == manifest.release
    if json:
        streams.answer(streams.as_json({**json_.loads(manifest.to_bytes()), "path": path, "current": current}))
    else:
        streams.answer(_page(manifest, path, current=current))


def _current(store: ReleaseStore, *, needed: bool) -> str | None:
    """Return the current release; None also where none is known to be, unless it is needed."""
    from recsys.errors import ReleaseError

    try:
        return store.current()
    except ReleaseError:
        if needed:
            raise
        return None


def _store(context: typer.Context, models: str | None, *, json: bool, verbose: bool) -> ReleaseStore:
    begin(context, json=json, verbose=verbose)
    from recsys.release.store import ReleaseStore

    return ReleaseStore(releases_folder(models))


def _row(entry: Entry, hold: Hold | None) -> dict[str, object]:
    row: dict[str, object] = {"release": entry.name, "current": entry.current}
    if entry.current:
        row["hold"] = None if hold is None else hold.to_json()
    if entry.manifest is None:
        return {**row, "problem": entry.problem}
    manifest = entry.manifest
    return {
        **row,
        "sequence": manifest.sequence,
        "created": manifest.created,
        "rows": _counts(manifest),
        "scores": manifest.scores,
        "replaces": manifest.replaces,
        "signed": (entry.path / SIGNATURE).exists(),
    }


def _counts(manifest: Manifest) -> dict[str, int]:
    return {**manifest.cf.rows, **manifest.content.rows}


def _table(entries: Sequence[Entry]) -> str:
    lines: list[tuple[str, ...]] = [("", "release", "published", "no.", "replaces", *_COUNTED, "scores")]
    for entry in entries:
        mark = "*" if entry.current else ""
        manifest = entry.manifest
        if manifest is None:
            lines.append((mark, entry.name, "damaged; `recsys verify` says how", "", "", "", "", "", ""))
            continue
        rows = _counts(manifest)
        counts = [f"{rows[name]:,}" for name in _COUNTED]
        scores = "  ".join(f"{name} {manifest.scores[name]:.4f}" for name in _headline(manifest)) or "-"
        number = "-" if manifest.sequence is None else str(manifest.sequence)
        lines.append((mark, entry.name, _when(manifest), number, manifest.replaces or "-", *counts, scores))
    return aligned(lines, numbers=(3, *range(5, 8)))


def _headline(manifest: Manifest) -> list[str]:
    """Name the scores that fit a line: the one that the gate decides by, and coverage; `show` prints all."""
    measure = manifest.facts.measure
    decides = None if measure is None else measure.metric
    return [
        name
        for name in dict.fromkeys((decides or next(iter(manifest.scores), ""), "coverage"))
        if name in manifest.scores
    ]


def _when(manifest: Manifest) -> str:
    return f"{manifest.created[:10]} {manifest.created[11:16]} UTC"


def _page(manifest: Manifest, path: str, *, current: bool) -> str:
    facts = {
        "release": manifest.release,
        "path": path,
        "current": current,
        "created": manifest.created,
        "sequence": "none: its version did not count" if manifest.sequence is None else manifest.sequence,
        "replaces": manifest.replaces,
        "commit": manifest.commit,
        "format": manifest.format,
    }
    lines = [f"{key:<10} {fact}" for key, fact in facts.items()]
    for half, origin in (("content", manifest.content), ("cf", manifest.cf)):
        rows = ", ".join(f"{count:,} {name}" for name, count in origin.rows.items())
        lines += [
            f"\n{half}: {rows}",
            f"  trained by {origin.trained_by}, query {origin.query_id or '-'}",
            f"  data {origin.fingerprint}, code {origin.code[:12]}",
            "  " + ", ".join(f"{name} {version}" for name, version in origin.libraries.items()),
        ]
        lines.append("  " + ", ".join(f"{half}.{name}={value}" for name, value in origin.section(half).items()))
    lines += ["\nscores: " + (", ".join(f"{name} {value:.4f}" for name, value in manifest.scores.items()) or "-")]
    lines += ["\nfiles:"]
    for name, file in manifest.files.items():
        arrays = ", ".join(f"{key} {'×'.join(map(str, array.shape))}" for key, array in file.arrays.items())
        lines.append(f"  {name:<20} {file.size:>13,}  {file.sha256[:12]}  {arrays}".rstrip())
    lines += ["\nsteps:"]
    for name, step in manifest.steps.items():
        lines.append(f"  {name:<20} {step.seconds:>9.1f} s  {step.peak_memory_mb:>9,.0f} MB")
    return "\n".join(lines)
