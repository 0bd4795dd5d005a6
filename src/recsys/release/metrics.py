"""``metrics.json``: the proof of a candidate, as far as other code than its writer reads it.

Every key may be missing: the page says so. A key that is there holds what is described here.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field

from recsys.release.facts import DataFacts, DriftFacts, Judgement, Measure, TuningFacts
from recsys.release.layout import METRICS
from recsys.release.records import Finding, Format, Json, read_record

FORMAT = Format(1, 2)
"""Format of ``metrics.json`` that this package writes. 1.1 added ``minor``, ``random_draw``
and ``scenarios``, 1.2 ``segments``, ``overlap`` and ``gini``."""


class _Measured(Finding):
    """A finding that keeps what it does not know, to be shown or passed over."""

    model_config = ConfigDict(extra="allow")


class Estimate(_Measured):
    """A mean with its bootstrap interval; None where there is no such number."""

    value: float | None
    low: float | None
    high: float | None


class Rule(_Measured):
    """One rule of the gate, applied; see :class:`recsys.evaluation.gate.Check`."""

    rule: str
    passed: bool
    reason: str
    value: Estimate | float | None = None
    bound: float | None = None


class VerdictFound(Judgement):
    """What the gate said; see :class:`recsys.evaluation.gate.Verdict`."""

    model_config = ConfigDict(extra="allow")

    published: bool
    contender: str
    metric: str
    score: Estimate
    checks: tuple[Rule, ...]


class Scores(_Measured):
    """The scores of all contenders: for each, each metric's estimate, and ``coverage`` and ``gini``, numbers.

    Attributes
    ----------
    k
        Length of the lists.
    users, resamples
        How many were scored, and drawn by the bootstrap.
    split
        What was held out; see :meth:`recsys.evaluation.holdout.Split.description`.
    contenders
        Scores by contender and metric.
    """

    k: int = 10
    users: int | None = None
    resamples: int | None = None
    split: dict[str, Json] = Field(default_factory=dict)
    contenders: dict[str, dict[str, Estimate | float | None]] = Field(default_factory=dict)


class Exposure(_Measured):
    """Who is rated and who is recommended, in sections of the catalogue from the most to the least rated game."""

    games: tuple[int, ...] = ()
    ratings: tuple[float, ...] = ()
    recommended: dict[str, tuple[float, ...]] = Field(default_factory=dict)
    shown: dict[str, tuple[int, ...]] = Field(default_factory=dict)


class Overlap(_Measured):
    """What stays of people's lists; ``missing`` says why that was not measured.

    Attributes
    ----------
    release
        The release whose lists they were.
    k, users
        Length of the lists, and whose were compared.
    kept
        Mean share of a list's games that stay.
    first, none
        Shares of users whose first game stays first, and of whose list nothing stays.
    """

    missing: str = ""
    release: str = ""
    k: int = 10
    users: int = 0
    kept: Estimate | None = None
    first: float | None = None
    none: float | None = None


class Comparison(_Measured):
    """Scores of the hybrid and its rivals on some rankings, and how far it is ahead of each."""

    rankings: int
    models: dict[str, Estimate]
    leads: dict[str, Estimate]
    liked: int | None = None


class ColdGames(_Measured):
    """The hybrid on games held out whole; ``missing`` says why it was not measured."""

    missing: str = ""
    metric: str = ""
    folds: int = 0
    held_out: Comparison | None = None
    all: Comparison | None = None


class ShortProfiles(_Measured):
    """The hybrid on people with few ratings; ``missing`` says why it was not measured."""

    missing: str = ""
    metric: str = ""
    seeds: int = 0
    profiles: tuple[Comparison, ...] = ()


class Newcomers(_Measured):
    """What the hybrid is worth for new games and new people; ``missing`` says why it was not measured."""

    missing: str = ""
    sample: dict[str, int] = Field(default_factory=dict)
    cold_games: ColdGames = ColdGames()
    short_profiles: ShortProfiles = ShortProfiles()


class SegmentFound(_Measured):
    """One segment; see :class:`recsys.evaluation.segments.Segment`. Where it is too small it has no scores."""

    of: str
    name: str
    users: int
    scores: dict[str, float | None] = Field(default_factory=dict)
    leads: dict[str, Estimate] = Field(default_factory=dict)


class Segments(_Measured):
    """Scores by segment of the people and of the games, and how far one contender is ahead of each other one."""

    contender: str = ""
    metric: str = ""
    fewest: int = 0
    found: tuple[SegmentFound, ...] = ()


class ScenarioFigures(_Measured):
    """What the lists by one scenario scored.

    Attributes
    ----------
    rules
        The scenario, as it was scored.
    scores
        By metric, and ``coverage``.
    price
        What it changes: NDCG as a share of that without rules, ``popular_share`` and ``coverage`` by difference.
    """

    rules: dict[str, Json] = Field(default_factory=dict)
    scores: dict[str, Estimate | float | None] = Field(default_factory=dict)
    price: dict[str, Estimate | float | None] = Field(default_factory=dict)


class Scenarios(_Measured):
    """The lists by scenarios beside those without rules; ``missing`` says why they were not scored."""

    missing: str = ""
    k: int = 10
    users: int = 0
    base: dict[str, Estimate | float | None] = Field(default_factory=dict)
    named: dict[str, ScenarioFigures] = Field(default_factory=dict)


def _something(value: object) -> object:
    """Refuse null: None stands for a key that is missing, which is not validated."""
    if value is None:
        raise ValueError("there is nothing")
    return value


class Metrics(_Measured):
    """All of ``metrics.json``; docs/evaluation.md says what each key holds."""

    format: int = FORMAT.major
    minor: int = FORMAT.minor
    verdict: Annotated[VerdictFound | None, AfterValidator(_something)] = None
    measure: Measure = Measure()
    recipe: dict[str, Json] = Field(default_factory=dict)
    evaluation: Scores = Scores()
    random_draw: Scores | None = None
    gains: dict[str, Estimate] = Field(default_factory=dict)
    segments: Segments = Segments()
    learning_curve: tuple[float, ...] = ()
    exposure: Exposure = Exposure()
    overlap: Overlap = Overlap()
    newcomers: Newcomers = Newcomers()
    scenarios: Scenarios = Scenarios()
    tuning: TuningFacts | None = None
    data: Annotated[DataFacts | None, AfterValidator(_something)] = None
    drift: DriftFacts | None = None


def read_metrics(data: bytes) -> Metrics:
    """Return what ``metrics.json`` holds.

    Raises
    ------
    IncompatibleArtifact
        If a newer format wrote it.
    ArtifactCorrupt
        If it is no such file.
    """
    return read_record(METRICS, data, Metrics, FORMAT)
