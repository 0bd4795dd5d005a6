"""How near the encoder's vectors are to float32's, on a whole catalogue.

    python -m benchmarks.textbook FOLDER OUTPUT
    python -m benchmarks.fidelity FOLDER OUTPUT [--set content.engine=torch …]

The first embeds every text with ``encode()`` in float32 and leaves the index in OUTPUT; the second
embeds the same texts as a nightly run does, nothing cached, and prints how many of each game's ten
nearest neighbours are the same, and how long it took.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import faiss
import numpy as np
import pandas as pd

from benchmarks import textbook
from recsys.config import load_settings
from recsys.embedding import open_encoder

K = 10
BLOCK = 1024


def neighbours(vectors: np.ndarray) -> np.ndarray:
    """Return the ten nearest neighbours of each unit vector without itself; int64, (n, 10)."""
    neighbours = []
    for start in range(0, len(vectors), BLOCK):
        cosines = vectors[start : start + BLOCK] @ vectors.T
        cosines[np.arange(len(cosines)), np.arange(start, start + len(cosines))] = -2
        neighbours.append(np.argpartition(-cosines, K, axis=1)[:, :K].copy())  # a view would keep the whole
    return np.concatenate(neighbours)


def main() -> None:
    """Embed, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("textbook", type=Path, help="what benchmarks.textbook wrote")
    parser.add_argument("--set", action="append", default=[], dest="given", metavar="SECTION.KEY=VALUE")
    asked = parser.parse_args()
    index = faiss.read_index(str(asked.textbook / "rag_index.faiss"))
    exact = index.reconstruct_n(0, index.ntotal)
    exact /= np.linalg.norm(exact, axis=1, keepdims=True)
    texts = textbook.texts(pd.read_parquet(asked.folder / "mart_games.parquet"))
    encoder = open_encoder(load_settings(overrides=[*asked.given, "content.cache_mb=0"]).content)
    began, cpu = time.perf_counter(), time.process_time()
    ours = encoder.encode(texts)
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    print(f"{encoder.recipe}")
    print(f"{len(texts):,} texts in {seconds:.0f} s ({cpu:.0f} s of CPU): {len(texts) / seconds:.1f} texts/s")
    cosines = np.einsum("ij,ij->i", ours, exact)
    print(f"cosine to float32: mean {cosines.mean():.6f}, least {cosines.min():.6f}")
    kept = np.array([len(np.intersect1d(a, b)) for a, b in zip(neighbours(ours), neighbours(exact), strict=True)]) / K
    print(f"top-{K} neighbours kept: {kept.mean():.4f}; games with all of them: {np.mean(kept == 1):.4f}")


if __name__ == "__main__":
    main()
