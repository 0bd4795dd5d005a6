"""Verification: every size and checksum of a release, before a byte of it is parsed.

Each file is opened once and hashed in pieces; one that is asked for is mapped from the very file that was hashed. A
release is never rewritten in place: what replaces or prunes it leaves the files that somebody has mapped as they are.
"""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from recsys.errors import ArtifactCorrupt
from recsys.release.layout import DIGEST, HMAC, MANIFEST, OPTIONAL_FILES, SIGNATURE
from recsys.release.mapped import mapped_from
from recsys.release.path import follow
from recsys.release.seal import REPAIR, open_plain, read_seal, unreadable
from recsys.system.cores import usable_cores

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from pathlib import Path

    from recsys.release.keys import PublicKeys
    from recsys.release.manifest import FileFacts, Manifest

Read = TypeVar("Read")

_CHUNK = 1 << 20
_WITHOUT_HMAC = (3, 2)
"""Since this format no release has one."""
_THREADS = 4
"""Files of a large release that are hashed at once at most."""
_LARGE = 64 << 20
"""Bytes of a release whose hashing is worth a thread."""


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
        The content of the files that were asked for, by name: mapped from the disk, for reading.
    """

    path: Path
    manifest: Manifest
    contents: Mapping[str, memoryview]


def verify(path: Path, *, keep: Collection[str] = (), keys: PublicKeys | None = None) -> VerifiedFiles:
    """Check every file of a release.

    Parameters
    ----------
    path
        The release's folder, or a link to it: it is resolved once, and everything is opened below
        the folder that it pointed to.
    keep
        Names of the files whose content is returned; those that a release may lack, if it has them.
    keys
        When given, one of them must have signed every file of the release.

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
    return _read_at(path, lambda folder: _verify(folder, keep, keys))


def read_manifest(path: Path, keys: PublicKeys | None = None) -> Manifest:
    """Return the manifest of a release, its digest and signature checked, and nothing else.

    Parameters
    ----------
    path
        The release's folder, or a link to it.
    keys
        When given, one of them must have signed every file of the release.

    Raises
    ------
    ReleaseNotFound, ArtifactCorrupt, IncompatibleArtifact
        As :func:`verify`.
    """
    return _read_at(path, lambda folder: read_seal(folder, keys))


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


def _verify(folder: Path, keep: Collection[str], keys: PublicKeys | None) -> VerifiedFiles:
    names = set(os.listdir(folder))
    manifest = read_seal(folder, keys, names)
    expected = {*manifest.files, MANIFEST, DIGEST, *(_besides(manifest) & names)}
    if extra := names - expected:
        raise ArtifactCorrupt(f"{folder}: {_listed(extra)} was not published with this release; remove it, or {REPAIR}")
    if missing := expected - names:
        raise ArtifactCorrupt(f"{folder}: {_listed(missing)} is missing; {REPAIR}")
    checked = _checked_all(folder, manifest.files, keep)
    contents = {name: data for name, data in checked.items() if data is not None}
    if absent := set(keep) - set(contents) - OPTIONAL_FILES:
        raise ArtifactCorrupt(f"{folder}: {_listed(absent)} is no part of this release, and is needed here; {REPAIR}")
    return VerifiedFiles(folder, manifest, contents)


def _besides(manifest: Manifest) -> set[str]:
    """Return the files that a release of its format may have though its manifest names them not."""
    return {SIGNATURE} if (manifest.format, manifest.minor) >= _WITHOUT_HMAC else {SIGNATURE, HMAC}


def _checked_all(folder: Path, files: Mapping[str, FileFacts], keep: Collection[str]) -> dict[str, memoryview | None]:
    def check(name: str) -> memoryview | None:
        return _checked(folder / name, files[name], keep=name in keep)

    if sum(facts.size for facts in files.values()) < _LARGE:
        return {name: check(name) for name in files}
    largest_first = sorted(files, key=lambda name: -files[name].size)
    with ThreadPoolExecutor(min(usable_cores(), _THREADS), thread_name_prefix="hashing") as threads:
        checked = dict(zip(largest_first, threads.map(check, largest_first), strict=True))
    return {name: checked[name] for name in files}


def _checked(path: Path, facts: FileFacts, *, keep: bool) -> memoryview | None:
    digest = hashlib.sha256()
    with open_plain(path) as file:
        if (size := os.fstat(file.fileno()).st_size) != facts.size:
            raise ArtifactCorrupt(f"{path} has {size} bytes instead of {facts.size}; {REPAIR}")
        while piece := file.read(_CHUNK):  # not through the map: a disk that fails is an error here, and no signal
            digest.update(piece)
        if digest.hexdigest() != facts.sha256:
            raise ArtifactCorrupt(
                f"{path} is not what was published: SHA-256 {digest.hexdigest()[:12]}… instead of"
                f" {facts.sha256[:12]}…; {REPAIR}"
            )
        return mapped_from(file, path) if keep else None


def _listed(names: Collection[str]) -> str:
    shown = sorted(names)
    return ", ".join(shown[:5]) + (f" and {len(shown) - 5} more" if len(shown) > 5 else "")
