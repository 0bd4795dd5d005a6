"""How the cost grows: ratings, games, and how far from the hardware's limit it is.

    python -m benchmarks.growth [--ratings 1e6 5e6 19e6] [--games 5000 28000 100000] [--factors 64 128]

Each size in a fresh process. Users grow in proportion to the ratings, games with their square root
(19M ratings: 411,000 users, 22,000 games), but no fewer than 5,000. Games are random unit
vectors: what is measured does not look at texts, and encoding them takes their number times the
seconds of one (``make bench``).

The limit of the solver is what the same multiplications take as dense float32 products: a rating
costs, on each side and for each of four passes, two products of the factors' length.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from typing import Any

import numpy as np

from recsys.system.steps import peak_memory_mb

PASSES = 4
"""Over a row's ratings in one turn: the residual and three conjugate-gradient steps."""


def ratings(number: int, factors: list[int]) -> dict[str, Any]:
    """Fetch a generated table of ratings and run iterations of the solver on it."""
    from recsys.config import Settings
    from recsys.marts.ratings import Ratings
    from recsys.models.confidence import confidence
    from recsys.models.recipe import CfRecipe
    from recsys.models.solvers.ials import Ials, factorize, initial_factors
    from recsys.trainer import Trainer

    users, games = round(411_000 * number / 19e6), max(5_000, round(22_000 * (number / 19e6) ** 0.5))
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-c", _GENERATE.format(folder, number, users, games)], check=True)
        trainer = Trainer({}, source=folder, settings=Settings())
        began = time.perf_counter()
        table = Ratings.from_frame(trainer._fetch_data(trainer._ratings_query), Settings().data)  # noqa: SLF001
        figures: dict[str, Any] = {"ratings": table.matrix.nnz, "users": users, "games": games}
        figures |= {"fetch": time.perf_counter() - began}
    recipe = CfRecipe.by_rule(Settings().cf, table.matrix.data)
    weights = confidence(table.matrix, recipe.confidence, recipe.like_threshold)
    for length in factors:
        clock = [time.perf_counter()]
        factorize(
            weights,
            Ials().objective(recipe, weights),
            initial_factors(*weights.shape, length, 0),
            iterations=3,
            progress=lambda *_, clock=clock: clock.append(time.perf_counter()),
        )
        seconds = float(np.median(np.diff(clock)[1:]))
        figures[f"iteration_{length}"] = seconds
        figures[f"gflops_{length}"] = 2 * PASSES * 4 * weights.nnz * length / seconds / 1e9
    return {**figures, "peak_mb": peak_memory_mb()}


_GENERATE = """
from pathlib import Path
from benchmarks.generate import write_games, write_ratings
write_games(Path({0!r}) / "mart_games.parquet", 10)
write_ratings(Path({0!r}) / "mart_user_ratings.parquet", {1}, {2}, {3})
"""


def games(number: int) -> dict[str, Any]:
    """Index so many games, map them into the taste of 900 rated ones, and ask."""
    from recsys.models.content import build_index
    from recsys.models.hybrid import content_features, fit_ridge
    from recsys.serving.content import ContentSpace

    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((number, 384), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    tags = [[f"tag {tag}" for tag in rng.integers(0, 180, 5)] for _ in range(number)]
    began = time.perf_counter()
    index = build_index(vectors)
    figures: dict[str, Any] = {"games": number, "index": time.perf_counter() - began}
    began = time.perf_counter()
    features = content_features(vectors, tags)
    predict, _ = fit_ridge(features[:900], rng.standard_normal((900, 128)).astype(np.float32), np.ones(900, np.float32))
    predict(features)
    figures["hybrid"] = time.perf_counter() - began
    began = time.perf_counter()
    content = ContentSpace(index)
    figures["load"] = time.perf_counter() - began
    seconds = []
    for row in rng.integers(0, number, 200):
        began = time.perf_counter()
        content.nearest(vectors[row], 10)
        seconds.append(time.perf_counter() - began)
    return {**figures, "similar_ms": float(np.median(seconds)) * 1e3, "peak_mb": peak_memory_mb()}


def dense_gflops() -> float:
    """Return what this machine does in dense float32 products."""
    left = np.random.default_rng(0).standard_normal((2048, 2048), dtype=np.float32)
    best = 1e9
    for _ in range(8):
        began = time.perf_counter()
        left @ left
        best = min(best, time.perf_counter() - began)
    return 2 * 2048**3 / best / 1e9


def in_fresh_process(what: str, *arguments: object) -> dict[str, Any]:
    """Run one size in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.growth", "--one", what, *map(str, arguments)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def main() -> None:
    """Measure every size, and print two tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ratings", type=float, nargs="*", default=[1e6, 5e6, 19e6])
    parser.add_argument("--games", type=int, nargs="*", default=[5_000, 28_000, 100_000])
    parser.add_argument("--factors", type=int, nargs="+", default=[64, 128])
    parser.add_argument("--one", nargs="+", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        what, number, *rest = asked.one
        figures = games(int(number)) if what == "games" else ratings(int(number), [int(length) for length in rest])
        print(json.dumps(figures))
        return
    lengths = "".join(f" iteration, {length} factors s | GFLOP/s |" for length in asked.factors)
    print(
        f"| ratings | users | games | fetch to CSR s |{lengths} peak MB |\n|{' --- |' * (5 + 2 * len(asked.factors))}"
    )
    for number in asked.ratings:
        figures = in_fresh_process("ratings", int(number), *asked.factors)
        cells = "".join(f" {figures[f'iteration_{f}']:.2f} | {figures[f'gflops_{f}']:.0f} |" for f in asked.factors)
        sizes = " | ".join(f"{figures[name]:,}" for name in ("ratings", "users", "games"))
        print(f"| {sizes} | {figures['fetch']:.1f} |{cells} {figures['peak_mb']:,.0f} |", flush=True)
    print(f"\ndense float32 products on this machine: {dense_gflops():.0f} GFLOP/s")
    print("\n| games | index s | hybrid s | load and half-precision copy s | nearest ten ms | peak MB |")
    print(f"|{' --- |' * 6}")
    for number in asked.games:
        figures = in_fresh_process("games", number)
        timed = " | ".join(f"{figures[name]:.2f}" for name in ("index", "hybrid", "load", "similar_ms"))
        print(f"| {number:,} | {timed} | {figures['peak_mb']:,.0f} |", flush=True)


if __name__ == "__main__":
    main()
