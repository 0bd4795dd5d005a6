"""A path to a release, and where it leads now."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from recsys.errors import ReleaseNotFound
from recsys.release.pointer import LINK, Pointer
from recsys.release.shelf import RELEASES

if TYPE_CHECKING:
    from pathlib import Path


def follow(path: Path) -> Path:
    """Return the folder that a path to a release leads to now, all links resolved.

    Parameters
    ----------
    path
        A release's folder, or what points to it: a link, or ``v1`` of a folder of releases as
        :class:`Pointer` reads it.

    Raises
    ------
    ReleaseNotFound, ArtifactCorrupt, IncompatibleArtifact
        If it leads nowhere, or ``v1`` is nothing that names a release.
    """
    pointer = Pointer(path.parent) if path.name == LINK and path.parent.name != RELEASES else None
    while True:
        current = None if pointer is None else pointer.read()
        target = path if current is None else current.folder
        try:
            return _folder(target)
        except ReleaseNotFound:
            if pointer is None or pointer.read() == current:
                raise  # otherwise it was moved or removed in between, and the next look finds what is current now


def _folder(path: Path) -> Path:
    try:
        folder = path.resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise ReleaseNotFound(
            f"there is no release at {path}; `recsys train` publishes one, `recsys releases` lists them"
        ) from error
    if not folder.is_dir():
        raise ReleaseNotFound(f"{path} is a file; a release is a folder such as models/v1")
    return folder


def folder_at(path: Path) -> Path:
    """Return the folder of files that a path means: ``v1`` that is no folder as :func:`follow`, else the path."""
    return follow(path) if path.name == LINK and os.path.lexists(path) and not path.is_dir() else path
