"""``recsys report`` and ``recsys card``: the page of a release, and its model card."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from recsys.cli.options import CURRENT, Models, Verbose, releases_folder
from recsys.cli.state import begin
from recsys.system import streams
from recsys.system.paths import local_path


def report(
    context: typer.Context,
    release: Annotated[str, typer.Argument(help="Its run id, or current.", metavar="RELEASE")] = CURRENT,
    *,
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write; - for stdout.", metavar="FILE")] = Path(
        "report.html"
    ),
    models: Models = None,
    verbose: Verbose = False,
) -> None:
    """Render the page of a release from its own files, compared with the release that it replaced."""
    begin(context, verbose=verbose, quiet=True)
    from recsys.release.store import ReleaseStore
    from recsys.report import render_report, require_extra

    require_extra()
    out = out if str(out) == "-" else local_path(out, "--out")
    store = ReleaseStore(releases_folder(models))
    manifest = store.manifest(release)
    before = manifest.replaces if manifest.replaces in store.names() else None
    page = render_report(store.path(release), None if before is None else store.path(before))
    if str(out) == "-":
        streams.answer_bytes(page)
        return
    _write(out, page)
    streams.tell(f"wrote {out}: the page of release {manifest.release} ({len(page) / 1e3:,.0f} kB)")


def card(
    context: typer.Context,
    release: Annotated[str, typer.Argument(help="Its run id, or current.", metavar="RELEASE")] = CURRENT,
    *,
    models: Models = None,
    verbose: Verbose = False,
) -> None:
    """Print the model card of a release, as Hugging Face has it: purpose, data, scores, settings, risks."""
    begin(context, verbose=verbose, quiet=True)
    from recsys.release.layout import METRICS
    from recsys.release.metrics import read_metrics
    from recsys.release.store import ReleaseStore
    from recsys.report import model_card

    store = ReleaseStore(releases_folder(models))
    manifest, metrics = store.manifest(release), store.path(release) / METRICS
    streams.answer(model_card(manifest, read_metrics(metrics.read_bytes()) if metrics.exists() else None).rstrip("\n"))


def _write(out: Path, page: bytes) -> None:
    """Write to what a path names: a plain file whole or not at all, a device or a pipe as it takes it."""
    from recsys.release.durable import write_bytes, writing

    if not out.exists() or out.is_file():
        write_bytes(out.resolve(), page)  # where a link leads, not in its place
        return
    with writing(f"write {out}"):
        # Not to wait for somebody who opens the other end of a pipe: with nobody there, opening fails.
        descriptor = os.open(out, os.O_WRONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        os.set_blocking(descriptor, True)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(page)
