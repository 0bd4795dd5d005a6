"""The result of an evaluation: scores by user, their means, and how sure they are."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from recsys.evaluation.bootstrap import Interval, interval, paired_difference, resampled_means
from recsys.ranking import metrics

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from recsys.config import EvaluationSettings
    from recsys.evaluation.segments import Segments

    Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ContenderScores:
    """What one contender scored.

    Attributes
    ----------
    name
        Name of the contender.
    per_user
        float64, (users,) for each metric, in the order of ``Split.users``; NaN where a user has no
        score. Metrics of accuracy carry their cut-off: ``ndcg@10``.
    lists
        int32, (users, 2k): what each user would have been recommended; -1 for padding.
    coverage
        Share of the games that can be recommended which stand in the first k of anybody's list.
    gini
        How unevenly these games stand in the first k of all lists; see :func:`recsys.ranking.metrics.gini`.
    """

    name: str
    per_user: Mapping[str, Floats] = field(repr=False)
    lists: npt.NDArray[np.int32] = field(repr=False)
    coverage: float
    gini: float = math.nan

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
        :meth:`recsys.evaluation.holdout.Split.description` of the hold-out.
    seconds
        What the whole evaluation took, without training.
    segments
        The scores by segment; None where they were not measured.
    """

    contenders: Mapping[str, ContenderScores]
    settings: EvaluationSettings
    split: Mapping[str, object]
    seconds: float
    segments: Segments | None = None

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
        intervals: dict[str, dict[str, Interval]] = {}
        for (name, metric), means in zip(names, resampled.T, strict=True):
            intervals.setdefault(name, {})[metric] = interval(self.value(name, metric), means)
        return intervals

    def as_json(self) -> dict[str, object]:
        """Return the scores ready for JSON: ``value``, ``low`` and ``high`` by contender and metric; null for NaN.

        Nothing in it depends on the clock: the same data and settings give the same bytes.
        """
        return {
            "k": self.settings.k,
            "users": self.split.get("users_scored"),
            "resamples": self.settings.resamples,
            "split": {**self.split, **self.settings.model_dump(include={"fraction", "seed"})},
            "contenders": {name: self._row(name) for name in self.contenders},
        }

    def _row(self, name: str) -> dict[str, object]:
        scores = self.contenders[name]
        row: dict[str, object] = {metric: plain(estimate) for metric, estimate in self.intervals[name].items()}
        return {**row, "coverage": number(scores.coverage), "gini": number(scores.gini)}


def plain(estimate: Interval) -> dict[str, float | None]:
    """Return an interval ready for JSON."""
    return {key: number(value) for key, value in estimate._asdict().items()}


def number(value: float) -> float | None:
    """Return a number as JSON can hold it: None for NaN and infinity, six decimals otherwise."""
    return round(float(value), 6) if math.isfinite(value) else None
