"""Numbers of releases in the order of their publication."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from recsys.release.manifest import Manifest


def next_sequence(manifests: Iterable[Manifest]) -> int:
    """Return the number of the next release: one more than the highest known.

    That is the current release's number and one, unless a rollback made an older one current: two releases
    never share a number. A release of a version that did not count has the number of its line: itself, its
    predecessor, that one's, and so on, as far as manifests are there; the last may be known by name alone.

    Parameters
    ----------
    manifests
        The manifests of all releases that can be read.
    """
    known = {manifest.release: manifest for manifest in manifests}
    return 1 + max((_number(name, known) for name in known), default=0)


def _number(name: str, known: Mapping[str, Manifest]) -> int:
    line: set[str] = set()
    at: str | None = name
    while at is not None and at not in line:  # a line that comes back to itself ends there
        manifest = known.get(at)
        if manifest is not None and manifest.sequence is not None:
            return len(line) + manifest.sequence
        line.add(at)
        at = None if manifest is None else manifest.replaces
    return len(line)
