"""The order of publication: what releases say of themselves, never what a clock said or a file's time.

A release carries its number (``sequence``) and the name of the one that it replaced. Clocks step, and two
machines disagree by a year: no number does.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from recsys.errors import ArtifactCorrupt
from recsys.release.layout import MANIFEST
from recsys.release.seal import MANIFEST_LIMIT, open_plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from recsys.release.manifest import Manifest

_HIGHEST = 2**53
"""No number is higher: what claims to be is damaged."""


class Place(NamedTuple):
    """Where a release stands in the order of publication: an earlier one's place is lower.

    Attributes
    ----------
    number
        Its own number. Where its version did not count: that of the last in its line that has one; 0 without.
    time
        Empty for a release with a number. Else the latest time that it, and those in its line since that one,
        say they were published: it comes after what it replaced whatever the clock said. Times decide between
        lines alone, of which nothing else is known.
    steps
        Releases of its line since that one; 0 for a release with a number.
    """

    number: int
    time: str
    steps: int


def places(manifests: Iterable[Manifest]) -> dict[str, Place]:
    """Return the places of releases by name.

    Parameters
    ----------
    manifests
        The manifests of all releases that can be read.
    """
    known = {manifest.release: manifest for manifest in manifests}
    return {name: _place(_line(name, known), known) for name in known}


def next_sequence(manifests: Iterable[Manifest], claimed: Iterable[int] = ()) -> int:
    """Return the number of the next release: one more than the highest known.

    That is the current release's number and one, unless a rollback made an older one current: two releases
    never share a number. A release of a version that did not count has the number of its line: itself, its
    predecessor, that one's, and so on, as far as manifests are there; the last may be known by name alone.

    Parameters
    ----------
    manifests
        The manifests of all releases that can be read.
    claimed
        Numbers of releases whose manifests cannot be trusted; see :func:`claimed_sequence`.
    """
    known = {manifest.release: manifest for manifest in manifests}
    return 1 + max((*(_number(_line(name, known), known) for name in known), *claimed), default=0)


def claimed_sequence(folder: Path) -> int:
    """Return the number that a damaged release, or one signed with another key, claims; 0 where it says none.

    It is believed only so far that no other release gets it.
    """
    try:
        with open_plain(folder / MANIFEST) as file:
            number = json.loads(file.read(MANIFEST_LIMIT))["sequence"]
    except (OSError, ArtifactCorrupt, ValueError, TypeError, KeyError, RecursionError):
        return 0
    return number if type(number) is int and 0 < number < _HIGHEST else 0


def _line(name: str, known: Mapping[str, Manifest]) -> Sequence[str]:
    """Return a release, the one that it replaced, and so on, down to one with a number or an unknown one."""
    line: list[str] = []
    at: str | None = name
    while at is not None and at not in line:  # a line that comes back to itself ends there
        line.append(at)
        manifest = known.get(at)
        at = None if manifest is None or manifest.sequence is not None else manifest.replaces
    return line


def _number(line: Sequence[str], known: Mapping[str, Manifest]) -> int:
    last = known.get(line[-1])
    return len(line) if last is None or last.sequence is None else len(line) - 1 + last.sequence


def _place(line: Sequence[str], known: Mapping[str, Manifest]) -> Place:
    last = known.get(line[-1])
    number = None if last is None else last.sequence
    since = line if number is None else line[:-1]
    return Place(number or 0, max((known[name].created for name in since if name in known), default=""), len(since))
