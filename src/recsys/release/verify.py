"""Verification: every size and checksum of a release, before a byte of it is parsed.

Each file is read once; the bytes that were hashed are the bytes that are returned, so nothing can
change between the check and the parsing. What is not asked for is hashed in pieces and forgotten.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from recsys.errors import ArtifactCorrupt
from recsys.release.layout import DIGEST, MANIFEST, OPTIONAL_FILES, SIGNATURE
from recsys.release.path import follow
from recsys.release.seal import REPAIR, open_plain, read_seal, unreadable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from pathlib import Path

    from recsys.release.manifest import FileFacts, Manifest

Read = TypeVar("Read")

_CHUNK = 1 << 20


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
        Names of the files whose bytes are kept in memory and returned; those that a release may lack, if it has them.
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
    return _read_at(path, lambda folder: _verify(folder, keep, key))


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
    return _read_at(path, lambda folder: read_seal(folder, key))


def _read_at(path: Path, read: Callable[[Path], Read]) -> Read:
    folder = follow(path)
    while True:
        try:
            return read(folder)
        except (OSError, ArtifactCorrupt) as error:
            # A reader that was slow may find its release pruned or moved: then the link has moved on, and so do we.
            before, folder = folder, follow(path)
            if folder != before:
                continue
            if isinstance(error, ArtifactCorrupt):
                raise
            raise unreadable(folder, error) from error


def _verify(folder: Path, keep: Collection[str], key: bytes | None) -> VerifiedFiles:
    names = set(os.listdir(folder))
    manifest = read_seal(folder, key, names)
    expected = {*manifest.files, MANIFEST, DIGEST, *({SIGNATURE} & names)}
    if extra := names - expected:
        raise ArtifactCorrupt(f"{folder}: {_listed(extra)} was not published with this release; remove it, or {REPAIR}")
    if missing := expected - names:
        raise ArtifactCorrupt(f"{folder}: {_listed(missing)} is missing; {REPAIR}")
    contents = {}
    for name, facts in manifest.files.items():
        data = _checked(folder / name, facts, keep=name in keep)
        if data is not None:
            contents[name] = data
    if absent := set(keep) - set(contents) - OPTIONAL_FILES:
        raise ArtifactCorrupt(f"{folder}: {_listed(absent)} is no part of this release, and is needed here; {REPAIR}")
    return VerifiedFiles(folder, manifest, contents)


def _checked(path: Path, facts: FileFacts, *, keep: bool) -> bytes | None:
    data, digest = b"", hashlib.sha256()
    with open_plain(path) as file:
        if (size := os.fstat(file.fileno()).st_size) != facts.size:
            raise ArtifactCorrupt(f"{path} has {size} bytes instead of {facts.size}; {REPAIR}")
        if keep:
            data = file.readall()
            digest.update(data)
        else:
            while piece := file.read(_CHUNK):
                digest.update(piece)
    if digest.hexdigest() != facts.sha256:
        raise ArtifactCorrupt(
            f"{path} is not what was published: SHA-256 {digest.hexdigest()[:12]}… instead of {facts.sha256[:12]}…;"
            f" {REPAIR}"
        )
    return data if keep else None


def _listed(names: Collection[str]) -> str:
    shown = sorted(names)
    return ", ".join(shown[:5]) + (f" and {len(shown) - 5} more" if len(shown) > 5 else "")
