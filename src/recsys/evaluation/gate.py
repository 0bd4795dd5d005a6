"""The gate: a release is earned.

The rules, each with its reason, are described in ``docs/evaluation.md``. Every rule that applies
is applied, so that one verdict names everything that is wrong.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from recsys.errors import ConfigError
from recsys.evaluation.bootstrap import Interval
from recsys.evaluation.contenders import CURRENT, LATELY, POPULARITY
from recsys.evaluation.result import number, plain
from recsys.evaluation.segments import FEWEST

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from recsys.config import CfSettings, GateSettings
    from recsys.evaluation.current import CurrentRelease
    from recsys.evaluation.result import Evaluation
    from recsys.evaluation.segments import Segment

Rule = Literal[
    "popularity",
    "popular lately",
    "current recipe",
    "segments",
    "recorded score",
    "coverage",
    "floor",
    "current release",
]


@dataclass(frozen=True)
class Check:
    """One rule, applied.

    Attributes
    ----------
    rule
        Its name.
    passed
        Whether the candidate may pass.
    reason
        One line with the numbers.
    value
        What the rule looked at, with its interval where it has one.
    bound
        What it was held against.
    """

    rule: Rule
    passed: bool
    reason: str
    value: Interval | float | None = None
    bound: float | None = None

    def as_json(self) -> dict[str, object]:
        """Return the check ready for JSON."""
        value = plain(self.value) if isinstance(self.value, Interval) else self.value
        return {"rule": self.rule, "passed": self.passed, "reason": self.reason, "value": value, "bound": self.bound}


@dataclass(frozen=True)
class Verdict:
    """What the gate says about a candidate.

    Attributes
    ----------
    contender, metric
        Whose score decided, and which: ``cf``, ``ndcg@10``.
    score
        That score with its interval.
    checks
        Every rule that was applied, in order.
    override
        Why somebody published it anyway; None if nobody did.
    """

    contender: str
    metric: str
    score: Interval
    checks: tuple[Check, ...]
    override: str | None = None

    @property
    def passed(self) -> bool:
        """Whether every rule let the candidate pass."""
        return all(check.passed for check in self.checks)

    @property
    def published(self) -> bool:
        """Whether the candidate is to be published: it passed, or somebody overrode the gate."""
        return self.passed or self.override is not None

    @property
    def reason(self) -> str:
        """One line: what was broken, or, if nothing was, what was reached."""
        chosen = [check.reason for check in self.checks if check.passed == self.passed]
        return "; ".join(chosen)

    def overridden(self, reason: str | None) -> Verdict:
        """Return the verdict with the reason for which it was overridden, if it refused."""
        return self if self.passed else replace(self, override=reason)

    def as_json(self) -> dict[str, object]:
        """Return the verdict ready for JSON."""
        return {
            "passed": self.passed,
            "published": self.published,
            "override": self.override,
            "contender": self.contender,
            "metric": self.metric,
            "score": plain(self.score),
            "reason": self.reason,
            "checks": [check.as_json() for check in self.checks],
        }


def judge(
    evaluation: Evaluation,
    settings: GateSettings,
    current: CurrentRelease | None = None,
    *,
    recipe: CfSettings | None = None,
    measure: Mapping[str, Any] = MappingProxyType({}),
) -> Verdict:
    """Apply every rule of the gate.

    Parameters
    ----------
    evaluation
        With the deciding contender, popularity, and :data:`CURRENT` where the current release's
        recipe differs from the candidate's. The rule on segments is applied where they were measured.
    settings
        Section ``gate``.
    current
        The current release; None on a first run.
    recipe
        The candidate's settings: a current release with the same is not trained again.
    measure
        How the candidate is scored; a recorded score is compared with where it was measured alike.

    Raises
    ------
    ConfigError
        If ``gate.contender`` was not evaluated.
    """
    contender, metric = deciding(evaluation, settings)
    checks = tuple(_Rules(evaluation, settings, current, metric, recipe, measure).all())
    return Verdict(contender, metric, evaluation.interval(contender, metric), checks)


def deciding(evaluation: Evaluation, settings: GateSettings) -> tuple[str, str]:
    """Return whose score decides, and which: ``cf``, ``ndcg@10``.

    Raises
    ------
    ConfigError
        If ``gate.contender`` was not evaluated.
    """
    if settings.contender not in evaluation.contenders:
        names = ", ".join(evaluation.contenders)
        raise ConfigError(f"gate.contender = {settings.contender!r} was not evaluated; the contenders are {names}")
    return settings.contender, f"{settings.metric}@{evaluation.settings.k}"


@dataclass(frozen=True)
class _Rules:
    evaluation: Evaluation
    settings: GateSettings
    current: CurrentRelease | None
    metric: str
    candidate: CfSettings | None
    measure: Mapping[str, Any]

    @property
    def title(self) -> str:
        return self.metric.upper() if "ndcg" in self.metric else self.metric

    @property
    def score(self) -> float:
        return self.evaluation.value(self.settings.contender, self.metric)

    def all(self) -> Iterator[Check]:
        yield self.popularity()
        if LATELY in self.evaluation.contenders:
            yield self.popular_lately()
        if self.current is None:
            if self.settings.require_current:
                yield self.first_run()
        else:
            yield self.recipe(self.current)
            if (segments := self.evaluation.segments) is not None and CURRENT in self.evaluation.contenders:
                yield self.by_segment(self.current, segments.of_people(CURRENT))
            yield self.recorded(self.current)
        yield self.coverage()
        if self.settings.floor > 0:
            yield self.floor()

    def popularity(self) -> Check:
        gain = self.evaluation.difference(self.settings.contender, POPULARITY, self.metric)
        theirs = self.evaluation.value(POPULARITY, self.metric)
        passed = gain.low > 0
        standing = "above" if passed else "not surely above"
        reason = (
            f"{self.title} {self.score:.4f} is {standing} popularity's {theirs:.4f}"
            f" (difference {gain.value:+.4f}, interval {gain.low:+.4f} to {gain.high:+.4f})"
        )
        return Check("popularity", passed, reason, gain, 0.0)

    def popular_lately(self) -> Check:
        gain = self.evaluation.difference(self.settings.contender, LATELY, self.metric)
        theirs = self.evaluation.value(LATELY, self.metric)
        better = gain.low > 0
        reason = (
            f"{self.title} {self.score:.4f} is {'above' if better else 'not surely above'} the {theirs:.4f} of what was"
            f" popular lately (difference {gain.value:+.4f}, interval {gain.low:+.4f} to {gain.high:+.4f})"
        )
        if not better:
            reason += (
                "; cf.half_life and cf.trend help, and a search finds them: leave them and cf.tuning auto, with"
                " cf.solver ials"
            )
            if self.settings.popular_lately == "warn":
                reason += "; gate.popular_lately = warn lets it pass"
        return Check("popular lately", better or self.settings.popular_lately == "warn", reason, gain, 0.0)

    def recipe(self, current: CurrentRelease) -> Check:
        bound = -self.settings.margin
        if CURRENT not in self.evaluation.contenders:
            reason = f"the settings are those of the current release {current.name}"
            if self.candidate is None or not current.same_recipe(self.candidate):
                reason = f"not compared with the recipe of the current release {current.name}: {current.problem}"
            return Check("current recipe", passed=True, reason=reason, bound=bound)
        gain = self.evaluation.difference(self.settings.contender, CURRENT, self.metric, relative=True)
        theirs = self.evaluation.value(CURRENT, self.metric)
        passed = not gain.high < bound
        standing = "not surely more than" if passed else "surely more than"
        reason = (
            f"{self.title} {self.score:.4f} is {standing} {self.settings.margin:.1%} below the {theirs:.4f} that the"
            f" recipe of the current release {current.name} reaches on the same data"
            f" (difference {gain.value:+.1%}, interval {gain.low:+.1%} to {gain.high:+.1%})"
        )
        return Check("current recipe", passed, reason, gain, bound)

    def by_segment(self, current: CurrentRelease, segments: list[Segment]) -> Check:
        if not segments:
            return Check(
                "segments", passed=True, reason=f"no segment has the {FEWEST} users that it takes to be scored"
            )
        bound = -self.settings.segment_margin
        worst = min(segments, key=lambda segment: segment.leads[CURRENT].high)
        fallen = [segment for segment in segments if segment.leads[CURRENT].high < bound]
        told = "; ".join(_in_words(segment) for segment in fallen or [worst])
        reason = (
            f"{self.title} is surely more than {self.settings.segment_margin:.1%} below what the recipe of the current"
            f" release {current.name} reaches in {len(fallen) or 'none'} of {len(segments)} segments of the users"
            f" ({'' if fallen else 'nearest to it: '}{told}; the intervals hold for all at once)"
        )
        return Check("segments", not fallen, reason, worst.leads[CURRENT], bound)

    def recorded(self, current: CurrentRelease) -> Check:
        score, incomparable = current.recorded(self.measure)
        if score is None:
            reason = f"no recorded score to compare with: {incomparable}"
            return Check("recorded score", passed=True, reason=reason)
        bound = score * (1 - self.settings.max_drop)
        passed = self.score >= bound
        change = self.score / score - 1 if score else 0.0
        reason = (
            f"{self.title} {self.score:.4f} is {change:+.1%} from the {score:.4f} that the current release"
            f" {current.name} was published with; {'within' if passed else 'beyond'} gate.max_drop"
            f" {self.settings.max_drop:.0%}"
        )
        return Check("recorded score", passed, reason, number(self.score), number(bound))

    def coverage(self) -> Check:
        coverage = self.evaluation.contenders[self.settings.contender].coverage
        passed = coverage >= self.settings.min_coverage
        reason = (
            f"{coverage:.1%} of the rated games in the catalogue are recommended to somebody,"
            f" {'enough for' if passed else 'fewer than'} gate.min_coverage {self.settings.min_coverage:.1%}"
        )
        return Check("coverage", passed, reason, number(coverage), self.settings.min_coverage)

    def floor(self) -> Check:
        passed = self.score >= self.settings.floor
        reason = f"{self.title} {self.score:.4f} is {'not ' if passed else ''}below gate.floor {self.settings.floor:g}"
        return Check("floor", passed, reason, number(self.score), self.settings.floor)

    def first_run(self) -> Check:
        reason = "no release is current, and gate.require_current asks for one: restore the models folder, or unset it"
        return Check("current release", passed=False, reason=reason)


def _in_words(segment: Segment) -> str:
    lead = segment.leads[CURRENT]
    return f"{segment.kind} {segment.name} {lead.value:+.1%}, interval {lead.low:+.1%} to {lead.high:+.1%}"
