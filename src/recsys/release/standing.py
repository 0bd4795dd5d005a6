"""What stands where a run would publish: looked at, and left as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from recsys.errors import ReleaseError
from recsys.release.durable import prove_writable
from recsys.release.lock import LOCK, refuse_held
from recsys.release.pointer import Pointer
from recsys.release.shelf import RELEASES
from recsys.release.verify import verify
from recsys.system.log import events, keys

if TYPE_CHECKING:
    from pathlib import Path

    from recsys.release.keys import PublicKeys
    from recsys.release.manifest import Provenance
    from recsys.release.store import ReleaseStore

log = events(__name__)


class Standing:
    """The current release, as a run finds it that may replace it.

    Parameters
    ----------
    current
        Its folder; None where there is none.
    keys
        Of which one must have signed the current release, where given.
    """

    def __init__(self, current: Path | None, keys: PublicKeys | None) -> None:
        self.current = current
        self.keys = keys

    @classmethod
    def of(cls, store: ReleaseStore) -> Self:
        """Look at a store; nothing is mended.

        Raises
        ------
        ReleaseNotFound, ArtifactCorrupt, IncompatibleArtifact
            If what stands at ``v1`` names no release.
        """
        current = Pointer(store.root).read()
        return cls(None if current is None else current.folder, store.keys.public)

    def would_repeat(self, content: Provenance, cf: Provenance) -> bool:
        """Say whether a run with these inputs would make the current release once more, and that is sound.

        What differs goes to the log.

        Parameters
        ----------
        content, cf
            Where the halves of the run would come from.
        """
        if self.current is None:
            return False
        try:
            manifest = verify(self.current, keys=self.keys).manifest
        except ReleaseError as error:
            log.warning("the current release is not sound", extra=keys(reason=error))
            return False
        if changed := manifest.changes(content, cf):
            log.info("new since the current release", extra=keys(inputs=", ".join(changed)))
        else:
            log.info("nothing new")
        return not changed


def prove_output(root: Path) -> int:
    """Go on where a run could write its release, and return the bytes that are free there.

    See :func:`recsys.release.durable.prove_writable`.
    """
    return min(prove_writable(folder) for folder in (root, root / RELEASES))


def refuse_publisher(root: Path) -> None:
    """Go on where no publisher is at work; see :func:`recsys.release.lock.refuse_held`."""
    refuse_held(root / LOCK)
