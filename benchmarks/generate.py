"""A warehouse of any size: long-tailed ratings with string user ids, and games with texts, as Parquet.

    python -m benchmarks.generate FOLDER [--ratings 19e6] [--users 411000] [--games 22000] [--seed 0]

The same arguments give the same files. Activity is lognormal, popularity a shifted Zipf law, no user
rates a game twice, and rows come in no order. A rating takes 8 bytes of memory until it is written.
"""

from __future__ import annotations

import argparse
import time
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLOCK_RATINGS = 1_000_000
"""Ratings in one row group, about: bounds the memory."""
WORDS = 4000
"""Size of the vocabulary of descriptions."""


def main() -> None:
    """Read the command line, and write both marts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--ratings", type=float, default=19e6)
    parser.add_argument("--users", type=float, default=411_000)
    parser.add_argument("--games", type=float, default=22_000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    began = time.perf_counter()
    asked.folder.mkdir(parents=True, exist_ok=True)
    write_games(asked.folder / "mart_games.parquet", int(asked.games), asked.seed)
    written = write_ratings(
        asked.folder / "mart_user_ratings.parquet", int(asked.ratings), int(asked.users), int(asked.games), asked.seed
    )
    print(f"{asked.folder}: {written:,} ratings, {int(asked.games):,} games in {time.perf_counter() - began:.1f} s")


def write_ratings(path: Path, ratings: int, users: int, games: int, seed: int = 0) -> int:
    """Write USER_ID (string), GAME_ID (int64), RATING (double), and return the number of rows.

    Parameters
    ----------
    path
        Parquet file.
    ratings
        Rows, about: exactly this many minus the few that would have repeated a pair.
    users, games
        How many there are; each user rates at least one game.
    seed
        Of everything random.
    """
    rng = np.random.default_rng(seed)
    activity = per_user(rng, ratings, users, games)
    popularity = np.cumsum(1 / np.arange(20, games + 20) ** 0.9)
    popularity /= popularity[-1]
    # The most popular game has any number: ids say nothing about popularity.
    game_ids = rng.permutation(np.arange(1, 10 * games, 10, dtype=np.int64))
    names = user_names(users)
    pairs = np.empty(activity.sum(), dtype=np.int64)
    written = 0
    for start, end in user_blocks(activity):
        some = distinct_pairs(rng, activity[start:end], popularity) + start * games
        pairs[written : written + len(some)] = some
        written += len(some)
    pairs = pairs[:written]
    rng.shuffle(pairs)
    schema = pa.schema([("USER_ID", pa.string()), ("GAME_ID", pa.int64()), ("RATING", pa.float64())])
    # Without the Arrow schema in the file, readers see plain strings, as from a warehouse.
    with pq.ParquetWriter(path, schema, compression="zstd", store_schema=False) as writer:
        for start in range(0, written, BLOCK_RATINGS):
            who, what = np.divmod(pairs[start : start + BLOCK_RATINGS], games)
            rating = np.clip(np.round(rng.normal(7.2, 1.6, len(who)) * 2) / 2, 1, 10)
            columns = [names.take(pa.array(who)), pa.array(game_ids[what]), pa.array(rating)]
            writer.write_table(pa.table(columns, schema=schema))
    return written


def user_blocks(activity: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Cut the users into blocks of about ``BLOCK_RATINGS`` ratings."""
    ends = np.searchsorted(np.cumsum(activity), np.arange(BLOCK_RATINGS, activity.sum(), BLOCK_RATINGS))
    return list(pairwise([0, *ends.tolist(), len(activity)]))


def per_user(rng: np.random.Generator, ratings: int, users: int, games: int) -> NDArray[np.int64]:
    """Return how many games each user rates: lognormal, at least one, at most a third of the games."""
    weights = rng.lognormal(0, 1.3, users)
    scale = ratings / weights.sum()
    counts: NDArray[np.int64]
    for _ in range(20):
        # The bounds take from the busiest users: what they lose goes to all.
        counts = np.clip(np.round(weights * scale), 1, games // 3).astype(np.int64)
        scale *= ratings / counts.sum()
    surplus = int(counts.sum()) - ratings
    open_ = np.flatnonzero((counts > 1) & (counts < games // 3))
    some = rng.choice(open_, min(abs(surplus), len(open_)), replace=False)
    counts[some] -= np.sign(surplus)
    return counts


def distinct_pairs(
    rng: np.random.Generator, activity: NDArray[np.int64], popularity: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Return ``user · games + game`` of each pair, users counted from 0: drawn again until distinct, eight times."""
    games = len(popularity)
    users = np.repeat(np.arange(len(activity)), activity)
    pairs = np.empty(0, dtype=np.int64)
    for _ in range(8):
        drawn = np.minimum(np.searchsorted(popularity, rng.random(len(users))), games - 1)
        # Sorted and compared with its neighbour: np.unique hashes integers, which takes minutes.
        pairs = np.sort(np.concatenate([pairs, users * games + drawn]))
        pairs = pairs[np.concatenate([[True], pairs[1:] != pairs[:-1]])]
        missing = activity - np.bincount(pairs // games, minlength=len(activity))
        users = np.repeat(np.arange(len(activity)), missing)
        if not len(users):
            break
    return pairs


def user_names(users: int) -> pa.Array:
    """Return distinct names whose order has nothing to do with their number."""
    numbers = (np.arange(users, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(16)
    return pa.array([f"player_{number:012x}" for number in numbers.tolist()])


def write_games(path: Path, games: int, seed: int = 0) -> None:
    """Write the five columns of the games mart; descriptions are 20 to 400 words of a made-up vocabulary."""
    rng = np.random.default_rng([seed, 1])
    syllables = ["ka", "ro", "mi", "ten", "sol", "ber", "gu", "lan", "fi", "dor", "ne", "pa", "qui", "sta", "vel", "zo"]
    words = ["".join(rng.choice(syllables, rng.integers(1, 4))) for _ in range(WORDS)]
    weights = 1 / np.arange(10, WORDS + 10)
    lengths = np.clip(rng.lognormal(4.8, 0.6, games), 20, 400).astype(int)
    text = rng.choice(WORDS, lengths.sum(), p=weights / weights.sum())
    descriptions = [" ".join(words[word] for word in part) for part in np.split(text, np.cumsum(lengths)[:-1])]
    tags = np.array([word.title() for word in words[:80]])
    table = {
        "GAME_ID": np.arange(1, 10 * games, 10, dtype=np.int64),
        "NAME": [f"{words[number % WORDS].title()} {number}" for number in range(games)],
        "DESCRIPTION": descriptions,
        "CATEGORIES": [", ".join(some) for some in tags[rng.integers(0, 40, (games, 2))]],
        "MECHANICS": [", ".join(some) for some in tags[rng.integers(40, 80, (games, 3))]],
    }
    pq.write_table(pa.table(table), path, compression="zstd")


if __name__ == "__main__":
    main()
