"""``recsys report``: the page of a release."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from recsys.streams import answer_bytes, tell


def report(
    release: Annotated[str, typer.Argument(help="Its run id, or current.", metavar="RELEASE")] = "current",
    *,
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write; - for stdout.", metavar="FILE")] = Path(
        "report.html"
    ),
    models: Annotated[Path, typer.Option(help="Folder of the releases.", metavar="DIR")] = Path("models"),
) -> None:
    """Render the page of a release from its own files, compared with the release that it replaced."""
    from recsys.release.store import ReleaseStore
    from recsys.report import render_report, require_extra

    require_extra()
    store = ReleaseStore(models)
    manifest = store.manifest(release)
    before = manifest.replaces if manifest.replaces in store.names() else None
    page = render_report(store.path(release), None if before is None else store.path(before))
    if str(out) == "-":
        answer_bytes(page)
        return
    from recsys.release.durable import write_bytes

    write_bytes(out, page)
    tell(f"wrote {out}: the page of release {manifest.release} ({len(page) / 1e3:,.0f} kB)")
