"""The proof of a candidate: what its trial on held-out ratings established."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from recsys.evaluation.history import FACT
from recsys.evaluation.newcomers import NEWCOMERS
from recsys.evaluation.overlap import OVERLAP
from recsys.evaluation.result import Evaluation, plain
from recsys.evaluation.scenarios import SCENARIOS
from recsys.evaluation.segments import SEGMENTS
from recsys.release.facts import Facts
from recsys.release.metrics import FORMAT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from recsys.config import CfSettings
    from recsys.evaluation.drift import DataCheck
    from recsys.evaluation.gate import Verdict
    from recsys.evaluation.people import ScoredUsers


@dataclass(frozen=True)
class Proof:
    """What a trial established; made once, at its end.

    Attributes
    ----------
    evaluation
        Scores of all contenders.
    verdict
        The gate's.
    recipe
        The settings that were scored: what is published is trained with them on all ratings.
    measure
        How the deciding score was measured; see :func:`recsys.evaluation.current.measure_of`.
    curve
        NDCG@k of the candidate after each iteration, on a sample of the users.
    exposure
        Who is rated and who is recommended, along the long tail.
    data
        The profile of the data, and how they drifted since the current release.
    tuning
        The search for the recipe, tonight's or an earlier one, ready for JSON; None where all was given
        or set by rule.
    newcomers
        What the hybrid is worth for new games and new people; decides nothing. See
        :func:`recsys.evaluation.newcomers.measure_newcomers`.
    random_draw
        Where the hold-out is a cut in time: scores of the same recipe on ratings drawn at random; decides nothing.
    scenarios
        What the lists by each scenario score; decides nothing. See
        :func:`recsys.evaluation.scenarios.measure_scenarios`.
    people
        Who was scored; with the scores of each they are ``metrics.parquet``, and no part of :meth:`as_json`.
    overlap
        How much of people's lists stays; empty of a candidate that is not to be published. See
        :func:`recsys.evaluation.overlap.measure_overlap`.
    """

    evaluation: Evaluation
    verdict: Verdict
    recipe: CfSettings
    measure: Mapping[str, Any]
    curve: tuple[float, ...]
    exposure: Mapping[str, Any] = field(repr=False)
    data: DataCheck | None
    tuning: Mapping[str, Any] | None
    newcomers: Mapping[str, Any] = field(repr=False)
    random_draw: Evaluation | None
    scenarios: Mapping[str, Any] = field(repr=False)
    people: ScoredUsers = field(repr=False)
    overlap: Mapping[str, Any] = field(repr=False, default_factory=dict)

    def headline(self) -> dict[str, float]:
        """Return the deciding contender's scores, by metric."""
        name = self.verdict.contender
        scores = {metric: round(estimate.value, 6) for metric, estimate in self.evaluation.intervals[name].items()}
        spread = self.evaluation.contenders[name]
        scores |= {"coverage": round(spread.coverage, 6), "gini": round(spread.gini, 6)}
        return {metric: value for metric, value in scores.items() if np.isfinite(value)}

    def as_json(self) -> dict[str, object]:
        """Return everything, ready for JSON."""
        return {
            "format": FORMAT.major,
            "minor": FORMAT.minor,
            "verdict": self.verdict.as_json(),
            "measure": self.measure,
            "recipe": self.recipe.model_dump(mode="json"),
            "evaluation": self.evaluation.as_json(),
            **({} if self.random_draw is None else {"random_draw": self.random_draw.as_json()}),
            "gains": self._gains(),
            **({} if (segments := self.evaluation.segments) is None else {SEGMENTS: segments.as_json()}),
            "learning_curve": [round(score, 6) for score in self.curve],
            "exposure": self.exposure,
            **({OVERLAP: self.overlap} if self.overlap else {}),
            NEWCOMERS: self.newcomers,
            SCENARIOS: self.scenarios,
            FACT: self.tuning,
            **({} if self.data is None else self.data.as_json()),
        }

    def record(self) -> Facts:
        """Return what the manifest of the release says, and the next run's gate reads."""
        verdict = self.verdict.as_json()
        facts = {
            "measure": {**self.measure, "score": round(self.verdict.score.value, 6)},
            "recipe": self.recipe.model_dump(mode="json"),
            "trained": "on all ratings, with the evaluated settings and number of iterations",
            "verdict": {key: verdict[key] for key in ("passed", "override", "reason")},
            FACT: self.tuning,
            **({} if self.data is None else self.data.as_json()),
        }
        return Facts.model_validate(facts)

    def _gains(self) -> dict[str, object]:
        """Return how much better the candidate is than each other contender: a share of its score, paired."""
        name, metric = self.verdict.contender, self.verdict.metric
        others = [other for other in self.evaluation.contenders if other != name]
        return {other: plain(self.evaluation.difference(name, other, metric, relative=True)) for other in others}
