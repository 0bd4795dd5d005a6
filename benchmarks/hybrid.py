"""Games that nobody has rated, and people with few ratings: what the hybrid model is worth.

``RECSYS_REAL_DATA=FOLDER python benchmarks/hybrid.py --vectors FILE [--ratings N] [--rankings N]``

What every night measures on a sample (docs/evaluation.md, "New games and new people"), here on all
ratings and with more rankings, by the rule's recipe. FILE is an ``.npy`` of unit embeddings in the
order of ``mart_games.parquet`` sorted by GAME_ID.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from recsys.config import CfSettings, EvaluationSettings
from recsys.evaluation.newcomers import Sample, measure_newcomers
from recsys.marts.catalogue import Catalogue
from recsys.marts.ratings import Ratings
from recsys.marts.schema import CATEGORIES, GAME_ID, MECHANICS
from recsys.marts.tags import game_tags
from recsys.models import CollaborativeFilter
from recsys.models.confidence import like_threshold


def read(vectors: Path) -> tuple[Ratings, Catalogue]:
    """Return the ratings, and the catalogue with its vectors and tags."""
    folder = Path(os.environ["RECSYS_REAL_DATA"])
    games = pd.read_parquet(folder / "mart_games.parquet").sort_values(GAME_ID, ignore_index=True)
    tags = game_tags(games[CATEGORIES].fillna(""), games[MECHANICS].fillna(""))
    embedded = Catalogue(games[GAME_ID].tolist(), np.load(vectors).astype(np.float32), tags)
    return Ratings.from_frame(pd.read_parquet(folder / "mart_user_ratings.parquet")), embedded


def table(title: str, row: dict[str, Any]) -> None:
    """Print scores and leads as a table."""
    print(f"\n{title}: {row['rankings']:,} rankings\n\n| | score | hybrid's lead |\n| --- | --- | --- |")
    for name, score in row["models"].items():
        lead = row["leads"].get(name)
        print(f"| {name} | {in_words(score)} | {in_words(lead) if lead else '–'} |")


def in_words(interval: dict[str, float]) -> str:
    """Return a value with its interval."""
    return f"{interval['value']:.4f} [{interval['low']:.4f}, {interval['high']:.4f}]"


def main() -> None:
    """Measure, and print a table for each task."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vectors", type=Path, required=True)
    parser.add_argument("--ratings", type=int, default=10_000_000, help="drawn from the table, user by user")
    parser.add_argument("--rankings", type=int, default=3_000, help="for each fold, and for each length of profile")
    given = parser.parse_args()
    settings = EvaluationSettings()
    ratings, catalogue = read(given.vectors)
    liked = like_threshold("auto", ratings.matrix.data)
    sample = Sample.of(ratings, catalogue, liked, seed=settings.seed, at_most=given.ratings)
    results = measure_newcomers(sample, CollaborativeFilter(CfSettings(tuning="off")).fit, settings, given.rankings)
    print(results["sample"])
    games, people = results["cold_games"], results["short_profiles"]
    table(f"{games['metric']}, ranked among the held-out games", games["held_out"])
    table(f"{games['metric']}, ranked among all games", games["all"])
    for row in people["profiles"]:
        table(f"{people['metric']}, profiles of {row['liked']} liked game(s)", row)


if __name__ == "__main__":
    main()
