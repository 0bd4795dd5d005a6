"""What ``auto`` takes, beside every way of encoding that this machine has, and beside ``encode()``.

    python -m benchmarks.encoders [--games FOLDER] [--texts 96] [--rounds 7]

All ways encode the same texts in turns; each figure is the median of its rounds. ``encode()`` is
sentence-transformers with its defaults, where the extra ``torch`` is installed. Without a folder the texts are those
of the built-in sample, which are short.
"""

from __future__ import annotations

import argparse
import os
import statistics
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from benchmarks import textbook
from recsys.config import ContentSettings
from recsys.embedding import is_bert
from recsys.embedding.bench import Way, encoding, engines, in_turns, taken
from recsys.embedding.hardware import probe
from recsys.embedding.model import find_model
from recsys.embedding.plan import choose, is_installed
from recsys.sources.sample import sample_warehouse

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from recsys.embedding.plan import Plan

TEXTBOOK = "encode()"
LONG_S = 60.0
"""A way that has taken so long has no further round."""


def ways(settings: ContentSettings) -> dict[Plan | str, Callable[[Sequence[str]], object]]:
    """Return what encodes: the textbook's way first, where it is installed."""
    model = find_model(settings.model)
    found: dict[Plan | str, Callable[[Sequence[str]], object]] = {}
    if is_installed("torch"):
        from sentence_transformers import SentenceTransformer

        whole = SentenceTransformer(str(model.path), device="cpu", local_files_only=True)
        found[TEXTBOOK] = lambda texts: whole.encode(list(texts), show_progress_bar=False)
    return found | {plan: encoding(engine) for plan, engine in engines(model, settings)}


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--games", type=Path, help="folder with mart_games.parquet")
    parser.add_argument("--texts", type=int, default=96)
    parser.add_argument("--rounds", type=int, default=7)
    asked = parser.parse_args()
    games = sample_warehouse().games.to_pandas() if asked.games is None else read(asked.games)
    texts = textbook.texts(games.sample(min(asked.texts, len(games)), random_state=0))
    settings, hardware = ContentSettings(), probe()
    load = os.getloadavg()[0]
    seconds = in_turns(ways(settings), texts, asked.rounds, LONG_S)
    speeds = {way: len(texts) / statistics.median(rounds) for way, rounds in seconds.items()}
    print(
        f"{hardware.name} ({hardware.vendor} family {hardware.family}), {hardware.cores} cores, load before {load:.1f}"
    )
    print(f"| {len(texts)} texts, up to {asked.rounds} rounds | texts/s [least–most] | ratio to {TEXTBOOK} |")
    print("| --- | --- | --- |")
    for way, rounds in seconds.items():
        name = way if isinstance(way, str) else f"{way.engine}, {way.precision}, {way.device}"
        span = f"{len(texts) / max(rounds):.1f}–{len(texts) / min(rounds):.1f}"
        ratio = f"{speeds[way] / speeds[TEXTBOOK]:.2f}" if TEXTBOOK in speeds else "–"
        print(f"| {name} | {speeds[way]:.1f} [{span}] | {ratio} |")
    offered = [Way(plan, speed) for plan, speed in speeds.items() if not isinstance(plan, str)]
    own = taken(offered, choose(settings, hardware, bert=is_bert(settings)))
    best = max(speeds.values())
    print(f"auto takes {own.plan.engine} in {own.plan.precision}: {own.per_second / best:.2f} of the best way")


def read(folder: Path) -> pd.DataFrame:
    """Return the games of a folder."""
    return pd.read_parquet(folder / "mart_games.parquet")


if __name__ == "__main__":
    main()
