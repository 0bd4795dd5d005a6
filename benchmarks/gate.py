"""What the gate says on real ratings: good and bad recipes, and luck.

    python benchmarks/gate.py FOLDER [--set cf.factors=64 ...]
    python benchmarks/gate.py FOLDER --nights 200 [--dated] [--users 0.2]

FOLDER holds ``mart_user_ratings.parquet``. The first form scores the settings' recipe beside popularity and the
textbook recipe (ratings as confidence, λ 0.01), with the seconds that scoring took. The second one lets the gate judge
so many nights on which nothing happened, each with another seed and another 1% of the ratings missing, against the
night before; the first night searches. ``--dated`` reads ``mart_user_ratings_dated.parquet`` and cuts in time;
``--users`` takes a share of the users.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from recsys.config import CfSettings, load_settings
from recsys.evaluation.contenders import CF, CURRENT, Factors, Popularity
from recsys.evaluation.current import CurrentRelease
from recsys.evaluation.gate import judge
from recsys.evaluation.holdout import split
from recsys.evaluation.scores import evaluate
from recsys.marts.ratings import Ratings
from recsys.models.cf import CollaborativeFilter
from recsys.models.confidence import like_threshold
from recsys.pipeline.proving import Trial
from recsys.system.steps import Steps
from tables import some

if TYPE_CHECKING:
    from recsys.config import Settings
    from recsys.evaluation.holdout import Split

TEXTBOOK = CfSettings(
    solver="implicit", tuning="off", confidence="rating", alpha=1.0, factors=64, regularization=0.01, iterations=15
)


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
    for night in range(nights + 1):
        tonight = frame.sample(frac=0.99, random_state=night).sort_index()
        ratings = Ratings.from_frame(tonight, time_column=time_column)
        cf = recipe.model_copy(update={"seed": settings.cf.seed + night})
        proof = Trial(settings.model_copy(update={"cf": cf}), before, Steps()).hold(ratings)
        recipe = proof.recipe.model_copy(update={"tuning": "off"})
        if before is None:
            print(f"the first night found {recipe}", flush=True)
        else:
            changes.append(proof.verdict.score.value / last - 1)
            refused += [] if proof.verdict.passed else [f"night {night}: {proof.verdict.reason}"]
        last = proof.verdict.score.value
        before = CurrentRelease(f"night {night}", recipe, measure={**proof.measure, "score": last})
    print(f"score from night to night: {min(changes):+.2%} to {max(changes):+.2%}")
    print(f"refused: {len(refused)} of {nights}", *refused, sep="\n")


if __name__ == "__main__":
    main()
