"""What the gate says on real ratings: good and bad recipes, and luck.

    python benchmarks/gate.py FOLDER [--set cf.factors=64 ...]
    python benchmarks/gate.py FOLDER --nights 200 [--dated] [--users 0.2]

FOLDER holds ``mart_user_ratings.parquet``. The first form scores the settings' recipe beside popularity and the
textbook recipe (ratings as confidence, λ 0.01), with the seconds that scoring took. The second one lets the gate judge
so many nights on which nothing happened, each with another seed and another 1% of the ratings missing, against the
night before; the first night searches. Each night it judges the same candidate made worse too: by 5% of NDCG for a
fifth of the users by activity, another fifth each night, in two ways (see ``WAYS``). ``--dated`` reads
``mart_user_ratings_dated.parquet`` and cuts in time; ``--users`` takes a share of the users.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from recsys.config import CfSettings, load_settings
from recsys.evaluation.contenders import CF, CURRENT, POPULARITY, Factors, Popularity
from recsys.evaluation.current import CurrentRelease
from recsys.evaluation.gate import deciding, judge
from recsys.evaluation.holdout import split
from recsys.evaluation.scores import evaluate, score_lists
from recsys.evaluation.segments import measure_segments
from recsys.marts.ratings import Ratings
from recsys.models.cf import CollaborativeFilter
from recsys.models.confidence import like_threshold
from recsys.pipeline.proving import Trial
from recsys.system.steps import Steps
from tables import some

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from recsys.config import Settings
    from recsys.evaluation.holdout import Split
    from recsys.evaluation.proof import Proof

    Lists = npt.NDArray[np.int32]

TEXTBOOK = CfSettings(
    solver="implicit", tuning="off", confidence="rating", alpha=1.0, factors=64, regularization=0.01, iterations=15
)


WORSE = 0.05
"""How much worse a fifth of the users are served, as a share of their NDCG."""
FIFTHS = 5


def main() -> None:
    """Read the command line, and run both parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--nights", type=int, default=0)
    parser.add_argument("--dated", action="store_true")
    parser.add_argument("--users", type=float, default=1.0)
    parser.add_argument("--set", action="append", default=[], dest="settings", metavar="SECTION.KEY=VALUE")
    asked = parser.parse_args()
    settings = load_settings(overrides=asked.settings, environ={})
    if asked.nights:
        quick = settings.evaluation.model_copy(update={"newcomers": False, "random_draw": False})
        frame = pd.read_parquet(asked.folder / f"mart_user_ratings{'_dated' * asked.dated}.parquet")
        _nights(
            some(frame, "USER_ID", asked.users, 11), settings.model_copy(update={"evaluation": quick}), asked.nights
        )
        return
    parts = _split(asked.folder, settings)
    model = CollaborativeFilter(settings.cf).fit(parts.train)
    print(f"recipe: {model.pinned}")
    settings = settings.model_copy(update={"cf": model.pinned})
    current = Factors(CURRENT, model.user_factors, model.item_factors)
    _recipes(parts, settings, current)


def _split(folder: Path, settings: Settings) -> Split:
    ratings = Ratings.from_frame(pd.read_parquet(folder / "mart_user_ratings.parquet"))
    began = time.perf_counter()
    parts = split(ratings, settings.evaluation, like_threshold(settings.cf.like_threshold, ratings.matrix.data))
    print(f"hold-out: {parts.description()} in {time.perf_counter() - began:.2f} s")
    return parts


def _trained(name: str, parts: Split, recipe: CfSettings) -> Factors:
    model = CollaborativeFilter(recipe).fit(parts.train)
    return Factors(name, model.user_factors, model.item_factors)


def _recipes(parts: Split, settings: Settings, current: Factors) -> None:
    textbook = _trained(CF, parts, TEXTBOOK)
    began = time.perf_counter()
    evaluation = evaluate([Popularity.of(parts.train), current, textbook], parts, settings.evaluation)
    took = time.perf_counter() - began
    for name in evaluation.contenders:
        label = "textbook" if name == CF else name
        print(f"{label}: {evaluation.interval(name, f'ndcg@{settings.evaluation.k}')}")
    print(f"scoring 3 contenders took {took:.1f} s")
    verdict = judge(evaluation, settings.gate, CurrentRelease("of yesterday"))
    print(f"textbook {'passes' if verdict.passed else 'is refused'}: {verdict.reason}")


def _nights(frame: pd.DataFrame, settings: Settings, nights: int) -> None:
    """Let the gate judge nights on which nothing happened: another seed, and another 1% of the ratings missing."""
    time_column = "RATED_AT" if "RATED_AT" in frame else ""
    recipe, last = settings.cf, 1.0
    before: CurrentRelease | None = None
    refused: list[str] = []
    changes: list[float] = []
    ways = [Worse(name, change) for name, change in WAYS.items()]
    for night in range(nights + 1):
        tonight = frame.sample(frac=0.99, random_state=night).sort_index()
        ratings = Ratings.from_frame(tonight, time_column=time_column)
        cf = recipe.model_copy(update={"seed": settings.cf.seed + night})
        proof = Trial(settings.model_copy(update={"cf": cf}), before, Steps()).hold(ratings)
        parts = split(ratings, settings.evaluation, proof.recipe.like_threshold)
        recipe = proof.recipe.model_copy(update={"tuning": "off"})
        if before is None:
            print(f"{len(parts.users):,} users scored; the first night found {recipe}", flush=True)
            for way in ways:
                way.calibrate(proof, parts)
        else:
            changes.append(proof.verdict.score.value / last - 1)
            refused += [] if proof.verdict.passed else [f"night {night}: {proof.verdict.reason}"]
            for way in ways:
                way.try_on(proof, parts, settings, before, night)
            told = ", ".join(f"{way.name} {way.refused}" for way in ways)
            print(f"night {night}: {len(refused)} refused; worse: {told}", flush=True)
        last = proof.verdict.score.value
        before = CurrentRelease(f"night {night}", recipe, measure={**proof.measure, "score": last})
    print(f"score from night to night: {min(changes):+.2%} to {max(changes):+.2%}")
    print(f"refused: {len(refused)} of {nights}", *refused, sep="\n")
    for way in ways:
        print(way.told(nights))


def _blurred(lists: Lists, _: Lists, much: float, draw: np.random.Generator) -> Lists:
    """Shuffle everybody's best 20 a little: sorted by rank and noise."""
    noisy = np.arange(lists.shape[1]) + much * draw.standard_normal(lists.shape)
    return np.take_along_axis(lists, np.argsort(noisy, axis=1, kind="stable"), axis=1)


def _bestsellers(lists: Lists, popular: Lists, much: float, draw: np.random.Generator) -> Lists:
    """Give some of them the games with the most ratings, as if nothing were known of them."""
    return np.where((draw.random(len(lists)) < much / 100)[:, None], popular, lists)


WAYS: dict[str, Callable[[Lists, Lists, float, np.random.Generator], Lists]] = {
    "order blurred": _blurred,
    "bestsellers for some": _bestsellers,
}
"""How a candidate is made worse for some users."""


@dataclass
class Worse:
    """One way to make a candidate worse for a fifth of the users, and how often the gate refused that."""

    name: str
    change: Callable[[Lists, Lists, float, np.random.Generator], Lists]
    much: list[float] = field(default_factory=list)
    falls: list[float] = field(default_factory=list)
    refused: int = 0
    rules: Counter[str] = field(default_factory=Counter)

    def calibrate(self, proof: Proof, parts: Split) -> None:
        """Find how much of it costs 5% of each fifth's NDCG, on a night that is not counted."""
        for at in range(FIFTHS):
            low, high = 0.0, 100.0
            for _ in range(20):
                middle = (low + high) / 2
                fall = self._fall(proof, parts, at, middle, seed=1)
                low, high = (middle, high) if fall < WORSE else (low, middle)
            self.much.append(middle)

    def try_on(self, proof: Proof, parts: Split, settings: Settings, before: CurrentRelease, night: int) -> None:
        """Judge tonight's candidate, made worse for one fifth of the users."""
        at = night % FIFTHS
        self.falls.append(self._fall(proof, parts, at, self.much[at], seed=night))
        worse = score_lists(CF, self._lists(proof, at, self.much[at], night), parts, settings.evaluation.k, None, None)
        evaluation = replace(proof.evaluation, contenders={**proof.evaluation.contenders, CF: worse})
        segments = measure_segments(evaluation, parts, proof.people, *deciding(evaluation, settings.gate))
        judged = judge(
            replace(evaluation, segments=segments), settings.gate, before, recipe=proof.recipe, measure=proof.measure
        )
        self.refused += not judged.passed
        self.rules.update(check.rule for check in judged.checks if not check.passed)

    def told(self, nights: int) -> str:
        """Return what became of it."""
        return (
            f"{self.name}, NDCG of a fifth {-np.mean(self.falls):.1%} ({-max(self.falls):.1%} to"
            f" {-min(self.falls):.1%}): refused {self.refused} of {nights}, by {dict(self.rules)}"
        )

    def _fall(self, proof: Proof, parts: Split, at: int, much: float, seed: int) -> float:
        k, fifth = proof.evaluation.settings.k, _fifth(proof.people.ratings, at)
        name = f"ndcg@{k}"
        before = proof.evaluation.contenders[CF].per_user[name][fifth].mean()
        worse = score_lists(CF, self._lists(proof, at, much, seed), parts, k, None, None)
        return float(1 - worse.per_user[name][fifth].mean() / before)

    def _lists(self, proof: Proof, at: int, much: float, seed: int) -> Lists:
        lists = proof.evaluation.contenders[CF].lists.copy()
        fifth = _fifth(proof.people.ratings, at)
        popular = proof.evaluation.contenders[POPULARITY].lists[fifth]
        lists[fifth] = self.change(lists[fifth], popular, much, np.random.default_rng(seed))
        return lists


def _fifth(ratings: npt.NDArray[np.int64], at: int) -> npt.NDArray[np.intp]:
    """Return the places of a fifth of the users, from the least to the most active; ties by place."""
    return np.array_split(np.argsort(ratings, kind="stable"), FIFTHS)[at]


if __name__ == "__main__":
    main()
