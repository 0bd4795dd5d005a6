"""Lists in long form: a row for each place of each list."""

from __future__ import annotations

from collections import Counter, deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from recsys.system import progress
from recsys.system.cores import usable_cores

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from concurrent.futures import Future

    import numpy.typing as npt

    from recsys.serving.lists import Batch

AT_ONCE = 256
"""Lists that a thread makes at once: their rough scores for 28,000 games are 29 MB; fewer make BLAS slower."""
_AHEAD = 2_000_000
"""Rows of finished lists that may wait for the writer, about; 40 MB."""
ROWS = 1 << 19
"""Rows of a batch, about."""


def in_order(
    work: Callable[[npt.NDArray[np.integer]], Batch], keys: npt.NDArray[np.integer], k: int, threads: int = 0
) -> Iterator[Batch]:
    """Yield what some work makes of all keys, part by part and in their order, a bounded way ahead of the consumer.

    Parameters
    ----------
    work
        From some keys to their lists; called in several threads.
    keys
        All of them.
    k
        Length of a list.
    threads
        0 means one for each core that this process may use.
    """
    from threadpoolctl import threadpool_limits

    threads = threads or usable_cores()
    ahead = max(2 * threads, _AHEAD // (AT_ONCE * k))
    waiting: deque[Future[Batch]] = deque()
    # Threads within threads would take turns on the same cores.
    with threadpool_limits(1), progress("making lists", len(keys)) as advance, ThreadPoolExecutor(threads) as pool:
        try:
            for start in range(0, len(keys), AT_ONCE):
                waiting.append(pool.submit(work, keys[start : start + AT_ONCE]))
                if len(waiting) >= ahead:
                    yield _told(waiting.popleft(), advance)
            while waiting:
                yield _told(waiting.popleft(), advance)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _told(future: Future[Batch], advance: Callable[[int], None]) -> Batch:
    batch = future.result()
    advance(len(batch.by))
    return batch


class Lists:
    """The rows of lists.

    Parameters
    ----------
    what
        ``recommendations`` or ``similar``.
    asked
        Ids of the users or games that the lists are for, in their order.
    games
        Ids of the catalogue.
    origin
        Columns that are the same in all rows.
    why
        Whether a column names the game that speaks most for each.

    Attributes
    ----------
    schema
        The columns.
    ranked_by
        How many of the lists that have come were ranked by what.
    short
        How many of them have fewer games than asked.
    """

    def __init__(
        self, what: str, asked: pa.Array, games: pa.Array, origin: Mapping[str, pa.Scalar], *, why: bool
    ) -> None:
        self._asked, self._games, self._origin, self._why = asked, games, origin, why
        self.ranked_by: Counter[str] = Counter()
        self.short = 0
        key, game = ("GAME_ID", "SIMILAR_GAME_ID") if what == "similar" else ("USER_ID", "GAME_ID")
        reason = [("BECAUSE", games.type)] if why else []
        same = [(name, scalar.type) for name, scalar in origin.items()]
        columns = [(key, asked.type), ("RANK", pa.int32()), (game, games.type), ("SCORE", pa.float32())]
        self.schema = pa.schema([*columns, *reason, ("RANKED_BY", pa.string()), *same])

    def batches(self, answers: Iterator[Batch]) -> Iterator[pa.RecordBatch]:
        """Yield the rows of lists that come in the order of those that they are for."""
        held: list[Batch] = []
        rows = done = 0
        for answer in answers:
            held.append(answer)
            rows += answer.rows.size
            if rows >= ROWS:
                yield self._rows(held, done)
                done += sum(len(batch.by) for batch in held)
                held, rows = [], 0
        if held:
            yield self._rows(held, done)

    def _rows(self, held: list[Batch], first: int) -> pa.RecordBatch:
        rows = np.concatenate([batch.rows for batch in held])
        by = [each for batch in held for each in batch.by]
        self.ranked_by.update(by)
        listed = rows >= 0
        counts = listed.sum(axis=1)
        self.short += int(np.count_nonzero(counts < rows.shape[1]))
        whose = np.repeat(np.arange(len(rows)), counts)
        rank = np.broadcast_to(np.arange(1, rows.shape[1] + 1, dtype=np.int32), rows.shape)[listed]
        scores = np.concatenate([batch.scores for batch in held])[listed]
        columns = [
            self._asked.take(pa.array(first + whose)),
            pa.array(rank),
            self._named(rows[listed]),
            pa.array(scores),
        ]
        if self._why:
            columns.append(self._named(np.concatenate([batch.because for batch in held])[listed]))
        columns.append(pa.array(by, pa.string()).take(pa.array(whose)))
        same = [pa.repeat(scalar, len(whose)) for scalar in self._origin.values()]
        return pa.RecordBatch.from_arrays([*columns, *same], schema=self.schema)

    def _named(self, rows: npt.NDArray[np.int32]) -> pa.Array:
        """Return the ids of games at some rows of the catalogue; null at -1."""
        return self._games.take(pa.array(rows, mask=rows < 0))
