"""The pointer to the current release: the link ``v1``, or what a copy of the folder made of it.

::

    v1 -> releases/R       R, as publishers write it
    v1 -> /elsewhere       the sealed release there
    v1/                    the sealed release in it: links were followed (upload-artifact, cp -rL, S3)
    v1: releases/R         R: links were written as texts (git with core.symlinks=false)
    nothing                the only release: links were left out (rclone); where there is none, none

A folder that holds parts of a release, which models were saved to, counts as nothing. Whatever else
is there is refused: which release is current is not guessed.

Nothing is written here, and nobody has to hold the publisher's lock: what is seen while a publisher
moves the link is looked at again.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, TypeAlias

from recsys.errors import ArtifactCorrupt, ReleaseError, ReleaseNotFound
from recsys.release.durable import TEMPORARY, waiting
from recsys.release.layout import MANIFEST, PART_FILES
from recsys.release.seal import REPAIR, open_plain, read_seal
from recsys.release.shelf import RELEASES, Shelf, is_release_name
from recsys.system.log import events

if TYPE_CHECKING:
    from collections.abc import Collection

log = events(__name__)

Identity: TypeAlias = tuple[tuple[int, int, int] | None, tuple[int, int, int] | None]

LINK = "v1"

_LONGEST = 4096
"""Bytes of a text that may name a release."""


class Form(StrEnum):
    """What stands in the link's place, and what is said of it."""

    link = "{link} points to {name}"
    outside = "{link} leads out of {releases}: the release there, {name}, is current"
    folder = "{link} is a folder and no link: the release in it, {name}, is current"
    copy = "{link} is a folder and no link: the release in it, a copy of {releases}/{name}, is current"
    text = "{link} is a text and no link: the release that it names, {name}, is current"
    lost = "{link} is no link to a release: the only one that there is, {name}, is current"
    unfinished = "{link} was not there while it was pointed to {name}: that is current"


@dataclass(frozen=True)
class Current:
    """The current release.

    Attributes
    ----------
    name
        Its run id.
    folder
        Where its files are.
    form
        What says that it is current.
    """

    name: str
    folder: Path
    form: Form = Form.link


class Pointer:
    """Reads which release of a folder is current.

    Parameters
    ----------
    root
        The folder of the releases.
    """

    def __init__(self, root: Path) -> None:
        self.link = root / LINK
        self.shelf = Shelf(root / RELEASES)

    def read(self) -> Current | None:
        """Return the current release, or None where there is none.

        One line of the log says so where what stands there is no link.

        Raises
        ------
        ReleaseNotFound, ArtifactCorrupt, IncompatibleArtifact
            If what is there names no release that is there: that is not the same as none.
        """
        while True:
            before = self._identity()
            try:
                current = self.look()
            except ReleaseError:
                if self._identity() == before:
                    raise
                continue
            if self._identity() == before:
                self._tell(current, before)
                return current

    def look(self) -> Current | None:
        """Look once, and tell nobody; otherwise as :meth:`read`."""
        try:
            return self._look()
        except OSError as error:
            raise self._refusal(f"cannot be read ({error.strerror or error})") from error

    def _look(self) -> Current | None:
        try:
            kind = stat.S_IFMT(self.link.lstat().st_mode)
            if kind == stat.S_IFLNK:
                return self._linked(self.link.readlink())
            if kind == stat.S_IFDIR:
                return self._standing(os.listdir(self.link))
            if kind == stat.S_IFREG:
                return self._written()
        except (FileNotFoundError, NotADirectoryError):
            return self._unfinished() or self._only("is not there")
        raise self._refusal("is neither a link nor a folder nor a file")

    def _linked(self, target: Path) -> Current:
        if name := self.shelf.name_of(self.link.parent / target):
            return Current(name, self.shelf.path / name)
        try:
            folder = self.link.resolve(strict=True)
        except FileNotFoundError as error:
            raise self._refusal(f"points to {target}, which is not there", cure="restore that release") from error
        except (OSError, RuntimeError) as error:  # RuntimeError: before Python 3.13
            raise self._refusal(f"points to {target}, which leads nowhere") from error
        if name := self.shelf.name_of(folder):
            return Current(name, self.shelf.path / name)
        if not os.path.lexists(folder / MANIFEST):
            raise self._refusal(f"points to {target}, which is no release")
        return Current(self._sealed_in(folder), folder, Form.outside)

    def _standing(self, names: Collection[str]) -> Current | None:
        if MANIFEST in names:
            name = self._sealed_in(self.link)
            beside = self.shelf.path / name
            if not os.path.lexists(beside):
                return Current(name, self.link, Form.folder)
            if _same_seal(self.link, beside):
                return Current(name, self.link, Form.copy)
            seen = f"is a folder with the release {name}, which differs from {beside}"
            raise self._refusal(seen, cure="remove the wrong one")
        if not names:
            raise self._refusal("is an empty folder")
        if others := {name.removesuffix(TEMPORARY) for name in names} - {*PART_FILES}:
            shown = ", ".join(sorted(others)[:3]) + (f" and {len(others) - 3} more" if len(others) > 3 else "")
            raise self._refusal(f"is a folder without {MANIFEST} that holds {shown}")
        return self._only("is a folder that holds parts of a release")

    def _written(self) -> Current:
        with open_plain(self.link) as file:
            data = file.read(_LONGEST + 1)
        text = data.decode("utf-8-sig", "replace").strip()
        path = PurePosixPath(text.replace("\\", "/"))
        if len(data) > _LONGEST or not text.isprintable() or not is_release_name(path.name):
            raise self._refusal(f"is a file that names no release (it begins with {text[:20]!r})")
        if name := self.shelf.name_of((self.link.parent if len(path.parts) > 1 else self.shelf.path) / path):
            return Current(name, self.shelf.path / name, Form.text)
        raise self._refusal(f"is a text that names {text}, which is not there", cure="restore that release")

    def _unfinished(self) -> Current | None:
        """Return the release that a publisher, while nothing stands at ``v1``, is pointing the link to."""
        try:
            name = self.shelf.name_of(self.link.parent / waiting(self.link).readlink())
        except OSError:
            return None
        return Current(name, self.shelf.path / name, Form.unfinished) if name else None

    def _only(self, seen: str) -> Current | None:
        folders = [path for path in self.shelf.folders() if path.is_dir()]
        if not folders:
            return None
        if len(folders) > 1:
            raise self._refusal(seen)
        if not self.shelf.sealed():
            raise self._refusal(f"{seen}, and {folders[0]} has no {MANIFEST}", cure="restore it")
        return Current(folders[0].name, folders[0], Form.lost)

    def _sealed_in(self, folder: Path) -> str:
        """Return the name of the release in a folder; its signature is not checked here but by readers."""
        where = "is a folder with a damaged release" if folder == self.link else f"points to {folder}, no sound release"
        try:
            name = read_seal(folder).release
        except ArtifactCorrupt as error:
            problem = str(error).removesuffix(f"; {REPAIR}")
            raise self._refusal(f"{where} ({problem})", ArtifactCorrupt, "restore it") from error
        if not is_release_name(name):
            raise self._refusal(f"{where} (its name is {name!r})", ArtifactCorrupt, "restore it")
        return name

    def _refusal(
        self, seen: str, kind: type[ReleaseError] = ReleaseNotFound, cure: str = "restore the link"
    ) -> ReleaseError:
        names = self.shelf.sealed()
        way = f"make a release current with `recsys rollback NAME` (there are {', '.join(names[-5:])})"
        if not names:
            way = f"move {self.link if os.path.lexists(self.link) else self.shelf.path} away to begin anew"
        return kind(f"{self.link} {seen}, so no release is known to be current: {cure}, or {way}")

    def _identity(self) -> Identity:
        """Return what changes when another process has changed the link."""
        return _inode(self.link), _inode(waiting(self.link))

    def _tell(self, current: Current | None, identity: Identity) -> None:
        if (
            current is None
            or current.form is Form.link
            or (current.form is Form.outside and not self.shelf.path.is_dir())
        ):
            return
        _say(current.form.format(link=self.link, releases=self.shelf.path, name=current.name), identity)


@cache
def _say(message: str, _: Identity) -> None:
    """Warn once in a process. The words say all: commands that set up no logging show them alone."""
    log.warning(message)


def _inode(path: Path) -> tuple[int, int, int] | None:
    try:
        facts = path.lstat()
    except OSError:
        return None
    return facts.st_dev, facts.st_ino, facts.st_ctime_ns


def _same_seal(one: Path, other: Path) -> bool:
    try:
        with open_plain(one / MANIFEST) as mine, open_plain(other / MANIFEST) as theirs:
            return mine.readall() == theirs.readall()
    except (OSError, ArtifactCorrupt):
        return False
