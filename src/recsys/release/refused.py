"""Refused candidates: why they were, kept beside the releases for people to look at.

``models/refused/<run id>/`` holds a run's scores of its candidate and their page, never a model: nobody can
serve it by mistake.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from recsys.release.durable import make_folder, remove, write_bytes
from recsys.system.log import events, keys

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

log = events(__name__)

REFUSED = "refused"
"""Name of the folder below the release store's."""


def keep_refused(root: Path, run_id: str, files: Mapping[str, bytes], keep: int) -> Path | None:
    """Write what is known about a refused candidate, and remove the oldest beyond ``keep``.

    Parameters
    ----------
    root
        The folder of the release store.
    run_id
        Id of the run; ids sort by time.
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
        If it cannot be written.
    """
    folder = root / REFUSED / run_id
    if keep:
        make_folder(folder)
        for name, data in files.items():
            write_bytes(folder / name, data)
    if folder.parent.is_dir():
        older = sorted(path for path in folder.parent.iterdir() if path.is_dir())
        for path in older[: max(0, len(older) - keep)]:
            remove(path)
            log.info("removed an old refused candidate", extra=keys(path=path))
    return folder if keep else None
