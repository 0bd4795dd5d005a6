"""The encoder on a GPU: texts a second by precision and tokens in a batch, beside ``encode()``; the vectors compared.

    python -m benchmarks.gpu [--games FOLDER] [--texts 28000] [--rounds 3] [--tokens 2048,16384,65536]

All ways encode the same texts in turns; each figure is the median of its rounds. ``encode()`` is sentence-transformers
with its defaults on the same GPU. Needs the extra ``torch`` and a GPU that it can use.
"""

from __future__ import annotations

import argparse
import statistics
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from sentence_transformers import SentenceTransformer

from benchmarks import textbook
from benchmarks.encoders import TEXTBOOK, read
from recsys.config import ContentSettings
from recsys.embedding.batches import Tokenization
from recsys.embedding.bench import encoding, in_turns
from recsys.embedding.engine import load_engine
from recsys.embedding.hardware import probe
from recsys.embedding.model import find_model
from recsys.embedding.plan import choose
from recsys.embedding.processors import PRECISIONS
from recsys.sources.sample import sample_warehouse

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from recsys.embedding.engine import Engine

SAMPLE = 2000
"""Texts whose nearest neighbours, among all, are compared."""


def main() -> None:
    """Measure, and print two tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--games", type=Path, help="folder with mart_games.parquet")
    parser.add_argument("--texts", type=int, default=28_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tokens", default="2048,16384,65536", help="tokens in a batch, padding included")
    parser.add_argument("--device", default="cuda")
    asked = parser.parse_args()
    games = sample_warehouse().games.to_pandas() if asked.games is None else read(asked.games)
    texts = textbook.texts(games.sample(min(asked.texts, len(games)), random_state=0))
    model, hardware = find_model(""), probe()
    whole = SentenceTransformer(str(model.path), device=asked.device, local_files_only=True)
    encoders: dict[str, Callable[[Sequence[str]], object]] = {
        TEXTBOOK: partial(whole.encode, show_progress_bar=False),
    }
    tokenization = Tokenization(model.path, model.max_tokens)
    for workers in sorted({1, hardware.cores}):
        encoders[f"tokenizing alone, threads: {workers}"] = partial(tokenize, tokenization, workers)
    engines: dict[str, Engine] = {}
    for precision in PRECISIONS:
        for tokens in map(int, asked.tokens.split(",")):
            settings = ContentSettings(device=asked.device, precision=precision, batch_tokens=tokens)
            engines[precision] = engine = load_engine(model, choose(settings, hardware))
            encoders[f"{precision}, {tokens:,} tokens"] = encoding(engine)
    seconds = in_turns(encoders, texts, asked.rounds, long_s=600.0)
    print(
        f"{len(texts):,} texts, {hardware.cores} cores\n\n"
        f"| way | texts/s [least–most] | ratio to {TEXTBOOK} |\n| --- | --- | --- |"
    )
    base = statistics.median(seconds[TEXTBOOK])
    for name, rounds in seconds.items():
        middle = statistics.median(rounds)
        span = f"{len(texts) / max(rounds):,.0f}–{len(texts) / min(rounds):,.0f}"
        print(f"| {name} | {len(texts) / middle:,.0f} [{span}] | {base / middle:.2f} |")
    vectors = {precision: vectors_of(engine, texts) for precision, engine in engines.items()}
    print(nearness(vectors["float32"], vectors["bfloat16"]))


def tokenize(tokenization: Tokenization, workers: int, texts: Sequence[str]) -> None:
    """Make the batches, and let go of them."""
    for _ in tokenization.batches(texts, 16384, workers):
        pass


def vectors_of(engine: Engine, texts: Sequence[str]) -> NDArray[np.float32]:
    """Return the vectors, a row for each text."""
    began, rows = time.perf_counter(), []
    for places, some in engine.embed(texts):
        rows.append((places, some))
    vectors = np.empty((len(texts), rows[0][1].shape[1]), dtype=np.float32)
    for places, some in rows:
        vectors[places] = some
    print(f"{engine.precision}: {time.perf_counter() - began:.1f} s")
    return vectors


def nearness(exact: NDArray[np.float32], other: NDArray[np.float32]) -> str:
    """Say how near vectors are to those of float32: cosines, and how many of the ten nearest stay."""
    cosines = np.einsum("ij,ij->i", exact, other)
    kept = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(nearest(exact), nearest(other), strict=True)])
    return (
        f"bfloat16 against float32: mean cosine {cosines.mean():.6f}, least {cosines.min():.6f}; "
        f"{kept:.4f} of the ten nearest stay"
    )


def nearest(vectors: NDArray[np.float32]) -> NDArray[np.intp]:
    """Return the ten nearest of the first texts, themselves left out."""
    products = vectors[:SAMPLE] @ vectors.T
    products[np.arange(len(products)), np.arange(len(products))] = -2
    ten: NDArray[np.intp] = np.argpartition(-products, 10, axis=1)[:, :10]
    return ten


if __name__ == "__main__":
    main()
