"""The benchmarks' own parts: the generated warehouse is what it says, and a step can be measured."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

ROOT = Path(__file__).parents[1]


def python(*arguments: object) -> str:
    """Run a module of the benchmarks from the project's root, and return what it printed."""
    command = [sys.executable, "-m", *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT, timeout=300).stdout


def test_a_generated_warehouse_is_long_tailed_distinct_and_repeatable(tmp_path: Path) -> None:
    """The asked-for size within 1%, string users, no pair twice, a heavy head, the same bytes for the same seed."""
    for name in ("one", "two"):
        python("benchmarks.generate", tmp_path / name, "--ratings", 60_000, "--users", 2_000, "--games", 500)
    files = [tmp_path / name / "mart_user_ratings.parquet" for name in ("one", "two")]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert pq.read_schema(files[0]).field("USER_ID").type == "string"
    ratings = pd.read_parquet(files[0])
    assert 59_400 <= len(ratings) <= 60_000
    assert not ratings.duplicated(["USER_ID", "GAME_ID"]).any()
    assert ratings["USER_ID"].nunique() == 2_000
    assert ratings["RATING"].between(1, 10).all()
    assert not ratings["USER_ID"].is_monotonic_increasing
    shares = ratings["GAME_ID"].value_counts(normalize=True)
    assert shares.head(50).sum() > 0.25
    games = pd.read_parquet(tmp_path / "one" / "mart_games.parquet")
    assert set(ratings["GAME_ID"]) <= set(games["GAME_ID"])


def test_both_sides_of_a_step_are_measured(tmp_path: Path) -> None:
    """Each side of the comparison runs, and tells its seconds and its memory."""
    python("benchmarks.generate", tmp_path, "--ratings", 20_000, "--users", 500, "--games", 200)
    for side in ("textbook", "ours"):
        told = json.loads(python("benchmarks.steps", "fetch", side, tmp_path, 0))
        assert told["seconds"] > 0
        assert told["peak_mb"] > 10
