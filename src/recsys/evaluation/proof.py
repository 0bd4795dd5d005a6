"""The trial of a candidate: hold out, train on the rest, score beside its rivals, judge."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from recsys.errors import Diverged
from recsys.evaluation.contenders import CF, CURRENT, ContentProfile, Factors, Popularity
from recsys.evaluation.curve import LearningCurve
from recsys.evaluation.exposure import exposure
from recsys.evaluation.gate import Verdict, judge
from recsys.evaluation.holdout import split
from recsys.evaluation.incumbent import Incumbent, measure_of
from recsys.evaluation.newcomers import NEWCOMERS, RATINGS, Sample, measure_newcomers, not_measured
from recsys.evaluation.result import Evaluation, plain
from recsys.evaluation.scores import evaluate
from recsys.models.cf import CollaborativeFilter
from recsys.models.confidence import like_threshold
from recsys.system.log import events, keys
from recsys.tuning.history import FACT, TuningHistory, plan

if TYPE_CHECKING:
    import numpy.typing as npt

    from recsys.config import CfSettings, Settings
    from recsys.evaluation.contenders import Contender
    from recsys.evaluation.drift import DataProfile, Drift
    from recsys.evaluation.embedded import Embedded
    from recsys.evaluation.holdout import Split
    from recsys.marts.contract import Ratings
    from recsys.system.steps import Steps

log = events(__name__)

METRICS = "metrics.json"
"""File of a release with everything that its trial found."""

FORMAT = 1
"""Version of that file's layout, told in docs/evaluation.md."""


@dataclass(frozen=True)
class Proof:
    """What came out.

    Attributes
    ----------
    evaluation
        Scores of all contenders.
    verdict
        The gate's.
    recipe
        The settings that were scored: what is published is trained with them on all ratings.
    measure
        How the deciding score was measured; see :func:`recsys.evaluation.incumbent.measure_of`.
    curve
        NDCG@k of the candidate after each iteration, on a sample of the users.
    exposure
        Who is rated and who is recommended, along the long tail.
    data
        The profile of the data, and how they drifted since the current release (None without one).
    tuning
        The search for the recipe, tonight's or an earlier one; None where all was given or set by rule.
    newcomers
        What the hybrid is worth for new games and new people; decides nothing. See
        :func:`recsys.evaluation.newcomers.measure_newcomers`.
    """

    evaluation: Evaluation
    verdict: Verdict
    recipe: CfSettings
    measure: dict[str, Any]
    curve: tuple[float, ...]
    exposure: dict[str, Any] = field(repr=False)
    data: tuple[DataProfile, Drift | None] | None = None
    tuning: TuningHistory | None = None
    newcomers: dict[str, Any] = field(default_factory=dict, repr=False)

    def headline(self) -> dict[str, float]:
        """Return the deciding contender's scores, by metric."""
        name = self.verdict.contender
        scores = {metric: round(found.value, 6) for metric, found in self.evaluation.intervals[name].items()}
        found = {metric: value for metric, value in scores.items() if np.isfinite(value)}
        return {**found, "coverage": round(self.evaluation.contenders[name].coverage, 6)}

    def as_json(self) -> dict[str, Any]:
        """Return everything, ready for JSON."""
        return {
            "format": FORMAT,
            "verdict": self.verdict.as_json(),
            "measure": self.measure,
            "recipe": self.recipe.model_dump(mode="json"),
            "evaluation": self.evaluation.as_json(),
            "gains": self._gains(),
            "learning_curve": [round(score, 6) for score in self.curve],
            "exposure": self.exposure,
            NEWCOMERS: self.newcomers,
            FACT: None if self.tuning is None else self.tuning.as_json(),
            **self._data(),
        }

    def record(self) -> dict[str, Any]:
        """Return what the manifest of the release says, and the next run's gate reads; ready for JSON."""
        verdict = self.verdict.as_json()
        return {
            "measure": {**self.measure, "score": round(self.verdict.score.value, 6)},
            "recipe": self.recipe.model_dump(mode="json"),
            "trained": "on all ratings, with the evaluated settings and number of iterations",
            "verdict": {key: verdict[key] for key in ("passed", "override", "reason")},
            FACT: None if self.tuning is None else self.tuning.as_json(),
            **self._data(),
        }

    def _data(self) -> dict[str, Any]:
        if self.data is None:
            return {}
        profile, drift = self.data
        return {"data": profile.as_json(), "drift": None if drift is None else drift.as_json()}

    def _gains(self) -> dict[str, Any]:
        """Return how much better the candidate is than each other contender: a share of its score, paired."""
        name, metric = self.verdict.contender, self.verdict.metric
        others = [other for other in self.evaluation.contenders if other != name]
        return {other: plain(self.evaluation.difference(name, other, metric, relative=True)) for other in others}


def hold_trial(  # noqa: PLR0913 - the last has a default
    ratings: Ratings,
    settings: Settings,
    incumbent: Incumbent | None,
    content: Embedded | None,
    steps: Steps,
    *,
    drift: Drift | None = None,
    recommendable: npt.NDArray[np.bool_] | None = None,
) -> Proof:
    """Score a candidate on ratings that it has not seen, and judge it.

    Parameters
    ----------
    ratings
        All of them; four fifths train the contenders.
    settings
        Of the run: ``cf`` is the candidate.
    incumbent
        The current release; None on a first run. Its recipe is trained on the same ratings, since
        its own factors have seen those that are held out here.
    content
        The catalogue as the content model knows it; without it content does not compete, and
        newcomers are not measured.
    steps
        The clock of the run.
    drift
        Of the data since the current release: beyond its bounds, settings are searched again.
    recommendable
        bool, (items,): false for rated games that the catalogue does not have; all are where not given.

    Raises
    ------
    QualityGateFailed
        If nobody can be scored, or the candidate's training diverged (:class:`recsys.errors.Diverged`,
        whoever chose its settings). A candidate that was scored and is not good
        enough raises nothing: its verdict says so.
    """
    # Which games are liked is the measure itself, and read off the scale of all ratings; everything
    # else about the candidate comes from the training part.
    liked = like_threshold(settings.cf.like_threshold, ratings.matrix.data)
    with steps.step("hold_out"):
        parts = split(ratings, settings.evaluation, liked)
    log.info("held out", extra=keys(**{key: value for key, value in parts.description().items() if value is not None}))
    curve = LearningCurve(parts, settings.evaluation.k)
    with steps.step("train_candidate"):
        wanted = settings.cf.model_copy(update={"like_threshold": liked})
        planned = plan(wanted, settings.gate, incumbent, drift, measure_of(parts, settings, liked))
        log.info("settings", extra=keys(searched=planned.because or "no", reused=planned.reused is not None))
        candidate = CollaborativeFilter(planned.settings).fit(parts.train, watch=curve.watch, used=planned.used)
    contenders: list[Contender] = [Popularity.of(parts.train)]
    embeddings = None if content is None else content.rows_for(ratings.items)
    if embeddings is not None:
        contenders.append(ContentProfile(parts.train, embeddings, liked))
    contenders.append(Factors(CF, candidate.user_factors, candidate.item_factors))
    if incumbent is not None and incumbent.recipe is not None and not incumbent.same_recipe(candidate.pinned):
        with steps.step("train_current_recipe"):
            try:
                rival = CollaborativeFilter(incumbent.recipe).fit(parts.train)
                contenders.append(Factors(CURRENT, rival.user_factors, rival.item_factors))
            except Diverged as error:  # no reason to refuse the candidate: the rival is what is not fit for these data
                incumbent = replace(incumbent, problem=f"on these ratings {error}")
    with steps.step("evaluate"):
        evaluation = evaluate(contenders, parts, settings.evaluation, embeddings, recommendable)
    trial = _judged(evaluation, settings, incumbent, candidate.pinned, curve)
    tuning = planned.remember(candidate.tuning, trial.verdict.score.value, trial.measure)
    return replace(trial, tuning=tuning, newcomers=_newcomers(trial, parts, content, settings, steps))


def _newcomers(
    trial: Proof, parts: Split, content: Embedded | None, settings: Settings, steps: Steps
) -> dict[str, Any]:
    """Measure the hybrid of a candidate that passed, on the training part; or say why not."""
    if not settings.evaluation.newcomers:
        return not_measured("evaluation.newcomers is off.")
    if content is None:
        return not_measured("The ratings were trained without the catalogue: no text or tag says what a new game is.")
    if not trial.verdict.passed:
        return not_measured("The gate refused the candidate: what newcomers could expect of it was not measured.")
    assert trial.recipe.like_threshold != "auto"
    with steps.step(NEWCOMERS):
        sample = Sample.of(
            parts.train, content, trial.recipe.like_threshold, seed=settings.evaluation.seed, at_most=RATINGS
        )
        return measure_newcomers(sample, CollaborativeFilter(trial.recipe).fit, settings.evaluation)


def _judged(
    evaluation: Evaluation,
    settings: Settings,
    incumbent: Incumbent | None,
    recipe: CfSettings,
    curve: LearningCurve,
) -> Proof:
    assert recipe.like_threshold != "auto"
    measure = measure_of(curve.split, settings, recipe.like_threshold)
    current = None if incumbent is None else incumbent.facing(recipe, measure)
    verdict = judge(evaluation, settings.gate, current)
    shown = exposure(evaluation, curve.split)
    return Proof(evaluation, verdict, recipe, measure, tuple(curve.scores), shown)
