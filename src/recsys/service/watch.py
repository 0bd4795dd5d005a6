"""The watch on the current release: a new one is served, a broken one is reported."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from recsys.errors import RecsysError
from recsys.release.path import follow
from recsys.system.log import events, keys

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from recsys.serving import Recommender

log = events(__name__)


class Watch:
    """Moves a recommender on when its path leads to another release.

    Parameters
    ----------
    recommender
        Keeps answering from the release it has while the next one loads, and where the next one is
        not sound.
    every
        Seconds between two looks at the link.
    retry_after
        Seconds until a release that could not be loaded is tried again.
    clock
        Returns monotonic seconds.
    """

    def __init__(
        self,
        recommender: Recommender,
        every: float = 1.0,
        retry_after: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._recommender = recommender
        self._every = every
        self._retry_after = retry_after
        self._clock = clock
        self._failed: Path | None = None
        self._failed_at = 0.0
        self._refused: float | None = None
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self.problem: str | None = None
        """Why the release that is current is not the one that answers; None where it is."""
        self.looked: Callable[[], object] = lambda: None
        """Called after each look of the thread."""

    def start(self) -> None:
        """Look at the link from now on, in a thread; also after a :meth:`stop`."""
        self._stopped.clear()
        self._thread = threading.Thread(target=self._watch, name="release watch", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread; a load that is under way is waited for."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()

    def look(self) -> bool:
        """Look once; return whether another release answers than before."""
        target = self._recommender.path
        if self._refused is not None and self._clock() - self._refused < self._retry_after:
            return False
        self._refused = None
        try:
            self._recommender.current.refresh()
            target = follow(target)
        except (OSError, RecsysError) as error:  # a link that leads to itself, a folder that is gone
            if self._recommender.current.place.copies:
                self._refused = self._clock()  # it would be copied anew at each look
            self._tell(target, error)
            return False
        if self._recommender.is_loaded and target == self._recommender.snapshot.path:
            self._failed, self.problem = None, self._recommender.current.place.problem or None
            return False
        if target == self._failed and self._clock() - self._failed_at < self._retry_after:
            return False
        first = not self._recommender.is_loaded
        try:
            moved = self._recommender.reload()
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a new release, the old one goes on
            self._tell(target, error)
            return False
        self._failed = self.problem = None
        if moved:
            log.info(
                "serving a release" if first else "serving another release",
                extra=keys(release=self._recommender.release),
            )
        return moved

    def _tell(self, target: Path, error: Exception) -> None:
        cause = str(error) if isinstance(error, RecsysError) else f"{type(error).__name__}: {error}"
        self.problem = f"{target.name} is current and cannot be served: {cause}"
        if target != self._failed and self._recommender.is_loaded:
            log.error(
                "a release cannot be served; the one before goes on",
                extra=keys(release=target.name, serving=self._recommender.release, cause=cause),
            )
        elif target != self._failed:
            log.error("nothing can be served yet; waiting for a sound release", extra=keys(cause=cause))
        self._failed, self._failed_at = target, self._clock()

    def _watch(self) -> None:
        if not self._recommender.is_loaded:
            self._look_on()
        while not self._stopped.wait(self._every):
            self._look_on()

    def _look_on(self) -> None:
        self.look()
        self.looked()
