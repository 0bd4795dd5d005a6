"""The switch from one current release to another: for the process that holds the publisher's lock.

The link is swapped in one step. A copied release in its place is moved to where it belongs; anything
else there is moved aside, and never removed.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from recsys.errors import ArtifactWriteError, ReleaseError
from recsys.release.durable import make_folder, point_link, put_link, remove, rename
from recsys.release.pointer import Current, Form
from recsys.release.shelf import RELEASES, UNRELEASED
from recsys.release.verify import verify
from recsys.system.log import events, keys

if TYPE_CHECKING:
    from pathlib import Path

    from recsys.release.pointer import Pointer

log = events(__name__)

TRASH = ".trash-"
"""Prefix of what nobody reads any longer; the next run removes it."""


def mend(pointer: Pointer) -> Current | None:
    """Return the current release, once the link says which it is.

    A link that leads out of the folder of the releases stays: what is there belongs to somebody else.

    Raises
    ------
    ReleaseNotFound, ArtifactCorrupt, IncompatibleArtifact
        If what is in the link's place names no release.
    ArtifactWriteError
        If the link cannot be made; what stood there still does.
    """
    current = pointer.read()
    if current is None or current.form in {Form.link, Form.outside}:
        return current
    point(pointer, current.name)
    return replace(current, folder=pointer.shelf.path / current.name, form=Form.link)


def point(pointer: Pointer, name: str) -> None:
    """Make a release of the store current.

    Raises
    ------
    ArtifactWriteError
        If the link cannot be made; the message says whether it was, all the same.
    """
    target, aside = f"{RELEASES}/{name}", _room_for_what_is_there(pointer)
    if aside is None:
        point_link(pointer.link, target)
        return
    make_folder(pointer.shelf.path)
    kind = "folder" if pointer.link.is_dir() else "file"
    if aside.name.startswith(TRASH):
        remove(aside)
    put_link(pointer.link, target, aside)
    if aside.name.startswith(TRASH):
        with suppress(ArtifactWriteError):  # the next run removes it
            remove(aside)
    elif aside.name.startswith(UNRELEASED):
        log.warning("a plain %s stood where the link to the current release goes", kind, extra=keys(moved_to=aside))


def points_to(pointer: Pointer, name: str) -> bool:
    """Say whether the link itself says that a release is current."""
    try:
        current = pointer.look()
    except ReleaseError:
        return False
    return current is not None and current.form is Form.link and current.name == name


def _room_for_what_is_there(pointer: Pointer) -> Path | None:
    """Return where to move what stands at ``v1``; None for a link, and what a link may take the place of."""
    if pointer.link.is_symlink() or not os.path.lexists(pointer.link):
        return None
    try:
        standing = pointer.look()
    except ReleaseError:
        standing = None
    match standing:
        case Current(form=Form.text):
            return None
        case Current(name=name, form=Form.folder):
            return pointer.shelf.path / name
        case Current(name=name, form=Form.copy):
            return _room_for_a_copy(pointer, pointer.shelf.path / name)
        case _:
            return pointer.shelf.place_aside()


def _room_for_a_copy(pointer: Pointer, original: Path) -> Path:
    """Return where the copy goes: of the two, a sound one stays, and no byte of a damaged one is lost for it."""
    if _is_sound(original):
        return pointer.shelf.path / f"{TRASH}{pointer.link.name}"
    aside = pointer.shelf.place_aside()
    if not _is_sound(pointer.link):
        return aside
    rename(original, aside)
    log.warning("a release is damaged, and the copy in the link's place takes its own", extra=keys(moved_to=aside))
    return original


def _is_sound(folder: Path) -> bool:
    try:
        verify(folder)
    except ReleaseError:
        return False
    return True
