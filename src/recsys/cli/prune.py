"""``recsys prune``: old releases go without a run."""

from __future__ import annotations

from typing import Annotated

import typer

from recsys.cli.options import Config, Json, Models, Overrides, Verbose, overrides, releases_folder
from recsys.cli.state import begin
from recsys.system import streams


def prune(
    context: typer.Context,
    *,
    preview: Annotated[bool, typer.Option("--preview", help="Say what would be removed; remove nothing.")] = False,
    models: Models = None,
    config: Config = None,
    set_: Overrides = None,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Remove the releases that `release.keep` and `release.max_age_days` let go of, and what interrupted runs left.

    A run that ends well does so too. The current release always stays. Also under a hold.
    """
    begin(context, json=json, verbose=verbose)
    from recsys.config import load_settings
    from recsys.release.store import ReleaseStore

    settings = load_settings(config, overrides(set_))
    bounds = settings.release
    store = ReleaseStore(releases_folder(models, settings), keep=bounds.keep, max_age_days=bounds.max_age_days)
    removed = store.superfluous() if preview else store.prune()
    stay = [name for name in store.names() if name not in removed]
    if json:
        status = "would be pruned" if preview else "pruned"
        streams.tell(streams.as_json({"status": status, "removed": removed, "stay": stay}))
    else:
        gone = f"{'would remove' if preview else 'removed'} {', '.join(removed) or 'nothing'}"
        streams.tell(f"{gone}; {len(stay)} stay: {', '.join(stay)}" if stay else gone)
