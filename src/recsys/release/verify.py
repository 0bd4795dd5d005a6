"""Verification: every size and checksum of a release, before a byte of it is parsed.

Each file is read once; the bytes that were hashed are the bytes that are returned, so nothing can
change between the check and the parsing. What is not asked for is hashed in pieces and forgotten.
"""

from __future__ import annotations

import hashlib
import io
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from recsys.errors import ArtifactCorrupt, ReleaseNotFound
from recsys.release.manifest import DIGEST, MANIFEST, SIGNATURE, FileFacts, Manifest, digest_file
from recsys.release.signature import VARIABLE, is_signed_by

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

_CHUNK = 1 << 20
_REPAIR = "publish again, or go back with `recsys rollback`"
_MANIFEST_LIMIT = 64 << 20
"""No manifest is larger: what claims to be is not read into memory."""


@dataclass(frozen=True)
class VerifiedFiles:
    """A release whose every byte was checked.

    Attributes
    ----------
    path
        The release's own folder, all links resolved.
    manifest
        What it says about itself.
    contents
        The bytes of the files that were asked for, by name.
    """

    path: Path
    manifest: Manifest
    contents: Mapping[str, bytes]


def verify(path: Path, *, keep: Collection[str] = (), key: bytes | None = None) -> VerifiedFiles:
    """Check every file of a release.

    Parameters
    ----------
    path
        The release's folder, or a link to it: it is resolved once, and everything is opened below
        the folder that it pointed to.
    keep
        Names of the files whose bytes are wanted.
    key
        When given, the release must carry the signature of this key.

    Raises
    ------
    ReleaseNotFound
        If there is nothing at ``path``.
    ArtifactCorrupt
        If a file is missing, extra, no plain file or not the bytes that were published, or if the
        signature is missing or wrong.
    IncompatibleArtifact
        If a newer format wrote it.
    """
    folder = _resolved(path)
    while True:
        try:
            return _verify(folder, keep, key)
        except (OSError, ArtifactCorrupt) as error:
            # A reader that was slow may find its release pruned: then the link has moved on, and so do we.
            before, folder = folder, _resolved(path)
            if folder != before:
                continue
            if isinstance(error, ArtifactCorrupt):
                raise
            raise ArtifactCorrupt(
                f"{folder}: {_name(error)} cannot be read: {error.strerror or error}; {_REPAIR}"
            ) from error


def read_manifest(path: Path, key: bytes | None = None) -> Manifest:
    """Return the manifest of a release, its digest and signature checked, and nothing else.

    Parameters
    ----------
    path
        The release's folder, or a link to it.
    key
        When given, the release must carry the signature of this key.

    Raises
    ------
    ReleaseNotFound, ArtifactCorrupt, IncompatibleArtifact
        As :func:`verify`.
    """
    folder = _resolved(path)
    try:
        return _verified_manifest(folder, set(os.listdir(folder)), key)  # noqa: PTH208 - names, not paths
    except OSError as error:
        raise ArtifactCorrupt(
            f"{folder}: {_name(error)} cannot be read: {error.strerror or error}; {_REPAIR}"
        ) from error


def _resolved(path: Path) -> Path:
    try:
        folder = path.resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise ReleaseNotFound(
            f"there is no release at {path}; `recsys train` publishes one, `recsys releases` lists them"
        ) from error
    if not folder.is_dir():
        raise ReleaseNotFound(f"{path} is a file; a release is a folder such as models/v1")
    return folder


def _verify(folder: Path, keep: Collection[str], key: bytes | None) -> VerifiedFiles:
    names = set(os.listdir(folder))  # noqa: PTH208 - names are compared, no paths are needed
    manifest = _verified_manifest(folder, names, key)
    expected = {*manifest.files, MANIFEST, DIGEST, *({SIGNATURE} & names)}
    if extra := names - expected:
        raise ArtifactCorrupt(
            f"{folder}: {_listed(extra)} was not published with this release; remove it, or {_REPAIR}"
        )
    if missing := expected - names:
        raise ArtifactCorrupt(f"{folder}: {_listed(missing)} is missing; {_REPAIR}")
    contents = {}
    for name, facts in manifest.files.items():
        data = _checked(folder / name, facts, wanted=name in keep)
        if data is not None:
            contents[name] = data
    if absent := set(keep) - set(contents):
        raise ArtifactCorrupt(f"{folder}: {_listed(absent)} is no part of this release, and is needed here; {_REPAIR}")
    return VerifiedFiles(folder, manifest, contents)


def _verified_manifest(folder: Path, names: set[str], key: bytes | None) -> Manifest:
    if MANIFEST not in names:
        raise ArtifactCorrupt(
            f"{folder} has no {MANIFEST}: it holds parts of a release or a damaged one;"
            " `recsys train` publishes a whole one"
        )
    data = _read(folder / MANIFEST)
    signature = _read(folder / SIGNATURE) if SIGNATURE in names else None
    if _read(folder / DIGEST) != digest_file(data, signature):
        raise ArtifactCorrupt(f"{folder}: {MANIFEST}, {DIGEST} or {SIGNATURE} is not what was published; {_REPAIR}")
    if key is not None:
        if signature is None:
            raise ArtifactCorrupt(f"{folder} is not signed, and {VARIABLE} is set: only signed releases are loaded")
        if not is_signed_by(data, signature, key):
            raise ArtifactCorrupt(f"{folder} is signed with another key than the one in {VARIABLE}")
    return Manifest.from_bytes(data)


def _read(path: Path) -> bytes:
    with _open(path) as file:
        if (size := os.fstat(file.fileno()).st_size) > _MANIFEST_LIMIT:
            raise ArtifactCorrupt(f"{path} has {size} bytes, no manifest is that large; {_REPAIR}")
        return file.read(_MANIFEST_LIMIT)


def _checked(path: Path, facts: FileFacts, *, wanted: bool) -> bytes | None:
    data, digest = b"", hashlib.sha256()
    with _open(path) as file:
        if (size := os.fstat(file.fileno()).st_size) != facts.size:
            raise ArtifactCorrupt(f"{path} has {size} bytes instead of {facts.size}; {_REPAIR}")
        if wanted:
            data = file.readall()
            digest.update(data)
        else:
            while piece := file.read(_CHUNK):
                digest.update(piece)
    if digest.hexdigest() != facts.sha256:
        raise ArtifactCorrupt(
            f"{path} is not what was published: SHA-256 {digest.hexdigest()[:12]}… instead of {facts.sha256[:12]}…;"
            f" {_REPAIR}"
        )
    return data if wanted else None


def _open(path: Path) -> io.FileIO:
    """Open a plain file without following a link: what lies outside the release is no part of it."""
    # Without O_NONBLOCK a named pipe would hang the loader.
    file = io.FileIO(path, opener=lambda name, flags: os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK))
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise ArtifactCorrupt(f"{path} is no plain file; {_REPAIR}")
    return file


def _name(error: OSError) -> str:
    return Path(str(error.filename)).name if error.filename else "a file"


def _listed(names: Collection[str]) -> str:
    shown = sorted(names)
    return ", ".join(shown[:5]) + (f" and {len(shown) - 5} more" if len(shown) > 5 else "")
