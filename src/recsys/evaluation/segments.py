"""Who is served better, and who worse: scores by segments of the people and of the games."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from recsys.evaluation.bootstrap import Interval, resampled_means, simultaneous_leads
from recsys.evaluation.result import number, plain
from recsys.evaluation.scores import hits_of
from recsys.marts import column_counts
from recsys.ranking import metrics

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy.typing as npt

    from recsys.evaluation.holdout import Split
    from recsys.evaluation.people import ScoredUsers
    from recsys.evaluation.result import Evaluation

    Floats = npt.NDArray[np.float64]
    Whole = npt.NDArray[np.int64]

Kind = Literal["activity", "newcomers", "age of the profile", "popularity of the games", "age of the games"]

PEOPLE = ("activity", "newcomers", "age of the profile")
"""The kinds whose segments are people; the others are games that they may like."""
SEGMENTS = "segments"
"""Key of ``metrics.json``, and name of the gate's rule."""
FEWEST = 100
"""People below whom a segment is not scored: they would widen every other interval, and tell nothing."""
NEWCOMER = 5
"""Ratings up to which somebody is a newcomer."""

_FIFTHS, _QUARTERS = 5, 4


@dataclass(frozen=True)
class Segment:
    """Some of the people, or some of the games.

    Attributes
    ----------
    kind
        What it is a part by.
    name
        Which part: ``up to 5 ratings``.
    users
        How many people are scored.
    scores
        By contender: the mean of the deciding metric over these people; for games, with these alone as relevant.
    leads
        By rival: how far the deciding contender is ahead, as a share of the rival's score.
    """

    kind: Kind
    name: str
    users: int
    scores: Mapping[str, float] = field(default_factory=dict)
    leads: Mapping[str, Interval] = field(default_factory=dict)

    @property
    def is_people(self) -> bool:
        """Whether it is a part of the people."""
        return self.kind in PEOPLE


@dataclass(frozen=True)
class Segments:
    """All segments of a trial.

    Attributes
    ----------
    contender, metric
        Whose leads are told, and by what: ``cf``, ``ndcg@10``.
    found
        The segments. Intervals of leads on one rival hold at once for those of the people, and for those of the games.
    """

    contender: str
    metric: str
    found: tuple[Segment, ...]

    def of_people(self, rival: str) -> list[Segment]:
        """Return the segments of the people that are scored beside a rival."""
        return [segment for segment in self.found if segment.is_people and rival in segment.leads]

    def as_json(self) -> dict[str, object]:
        """Return them ready for JSON."""
        return {
            "contender": self.contender,
            "metric": self.metric,
            "fewest": FEWEST,
            "found": [
                {
                    "of": segment.kind,
                    "name": segment.name,
                    "users": segment.users,
                    "scores": {name: number(score) for name, score in segment.scores.items()},
                    "leads": {name: plain(lead) for name, lead in segment.leads.items()},
                }
                for segment in self.found
            ],
        }


@dataclass(frozen=True)
class _Part:
    """A segment to be scored: of the people, or of the games."""

    kind: Kind
    name: str
    members: npt.NDArray[np.bool_]
    """bool, (users of the split,) or, for games, (items,)."""


def measure_segments(
    evaluation: Evaluation, split: Split, people: ScoredUsers, contender: str, metric: str
) -> Segments:
    """Score every contender on each segment.

    A segment of people is scored by the means of its members. Of a segment of games, these games alone count as
    relevant: it is scored by everybody who likes one that was held out.

    Parameters
    ----------
    evaluation
        Of the same split.
    split
        The hold-out.
    people
        What is known of its users.
    contender, metric
        Whose leads are told, and by what: the gate's.
    """
    parts = [(part, _scores_of_people(evaluation, part, metric)) for part in _people(people)]
    parts += _of_games(evaluation, split, metric)
    return Segments(contender, metric, tuple(_measured(evaluation, parts, contender)))


def _scores_of_people(evaluation: Evaluation, part: _Part, metric: str) -> dict[str, Floats]:
    return {
        name: np.where(part.members, scored.per_user[metric], np.nan) for name, scored in evaluation.contenders.items()
    }


def _of_games(evaluation: Evaluation, split: Split, metric: str) -> Iterator[tuple[_Part, dict[str, Floats]]]:
    """Yield each segment of the games with every user's score on it, by contender; NaN where they like none of it."""
    measure, k = metrics.ACCURACY[metric.partition("@")[0]], evaluation.settings.k
    lists = {name: scored.lists[:, :k] for name, scored in evaluation.contenders.items()}
    hits = {name: hits_of(listed, split) for name, listed in lists.items()}
    relevant = split.relevant[split.users]
    for part in _games(split):
        liked = np.diff(np.append(0, np.cumsum(part.members[relevant.indices]))[relevant.indptr])
        inside = np.append(part.members, False)  # -1, for padding, is no game of any segment
        yield part, {name: measure(hits[name] & inside[lists[name]], liked, k) for name in lists}


def _measured(
    evaluation: Evaluation, parts: Sequence[tuple[_Part, Mapping[str, Floats]]], contender: str
) -> list[Segment]:
    """Return the segments with what they scored; leads hold at once on all of the people, and on all of the games."""
    users = [int(np.count_nonzero(~np.isnan(scores[contender]))) for _, scores in parts]
    found = [Segment(part.kind, part.name, number_of) for number_of, (part, _) in zip(users, parts, strict=True)]
    enough = [at for at, number_of in enumerate(users) if number_of >= FEWEST]
    if not enough:
        return found
    settings, means, drawn = evaluation.settings, {}, {}
    for name in evaluation.contenders:
        columns = np.column_stack([parts[at][1][name] for at in enough])
        means[name] = np.nanmean(columns, axis=0)
        drawn[name] = resampled_means(columns, settings.resamples, settings.seed)
    leads: dict[str, dict[int, Interval]] = {}
    for rival in means.keys() - {contender}:
        leads[rival] = {}
        for family in (True, False):
            columns_of = [column for column, at in enumerate(enough) if found[at].is_people is family]
            pair = (table[name][..., columns_of] for table in (means, drawn) for name in (contender, rival))
            leads[rival].update(zip(columns_of, simultaneous_leads(*pair), strict=True))
    for column, at in enumerate(enough):
        scores = {name: float(means[name][column]) for name in means}
        found[at] = replace(
            found[at], scores=scores, leads={rival: leads[rival][column] for rival in means if rival in leads}
        )
    return found


def _people(people: ScoredUsers) -> Iterator[_Part]:
    """Yield fifths of the people by activity and by the age of their profile, and the newcomers."""
    yield from _fifths("activity", people.ratings, "rating")
    yield _Part("newcomers", f"up to {NEWCOMER} ratings", people.ratings <= NEWCOMER)
    if people.days is not None:
        yield from _fifths("age of the profile", people.days, "day")


def _fifths(kind: Kind, values: Whole, unit: str) -> Iterator[_Part]:
    """Yield parts of about equally many people, from the lowest values up; equal values are in one part."""
    bounds = np.unique(np.quantile(values, np.arange(1, _FIFTHS + 1) / _FIFTHS, method="inverted_cdf"))
    part = np.searchsorted(bounds, values)
    for at in range(len(bounds)):
        members = part == at
        yield _Part(kind, _span(int(values[members].min()), int(values[members].max()), unit), members)


def _games(split: Split) -> Iterator[_Part]:
    """Yield quarters of the ratings by how often, and where ratings are dated by when first, their games were rated."""
    matrix, moments = split.train.matrix, split.train.rated_at
    raters = column_counts(matrix.indices, matrix.shape[1])
    for members in _quarters(np.argsort(-raters, kind="stable"), raters):
        counts = raters[members]
        span = _span(int(counts.min()), int(counts.max()), "rating")
        yield _Part("popularity of the games", f"{len(counts):,} games with {span} each", members)
    if moments is not None:
        first = np.full(matrix.shape[1], moments.max(), dtype=np.int64)  # of a game that nobody has rated yet
        np.minimum.at(first, matrix.indices, moments)
        for members in _quarters(np.argsort(first, kind="stable"), raters):
            since, until = (
                str(np.datetime64(int(edge), "us"))[:10] for edge in (first[members].min(), first[members].max())
            )
            name = f"{np.count_nonzero(members):,} games first rated {since} to {until}"
            yield _Part("age of the games", name, members)


def _quarters(order: npt.NDArray[np.intp], raters: Whole) -> Iterator[npt.NDArray[np.bool_]]:
    """Yield which games hold each quarter of the ratings, in an order of the games; no empty ones."""
    counts = raters[order]
    middle = np.cumsum(counts) - counts / 2
    part = np.empty(len(order), dtype=np.int64)
    part[order] = np.minimum(middle * _QUARTERS // max(int(counts.sum()), 1), _QUARTERS - 1)
    for at in np.unique(part).tolist():
        yield part == at


def _span(low: int, high: int, unit: str) -> str:
    plural = "" if high == 1 else "s"
    return f"{low:,} {unit}{plural}" if low == high else f"{low:,}–{high:,} {unit}{plural}"
