"""What stands where a run would publish: looked at, and left as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from recsys.errors import ReleaseError
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
        current = store.storage.current()
        return cls(None if current is None else store.storage.get(current), store.keys.public)

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
