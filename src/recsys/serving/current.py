"""The release that answers now, and how the next one takes its place."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from recsys.errors import ArtifactCorrupt, ReleaseNotFound
from recsys.release.loading import load_release
from recsys.release.path import follow
from recsys.release.switches import hours_since
from recsys.serving.snapshot import Snapshot

if TYPE_CHECKING:
    from recsys.release.keys import PublicKeys
    from recsys.release.place import Place


class Current:
    """Holds one loaded release, and moves to the next.

    Parameters
    ----------
    place
        Where the release is.
    keys, eager, wait, apart
        The arguments of :func:`recsys.serving.recommender.load`.
    """

    def __init__(self, place: Place, keys: PublicKeys | None, *, eager: bool, wait: bool, apart: bool) -> None:
        self.place = place
        self.path = place.path
        self._keys = keys
        self._eager = eager
        self._apart = apart and os.name == "posix"
        self._loading = threading.Lock()
        if not wait:
            place.refresh()
        self._loaded = None if wait else self._load(None)

    @property
    def is_loaded(self) -> bool:
        """Whether a release answers."""
        return self._loaded is not None

    @property
    def signed_hours_ago(self) -> float | None:
        """Hours since the switch to the release that answers was signed; None where no key is asked for."""
        if self._loaded is None or not self.place.asks_for_a_key:
            return None
        if self.place.switch is not None:
            return self.place.switch.age_hours
        return hours_since(self._loaded.manifest.created)  # a release from before switches were signed

    @property
    def snapshot(self) -> Snapshot:
        """The release that answers now.

        Raises
        ------
        ReleaseNotFound
            If none has been loaded yet.
        """
        if self._loaded is None:
            raise ReleaseNotFound(f"no sound release has been loaded from {self.path} yet; ask again later")
        return self._loaded

    def refresh(self) -> None:
        """Look at what is published now, and load nothing: of an object store it is copied.

        Raises
        ------
        ReleaseNotFound, ArtifactCorrupt, IncompatibleArtifact
            If it cannot be used.
        StoreError
            If the store cannot be asked, and nothing was ever copied from it.
        """
        self.place.refresh()
        loaded = self._loaded
        if loaded is not None and follow(self.path) == loaded.path:
            self.place.vouch(loaded.name, loaded.path)

    def reload(self) -> bool:
        """Move to the release that the path leads to now, and say whether it is another one."""
        with self._loading:
            before = self._loaded
            self.place.refresh()
            if before is not None and follow(self.path) == before.path:
                return False
            fresh = self._load(before)
            self._loaded = fresh
            return before is None or fresh.name != before.name

    def _load(self, before: Snapshot | None) -> Snapshot:
        try:
            snapshot = self._read(before)
        except ArtifactCorrupt:
            if not self.place.copy_again():
                raise
            snapshot = self._read(before)
        self.place.vouch(snapshot.name, snapshot.path)
        return snapshot

    def _read(self, before: Snapshot | None) -> Snapshot:
        if self._apart and before is not None:
            from recsys.serving.apart import snapshot_apart

            return snapshot_apart(self.path, self._keys, before, eager=self._eager)
        snapshot = Snapshot(load_release(self.path, keys=self._keys), before)
        if self._eager:
            snapshot.prepare()
        return snapshot
