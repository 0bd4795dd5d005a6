"""What the gate says on real ratings: good and bad recipes, and luck.

    python benchmarks/gate.py FOLDER [--seeds 20] [--set cf.factors=64 ...]

FOLDER holds ``mart_user_ratings.parquet``. A first part scores the settings' recipe beside popularity
and the textbook recipe (ratings as confidence, λ 0.01), with the seconds that scoring took; a second
one judges the same recipe with other seeds against itself, as if it were the current release.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

from recsys.config import CfSettings, load_settings
from recsys.data import Ratings
from recsys.evaluation.contenders import CF, CURRENT, Factors, Popularity
from recsys.evaluation.gate import CurrentRelease, judge
from recsys.evaluation.score import evaluate
from recsys.evaluation.split import split
from recsys.models.cf import CollaborativeFilter

if TYPE_CHECKING:
    from recsys.config import Settings
    from recsys.evaluation.split import Split

TEXTBOOK = {"confidence": "rating", "alpha": 1.0, "factors": 64, "regularization": 0.01}


def main() -> None:
    """Read the command line, and run both parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--set", action="append", default=[], dest="settings", metavar="SECTION.KEY=VALUE")
    asked = parser.parse_args()
    settings = load_settings(overrides=asked.settings, environ={})
    parts = _split(asked.folder, settings)
    current = _trained(CURRENT, parts, settings.cf)
    _recipes(parts, settings, current)
    _luck(parts, settings, current, asked.seeds)


def _split(folder: Path, settings: Settings) -> Split:
    import pandas as pd

    ratings = Ratings.from_frame(pd.read_parquet(folder / "mart_user_ratings.parquet"))
    began = time.perf_counter()
    parts = split(ratings, settings.evaluation, settings.cf.like_threshold)
    print(f"hold-out: {parts.description()} in {time.perf_counter() - began:.2f} s")
    return parts


def _trained(name: str, parts: Split, recipe: CfSettings) -> Factors:
    model = CollaborativeFilter(recipe).fit(parts.train)
    return Factors(name, model.user_factors, model.item_factors)


def _recipes(parts: Split, settings: Settings, current: Factors) -> None:
    textbook = _trained(CF, parts, CfSettings.model_validate({**settings.cf.model_dump(), **TEXTBOOK}))
    began = time.perf_counter()
    evaluation = evaluate([Popularity.of(parts.train), current, textbook], parts, settings.evaluation)
    took = time.perf_counter() - began
    for name in evaluation.contenders:
        told = "textbook" if name == CF else name
        print(f"{told}: {evaluation.interval(name, f'ndcg@{settings.evaluation.k}')}")
    print(f"scoring 3 contenders took {took:.1f} s")
    verdict = judge(evaluation, settings.gate, CurrentRelease("of yesterday", None))
    print(f"textbook {'passes' if verdict.passed else 'is refused'}: {verdict.reason}")


def _luck(parts: Split, settings: Settings, current: Factors, seeds: int) -> None:
    refused = 0
    for seed in range(1, seeds + 1):
        candidate = _trained(CF, parts, settings.cf.model_copy(update={"seed": settings.cf.seed + seed}))
        evaluation = evaluate([Popularity.of(parts.train), candidate, current], parts, settings.evaluation)
        verdict = judge(evaluation, settings.gate, CurrentRelease("of yesterday", None))
        refused += not verdict.passed
        gain = evaluation.difference(CF, CURRENT, verdict.metric, relative=True)
        told = "passes" if verdict.passed else "is refused"
        print(f"seed {seed} {told}: {gain.value:+.2%} [{gain.low:+.2%}, {gain.high:+.2%}]", flush=True)
    print(f"{refused} of {seeds} seeds refused")


if __name__ == "__main__":
    main()
