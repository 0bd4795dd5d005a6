"""`recsys export` at full scale: seconds, and the peak of the process's memory.

    python -m benchmarks.export make FOLDER [--users 411000] [--games 28000] [--ratings 19e6]
    python -m benchmarks.export time FOLDER [--rounds 1] [--only NAME …]

``make`` generates a warehouse, trains on it as a night does (the whole way, but for the texts, whose vectors are
random, and the search, whose winner is given), and publishes two releases: ``both``, factors with the item-item half,
and ``factors`` alone. ``time`` prints a table: each export in a process of its own, the load of the machine beside it.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from benchmarks.__main__ import entry
from benchmarks.generate import write_games, write_ratings
from recsys.config import Settings
from recsys.pipeline.outcome import Overrides
from recsys.trainer import Trainer

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

FACTORS = 128
RELEASES = {"both": 0.4, "factors": 0.0}
"""Weight of the item-item half in each release."""


@dataclass(frozen=True)
class Case:
    """One export: of which release, and with which options."""

    release: str
    what: str
    options: tuple[str, ...]
    target: str = "out.parquet"


CASES = {
    "top 100": Case("both", "recommendations", ("--k", "100")),
    "top 100, factors alone": Case("factors", "recommendations", ("--k", "100")),
    "top 20 with a reason": Case("both", "recommendations", ("--k", "20", "--why")),
    "top 100 into DuckDB": Case("both", "recommendations", ("--k", "100"), "duckdb:out.duckdb"),
    "similar": Case("both", "similar", ("--k", "20")),
    "factors of users": Case("both", "factors", ()),
}


class RandomVectors:
    """Stands where no text matters: each gets a random unit vector, the same for the same text."""

    dimension = 384
    recipe: ClassVar = {"version": "1", "revision": "random", "precision": "float32", "max_length": "none"}
    runs_on: ClassVar = {"engine": "none", "device": "cpu"}

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return unit vectors, float32, (texts, 384)."""
        seeds = (int.from_bytes(text.encode()[-8:].rjust(8), "little") for text in texts)
        rows = np.stack([np.random.default_rng(seed).standard_normal(self.dimension) for seed in seeds])
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def make(folder: Path, users: int, games: int, ratings: int) -> None:
    """Generate the marts, and train both releases on them."""
    marts = folder / "marts"
    marts.mkdir(parents=True, exist_ok=True)
    write_games(marts / "mart_games.parquet", games)
    write_ratings(marts / "mart_user_ratings.parquet", ratings, users, games)
    for name, weight in RELEASES.items():
        settings = Settings.model_validate(
            {
                "cf": {"factors": min(FACTORS, games // 4), "tuning": "off", "item_weight": weight},
                "content": {"cache_mb": 0},
                "evaluation": {"newcomers": False, "users": 2000},
            }
        )
        trainer = Trainer({}, folder / name, source=str(marts), settings=settings, embedding_model=RandomVectors())
        began = time.perf_counter()
        # Generated ratings hold no taste that a gate could see.
        result = trainer.run_pipeline(force=True, overrides=Overrides(publish_anyway="measured"))
        print(f"{name}: {result.path} in {time.perf_counter() - began:.0f} s")


def measured(folder: Path, case: Case, scratch: Path) -> tuple[float, float, float, float]:
    """Run one export; return its seconds, its CPU seconds, its peak in MB, and the size of what it wrote in MB."""
    target = case.target.replace("out", str(scratch / "out"))
    command = ["-m", "recsys", "export", case.what, target, "--models", str(folder / case.release), *case.options]
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, *command], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    if status:
        raise SystemExit(f"{command}: ended with {os.waitstatus_to_exitcode(status)}")
    written = sum(path.stat().st_size for path in scratch.iterdir())
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e6, written / 1e6


def times(folder: Path, rounds: int, only: Sequence[str]) -> None:
    """Print the table."""
    print(f"{entry(Path('/proc/cpuinfo'), 'model name')}, {len(os.sched_getaffinity(0))} cores\n")
    print("| export | seconds | CPU seconds | peak MB | written MB | load before |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name in only or CASES:
        for _ in range(rounds):
            load = os.getloadavg()[0]
            with tempfile.TemporaryDirectory(dir=folder) as scratch:
                seconds, cpu, peak, written = measured(folder, CASES[name], Path(scratch))
            print(f"| {name} | {seconds:.1f} | {cpu:.1f} | {peak:,.0f} | {written:,.0f} | {load:.1f} |", flush=True)


def main() -> None:
    """Make the releases, or measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("do", choices=("make", "time"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--users", type=float, default=411_000)
    parser.add_argument("--games", type=float, default=28_000)
    parser.add_argument("--ratings", type=float, default=19e6)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--only", nargs="+", choices=CASES, default=[])
    asked = parser.parse_args()
    if asked.do == "make":
        make(asked.folder, int(asked.users), int(asked.games), int(asked.ratings))
    else:
        times(asked.folder, asked.rounds, asked.only)


if __name__ == "__main__":
    main()
