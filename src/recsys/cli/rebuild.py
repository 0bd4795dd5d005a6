"""``recsys rebuild``: a release made once more from its own records."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recsys.cli.options import Config, Json, Models, Source, Verbose, overrides, releases_folder
from recsys.cli.state import begin
from recsys.cli.tables import aligned
from recsys.system import streams

if TYPE_CHECKING:
    from collections.abc import Iterator

    from recsys.pipeline.rebuild import Likeness

DIFFERS = 3
"""No fault of the run, as a refusal is none: somebody should look at it."""


def rebuild(
    context: typer.Context,
    release: Annotated[str, typer.Argument(help="A run id, or current.", metavar="RELEASE")],
    *,
    source: Source = None,
    embed: Annotated[
        bool,
        typer.Option("--embed", help="Encode every text anew, and compare: each cosine must be 0.9999 or more."),
    ] = False,
    keep: Annotated[
        Path | None,
        typer.Option(
            "--keep",
            help="Folder for the rebuilt release, new or empty.",
            show_default="it is not kept",
            metavar="DIR",
        ),
    ] = None,
    models: Models = None,
    config: Config = None,
    json: Json = False,
    verbose: Verbose = False,
) -> int:
    """Train from the same marts by the records of a release, and say what differs; nothing is published.

    Ends with 0 where the rebuilt release is the same, with 3 where it differs, and with 65 where the marts are others.
    Snowflake's marts are read as they were then, as long as it keeps that. The settings are the release's own; those of
    here say which source is read, how Snowflake is asked, and how texts are encoded.
    """
    state = begin(context, json=json, verbose=verbose, quiet=True)
    from recsys.config import load_settings
    from recsys.pipeline.reader import Warehouse
    from recsys.pipeline.rebuild import RecordedRelease, open_encoder
    from recsys.pipeline.rebuild import rebuild as made_again
    from recsys.release.store import ReleaseStore
    from recsys.sources.snowflake.names import variables

    here = load_settings(config, overrides(None, source))
    store = ReleaseStore(releases_folder(models, here))
    recorded = RecordedRelease.read(store, release)
    settings = recorded.settings(here)
    warehouse = Warehouse(settings, variables(os.environ), read_at=recorded.read_at)
    warehouse.require_identity()
    anew = open_encoder(recorded, settings, state.encoder) if embed else None
    with _folder(keep, store.root) as folder:
        found = made_again(recorded, folder, settings, warehouse, anew)
    if json:
        streams.tell(streams.as_json({**found.as_json(), "folder": None if keep is None else str(folder)}))
    else:
        streams.tell(_text(found, None if keep is None else folder))
    return 0 if found.same else DIFFERS


@contextmanager
def _folder(keep: Path | None, store: Path) -> Iterator[Path]:
    """Yield an empty folder outside the store; one that nobody named is removed afterwards."""
    from recsys.errors import ConfigError
    from recsys.release.durable import make_folder, writing
    from recsys.system.paths import local_path

    if keep is None:
        with writing("make a temporary folder"):
            temporary = tempfile.TemporaryDirectory(prefix="recsys-rebuild-")
        with temporary as name:
            yield Path(name)
        return
    folder = local_path(keep, "--keep")
    if folder.resolve().is_relative_to(store.resolve()):
        raise ConfigError(f"--keep {folder} lies among the releases of {store}, where only a run writes; name another")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"--keep {folder} is no empty folder; name one that is new or empty")
    make_folder(folder)
    yield folder


def _text(found: Likeness, folder: Path | None) -> str:
    rows = [("file", "", ""), *((file.name, file.state, file.note) for file in found.files)]
    parts = [aligned(rows)]
    if found.vectors is not None:
        seen = found.vectors
        off = f"{seen.below:,} are below 0.9999" if seen.below else "none is below 0.9999"
        parts.append(f"{seen.texts:,} texts encoded anew: the lowest cosine is {seen.lowest:.6f}, {off}")
    if found.changed:
        changes = [("changed since", "then", "now")]
        changes += [(change.what, _short(change.then), _short(change.now)) for change in found.changed]
        parts.append(aligned(changes))
    verdict = "is what its records make" if found.same else "is not what its records make here"
    parts.append(" ".join(filter(None, (f"{found.release} {verdict}.", found.why))))
    if folder is not None:
        parts.append(f"the rebuilt release is in {folder}")
    return "\n\n".join(parts)


def _short(version: str | None) -> str:
    if version is None:
        return "–"
    digest, _, dirty = version.partition("-")
    return f"{digest[:12]}{'-' * bool(dirty)}{dirty}" if len(digest) >= 40 else version
