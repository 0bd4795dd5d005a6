"""The content side of a release: cosines of text embeddings, exactly, and faster than a full scan."""

from __future__ import annotations

import threading
import time
import weakref
from functools import cached_property, partial
from typing import TYPE_CHECKING

import numpy as np

from recsys.errors import ArtifactCorrupt
from recsys.ranking.moments import Moments
from recsys.ranking.scorer import scores_for
from recsys.ranking.top import one_faiss_thread
from recsys.serving.lift import lifted

if TYPE_CHECKING:
    import faiss
    import numpy.typing as npt

    from recsys.ranking.scorer import Ranked, Ranking
    from recsys.serving.lift import Lift

    Floats = npt.NDArray[np.float32]

HALF = 2.0**-10
"""How far an inner product with a half-precision vector may be off, times both lengths: 2^-11 a component, doubled
for sums."""
_MARGIN = 32
DEPTH = 64
"""Neighbours kept of each game."""
_BLOCK = 64
_AT_ONCE = 2048
"""Vectors summed at once, 6 MiB of products."""
_NONE = np.zeros(0, dtype=np.float32)
_LONGEST_REST_S = 1.0


class HalfPrecision:
    """A copy of some vectors in half precision, for a quick scan by inner product.

    Parameters
    ----------
    vectors
        float32, (n, dimension).
    """

    def __init__(self, vectors: npt.NDArray[np.float32]) -> None:
        import faiss

        dimension = vectors.shape[1]
        self._half = faiss.IndexScalarQuantizer(dimension, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
        self._half.train(vectors)
        self._half.add(vectors)

    def scan(
        self, query: npt.NDArray[np.float32], k: int, allowed: npt.NDArray[np.bool_] | None
    ) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float32]]:
        """Return the rows of the ``k`` largest inner products, and these, roughly; largest first."""
        import faiss

        parameters = None
        if allowed is not None:
            # FAISS' stubs describe the C++ signatures; its Python wrapper takes an array.
            selector = faiss.IDSelectorBitmap(np.packbits(allowed, bitorder="little"))  # type: ignore[call-arg, arg-type]
            parameters = faiss.SearchParameters(sel=selector)  # type: ignore[call-arg]
        with one_faiss_thread():
            rough, rows = self._half.search(query[None, :], k, params=parameters)
        filled = rows[0] >= 0
        return rows[0][filled].astype(np.intp), rough[0][filled]


class ContentSpace:
    """Ranks all games by the cosine of their texts: unit vectors, and who is nearest.

    A query scans a half-precision copy, which moves half the bytes, and re-ranks the best by the
    exact vectors. What half precision may have cost is bounded; where the bound does not prove the
    list right, more games are re-ranked.

    Parameters
    ----------
    index
        ``faiss.IndexFlatL2`` with the vectors of the games; it stays untouched.

    Attributes
    ----------
    vectors
        float32, (games, dimension), unit rows; a read-only view into the index.
    """

    def __init__(self, index: faiss.IndexFlatL2) -> None:
        import faiss

        self._flat: faiss.IndexFlatL2 | None = index  # owns the memory that `vectors` shows
        count = index.ntotal * index.d
        view = faiss.rev_swig_ptr(index.get_xb(), count) if count else np.zeros(0, dtype=np.float32)
        self.vectors: npt.NDArray[np.float32] = view.reshape(index.ntotal, index.d)
        self.vectors.flags.writeable = False
        self._begin_empty()
        if index.ntotal and not np.abs(np.einsum("ij,ij->i", self.vectors, self.vectors) - 1).max() < 1e-2:
            raise ArtifactCorrupt("the content index holds vectors that are not of length 1; train again")

    def __getstate__(self) -> dict[str, object]:
        """Return the vectors and what was built from them, for another process; it makes the rest."""
        return {name: value for name, value in vars(self).items() if name in {"vectors", "moments"}}

    def __setstate__(self, state: dict[str, object]) -> None:
        vars(self).update(state)
        self._flat = None
        self._begin_empty()

    def _begin_empty(self) -> None:
        """Make what no other process can hand over, and a table that is still to be filled."""
        self._half = HalfPrecision(self.vectors)
        self._table = np.zeros((0, 0), dtype=np.int32)
        self._table_cosines = np.zeros((0, 0), dtype=np.float32)
        self._ready = 0
        self._begun = False
        self._beginning = threading.Lock()

    def cosines(self, query: npt.NDArray[np.float32], rows: npt.NDArray[np.intp]) -> npt.NDArray[np.float32]:
        """Return the cosines of a unit vector with the games at ``rows``; float32, in [-1, 1]."""
        sums = [
            scores_for(query, self.vectors[rows[start : start + _AT_ONCE]]) for start in range(0, len(rows), _AT_ONCE)
        ]
        cosines: npt.NDArray[np.float32] = np.clip(sums[0] if len(sums) == 1 else np.concatenate([_NONE, *sums]), -1, 1)
        return cosines

    def neighbours(self, row: int, k: int) -> Ranked:
        """Return the ``k`` games nearest to the game at ``row``, without it; from the table where that is ready."""
        if row < self._ready and k <= self._table.shape[1]:
            return self._table[row, :k].astype(np.intp), self._table_cosines[row, :k]
        allowed = np.ones(len(self.vectors), dtype=bool)
        allowed[row] = False
        return self.nearest(self.vectors[row], k, allowed)

    def ranking(self, query: Floats, allowed: npt.NDArray[np.bool_], lift: Lift | None = None) -> Ranking:
        """Return the ranking by the cosine with a unit vector.

        Parameters
        ----------
        query
            float32, (dimension,), of length 1.
        allowed
            bool, (games,): games that may be returned.
        lift
            What is added to cosines; None for nothing.
        """
        if lift is None:
            return lambda k: self.nearest(query, k, allowed)
        return lifted(lambda some: self.ranking(query, some), partial(self.cosines, query), allowed, lift)

    def profile(self, rows: npt.NDArray[np.intp]) -> Floats | None:
        """Return the unit mean of some games' vectors; None without games, or where they cancel out."""
        if not len(rows):
            return None
        mean = self.vectors[rows].mean(axis=0)
        length = float(np.linalg.norm(mean))
        unit: Floats = (mean / max(length, 1e-6)).astype(np.float32)
        return unit if length > 1e-6 else None

    @cached_property
    def moments(self) -> Moments:
        """Mean and deviation of the cosines of all games with a unit vector."""
        return Moments(self.vectors)

    def prepare(self) -> None:
        """Build what the first blend would build."""
        _ = self.moments

    def begin(self) -> None:
        """Fill the table of neighbours in a thread, if nobody has begun to."""
        with self._beginning:
            if self._begun:
                return
            self._begun = True
        # It holds no reference while it rests, and ends when the space is forgotten.
        threading.Thread(target=_fill, args=(weakref.ref(self),), name="neighbours", daemon=True).start()

    def fill(self) -> bool:
        """Fill the next rows of the table; return whether any are left."""
        start, stop = self._ready, min(self._ready + _BLOCK, len(self.vectors))
        depth = min(DEPTH, len(self.vectors) - 1)
        if start == 0:
            shape = len(self.vectors), max(depth, 0)
            self._table, self._table_cosines = np.zeros(shape, dtype=np.int32), np.zeros(shape, dtype=np.float32)
        if depth > 0:
            cosines = self.vectors[start:stop] @ self.vectors.T
            cosines[np.arange(stop - start), np.arange(start, stop)] = -2  # no game is its own neighbour
            # A few more than are kept: the product rounds otherwise than `cosines` does.
            reach = min(depth + _MARGIN, len(self.vectors) - 1)
            candidates = np.argpartition(cosines, -reach, axis=1)[:, -reach:]
            for row, rows in zip(range(start, stop), candidates, strict=True):
                exact = self.cosines(self.vectors[row], rows)
                order = np.lexsort((rows, -exact))[:depth]
                self._table[row], self._table_cosines[row] = rows[order], exact[order]
        self._ready = stop  # last: what is below it may be read
        return stop < len(self.vectors)

    def nearest(self, query: npt.NDArray[np.float32], k: int, allowed: npt.NDArray[np.bool_] | None = None) -> Ranked:
        """Return the ``k`` games nearest to a unit vector, nearest first; ties go to the lower row.

        Parameters
        ----------
        query
            float32, (dimension,), of length 1.
        k
            Fewer come back where fewer are allowed.
        allowed
            bool, (games,): games that may be returned; all when not given.

        Returns
        -------
        rows, cosines
        """
        available = len(self.vectors) if allowed is None else int(allowed.sum())
        k = max(0, min(k, available))
        reach = min(k + max(_MARGIN, k // 4), available)
        while k:
            rows, rough = self._half.scan(query, reach, allowed)
            exact = self.cosines(query, rows)
            order = np.lexsort((rows, -exact))[:k]
            # What was not re-ranked is at most `rough[-1]` roughly, and so at most that much exactly.
            if reach == available or exact[order[-1]] >= rough[-1] + HALF:
                return rows[order], exact[order]
            reach = min(4 * reach, available)
        return np.zeros(0, dtype=np.intp), np.zeros(0, dtype=np.float32)


def _fill(reference: weakref.ref[ContentSpace]) -> None:
    """Fill the table block by block, and rest as long as each took: questions go first.

    The thread has the priority of all others. With a low one, on busy cores, it would be kept waiting while it holds
    Python's lock, and every question with it.
    """
    import faiss

    faiss.omp_set_num_threads(1)
    began = time.perf_counter()
    while (space := reference()) is not None and space.fill():
        del space
        time.sleep(min(time.perf_counter() - began, _LONGEST_REST_S))
        began = time.perf_counter()
