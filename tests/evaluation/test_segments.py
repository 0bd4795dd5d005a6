"""Segments: who is in them, what they score, how sure that is, and what the gate makes of one that falls."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from factories.tastes import tastes
from recsys.config import EvaluationSettings, GateSettings
from recsys.evaluation.bootstrap import LEVEL, interval, resampled_means, simultaneous_leads
from recsys.evaluation.contenders import CF, CURRENT, Popularity
from recsys.evaluation.current import CurrentRelease
from recsys.evaluation.gate import Check, judge
from recsys.evaluation.holdout import Split, split
from recsys.evaluation.people import ScoredUsers
from recsys.evaluation.scores import evaluate
from recsys.evaluation.segments import FEWEST, Segments, measure_segments

if TYPE_CHECKING:
    from recsys.evaluation.contenders import Contender
    from recsys.evaluation.result import Evaluation
    from recsys.marts import Ratings

SETTINGS = EvaluationSettings(users=0, resamples=300)
Scores = npt.NDArray[np.float32]


class Knowing:
    """Ranks by the held-out likes, blurred: by so much for everybody, and by more for some."""

    def __init__(self, name: str, parts: Split, blur: npt.NDArray[np.float64], seed: int) -> None:
        self.name, self.parts, self.blur, self.seed = name, parts, blur, seed

    def scores(self, users: npt.NDArray[np.int32]) -> Scores:
        """Return 1 for what is relevant and 0 for the rest, and noise."""
        draws = (np.random.default_rng((self.seed, int(user))) for user in users)
        noise = np.stack([draw.standard_normal(self.parts.relevant.shape[1]) for draw in draws])
        known = self.parts.relevant[users].toarray() > 0
        return (known + self.blur[users, None] * noise).astype(np.float32)


@pytest.fixture(scope="module")
def rated() -> Ratings:
    """Return ratings of four groups of taste, with dates: a game's and a user's place among them tell when."""
    ratings = tastes(users=1500)
    users = np.repeat(np.arange(ratings.matrix.shape[0]), np.diff(ratings.matrix.indptr))
    day = 86_400_000_000
    return replace(ratings, rated_at=(users * 1_000_003 % 400 + ratings.matrix.indices.astype(np.int64)) * day)


@pytest.fixture(scope="module")
def parts(rated: Ratings) -> Split:
    """Hold out at random, the dates kept."""
    return split(rated, SETTINGS, 7.0, at_random=True)


@pytest.fixture(scope="module")
def people(rated: Ratings, parts: Split) -> ScoredUsers:
    """Return the scored users."""
    return ScoredUsers.of(parts, rated)


def evaluated(parts: Split, worse: npt.NDArray[np.bool_] | None = None, *, more: float = 0.2) -> Evaluation:
    """Score a candidate beside popularity and the current recipe: the same but for luck, and worse for some users."""
    blur = np.full(parts.train.matrix.shape[0], 0.4)
    ours = blur if worse is None else np.where(worse, blur + more, blur)
    contenders: list[Contender] = [
        Popularity.of(parts.train),
        Knowing(CF, parts, ours, 1),
        Knowing(CURRENT, parts, blur, 2),
    ]
    return evaluate(contenders, parts, SETTINGS)


@pytest.fixture(scope="module")
def evaluation(parts: Split) -> Evaluation:
    """Return a night on which nothing happened."""
    return evaluated(parts)


@pytest.fixture(scope="module")
def segments(evaluation: Evaluation, parts: Split, people: ScoredUsers) -> Segments:
    """Return the segments of that night."""
    return measure_segments(evaluation, parts, people, CF, "ndcg@10")


def test_fifths_hold_everybody_once(segments: Segments, people: ScoredUsers) -> None:
    """By activity and by age; whoever has as many ratings is in the same one."""
    for kind in ("activity", "age of the profile"):
        users = [segment.users for segment in segments.found if segment.kind == kind]
        assert sum(users) == len(people.names)
        assert 3 <= len(users) <= 5
    names = [segment.name for segment in segments.found if segment.kind == "activity"]
    spans = [[int(end) for end in name.split(" ")[0].split("–")] for name in names]
    assert all(before[-1] < after[0] for before, after in pairwise(spans))
    for segment, span in zip(segments.found, spans, strict=False):
        members = (people.ratings >= span[0]) & (people.ratings <= span[-1])
        assert segment.users == np.count_nonzero(members)


def test_a_segment_of_people_scores_the_mean_of_its_members(
    segments: Segments, people: ScoredUsers, evaluation: Evaluation
) -> None:
    """Of every contender, and the lead is that of the means."""
    first = segments.found[0]
    until = int(first.name.split(" ")[0].split("–")[-1])
    mine = people.ratings <= until
    means = {name: scores.per_user["ndcg@10"][mine].mean() for name, scores in evaluation.contenders.items()}
    assert first.scores == pytest.approx(means)
    for rival in (CURRENT, "popularity"):
        assert first.leads[rival].value == pytest.approx(means[CF] / means[rival] - 1)
    assert CF not in first.leads


def test_games_of_a_segment_alone_are_relevant_to_it(segments: Segments, parts: Split, evaluation: Evaluation) -> None:
    """NDCG by hand, user by user, for the most rated quarter and for the oldest games."""
    raters = np.bincount(parts.train.matrix.indices, minlength=parts.train.matrix.shape[1])
    first = pd.Series(parts.train.rated_at).groupby(parts.train.matrix.indices).min().to_numpy()
    orders = {"popularity of the games": np.argsort(-raters, kind="stable"), "age of the games": np.argsort(first)}
    discount = 1 / np.log2(np.arange(2, 12))
    for kind, order in orders.items():
        found = next(segment for segment in segments.found if segment.kind == kind)
        members = set(order[: int(found.name.split(" ")[0])].tolist())
        assert raters[list(members)].sum() / raters.sum() == pytest.approx(0.25, abs=0.06)
        scores = []
        for place, user in enumerate(parts.users):
            liked = set(parts.relevant[user].indices.tolist()) & members
            if liked:
                listed = evaluation.contenders[CF].lists[place, :10]
                gained = sum(discount[rank] for rank, game in enumerate(listed) if game in liked)
                scores.append(gained / discount[: min(10, len(liked))].sum())
        assert found.users == len(scores)
        assert found.scores[CF] == pytest.approx(np.mean(scores))


def test_quarters_of_the_games_hold_every_game_once(segments: Segments, parts: Split) -> None:
    """Also those that the training part lacks."""
    for kind in ("popularity of the games", "age of the games"):
        numbers = [int(segment.name.split(" ")[0]) for segment in segments.found if segment.kind == kind]
        assert sum(numbers) == parts.train.matrix.shape[1]
        assert len(numbers) == 4


def test_intervals_of_many_segments_hold_at_once() -> None:
    """Of 20 scores without a difference one looks like one in most nights by itself, in about one of 20 together."""
    draw, columns, nights, alone, together = np.random.default_rng(5), 20, 200, 0, 0
    for night in range(nights):
        ours, theirs = (np.abs(draw.normal(1, 0.3, (150, columns))) for _ in range(2))
        drawn = [resampled_means(scores, 200, night) for scores in (ours, theirs)]
        means = ours.mean(axis=0), theirs.mean(axis=0)
        leads = simultaneous_leads(*means, *drawn)
        single = [interval(0.0, drawn[0][:, at] / drawn[1][:, at] - 1) for at in range(columns)]
        together += any(lead.low > 0 or lead.high < 0 for lead in leads)
        alone += any(lead.low > 0 or lead.high < 0 for lead in single)
    assert alone / nights > 0.5
    assert together / nights < 2 * (1 - LEVEL)


def test_a_lead_on_nothing_is_no_number() -> None:
    """Where a rival finds nothing of a segment, or may find nothing, no share is told; the others keep theirs."""
    ours, theirs = np.array([0.5, 0.5, 0.5]), np.array([0.0, 0.25, 0.5])
    drawn = np.tile(theirs, (100, 1))
    drawn[3, 1] = 0
    leads = simultaneous_leads(ours, theirs, np.tile(ours, (100, 1)), drawn)
    assert [np.isnan(lead.value) for lead in leads] == [True, True, False]
    assert leads[2] == (0.0, 0.0, 0.0)


def check(evaluation: Evaluation, segments: Segments, **gate: float) -> Check:
    """Return what the rule says."""
    judged = judge(replace(evaluation, segments=segments), GateSettings.model_validate(gate), CurrentRelease("r1"))
    return next(check for check in judged.checks if check.rule == "segments")


def test_a_night_on_which_nothing_happened_passes(evaluation: Evaluation, segments: Segments) -> None:
    """Luck is within the margin; the reason names what came nearest."""
    said = check(evaluation, segments, segment_margin=0.05)
    assert said.passed
    assert "in none of" in said.reason
    assert "nearest to it" in said.reason


def test_a_fifth_that_is_served_worse_is_refused(parts: Split, people: ScoredUsers) -> None:
    """The rest is served as before; the reason names these people, and a margin of all lets it pass."""
    few = people.ratings <= np.quantile(people.ratings, 0.2, method="inverted_cdf")
    worse = np.zeros(parts.train.matrix.shape[0], dtype=bool)
    worse[parts.users[few]] = True
    evaluation = evaluated(parts, worse)
    segments = measure_segments(evaluation, parts, people, CF, "ndcg@10")
    said = check(evaluation, segments)
    assert not said.passed
    assert f"activity {segments.found[0].name} -" in said.reason
    assert "r1" in said.reason
    fallen = [each for each in segments.of_people(CURRENT) if each.leads[CURRENT].high < -0.02]
    assert segments.found[0] in fallen
    assert check(evaluation, segments, segment_margin=1).passed


def test_what_is_worse_for_games_alone_does_not_refuse(evaluation: Evaluation, segments: Segments) -> None:
    """People count: that other games are found is told and decides nothing."""
    fallen = segments.found[0].leads[CURRENT]._replace(value=-0.5, low=-0.6, high=-0.4)
    games = [replace(each, leads={CURRENT: fallen}) if not each.is_people else each for each in segments.found]
    assert check(evaluation, replace(segments, found=tuple(games)), segment_margin=0.05).passed
    everybody = [replace(each, leads={CURRENT: fallen}) for each in segments.found]
    assert not check(evaluation, replace(segments, found=tuple(everybody)), segment_margin=0.05).passed


def test_a_segment_of_few_is_told_and_not_scored(segments: Segments, parts: Split, rated: Ratings) -> None:
    """It has its number of users alone; where all are small the rule says so."""
    newcomers = next(segment for segment in segments.found if segment.kind == "newcomers")
    assert newcomers.users < FEWEST
    assert not newcomers.scores
    few = replace(parts, users=parts.users[:90])
    evaluation = evaluate([Popularity.of(few.train), Knowing(CF, few, np.full(len(rated.users), 0.4), 1),
                           Knowing(CURRENT, few, np.full(len(rated.users), 0.4), 2)], few, SETTINGS)  # fmt: skip
    small = measure_segments(evaluation, few, ScoredUsers.of(few, rated), CF, "ndcg@10")
    assert not any(segment.scores for segment in small.found)
    assert "no segment has the 100 users" in check(evaluation, small).reason


def test_the_current_recipe_is_what_segments_are_held_against(evaluation: Evaluation, segments: Segments) -> None:
    """Without it there is no such rule."""
    alone = replace(evaluation, contenders={name: evaluation.contenders[name] for name in ("popularity", CF)})
    judged = judge(replace(alone, segments=segments), GateSettings(), CurrentRelease("r1"))
    assert "segments" not in {check.rule for check in judged.checks}
