"""How a candidate earns its release, step by step: data, hold-out, candidates, evaluation, verdict, proof."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from recsys.errors import ConfigError, DataDrifted, Diverged, ReleaseError
from recsys.evaluation.contenders import CF, CURRENT, ContentProfile, Filter, Popularity, PopularLately
from recsys.evaluation.current import CurrentRelease, measure_of
from recsys.evaluation.curves import LearningCurve, exposure
from recsys.evaluation.drift import DataCheck, DataProfile, measure_drift
from recsys.evaluation.gate import deciding, judge
from recsys.evaluation.holdout import Split, split
from recsys.evaluation.newcomers import NEWCOMERS, RATINGS, Sample, measure_newcomers, not_measured
from recsys.evaluation.people import ScoredUsers
from recsys.evaluation.proof import Proof
from recsys.evaluation.scenarios import NO_SCENARIO, SCENARIOS, measure_scenarios
from recsys.evaluation.scores import evaluate
from recsys.evaluation.segments import SEGMENTS, measure_segments
from recsys.models.cf import CollaborativeFilter
from recsys.models.confidence import like_threshold
from recsys.models.recipe import FACTORS_ALONE
from recsys.release.verify import read_manifest
from recsys.system.log import events, keys
from recsys.tuning import Plan, find_recipe, lately_half_life, plan

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import numpy.typing as npt

    from recsys.config import CfSettings, Settings
    from recsys.evaluation.contenders import Contender
    from recsys.evaluation.gate import Verdict
    from recsys.evaluation.result import Evaluation
    from recsys.evaluation.segments import Segments
    from recsys.marts.catalogue import Catalogue
    from recsys.marts.ids import IdMap
    from recsys.marts.ratings import Ratings
    from recsys.release.standing import Standing
    from recsys.serving import Rules
    from recsys.system.steps import Steps
    from recsys.tuning import Search

log = events(__name__)


def current_release(standing: Standing) -> CurrentRelease | None:
    """Return what a run would replace; None where there is none, or none that can be trusted."""
    if standing.current is None:
        return None
    try:
        return CurrentRelease.of(read_manifest(standing.current, standing.keys))
    except ReleaseError as error:
        log.warning("the current release is not sound: this run is judged as a first one", extra=keys(reason=error))
        return None


def check_data(
    ratings: Ratings, known: IdMap, settings: Settings, current: CurrentRelease | None, accepted: str | None = None
) -> DataCheck:
    """Describe the data, and hold them against those of the current release.

    Parameters
    ----------
    ratings
        All ratings of the run.
    known
        Ids of the games mart.
    settings
        Sections ``data`` and ``gate`` are used.
    current
        The current release; None on a first run.
    accepted
        Why somebody accepts data that drifted; None if nobody does.

    Raises
    ------
    DataDrifted
        If the data drifted beyond the bounds, and nobody accepted it.
    ConfigError
        If the ratings are counts, and no setting says which are likes.
    """
    like_threshold(settings.cf.like_threshold, ratings.matrix.data)
    before = None if current is None else current.profile
    profile = DataProfile.of(ratings, known, settings.data, None if before is None else before.edges)
    if current is None or before is None:
        return DataCheck(profile)
    drift = measure_drift(before, profile, settings.gate, current.name)
    if not drift.reason:
        return DataCheck(profile, drift)
    if accepted is None:
        raise DataDrifted(
            f"the data drifted since release {drift.release}: {drift.reason}. Nothing was trained: mend the marts,"
            ' or accept it with --accept-drift "reason"'
        )
    log.warning("drift accepted", extra=keys(drift=drift.reason, because=accepted))
    return DataCheck(profile, replace(drift, accepted=accepted))


@dataclass(frozen=True)
class Candidates:
    """Who competes, each trained on the training part alone.

    Attributes
    ----------
    contenders
        All of them, the candidate among them.
    candidate
        The collaborative filter that would be published.
    curve
        The candidate's score after each iteration; None where nobody asked for it.
    plan
        How its settings were chosen.
    search
        Tonight's search for them; None if there was none.
    current
        The current release, with the reason where its recipe could not be trained.
    """

    contenders: tuple[Contender, ...]
    candidate: CollaborativeFilter
    curve: LearningCurve | None
    plan: Plan
    search: Search | None
    current: CurrentRelease | None


@dataclass(frozen=True)
class Trial:
    """How a candidate is scored on ratings that it has not seen, and judged.

    Attributes
    ----------
    settings
        Settings of the run: ``cf`` is the candidate.
    current
        The current release; None on a first run. Its recipe is trained on the same ratings, since
        its own factors have seen those that are held out here.
    steps
        The clock of the run.
    catalogue
        The games as the content model knows them; without it content does not compete, and
        newcomers are not measured.
    known
        Ids of the games that can be recommended; all are where not given.
    data
        What is known about the data: where they drifted, settings are searched again.
    override
        Why somebody publishes what the gate refuses; None if nobody does.
    scenarios
        Rules at answer time by name.
    """

    settings: Settings
    current: CurrentRelease | None
    steps: Steps
    catalogue: Catalogue | None = None
    known: IdMap | None = None
    data: DataCheck | None = None
    override: str | None = None
    scenarios: Mapping[str, Rules] = field(default_factory=dict)

    def hold(self, ratings: Ratings) -> Proof:
        """Hold out, train on the rest, score beside the rivals, judge.

        Parameters
        ----------
        ratings
            All ratings of the run; four fifths train the contenders.

        Raises
        ------
        QualityGateFailed
            If nobody can be scored, or the candidate's training diverged (:class:`recsys.errors.Diverged`,
            whether its settings were given or searched). A candidate that was scored and is not good
            enough raises nothing: its verdict says so.
        """
        # Which games are liked is the measure itself, and read off the scale of all ratings; everything
        # else about the candidate comes from the training part.
        liked = like_threshold(self.settings.cf.like_threshold, ratings.matrix.data)
        parts = self._held_out(ratings, liked)
        measure = measure_of(parts, self.settings, liked)
        group = self._candidates(parts, liked, measure)
        people = ScoredUsers.of(parts, ratings)
        evaluation = self._evaluated(group, parts, liked)
        evaluation = replace(evaluation, segments=self._segments(evaluation, parts, people))
        recipe = group.candidate.pinned
        verdict = judge(evaluation, self.settings.gate, group.current, recipe=recipe, measure=measure)
        history = group.plan.remember(group.search, verdict.score.value, measure)
        return Proof(
            evaluation,
            verdict.overridden(self.override),
            recipe,
            measure,
            () if group.curve is None else tuple(group.curve.scores),
            exposure(evaluation, parts),
            self.data,
            None if history is None else history.as_json(),
            self._newcomers(verdict, recipe, parts),
            self._random_draw(verdict, recipe, ratings, group.contenders) if parts.kind == "time" else None,
            self._scenarios(verdict, group.candidate, parts),
            people,
        )

    def _held_out(self, ratings: Ratings, liked: float) -> Split:
        with self.steps.step("hold_out"):
            parts = split(ratings, self.settings.evaluation, liked)
        described = {key: value for key, value in parts.description().items() if value is not None}
        log.info("held out", extra=keys(**described))
        return parts

    def _candidates(self, parts: Split, liked: float, measure: Mapping[str, Any]) -> Candidates:
        """Train the candidate, and beside it what the current release was trained by, if that is another recipe."""
        asked, current = self.settings.evaluation, self.current
        curve = LearningCurve(parts, asked.k) if asked.learning_curve else None
        with self.steps.step("train_candidate"):
            given = self.settings.cf.model_copy(update={"like_threshold": liked})
            drift = None if self.data is None else self.data.drift
            planned = plan(given, self.settings.gate, current, drift, measure)
            log.info("settings", extra=keys(searched=planned.because or "no", reused=planned.reused is not None))
            recipe, search = find_recipe(parts.train, planned.settings, planned.current_recipe)
            candidate = CollaborativeFilter(planned.settings).fit(
                parts.train, recipe=recipe, watch=None if curve is None else curve.watch
            )
        contenders: list[Contender] = [
            Popularity.of(parts.train),
            Filter(CF, candidate.taste),
        ]
        if parts.train.rated_at is not None:
            half_life = lately_half_life(parts.train, liked, self.settings.cf.seed)
            contenders.insert(1, PopularLately.of(parts.train, half_life))
        if current is not None and current.recipe is not None and not current.same_recipe(candidate.pinned):
            with self.steps.step("train_current_recipe"):
                try:
                    rival = CollaborativeFilter(current.recipe).fit(parts.train)
                    contenders.append(Filter(CURRENT, rival.taste))
                except (
                    Diverged,
                    ConfigError,
                ) as error:  # no reason to refuse: the rival is what is not fit for these data
                    current = replace(current, problem=f"on these ratings {error}")
        return Candidates(tuple(contenders), candidate, curve, planned, search, current)

    def _evaluated(self, group: Candidates, parts: Split, liked: float) -> Evaluation:
        """Score all contenders, content among them where the catalogue is known, on the same users."""
        items, contenders, embeddings = parts.train.items, list(group.contenders), None
        if self.catalogue is not None:
            embeddings = self.catalogue.rows_for(items)
            contenders.insert(
                len(contenders) - 1 - (group.contenders[-1].name == CURRENT),
                ContentProfile(parts.train, embeddings, liked),
            )
        with self.steps.step("evaluate"):
            return evaluate(contenders, parts, self.settings.evaluation, embeddings, self._listable(parts))

    def _segments(self, evaluation: Evaluation, parts: Split, people: ScoredUsers) -> Segments:
        contender, metric = deciding(evaluation, self.settings.gate)
        with self.steps.step(SEGMENTS):
            return measure_segments(evaluation, parts, people, contender, metric)

    def _random_draw(
        self, verdict: Verdict, recipe: CfSettings, ratings: Ratings, contenders: tuple[Contender, ...]
    ) -> Evaluation | None:
        """Score the recipe of a candidate that passed on a cut in time on a random draw too: today beside tomorrow."""
        settings = self.settings.evaluation
        assert recipe.like_threshold != "auto"
        if not settings.random_draw or not verdict.passed:
            return None
        with self.steps.step("evaluate_random_draw"):
            parts = split(ratings, settings, recipe.like_threshold, at_random=True)
            if not len(parts.users):
                return None
            lately = next(each.half_life for each in contenders if isinstance(each, PopularLately))
            model = CollaborativeFilter(recipe).fit(parts.train)
            scored: list[Contender] = [Popularity.of(parts.train), PopularLately.of(parts.train, lately)]
            scored.append(Filter(CF, model.taste))
            return evaluate(scored, parts, settings, recommendable=self._listable(parts))

    def _listable(self, parts: Split) -> npt.NDArray[np.bool_] | None:
        return None if self.known is None else self.known.locate(parts.train.items) >= 0

    def _newcomers(self, verdict: Verdict, recipe: CfSettings, parts: Split) -> dict[str, object]:
        """Measure the hybrid of a candidate that passed, on the training part; or say why not."""
        # Newcomers are ranked by factors and texts: what is added to factors is learned from ratings that they lack.
        alone = recipe.model_copy(update=dict(FACTORS_ALONE))
        settings, train = self.settings.evaluation, CollaborativeFilter(alone).fit
        if not settings.newcomers:
            return not_measured("evaluation.newcomers is off.")
        if self.catalogue is None:
            return not_measured(
                "The ratings were trained without the catalogue: no text or tag says what a new game is."
            )
        if not verdict.passed:
            return not_measured("The gate refused the candidate: what newcomers could expect of it was not measured.")
        assert recipe.like_threshold != "auto"
        with self.steps.step(NEWCOMERS):
            sample = Sample.of(parts.train, self.catalogue, recipe.like_threshold, seed=settings.seed, at_most=RATINGS)
            return measure_newcomers(sample, train, settings)

    def _scenarios(self, verdict: Verdict, candidate: CollaborativeFilter, parts: Split) -> dict[str, object]:
        """Score the lists by each scenario of a candidate that passed; or say why not."""
        if not self.scenarios:
            return not_measured(NO_SCENARIO)
        if self.catalogue is None:
            return not_measured("The ratings were trained without the catalogue, which rules go by.")
        if not verdict.passed:
            return not_measured("The gate refused the candidate: its lists by scenarios were not scored.")
        with self.steps.step(SCENARIOS):
            return measure_scenarios(candidate, self.catalogue, self.scenarios, parts, self.settings.evaluation)
