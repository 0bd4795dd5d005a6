"""The benchmarks' own parts: the generated warehouse is what it says, and a step can be measured."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from conftest import require_engine
from recsys.sources.sample import sample_warehouse

ROOT = Path(__file__).parents[1]


def python(*arguments: object) -> str:
    """Run a module of the benchmarks from the project's root, and return what it printed."""
    command = [sys.executable, "-m", *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT, timeout=550).stdout


def script(name: str, *arguments: str, data: Path) -> list[list[str]]:
    """Run a script of the benchmarks on the marts in ``data``, and return the cells of the table it printed."""
    command = [sys.executable, f"benchmarks/{name}.py", *arguments]
    environment = {**os.environ, "RECSYS_REAL_DATA": str(data)}
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT, timeout=550, env=environment)
    lines = [line for line in done.stdout.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


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
        measured = json.loads(python("benchmarks.steps", "fetch", side, tmp_path, 0))
        assert measured["seconds"] > 0
        assert measured["peak_mb"] > 10


def test_what_auto_takes_is_compared_with_every_way() -> None:
    """Each way has a speed, and the last line says what share of the best one auto has."""
    require_engine("openvino")
    *rows, last = python("benchmarks.encoders", "--texts", 4, "--rounds", 1).splitlines()
    assert any(row.startswith("| openvino, float32, ") for row in rows)
    words = last.split()
    assert words[:3] == ["auto", "takes", words[2]]
    assert 0 < float(words[-5]) <= 1


def test_a_comparison_that_needs_torch_names_the_extra(tmp_path: Path) -> None:
    """Before anything is generated or measured, with the steps that need it and those that do not."""
    code = (
        "import runpy, sys; sys.modules.update(torch=None, sentence_transformers=None)\n"
        "sys.argv = ['benchmarks', '--steps', 'fetch', 'encode', 'night']\n"
        "runpy.run_module('benchmarks', None, '__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=60, check=False
    )
    assert done.returncode == 1
    assert "the textbook's side of encode, night needs the extra 'torch'" in done.stderr
    assert "make bench EXTRAS=torch" in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="/proc says what the machine is")
def test_a_comparison_says_on_what_it_was_measured(tmp_path: Path) -> None:
    """The file names processor and memory, and as many texts as a figure needs unless told otherwise."""
    require_engine("torch")
    python("benchmarks.generate", tmp_path, "--ratings", 3_000, "--users", 100, "--games", 60)
    folders = ("--games", tmp_path, "--ratings", tmp_path)
    python("benchmarks", *folders, "--steps", "imports", "--rounds", 1, "--json", tmp_path / "told.json")
    figures = json.loads((tmp_path / "told.json").read_text())
    assert f": {figures['cpu']}\n" in Path("/proc/cpuinfo").read_text()
    physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e6
    assert figures["memory_mb"] == pytest.approx(physical, rel=0.01)
    assert figures["texts"] == 1500


def test_ways_to_build_a_text_are_compared_with_the_present_one(tmp_path: Path) -> None:
    """Another text scores something else; one that the model reads as the same scores the same, user by user."""
    python("benchmarks.generate", tmp_path, "--ratings", 3_000, "--users", 100, "--games", 60)
    same, other = "blanks and control characters left", "description alone"
    head, rule, present, *rows = script("texts", "--k", "1", "--only", same, other, data=tmp_path)
    assert len(head) == len(rule) == 11
    assert (present[0], present[2::2]) == ("present recipe", ["–"] * 5)
    leads = {row[0]: [abs(float(lead.split()[0])) for lead in row[2::2]] for row in rows}
    assert max(leads[same]) < 0.001 < max(leads[other])


def test_the_rule_is_compared_on_tables_kept_aside(tmp_path: Path) -> None:
    """On the built-in sample it is surely better than popularity, and the best EASE stands beside it."""
    _, _, row = script("scales", "--part", "aside", "--table", "the built-in sample", data=tmp_path)
    assert float(row[5]) > float(row[4]) > float(row[3])
    assert float(row[6].split("[")[1].split(",")[0]) > 0


def test_the_best_pair_of_a_table_is_told_in_absolute_terms(tmp_path: Path) -> None:
    """α₀ is ρ times the ratings' mean confidence over all pairs: of the order of ρ times the density."""
    python("benchmarks.generate", tmp_path, "--ratings", 3_000, "--users", 150, "--games", 60)
    _, _, row = script("scales", "--part", "chosen", "--table", "cut at 300 ratings a game", data=tmp_path)
    rho, density = float(row[3].split(",")[0]), float(row[2].rstrip("%")) / 100
    assert 0.5 < float(row[4]) / (rho * density) < 2
    assert float(row[6]) > 0


def test_what_a_night_finds_is_held_against_the_rule(tmp_path: Path) -> None:
    """On the built-in sample: the rule, then what the night found, alone and whole, with what its search cost."""
    sample_warehouse().ratings.to_pandas().to_parquet(tmp_path / "ratings.parquet", index=False)
    asked = [str(tmp_path / "ratings.parquet"), "--liked-from", "7", "--users", "500"]
    _, _, *rows = script("found", *asked, data=tmp_path)
    assert [row[0] for row in rows] == ["rule", "night, factors alone", "night"]
    assert all(0.05 < float(row[1]) < 1 and 0.05 < float(row[2]) < 1 for row in rows)
    assert "work" in rows[2][5]


def test_served_lists_are_asked_for_what_was_liked_later(tmp_path: Path) -> None:
    """On the built-in sample, by the whole way: the lists are compared with four others, and beat the popular ones."""
    ratings = sample_warehouse().ratings.to_pandas()
    ratings.to_parquet(tmp_path / "mart_user_ratings_dated.parquet", index=False)
    _, _, *rows = script("served_lists", "--users", "200", data=tmp_path)
    assert [row[0] for row in rows] == ["popularity", "popular lately", "item kNN", "EASE"]
    assert float(rows[0][2]) > 1
    assert all(float(row[3].split(" to ")[0]) < float(row[3].split(" to ")[1]) for row in rows)
