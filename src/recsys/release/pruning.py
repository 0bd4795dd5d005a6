"""Pruning: which releases a store lets go of after a publish."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from recsys.release.entries import Entry


def superfluous(entries: Sequence[Entry], keep: int) -> list[Entry]:
    """Return the releases to remove, oldest first.

    The current one stays, and the one that it replaced: people go back to that one. Of the others the newest
    stay, as many as ``keep`` leaves room for. What cannot be read is left to people: a fault of the disk must
    not choose what goes.

    Parameters
    ----------
    entries
        All releases in the order of publication, the current one marked.
    keep
        How many stay, the current one and its predecessor among them; with 1 its predecessor stays beside it.
    """
    readable = [entry for entry in entries if entry.manifest]
    needed = {entry.manifest.replaces for entry in readable if entry.current and entry.manifest}
    others = [entry for entry in readable if not entry.current and entry.name not in needed]
    room = max(0, keep - (len(readable) - len(others)))
    return others[: max(0, len(others) - room)]
