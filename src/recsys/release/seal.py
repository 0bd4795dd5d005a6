"""The seal of a release: its manifest, the digest and the signature, as they lie in one folder."""

from __future__ import annotations

import hashlib
import io
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from recsys.errors import ArtifactCorrupt
from recsys.release.keys import PUBLIC, SIGNING
from recsys.release.layout import DIGEST, HMAC, MANIFEST, SIGNATURE
from recsys.release.manifest import Manifest, digest_file
from recsys.release.signature import signed_digests

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from recsys.release.keys import PublicKeys

REPAIR = "publish again, or go back with `recsys rollback`"
"""What to do about a release that is damaged."""
MANIFEST_LIMIT = 64 << 20
"""No manifest is larger: what claims to be is not read into memory."""


def read_seal(folder: Path, keys: PublicKeys | None = None, names: Collection[str] | None = None) -> Manifest:
    """Return the manifest of the release in a folder, its digest and signature checked.

    Parameters
    ----------
    folder
        The release's own folder; links are nobody's business here.
    keys
        When given, one of them must have signed every file of the release.
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
        return _read_seal(folder, keys, held)
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


def _read_seal(folder: Path, keys: PublicKeys | None, names: Collection[str]) -> Manifest:
    if MANIFEST not in names:
        raise ArtifactCorrupt(
            f"{folder} has no {MANIFEST}: it holds parts of a release or a damaged one;"
            " `recsys train` publishes a whole one"
        )
    seal = {name: _read(folder / name) for name in (MANIFEST, DIGEST, *({HMAC} & set(names)))}
    signature = _read(folder / SIGNATURE) if SIGNATURE in names else None
    if seal[DIGEST] != digest_file(seal[MANIFEST], seal.get(HMAC)):
        raise ArtifactCorrupt(f"{folder}: {MANIFEST} or {DIGEST} is not what was published; {REPAIR}")
    if keys is None:
        return Manifest.from_bytes(seal[MANIFEST])
    if signature is None:
        raise _unsigned(folder, hmac=HMAC in seal)
    try:
        signed = signed_digests(signature, keys)
    except ArtifactCorrupt as error:
        raise ArtifactCorrupt(f"{folder}: {error}; {REPAIR}") from error
    sealed = {name: hashlib.sha256(data).hexdigest() for name, data in seal.items()}
    _refuse_other(folder, signed, sealed, whole=False)
    manifest = Manifest.from_bytes(seal[MANIFEST])
    _refuse_other(folder, signed, sealed | {name: facts.sha256 for name, facts in manifest.files.items()}, whole=True)
    return manifest


def _unsigned(folder: Path, *, hmac: bool) -> ArtifactCorrupt:
    old = f" but by the HMAC of an older version ({HMAC}), which no public key can check" if hmac else ""
    return ArtifactCorrupt(
        f"{folder} is not signed{old}, and {PUBLIC} is set: only signed releases are loaded; publish again with"
        f" {SIGNING} set, or, if you trust what lies there, sign it: `model_signing sign key --private_key KEY"
        f" --signature {folder}/{SIGNATURE} {folder}`"
    )


def _refuse_other(folder: Path, signed: Mapping[str, str], held: Mapping[str, str], *, whole: bool) -> None:
    """Refuse files that were not signed, or not as they are; of a whole release, signed ones that it lacks, too."""
    other = {name for name, digest in held.items() if signed.get(name) != digest}
    if whole:
        other |= set(signed) - set(held)
    if other:
        raise ArtifactCorrupt(f"{folder}: {', '.join(sorted(other)[:5])} is not what {SIGNATURE} signs; {REPAIR}")


def _read(path: Path) -> bytes:
    with open_plain(path) as file:
        if (size := os.fstat(file.fileno()).st_size) > MANIFEST_LIMIT:
            raise ArtifactCorrupt(f"{path} has {size} bytes, no manifest is that large; {REPAIR}")
        return file.read(MANIFEST_LIMIT)
