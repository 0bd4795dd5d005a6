"""What the gate says on real ratings: good and bad recipes, and luck.

    python benchmarks/gate.py FOLDER [--seeds 20] [--set cf.factors=64 ...]

FOLDER holds ``mart_user_ratings.parquet``. A first part scores the settings' recipe beside popularity
and the textbook recipe (ratings as confidence, λ 0.01), with the seconds that scoring took; a second
one judges the settings' recipe (the one that was found, with ``cf.tuning = auto``) against itself under
other seeds.
"""

from __future__ import annotations

import argparse
import itertools
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from recsys.config import CfSettings, load_settings
from recsys.evaluation.bootstrap import interval, resampled_means
from recsys.evaluation.contenders import CF, CURRENT, Factors, Popularity
from recsys.evaluation.current import CurrentRelease
from recsys.evaluation.gate import judge
from recsys.evaluation.holdout import split
from recsys.evaluation.scores import evaluate
from recsys.marts.ratings import Ratings
from recsys.models.cf import CollaborativeFilter
from recsys.models.confidence import like_threshold

if TYPE_CHECKING:
    from recsys.config import Settings
    from recsys.evaluation.contenders import Contender
    from recsys.evaluation.holdout import Split

TEXTBOOK = CfSettings(
    solver="implicit", tuning="off", confidence="rating", alpha=1.0, factors=64, regularization=0.01, iterations=15
)


def main() -> None:
    """Read the command line, and run both parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--set", action="append", default=[], dest="settings", metavar="SECTION.KEY=VALUE")
    asked = parser.parse_args()
    settings = load_settings(overrides=asked.settings, environ={})
    parts = _split(asked.folder, settings)
    model = CollaborativeFilter(settings.cf).fit(parts.train)
    print(f"recipe: {model.pinned}")
    settings = settings.model_copy(update={"cf": model.pinned})
    current = Factors(CURRENT, model.user_factors, model.item_factors)
    _recipes(parts, settings, current)
    _luck(parts, settings, asked.seeds)


def _split(folder: Path, settings: Settings) -> Split:
    import pandas as pd

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


def _luck(parts: Split, settings: Settings, seeds: int) -> None:
    """Judge one recipe against itself under other seeds: every pair, the first seed as the candidate and as current."""
    models: list[Contender] = [Popularity.of(parts.train)]
    names = [f"seed {settings.cf.seed + number}" for number in range(seeds + 1)]
    for number, name in enumerate(names):
        recipe = settings.cf.model_copy(update={"seed": settings.cf.seed + number})
        models.append(_trained(name, parts, recipe))
    evaluation = evaluate(models, parts, settings.evaluation)
    metric = f"{settings.gate.metric}@{settings.evaluation.k}"
    scores = np.column_stack([evaluation.contenders[name].per_user[metric] for name in names])
    means = resampled_means(scores, settings.evaluation.resamples, settings.evaluation.seed)
    refused = []
    for a, b in itertools.permutations(range(len(names)), 2):
        gain = interval(scores[:, a].mean() / scores[:, b].mean() - 1, means[:, a] / means[:, b] - 1)
        if b == 0:
            print(f"{names[a]} against {names[b]}: {gain.value:+.2%} [{gain.low:+.2%}, {gain.high:+.2%}]")
        if gain.high < -settings.gate.margin:
            refused.append((names[a], names[b]))
    print(f"refused against {names[0]}: {sum(b == names[0] for _, b in refused)} of {seeds}")
    print(f"refused among all ordered pairs: {len(refused)} of {len(names) * seeds}: {refused}")


if __name__ == "__main__":
    main()
