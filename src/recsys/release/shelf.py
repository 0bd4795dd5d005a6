"""The shelf: the folder ``releases``, and what in it counts as a release."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from recsys.errors import ReleaseNotFound
from recsys.release.layout import MANIFEST

if TYPE_CHECKING:
    from pathlib import Path

RELEASES = "releases"
"""Name of the folder below the release store's."""
UNRELEASED = "unreleased-"
"""Prefix of what stood in the link's place and was moved aside; never pruned."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def is_release_name(name: str) -> bool:
    """Say whether a folder of this name on the shelf counts as a release."""
    return bool(_NAME.fullmatch(name)) and not name.startswith(UNRELEASED)


class Shelf:
    """Knows the folders of the releases, and reads nothing in them.

    Parameters
    ----------
    path
        The folder ``releases``; need not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def folders(self) -> list[Path]:
        """Return the folders of the releases, in no order.

        Raises
        ------
        ReleaseNotFound
            If they cannot be listed.
        """
        try:
            paths = list(self.path.iterdir())
        except FileNotFoundError:
            return []
        except OSError as error:
            raise ReleaseNotFound(f"{self.path} cannot be read: {error.strerror or error}") from error
        # A release is a folder: files are notes of people, and what the operating system leaves everywhere.
        return [path for path in paths if is_release_name(path.name) and not path.is_file()]

    def sealed(self) -> list[str]:
        """Return the names of the releases that have a manifest, sorted."""
        return sorted(path.name for path in self.folders() if os.path.lexists(path / MANIFEST))

    def name_of(self, folder: Path) -> str | None:
        """Return the name of the release on this shelf that a path means; None where it means none.

        Raises
        ------
        OSError
            If a folder on the way to it cannot be read.
        """
        try:
            mine = is_release_name(folder.name) and folder.is_dir() and folder.parent.samefile(self.path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        return folder.name if mine else None

    def place_aside(self) -> Path:
        """Return a free path for what is no release and must not be lost."""
        number = 1
        while os.path.lexists(path := self.path / f"{UNRELEASED}{number}"):
            number += 1
        return path
