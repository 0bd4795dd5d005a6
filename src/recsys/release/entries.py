"""The releases of a store, as a list shows them: in the order of publication, each with its manifest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from recsys.errors import ArtifactWriteError, ReleaseError, ReleaseNotFound
from recsys.release.pointer import Current, Form
from recsys.release.sequence import claimed_sequence, next_sequence, places
from recsys.release.verify import read_manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from recsys.release.keys import PublicKeys
    from recsys.release.manifest import Manifest


@dataclass(frozen=True)
class Entry:
    """One release of a store, as a list shows it.

    Attributes
    ----------
    name
        The run id.
    path
        Its folder.
    current
        Whether ``v1`` points to it.
    manifest
        What it says about itself; None where that cannot be read.
    problem
        Why the manifest cannot be read; empty where it can.
    """

    name: str
    path: Path
    current: bool
    manifest: Manifest | None
    problem: str = ""


def read_entries(folders: Mapping[Path, str], current: Current | None, keys: PublicKeys | None = None) -> list[Entry]:
    """Return all releases in the order of publication; before them those whose place cannot be read, by name.

    Parameters
    ----------
    folders
        Their names by folder.
    current
        The current release, which may be elsewhere; None marks none.
    keys
        When given, one of them must have signed each release.
    """
    entries = [_entry(name, path, current, keys) for path, name in folders.items()]
    place = places(entry.manifest for entry in entries if entry.manifest)
    broken = [entry for entry in entries if entry.manifest is None]
    sound = [(place[entry.manifest.release], entry.name, entry) for entry in entries if entry.manifest]
    return [
        *sorted(broken, key=lambda entry: entry.name),
        *(entry for _, _, entry in sorted(sound, key=lambda each: each[:2])),
    ]


def next_number(entries: Callable[[], Sequence[Entry]]) -> int:
    """Return the number of the release that follows; see :func:`recsys.release.sequence.next_sequence`.

    Raises
    ------
    ArtifactWriteError
        If the releases cannot be listed: the number is not guessed.
    """
    try:
        listed = entries()
    except ReleaseNotFound as error:
        raise ArtifactWriteError(f"the new release cannot be numbered: {error}; mend the cause") from error
    claimed = [claimed_sequence(entry.path) for entry in listed if entry.manifest is None]
    return next_sequence((entry.manifest for entry in listed if entry.manifest), claimed)


def _entry(name: str, path: Path, current: Current | None, keys: PublicKeys | None) -> Entry:
    is_current = current is not None and (path == current.folder or (current.form, current.name) == (Form.copy, name))
    try:
        return Entry(name, path, is_current, read_manifest(path, keys))
    except ReleaseError as error:
        return Entry(name, path, is_current, None, str(error))
