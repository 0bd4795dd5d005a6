"""The seal of a release: its manifest, the digest and the signature, as they lie in one folder."""

from __future__ import annotations

import io
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from recsys.errors import ArtifactCorrupt
from recsys.release.layout import DIGEST, MANIFEST, SIGNATURE
from recsys.release.manifest import Manifest, digest_file
from recsys.release.secrets import VARIABLE, is_signed_by

if TYPE_CHECKING:
    from collections.abc import Collection

REPAIR = "publish again, or go back with `recsys rollback`"
"""What to do about a release that is damaged."""
MANIFEST_LIMIT = 64 << 20
"""No manifest is larger: what claims to be is not read into memory."""


def read_seal(folder: Path, key: bytes | None = None, names: Collection[str] | None = None) -> Manifest:
    """Return the manifest of the release in a folder, its digest and signature checked.

    Parameters
    ----------
    folder
        The release's own folder; links are nobody's business here.
    key
        When given, the release must carry the signature of this key.
    names
        What the folder holds; looked up when not given.

    Raises
    ------
    ArtifactCorrupt
        If a part of the seal is missing, unreadable or not what was published.
    IncompatibleArtifact
        If a newer format wrote it.
    """
    try:
        held = os.listdir(folder) if names is None else names
        return _read_seal(folder, key, held)
    except OSError as error:
        raise unreadable(folder, error) from error


def unreadable(folder: Path, error: OSError) -> ArtifactCorrupt:
    """Return the error for a file of a release that cannot be read."""
    name = Path(str(error.filename)).name if error.filename else "a file"
    return ArtifactCorrupt(f"{folder}: {name} cannot be read: {error.strerror or error}; {REPAIR}")


def open_plain(path: Path) -> io.FileIO:
    """Open a plain file without following a link: what lies outside the release is no part of it.

    Raises
    ------
    ArtifactCorrupt
        If it is something else than a plain file.
    OSError
        If it cannot be opened.
    """
    # Without O_NONBLOCK a named pipe would hang the loader.
    file = io.FileIO(path, opener=lambda name, flags: os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK))
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise ArtifactCorrupt(f"{path} is no plain file; {REPAIR}")
    return file


def _read_seal(folder: Path, key: bytes | None, names: Collection[str]) -> Manifest:
    if MANIFEST not in names:
        raise ArtifactCorrupt(
            f"{folder} has no {MANIFEST}: it holds parts of a release or a damaged one;"
            " `recsys train` publishes a whole one"
        )
    data = _read(folder / MANIFEST)
    signature = _read(folder / SIGNATURE) if SIGNATURE in names else None
    if _read(folder / DIGEST) != digest_file(data, signature):
        raise ArtifactCorrupt(f"{folder}: {MANIFEST}, {DIGEST} or {SIGNATURE} is not what was published; {REPAIR}")
    if key is not None:
        if signature is None:
            raise ArtifactCorrupt(f"{folder} is not signed, and {VARIABLE} is set: only signed releases are loaded")
        if not is_signed_by(data, signature, key):
            raise ArtifactCorrupt(f"{folder} is signed with another key than the one in {VARIABLE}")
    return Manifest.from_bytes(data)


def _read(path: Path) -> bytes:
    with open_plain(path) as file:
        if (size := os.fstat(file.fileno()).st_size) > MANIFEST_LIMIT:
            raise ArtifactCorrupt(f"{path} has {size} bytes, no manifest is that large; {REPAIR}")
        return file.read(MANIFEST_LIMIT)
