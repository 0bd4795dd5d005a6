"""The facts of a run in its manifest: what the gate of the next run, comparisons and people read."""

from __future__ import annotations

from pydantic import ConfigDict

from recsys.release.records import Finding, Json


class Measure(Finding):
    """How the deciding score was measured; what must be equal for two nights' scores to be comparable.

    Attributes
    ----------
    contender, metric
        Whose score decided, and which: ``cf``, ``ndcg@10``.
    hold_out, fraction, seed
        Which ratings were held out.
    like_threshold
        The rating from which on a game counts as liked.
    score
        The score itself; not part of what is compared.
    """

    contender: str | None = None
    metric: str | None = None
    hold_out: str | None = None
    fraction: float | None = None
    seed: int | None = None
    like_threshold: float | None = None
    score: float | None = None


class Judgement(Finding):
    """What the gate said, in short.

    Attributes
    ----------
    passed
        Whether every rule let the candidate pass.
    override
        Why somebody published it anyway.
    reason
        One line with the numbers.
    """

    passed: bool
    override: str | None = None
    reason: str


class TrialFacts(Finding):
    """One recipe that a search tried.

    Attributes
    ----------
    stage
        Name of the search's stage.
    recipe
        What was trained.
    iterations, ratings
        How long, and on how many ratings.
    ndcg
        Mean NDCG@10 on the inner hold-out.
    seconds
        What it took.
    """

    stage: str = "trial"
    recipe: dict[str, Json]
    iterations: int | None = None
    ratings: int | None = None
    ndcg: float
    seconds: float | None = None


class SearchFacts(Finding):
    """A search for settings.

    Attributes
    ----------
    winner
        The recipe that won.
    trials
        All that was tried, in order.
    rule, best, used
        NDCG@10 of the rule's recipe, of the best, and of the recipe that was current then.
    users
        Users of the inner hold-out.
    complete
        Whether nothing was cut short.
    seconds
        What it took.
    work
        What it cost, counted; None before there was a count.
    ended_by
        What cut it short: ``work`` or ``clock``; empty where nothing did.
    """

    winner: dict[str, Json]
    trials: tuple[TrialFacts, ...] = ()
    rule: float | None = None
    best: float | None = None
    used: float | None = None
    users: int | None = None
    complete: bool = True
    seconds: float | None = None
    work: float | None = None
    ended_by: str = ""


class TuningFacts(Finding):
    """The last search, and what became of it; see :class:`recsys.tuning.history.TuningHistory`."""

    search: SearchFacts
    because: str
    age: int = 0
    score: float | None = None
    free: tuple[str, ...] = ()
    measure: Measure = Measure()


class DataFacts(Finding):
    """The profile of the data; see :class:`recsys.evaluation.drift.DataProfile`."""

    ratings: int
    users: int
    rated_games: int
    games: int
    mean_rating: float
    unknown_share: float
    edges: tuple[float, ...]
    histogram: tuple[int, ...]


class ChangeFacts(Finding):
    """One figure of the data, then and now; see :class:`recsys.evaluation.drift.Change`."""

    figure: str
    before: float | None = None
    now: float | None = None
    change: float
    low: float | None = None
    high: float | None = None
    within: bool


class DriftFacts(Finding):
    """How the data changed since the release before; see :class:`recsys.evaluation.drift.Drift`."""

    release: str
    accepted: str | None = None
    reason: str
    changes: tuple[ChangeFacts, ...]


class Facts(Finding):
    """Facts of a run, free of secrets; what a later version adds is kept with the half that it is about.

    Attributes
    ----------
    measure
        How the deciding score was measured, and the score.
    recipe
        The settings that were scored and trained on all ratings: section ``cf`` with nothing left open.
    trained
        On what, in words.
    verdict
        The gate's.
    tuning
        The search for the recipe; None where there was none.
    data, drift
        The profile of the data, and how it changed since the release before.
    read_at
        The moment as of which the run that trained the CF half read both marts, as their warehouse wrote it; None where
        that keeps no past.
    """

    model_config = ConfigDict(extra="allow")

    measure: Measure | None = None
    recipe: dict[str, Json] | None = None
    trained: str | None = None
    verdict: Judgement | None = None
    tuning: TuningFacts | None = None
    data: DataFacts | None = None
    drift: DriftFacts | None = None
    read_at: str | None = None
