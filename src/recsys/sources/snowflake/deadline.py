"""One budget of waiting, and threads that nobody has to wait for.

The connector's own timeouts do not bound a run: a chunk download that hangs has been seen to last
386 seconds with every one of them set. So everything that may hang runs in a daemon thread, and
the caller waits for its result only as long as the budget lasts. Neither an exception here nor
the end of the interpreter joins such a thread.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from recsys.errors import DeadlineExceeded
from recsys.system import events, keys

if TYPE_CHECKING:
    from collections.abc import Callable

log = events(__name__)

T = TypeVar("T")


class Deadline:
    """Seconds that may be spent waiting, all calls together.

    Only waiting counts: what the caller does between two calls is its own time.

    Parameters
    ----------
    seconds
        The budget.
    clock
        Monotonic seconds.
    notice_s
        A wait that lasts is logged this often.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic, *, notice_s: float = 30.0) -> None:
        self._notice_s = notice_s
        self.seconds = seconds
        self._left = seconds
        self._clock = clock

    @property
    def left(self) -> float:
        """Seconds that are left, never less than 0."""
        return max(self._left, 0.0)

    def wait(self, future: Future[T], doing: str, limit: float | None = None) -> T:
        """Return the future's result, or raise its exception.

        Parameters
        ----------
        future
            The future of work that runs in the background.
        doing
            What is waited for, as it reads in "gave no answer while …".
        limit
            Seconds after which this wait ends, if the budget lasts that long.

        Raises
        ------
        DeadlineExceeded
            When the budget or the limit is spent and the work is not done.
        """
        allowed = self.left if limit is None else min(limit, self.left)
        start = self._clock()
        try:
            while (rest := allowed - (self._clock() - start)) > 0:
                try:
                    return future.result(timeout=min(self._notice_s, rest))
                except FutureTimeout:
                    if future.done():  # by now, or with a TimeoutError of its own, which is the same class
                        return future.result()
                if rest > self._notice_s:
                    log.info("still waiting for Snowflake", extra=keys(doing=doing, seconds=self._clock() - start))
            raise self._exceeded(doing, allowed, limit)
        finally:
            self._left -= self._clock() - start

    def _exceeded(self, doing: str, allowed: float, limit: float | None) -> DeadlineExceeded:
        bound, setting = (limit, "login_timeout_s") if limit == allowed else (self.seconds, "deadline_s")
        return DeadlineExceeded(
            f"Snowflake gave no answer while {doing}: after {allowed:.3g} s the {bound:g} s of snowflake.{setting} "
            "are spent. Run again; if the service is only slow, raise that setting"
        )


class Prefetch(Generic[T]):
    """Loads items in the background, a few ahead of the consumer, and hands them out in order.

    Parameters
    ----------
    load
        Turns an item into a result; called in daemon threads.
    items
        In the order in which they are asked for.
    threads
        Loads at the same time; never more than twice as many results wait for the consumer.
    """

    def __init__(self, load: Callable[[Any], T], items: list[Any], threads: int = 4) -> None:
        self.futures: list[Future[T]] = [Future() for _ in items]
        self._load = load
        self._todo = list(enumerate(items))[::-1]
        self._lock = threading.Lock()
        self._window = threading.Semaphore(2 * threads)
        self._stopped = False
        for number in range(min(threads, len(items))):
            threading.Thread(target=self._work, name=f"snowflake: chunks {number}", daemon=True).start()

    def delivered(self, number: int) -> None:
        """Note that the consumer has taken result ``number``: forget it, and load another one."""
        self.futures[number] = Future()
        self._window.release()

    def stop(self) -> None:
        """Load nothing more."""
        self._stopped = True
        self._window.release(len(self.futures) + 1)

    def _work(self) -> None:
        while True:
            self._window.acquire()
            with self._lock:
                if self._stopped or not self._todo:
                    return
                number, item = self._todo.pop()
            future = self.futures[number]
            try:
                future.set_result(self._load(item))
            except BaseException as error:  # noqa: BLE001 - handed to the consumer
                future.set_exception(error)
                return
