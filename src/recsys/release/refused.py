"""Refused candidates: why they were, kept beside the releases for people to look at.

``models/refused/<run id>/`` holds a run's scores of its candidate and their page, never a model: nobody can
serve it by mistake. ``models/.refused`` lists them in the order in which they were refused: clocks step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from recsys.errors import ArtifactWriteError
from recsys.release.durable import make_folder, remove, write_bytes, writing
from recsys.system.log import events, keys

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

log = events(__name__)

REFUSED = "refused"
"""Name of the folder below the release store's."""
ORDER = ".refused"
"""Name of the list beside it: run ids, oldest first, one a line. Those that it lacks are older, and go by name."""


def keep_refused(root: Path, run_id: str, files: Mapping[str, bytes], keep: int) -> Path | None:
    """Write what is known about a refused candidate, and remove the oldest beyond ``keep``.

    For the process that holds the publisher's lock.

    Parameters
    ----------
    root
        The folder of the release store.
    run_id
        Id of the run.
    files
        Contents by file name.
    keep
        How many stay, this one among them; with 0 nothing is written.

    Returns
    -------
    pathlib.Path or None
        The folder; None if none was kept.

    Raises
    ------
    ArtifactWriteError
        If it cannot be written, or there is one of that name.
    """
    folder = root / REFUSED / run_id
    if keep:
        if folder.exists():
            raise ArtifactWriteError(f"{folder} exists already, and what a run left is never written over; run again")
        make_folder(folder)
        for name, data in files.items():
            write_bytes(folder / name, data)
    if folder.parent.is_dir():
        _prune(root, run_id, keep)
    return folder if keep else None


def _prune(root: Path, newest: str, keep: int) -> None:
    with writing(f"read {root / REFUSED}"):
        names = {path.name for path in (root / REFUSED).iterdir() if path.is_dir()}
    listed = [name for name in _listed(root / ORDER) if name in names and name != newest]
    names_in_order = [*sorted(names - {*listed, newest}), *listed, *(names & {newest})]
    kept = names_in_order[max(0, len(names_in_order) - keep) :]
    # Listed first: a run that is killed between the two has forgotten nothing that is there.
    write_bytes(root / ORDER, "".join(f"{name}\n" for name in kept).encode("utf-8", "surrogateescape"))
    for name in names_in_order[: len(names_in_order) - len(kept)]:
        remove(root / REFUSED / name)
        log.info("removed an old refused candidate", extra=keys(path=root / REFUSED / name))


def _listed(path: Path) -> list[str]:
    with writing(f"read {path}"):
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return []
    return list(dict.fromkeys(data.decode("utf-8", "surrogateescape").splitlines()))
