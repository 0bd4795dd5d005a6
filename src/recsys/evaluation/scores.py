"""Scoring contenders on the same users in the same pass."""

from __future__ import annotations

import math
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from recsys.errors import QualityGateFailed
from recsys.evaluation.result import ContenderScores, Evaluation
from recsys.marts import column_counts
from recsys.ranking import metrics
from recsys.ranking.top import BLOCK_CELLS, best_columns, blocks, entries, hits
from recsys.system.cores import usable_cores
from recsys.system.log import events, keys
from recsys.system.pulse import progress

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from recsys.config import EvaluationSettings
    from recsys.evaluation.contenders import Contender
    from recsys.evaluation.holdout import Split

log = events(__name__)

_CELLS = 1 << 21
"""Scores of users × games that a thread has at once."""


def evaluate(
    contenders: Sequence[Contender],
    split: Split,
    settings: EvaluationSettings,
    embeddings: npt.NDArray[np.float32] | None = None,
    recommendable: npt.NDArray[np.bool_] | None = None,
) -> Evaluation:
    """Rank the whole catalogue for every user of the split, by every contender, and score the lists.

    Games of a user's training part are left out, and those that the catalogue lacks: what is scored are the lists
    that are served. Blocks of users bound the
    memory, whatever the number of users and games.

    Parameters
    ----------
    contenders
        With distinct names; each has learnt from ``split.train`` alone.
    split
        The hold-out.
    settings
        ``k``, ``resamples`` and ``seed`` are used.
    embeddings
        float32, (items, dimension), unit rows in the order of the items (zero rows where unknown);
        without them there is no ``diversity``.
    recommendable
        bool, (items,): the games that may be listed, and that ``coverage`` is the share of; all where not given.

    Raises
    ------
    QualityGateFailed
        If nobody can be scored, or a contender's scores are not finite: its training diverged.
    """
    if not len(split.users):
        raise QualityGateFailed(
            f"nobody can be scored: of {split.train.matrix.shape[0]:,} users none has both a training rating and a"
            " held-out game they liked; check evaluation.fraction and cf.like_threshold against the ratings' scale"
        )
    started = time.perf_counter()
    with progress("ranking games for users", len(split.users)) as advance:
        lists = _rank(contenders, split, 2 * settings.k, advance, recommendable)
    judge = _Judge(split, settings.k, embeddings, recommendable)
    scored = {name: judge.score(name, lists[name]) for name in lists}
    evaluation = Evaluation(scored, settings, split.description(), time.perf_counter() - started)
    means = {name: evaluation.value(name, f"ndcg@{settings.k}") for name in scored}
    log.info("evaluated", extra=keys(users=len(split.users), seconds=evaluation.seconds, **means))
    return evaluation


def mean_ndcg(contender: Contender, split: Split, k: int) -> float:
    """Return one contender's mean NDCG@k over the users of a split, and nothing else: for curves and tuning."""
    judge = _Judge(split, k, None)
    lists = _rank([contender], split, k)
    return metrics.mean(metrics.ndcg(hits_of(lists[contender.name], split), judge.relevant, k))


def score_lists(  # noqa: PLR0913, PLR0917 - lists, and what they are held against
    name: str,
    lists: npt.NDArray[np.int32],
    split: Split,
    k: int,
    embeddings: npt.NDArray[np.float32] | None,
    recommendable: npt.NDArray[np.bool_] | None,
) -> ContenderScores:
    """Score lists that were made elsewhere; of recall, only what their length allows.

    Parameters
    ----------
    name
        What the scores are called.
    lists
        int32, (users, k or more): items for each user of the split; -1 where there is none, or no item of the split.
    split, embeddings, recommendable
        As for :func:`evaluate`.
    k
        Length of the lists that are scored.
    """
    return _Judge(split, k, embeddings, recommendable).score(name, lists)


def _rank(
    contenders: Sequence[Contender],
    split: Split,
    depth: int,
    advance: Callable[[int], None] = lambda _: None,
    recommendable: npt.NDArray[np.bool_] | None = None,
) -> dict[str, npt.NDArray[np.int32]]:
    """Return every contender's lists; int32, (users, depth)."""
    from threadpoolctl import threadpool_limits

    seen = split.train.matrix
    lists = {contender.name: np.empty((len(split.users), depth), dtype=np.int32) for contender in contenders}
    if len(lists) < len(contenders):
        raise ValueError(f"contenders need distinct names, not {[contender.name for contender in contenders]}")

    def rank(block: slice) -> int:
        users = split.users[block]
        rows, columns = entries(seen, users)
        for contender in contenders:
            scores = contender.scores(users)
            _check_finite(contender.name, scores)
            scores = scores if scores.flags.writeable else scores.copy()
            scores[rows, columns] = -np.inf
            if recommendable is not None:
                scores[:, ~recommendable] = -np.inf
            lists[contender.name][block] = best_columns(scores, depth)
        return len(users)

    # A block a core, and BLAS with one thread in each: its bits do not depend on the number of cores then.
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(usable_cores(), thread_name_prefix="ranking") as pool:
        for users in pool.map(rank, blocks(split.users, seen.shape[1], _CELLS)):
            advance(users)
    return lists


def _check_finite(name: str, scores: npt.NDArray[np.float32]) -> None:
    # One pass, no mask: a NaN or an infinity anywhere makes the sum one of them.
    if not math.isfinite(float(np.sum(scores, dtype=np.float64))):
        raise QualityGateFailed(
            f"{name} scores games with NaN or infinity: its training diverged; raise cf.regularization, or lower"
            " cf.unobserved or, with cf.solver = implicit, cf.alpha"
        )


@dataclass(frozen=True)
class _Judge:
    """Knows what is relevant to whom, and scores lists by it."""

    split: Split
    k: int
    embeddings: npt.NDArray[np.float32] | None
    recommendable: npt.NDArray[np.bool_] | None = None

    @cached_property
    def relevant(self) -> npt.NDArray[np.int32]:
        """How many games are relevant to each scored user."""
        numbers: npt.NDArray[np.int32] = np.diff(self.split.relevant.indptr)[self.split.users]
        return numbers

    @cached_property
    def raters(self) -> npt.NDArray[np.int64]:
        """How many users rated each game in the training part."""
        matrix = self.split.train.matrix
        return column_counts(matrix.indices, matrix.shape[1])

    def score(self, name: str, lists: npt.NDArray[np.int32]) -> ContenderScores:
        """Score one contender's lists."""
        shown = lists[:, : self.k]
        per_user = self._accuracy(lists)
        per_user["novelty"] = metrics.novelty(shown, self.raters, self.split.train.matrix.shape[0])
        per_user["popular_share"] = metrics.popular_share(shown, self.raters)
        if self.embeddings is not None:
            per_user["diversity"] = _diversity(shown, self.embeddings)
        recommended = np.bincount(shown[shown >= 0], minlength=len(self.raters))
        if self.recommendable is not None:
            recommended = recommended[self.recommendable]
        coverage = metrics.coverage(recommended, len(recommended))
        return ContenderScores(name, per_user, lists, coverage, metrics.gini(recommended))

    def _accuracy(self, lists: npt.NDArray[np.int32]) -> dict[str, npt.NDArray[np.float64]]:
        found, k = hits_of(lists, self.split), self.k
        return {
            f"{name}@{depth}": measure(found, self.relevant, depth)
            for name, measure in metrics.ACCURACY.items()
            for depth in ((k, 2 * k) if name == "recall" else (k,))
            if depth <= lists.shape[1]
        }


def hits_of(lists: npt.NDArray[np.int32], split: Split) -> npt.NDArray[np.bool_]:
    """Return which places of the lists hold a game that is relevant to their user; bool, the lists' shape.

    Parameters
    ----------
    lists
        int32, (users, depth): items for each user of the split; -1 where there is none.
    split
        The hold-out.
    """
    found = np.empty(lists.shape, dtype=bool)
    for block in blocks(split.users, split.relevant.shape[1], BLOCK_CELLS):
        found[block] = hits(lists[block], split.relevant, split.users[block])
    return found


def _diversity(lists: npt.NDArray[np.int32], embeddings: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    diversity = np.empty(len(lists))
    for block in blocks(np.arange(len(lists), dtype=np.int32), embeddings.shape[1], BLOCK_CELLS):
        diversity[block] = metrics.intra_list_diversity(lists[block], embeddings)
    return diversity
