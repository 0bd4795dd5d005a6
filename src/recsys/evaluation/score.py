"""Scoring contenders on the same users in the same pass."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from recsys import metrics
from recsys.errors import QualityGateFailed
from recsys.evaluation.bootstrap import Interval, interval, paired_difference, resampled_means
from recsys.evaluation.ranking import BLOCK_CELLS, best_columns, blocks, entries
from recsys.log import keys

if TYPE_CHECKING:
    import numpy.typing as npt

    from recsys.config import EvaluationSettings
    from recsys.evaluation.contenders import Contender
    from recsys.evaluation.split import Split

    Floats = npt.NDArray[np.float64]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ContenderScores:
    """What one contender scored.

    Attributes
    ----------
    name
        Of the contender.
    per_user
        float64, (users,) for each metric, in the order of ``Split.users``; NaN where a user has no
        score. Metrics of accuracy carry their cut-off: ``ndcg@10``.
    lists
        int32, (users, 2k): what each user would have been recommended; -1 for padding.
    coverage
        Share of the games that stand in the first k of anybody's list.
    seconds
        What scoring and ranking took.
    """

    name: str
    per_user: Mapping[str, Floats] = field(repr=False)
    lists: npt.NDArray[np.int32] = field(repr=False)
    coverage: float
    seconds: float

    def mean(self, metric: str) -> float:
        """Return a metric's mean over the users who have a score."""
        return metrics.mean(self.per_user[metric])


@dataclass(frozen=True)
class Evaluation:
    """The scores of all contenders on the same users, kept by user for paired tests.

    Attributes
    ----------
    contenders
        By name, in the order they were given.
    settings
        What they were scored with.
    split
        :meth:`recsys.evaluation.split.Split.description` of the hold-out.
    seconds
        What the whole evaluation took, without training.
    """

    contenders: Mapping[str, ContenderScores]
    settings: EvaluationSettings
    split: Mapping[str, object]
    seconds: float

    def value(self, contender: str, metric: str) -> float:
        """Return a contender's mean of a metric such as ``ndcg@10``."""
        return self.contenders[contender].mean(metric)

    def interval(self, contender: str, metric: str) -> Interval:
        """Return a contender's mean of a metric with its bootstrap interval."""
        return self.intervals[contender][metric]

    def difference(self, a: str, b: str, metric: str, *, relative: bool = False) -> Interval:
        """Return contender a − contender b by paired bootstrap; see :func:`paired_difference`."""
        first, second = (self.contenders[name].per_user[metric] for name in (a, b))
        return paired_difference(first, second, self.settings.resamples, self.settings.seed, relative=relative)

    @cached_property
    def intervals(self) -> dict[str, dict[str, Interval]]:
        """Every contender's every metric with its interval, all from the same resamples."""
        names = [(scores.name, metric) for scores in self.contenders.values() for metric in scores.per_user]
        columns = np.column_stack([self.contenders[name].per_user[metric] for name, metric in names])
        resampled = resampled_means(columns, self.settings.resamples, self.settings.seed)
        found: dict[str, dict[str, Interval]] = {}
        for (name, metric), means in zip(names, resampled.T, strict=True):
            found.setdefault(name, {})[metric] = interval(self.value(name, metric), means)
        return found

    def as_json(self) -> dict[str, object]:
        """Return the scores ready for JSON: per contender and metric ``value``, ``low``, ``high``; null for NaN."""
        return {
            "k": self.settings.k,
            "users": self.split.get("users_scored"),
            "resamples": self.settings.resamples,
            "split": {**self.split, **self.settings.model_dump(include={"fraction", "seed"})},
            "contenders": {name: self._row(name) for name in self.contenders},
            "seconds": round(self.seconds, 3),
        }

    def _row(self, name: str) -> dict[str, object]:
        scores = self.contenders[name]
        row: dict[str, object] = {metric: plain(found) for metric, found in self.intervals[name].items()}
        return {**row, "coverage": number(scores.coverage), "seconds": round(scores.seconds, 3)}


def plain(found: Interval) -> dict[str, float | None]:
    """Return an interval ready for JSON."""
    return {key: number(value) for key, value in found._asdict().items()}


def number(value: float) -> float | None:
    """Return a number as JSON can hold it: None for NaN and infinity, six decimals otherwise."""
    return round(float(value), 6) if math.isfinite(value) else None


def evaluate(
    contenders: Sequence[Contender],
    split: Split,
    settings: EvaluationSettings,
    embeddings: npt.NDArray[np.float32] | None = None,
    *,
    block_cells: int = BLOCK_CELLS,
) -> Evaluation:
    """Rank the whole catalogue for every user of the split, by every contender, and score the lists.

    Games of a user's training part are left out; nothing else is. Blocks of users bound the
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
    block_cells
        Scores held at once, users × items.

    Raises
    ------
    QualityGateFailed
        If nobody can be scored, or a contender's scores are not finite: its training diverged.
    """
    if not len(split.users):
        raise QualityGateFailed(
            f"nobody can be scored: of {split.train.matrix.shape[0]:,} users none has both a training rating and a held-out"
            " game they liked; check evaluation.fraction and cf.like_threshold against the ratings' scale"
        )
    started = time.perf_counter()
    lists, seconds = _rank(contenders, split, 2 * settings.k, block_cells)
    scored = {
        contender.name: _score(contender.name, lists[contender.name], split, settings.k, embeddings, seconds[contender.name])
        for contender in contenders
    }
    evaluation = Evaluation(scored, settings, split.description(), time.perf_counter() - started)
    means = {name: evaluation.value(name, f"ndcg@{settings.k}") for name in scored}
    log.info("evaluated", extra=keys(users=len(split.users), seconds=evaluation.seconds, **means))
    return evaluation


def _rank(
    contenders: Sequence[Contender], split: Split, depth: int, cells: int
) -> tuple[dict[str, npt.NDArray[np.int32]], dict[str, float]]:
    """Return every contender's lists, and the seconds each took."""
    seen = split.train.matrix
    lists = {contender.name: np.empty((len(split.users), depth), dtype=np.int32) for contender in contenders}
    if len(lists) < len(contenders):
        raise ValueError(f"contenders need distinct names, not {[contender.name for contender in contenders]}")
    seconds = dict.fromkeys(lists, 0.0)
    for block in blocks(split.users, seen.shape[1], cells):
        users = split.users[block]
        rows, columns = entries(seen, users)
        for contender in contenders:
            began = time.perf_counter()
            scores = contender.scores(users)
            _check_finite(contender.name, scores)
            scores = scores if scores.flags.writeable else scores.copy()
            scores[rows, columns] = -np.inf
            lists[contender.name][block] = best_columns(scores, depth)
            seconds[contender.name] += time.perf_counter() - began
    return lists, seconds


def _check_finite(name: str, scores: npt.NDArray[np.float32]) -> None:
    # One pass, no mask: a NaN or an infinity anywhere makes the sum one of them.
    if not math.isfinite(float(np.sum(scores, dtype=np.float64))):
        raise QualityGateFailed(
            f"{name} scores games with NaN or infinity: its training diverged; raise cf.regularization or lower cf.alpha"
        )


def _score(
    name: str,
    lists: npt.NDArray[np.int32],
    split: Split,
    k: int,
    embeddings: npt.NDArray[np.float32] | None,
    seconds: float,
) -> ContenderScores:
    began = time.perf_counter()
    users, items = split.train.matrix.shape
    hits = _hits(lists, split)
    relevant = np.diff(split.relevant.indptr)[split.users]
    per_user = {
        f"ndcg@{k}": metrics.ndcg(hits, relevant, k),
        f"recall@{k}": metrics.recall(hits, relevant, k),
        f"recall@{2 * k}": metrics.recall(hits, relevant, 2 * k),
        f"map@{k}": metrics.average_precision(hits, relevant, k),
        f"mrr@{k}": metrics.reciprocal_rank(hits, relevant, k),
        f"hit_rate@{k}": metrics.hit_rate(hits, relevant, k),
    }
    shown = lists[:, :k]
    raters = np.bincount(split.train.matrix.indices, minlength=items)
    per_user["novelty"] = metrics.novelty(shown, raters, users)
    per_user["popular_share"] = metrics.popular_share(shown, raters)
    if embeddings is not None:
        per_user["diversity"] = _diversity(shown, embeddings)
    recommended = np.bincount(shown[shown >= 0], minlength=items)
    coverage = metrics.coverage(recommended, items)
    return ContenderScores(name, per_user, lists, coverage, seconds + time.perf_counter() - began)


def _hits(lists: npt.NDArray[np.int32], split: Split) -> npt.NDArray[np.bool_]:
    """Return which places of the lists hold a relevant game; bool, the lists' shape."""
    hits = np.empty(lists.shape, dtype=bool)
    items = split.relevant.shape[1]
    for block in blocks(split.users, items, BLOCK_CELLS):
        users = split.users[block]
        wanted = np.zeros((len(users), items + 1), dtype=bool)  # the last column answers the padding, -1
        wanted[entries(split.relevant, users)] = True
        hits[block] = np.take_along_axis(wanted, lists[block] % (items + 1), axis=1)
    return hits


def _diversity(lists: npt.NDArray[np.int32], embeddings: npt.NDArray[np.float32]) -> Floats:
    found = np.empty(len(lists))
    for block in blocks(np.arange(len(lists), dtype=np.int32), embeddings.shape[1], BLOCK_CELLS):
        found[block] = metrics.intra_list_diversity(lists[block], embeddings)
    return found
