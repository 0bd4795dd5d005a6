"""Compare this pipeline with the textbook's: ``make bench``.

    python -m benchmarks --games FOLDER --ratings FOLDER [--texts 1500] [--rounds 3] [--steps encode fetch cf …]

The textbook embeds with sentence-transformers, which the extra ``torch`` brings: ``make bench EXTRAS=torch``. The steps
``fetch``, ``cf`` and ``cf-implicit`` do without.

Each figure is the median of ``rounds`` fresh processes, the two sides taking turns, so that a busy
machine slows both; whole trainings run once. Without folders a generated warehouse is measured.
Prints a table, and writes it with machine, versions and date to ``--json``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.generate import write_games, write_ratings
from recsys.embedding.hardware import probe
from recsys.embedding.plan import is_installed
from recsys.errors import MissingExtra
from recsys.pipeline.provenance import versions

SIDES = ("textbook", "ours")
STEPS = {
    "encode": "embed texts, nothing cached",
    "fetch": "ratings: Parquet to CSR",
    "cf": "bare `implicit.fit` / whole `train_cf_model`",
    "cf-implicit": "the same, `cf.solver=implicit`",
    "night": "whole run / with 1% of the texts new",
    "imports": "imports / `recsys --help`",
}
WITH_TORCH = ("encode", "night", "imports")
ONCE = ("cf", "cf-implicit", "night")
VERSIONS = (
    "torch",
    "sentence-transformers",
    "openvino",
    "pandas",
    "pyarrow",
    "duckdb",
    "implicit",
    "numpy",
    "faiss-cpu",
)


def main() -> None:
    """Read the command line, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--games", type=Path, help="folder with mart_games.parquet")
    parser.add_argument("--ratings", type=Path, help="folder with mart_user_ratings.parquet")
    parser.add_argument("--texts", type=int, default=1500)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=list(STEPS))
    parser.add_argument("--json", type=Path, default=Path("benchmarks.json"))
    asked = parser.parse_args()
    require_textbook(asked.steps)
    with tempfile.TemporaryDirectory() as scratch:
        generated = Path(scratch)
        if asked.games is None:
            write_games(generated / "mart_games.parquet", 2_000)
        if asked.ratings is None:
            write_ratings(generated / "mart_user_ratings.parquet", 2_000_000, 43_000, 22_000)
        games, ratings = asked.games or generated, asked.ratings or generated
        folders = dict.fromkeys(STEPS, ratings) | {"encode": games, "night": together(games, ratings, generated)}
        rows = [measure(step, folders[step], asked.texts, 1 if step in ONCE else asked.rounds) for step in asked.steps]
    print(table(rows))
    asked.json.write_text(json.dumps({**surroundings(), "texts": asked.texts, "steps": rows}, indent=2) + "\n")


def require_textbook(steps: list[str]) -> None:
    """Go on where the textbook's side of every step can run."""
    needy = [step for step in steps if step in WITH_TORCH]
    if needy and not is_installed("torch"):
        error = MissingExtra("torch", f"the textbook's side of {', '.join(needy)}")
        raise SystemExit(f"{error} (make bench EXTRAS=torch); --steps fetch cf cf-implicit do without")


def together(games: Path, ratings: Path, scratch: Path) -> Path:
    """Return a folder with links to both marts."""
    both = scratch / "both"
    both.mkdir()
    for folder, name in ((games, "mart_games.parquet"), (ratings, "mart_user_ratings.parquet")):
        (both / name).symlink_to((folder / name).resolve())
    return both


def measure(step: str, folder: Path, texts: int, rounds: int) -> dict[str, Any]:
    """Run both sides of a step in turns, and return medians and their ratio."""
    seen: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
    for _ in range(rounds):
        for side in SIDES:
            command = [sys.executable, "-m", "benchmarks.steps", step, side, str(folder), str(texts)]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            seen[side].append(json.loads(done.stdout.splitlines()[-1]))
    middle = {side: {name: median(each[name] for each in seen[side]) for name in seen[side][0]} for side in SIDES}
    ratios = [one["seconds"] / other["seconds"] for one, other in zip(seen["textbook"], seen["ours"], strict=True)]
    return {"step": step, **middle, "ratio": median(ratios), "ratios": ratios}


def table(rows: list[dict[str, Any]]) -> str:
    """Return the rows as a Markdown table."""
    lines = [
        "| step | textbook s | ours s | ratio | CPU ratio | textbook MB | ours MB |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        old, new = row["textbook"], row["ours"]
        lines.append(
            f"| {STEPS[row['step']]} | {old['seconds']:.2f} | {new['seconds']:.2f} | {row['ratio']:.2f} "
            f"| {old['cpu_seconds'] / max(new['cpu_seconds'], 1e-3):.2f} "
            f"| {old['peak_mb']:,.0f} | {new['peak_mb']:,.0f} |"
        )
    return "\n".join(lines)


def surroundings() -> dict[str, Any]:
    """Say when and on what this was measured."""
    hardware, memory = probe(), entry(Path("/proc/meminfo"), "MemTotal")
    return {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cpu": entry(Path("/proc/cpuinfo"), "model name"),
        "memory_mb": None if memory is None else round(int(memory.split()[0]) * 1024 / 1e6),
        "vendor": hardware.vendor,
        "family": hardware.family,
        "cores": hardware.cores,
        "amx": hardware.amx,
        "avx512_bf16": hardware.avx512_bf16,
        "load": os.getloadavg(),
        "versions": versions(VERSIONS),
    }


def entry(file: Path, name: str) -> str | None:
    """Return the first value under a name in one of Linux's tables, such as ``32780516 kB``; None elsewhere."""
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    values = (value.strip() for key, _, value in (line.partition(":") for line in lines) if key.strip() == name)
    return next(values, None)


if __name__ == "__main__":
    main()
