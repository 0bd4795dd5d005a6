"""Games that nobody has rated, and people with few ratings: what the hybrid model is worth.

``RECSYS_REAL_DATA=FOLDER python benchmarks/hybrid.py --vectors FILE [--part games|people]``

``games``: five folds; each fold's games are held out whole, with the filter trained without them.
Users rank the fold's games (and, second, all rated games) for those they liked; Recall@20 against
content alone (the mean embedding of what they liked) and the popularity of the games' tags.

``people``: profiles cut to 1-5 ratings, five seeds; the rest of a profile's liked games is looked
for among all rated games; NDCG@10 against the filter alone. FILE is an ``.npy`` of unit embeddings in
the order of ``mart_games.parquet`` sorted by GAME_ID.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from recsys import metrics
from recsys.config import CfSettings
from recsys.data import Ratings
from recsys.evaluation.bootstrap import paired_difference
from recsys.evaluation.ranking import best_columns
from recsys.models import CollaborativeFilter
from recsys.models.hybrid import CONTENT_SHARE, HybridRecommender
from recsys.tags import split_tags

if TYPE_CHECKING:
    import numpy.typing as npt
    import scipy.sparse as sp

    Floats = npt.NDArray[np.float32]

LIKED = 7.0
USERS = 3000


class Data:
    """Ratings of games that the catalogue has, with their vectors and tags in the order of the codes."""

    def __init__(self, vectors: Path, users: int, seed: int) -> None:
        folder = Path(os.environ["RECSYS_REAL_DATA"])
        games = pd.read_parquet(folder / "mart_games.parquet").sort_values("GAME_ID", ignore_index=True)
        frame = pd.read_parquet(folder / "mart_user_ratings.parquet")
        frame = frame[frame["GAME_ID"].isin(games["GAME_ID"])]
        everybody = np.sort(frame["USER_ID"].unique())
        chosen = np.random.default_rng(seed).choice(everybody, min(users, len(everybody)), replace=False)
        self.ratings = Ratings.from_frame(frame[frame["USER_ID"].isin(chosen)].reset_index(drop=True))
        rows = games.set_index("GAME_ID").index.get_indexer(self.ratings.items.ids())
        tags = [games[name].fillna("").iloc[rows] for name in ("CATEGORIES", "MECHANICS")]
        self.tags = [a + b for a, b in zip(*(split_tags(column) for column in tags), strict=True)]
        self.vectors: Floats = np.load(vectors)[rows].astype(np.float32)
        self.codes = np.arange(len(rows), dtype=np.int32)

    def without(self, entries: npt.NDArray[np.bool_]) -> Ratings:
        """Return the ratings without some entries."""
        matrix = self.ratings.matrix.copy()
        matrix.data[entries] = 0
        matrix.eliminate_zeros()
        return replace(self.ratings, matrix=matrix)


def likes(matrix: sp.csr_matrix) -> sp.csr_matrix:
    """Return 1 where a game is liked."""
    liked = matrix.copy()
    liked.data = (liked.data >= LIKED).astype(np.float32)
    liked.eliminate_zeros()
    return liked


def tag_popularity(data: Data, counts: npt.NDArray[np.int64], cold: npt.NDArray[np.int64]) -> Floats:
    """Return the ratings of the games that share a tag, summed over a game's tags."""
    warm = np.setdiff1d(data.codes, cold)
    rated: dict[str, list[int]] = {}
    for code in warm:
        for tag in data.tags[code]:
            rated.setdefault(tag, []).append(int(counts[code]))
    return np.array([sum(np.mean(rated.get(tag, [0])) for tag in data.tags[code]) for code in cold], np.float32)


def standard(scores: Floats) -> Floats:
    """Return standard scores by row."""
    result: Floats = (scores - scores.mean(1, keepdims=True)) / np.maximum(scores.std(1, keepdims=True), 1e-9)
    return result


def report(title: str, scores: dict[str, list[Any]], ours: str, metric: str) -> None:
    """Print means and paired differences over everything that was collected."""
    joined = {name: np.concatenate(parts) for name, parts in scores.items()}
    print(f"## {title}: {len(joined[ours]):,} rankings")
    for name, values in joined.items():
        gain = "" if name == ours else f"   {ours} - {name}: {paired_difference(joined[ours], values, 1000, 42)}"
        print(f"{name:28s} {metric} {values.mean():.4f}{gain}", flush=True)


def cold_games(data: Data) -> None:
    """Hold games out whole."""
    folds = np.random.default_rng(0).permutation(len(data.codes)) % 5
    among: dict[str, list[Any]] = {}
    overall: dict[str, list[Any]] = {}
    for fold in range(5):
        cold = np.flatnonzero(folds == fold)
        model = CollaborativeFilter(CfSettings(tuning="off")).fit(
            data.without(np.isin(data.ratings.matrix.indices, cold))
        )
        hybrid = HybridRecommender().fit(model, data.codes, data.vectors, data.tags)
        profile, wanted = likes(model.ratings), likes(data.ratings.matrix)[:, cold].toarray() > 0
        users = np.flatnonzero(wanted.any(1) & (np.diff(profile.indptr) > 0))[:USERS]
        wanted, count = wanted[users], wanted[users].sum(1)
        mean = np.asarray(profile[users] @ data.vectors) / np.diff(profile.indptr)[users, None]
        content = (mean @ data.vectors.T).astype(np.float32)
        taste = model.user_factors[users] @ hybrid.factors.T
        popularity = np.tile(
            tag_popularity(data, np.bincount(model.ratings.indices, minlength=len(data.codes)), cold), (len(users), 1)
        )
        mixed = standard(taste) + CONTENT_SHARE * (1 - hybrid.trust * 1.0) * standard(content)
        ranked = {
            "hybrid": mixed[:, cold],
            "map alone": taste[:, cold],
            "content": content[:, cold],
            "tag popularity": popularity,
        }
        for name, scores in ranked.items():
            hits = np.take_along_axis(wanted, best_columns(scores.astype(np.float32), 20), 1)
            among.setdefault(name, []).append(metrics.recall(hits, count, 20))
        for name, scores in {"hybrid": mixed, "map alone": taste, "content": content}.items():
            everything = scores.astype(np.float32)
            seen = model.ratings[users]
            everything[np.repeat(np.arange(len(users)), np.diff(seen.indptr)), seen.indices] = -np.inf
            full = np.zeros(everything.shape, dtype=bool)
            full[:, cold] = wanted
            hits = np.take_along_axis(full, best_columns(everything, 20), 1)
            overall.setdefault(name, []).append(metrics.recall(hits, count, 20))
        print(f"fold {fold}: lambda {hybrid.ridge:g}", flush=True)
    report("cold games, ranked among the held-out games", among, "hybrid", "Recall@20")
    report("cold games, ranked among all rated games", overall, "hybrid", "Recall@20")


def short_profiles(data: Data) -> None:
    """Cut the profiles of users whom training has not seen."""
    users = np.random.default_rng(1).permutation(data.ratings.matrix.shape[0])
    tested, trained = np.sort(users[:USERS]), np.ones(len(users), dtype=bool)
    trained[tested] = False
    rows = np.repeat(np.arange(len(users)), np.diff(data.ratings.matrix.indptr))
    model = CollaborativeFilter(CfSettings(tuning="off")).fit(data.without(~trained[rows]))
    hybrid = HybridRecommender().fit(model, data.codes, data.vectors, data.tags)
    matrix = data.ratings.matrix
    for size in range(1, 6):
        scores: dict[str, list[Any]] = {}
        for seed in range(5):
            draw = np.random.default_rng([seed, size])
            for user in tested[seed::5]:
                own = matrix[user]
                liked = own.indices[own.data >= LIKED]
                if len(liked) <= size:
                    continue
                profile = draw.choice(liked, size, replace=False)
                wanted = np.zeros(len(data.codes), dtype=bool)
                wanted[np.setdiff1d(liked, profile)] = True
                alone = model.item_factors @ hybrid.folding.user(model.item_factors[profile])
                text = data.vectors @ data.vectors[profile].mean(0)
                visitor = hybrid.fold_in(profile)
                ranked = {
                    "hybrid": hybrid.scores(visitor, size, text),
                    "hybrid without content": hybrid.factors @ visitor,
                    "cf alone": alone,
                }
                for name, given in ranked.items():
                    given[profile] = -np.inf
                    hits = wanted[best_columns(given[None].astype(np.float32), 10)]
                    scores.setdefault(name, []).append(metrics.ndcg(hits, np.array([wanted.sum()]), 10))
        report(f"profiles of {size} liked game(s)", scores, "hybrid", "NDCG@10")


def main() -> None:
    """Run both parts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vectors", type=Path, required=True)
    parser.add_argument("--part", choices=["games", "people"], nargs="+", default=["games", "people"])
    parser.add_argument("--users", type=int, default=12_000, help="drawn from the table")
    given = parser.parse_args()
    with threadpool_limits(1, "blas"):
        data = Data(given.vectors, given.users, 0)
        if "games" in given.part:
            cold_games(data)
        if "people" in given.part:
            short_profiles(data)


if __name__ == "__main__":
    main()
