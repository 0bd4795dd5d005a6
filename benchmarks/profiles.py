"""Where the time of the two longest steps goes: encoding new texts, and the solver.

    python -m benchmarks.profiles encode --games FOLDER [--texts 300]
    python -m benchmarks.profiles solver [--ratings 5e6] [--factors 128]

``encode`` asks OpenVINO for the time of each kind of operation, one thread, in the precision of
``auto``, and tells what the machine's matrix products allow at most (by torch's own: the extra ``torch``);
``solver`` runs cProfile on the thread that waits for the others.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import textbook


def encode(folder: Path, count: int) -> None:
    """Print the share of each kind of operation, and of cutting texts into tokens."""
    import openvino

    from recsys.embedding.batches import Tokenization
    from recsys.embedding.hardware import probe
    from recsys.embedding.model import find_model
    from recsys.embedding.openvino_bert import build
    from recsys.embedding.plan import CPU_TOKENS
    from recsys.embedding.processors import line_of

    model = find_model()
    games = pd.read_parquet(folder / "mart_games.parquet")
    some = textbook.texts(games.sample(min(count, len(games)), random_state=0))
    precision = {"bfloat16": "bf16", "float32": "f32"}[line_of(probe()).precision]
    hints = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": "1", "PERF_COUNT": "YES"}
    request = openvino.Core().compile_model(build(model.path), "CPU", hints).create_infer_request()
    began = time.perf_counter()
    batches = list(Tokenization(model.path, model.max_tokens).batches(some, CPU_TOKENS))
    tokenizing = time.perf_counter() - began
    spent: Counter[str] = Counter()
    seconds = 0.0
    for batch in batches:
        began = time.perf_counter()
        request.infer({0: batch.token_ids, 1: batch.mask})
        seconds += time.perf_counter() - began
        for node in request.profiling_info:
            spent[f"{node.node_type} ({node.exec_type})"] += node.real_time.total_seconds()
    print(f"{len(some)} texts, {precision}, one thread: {seconds:.1f} s; tokenizing {tokenizing:.2f} s beside it")
    print("| operation | share |\n| --- | --- |")
    for name, took in spent.most_common(8):
        print(f"| {name} | {took / seconds:.1%} |")
    print(f"| everything else | {1 - sum(took for _, took in spent.most_common(8)) / seconds:.1%} |")
    lengths = [int(row.sum()) for batch in batches for row in batch.mask]
    print_limits(float(np.mean(lengths)), sum(map(flops, lengths)) / len(lengths))


WIDTH, INNER, LAYERS = 384, 1536, 6
"""Of all-MiniLM-L6-v2."""


def flops(tokens: int) -> float:
    """Return what a text costs: products with the weights, and attention's two."""
    return LAYERS * 2 * tokens * (4 * WIDTH**2 + 2 * WIDTH * INNER + 2 * tokens * WIDTH)


def print_limits(tokens: float, cost: float) -> None:
    """Print how fast this machine multiplies matrices of the model's shapes, all cores, and what that bounds."""
    import torch

    print(f"\na text has {tokens:.0f} tokens and costs {cost / 1e9:.1f} GFLOP, on average")
    for precision in (torch.float32, torch.bfloat16):
        left, weights = torch.randn(2048, WIDTH).to(precision), torch.randn(INNER, WIDTH).to(precision)
        best = np.inf
        for _ in range(200):
            began = time.perf_counter()
            torch.nn.functional.linear(left, weights)
            best = min(best, time.perf_counter() - began)
        rate = 2 * 2048 * WIDTH * INNER / best
        print(f"{precision}: {rate / 1e9:.0f} GFLOP/s, at most {rate / cost:.0f} texts/s")


def solver(ratings: int, factors: int) -> None:
    """Print what an iteration of the solver waits for."""
    from benchmarks.solver import long_tail
    from recsys.models.solvers.ials import Objective, factorize, initial_factors

    table = long_tail(ratings, round(411_000 * ratings / 19e6), 22_000)
    start = initial_factors(*table.shape, factors, 0)
    objective = Objective(0.05, 0.01)
    factorize(table[:1000], objective, initial_factors(1000, table.shape[1], factors, 0), iterations=1)  # compiles
    profile = cProfile.Profile()
    profile.enable()
    factorize(table, objective, start, iterations=3)
    profile.disable()
    stats = pstats.Stats(profile)
    cumulative = {name: line[3] for (_, _, name), line in stats.stats.items()}  # type: ignore[attr-defined]
    whole = cumulative["factorize"]
    print(f"{table.nnz:,} ratings, {factors} factors, three iterations: {whole:.1f} s\n| part | share |\n| --- | --- |")
    parts = {"rows by conjugate gradients": "solve", "rotation": "rotate", "Gramian": "gramian", "eigenvectors": "eigh"}
    for title, name in parts.items():
        print(f"| {title} | {cumulative[name] / whole:.1%} |")
    print(f"| set-up and checks | {1 - sum(cumulative[name] for name in parts.values()) / whole:.1%} |")


def main() -> None:
    """Profile what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=["encode", "solver"])
    parser.add_argument("--games", type=Path)
    parser.add_argument("--texts", type=int, default=300)
    parser.add_argument("--ratings", type=float, default=5e6)
    parser.add_argument("--factors", type=int, default=128)
    asked = parser.parse_args()
    if asked.step == "encode":
        encode(asked.games, asked.texts)
    else:
        solver(int(asked.ratings), asked.factors)


if __name__ == "__main__":
    main()
