"""What the embedding model should read of a game: ways to build its text, compared by what vectors are for.

``RECSYS_REAL_DATA=FOLDER python benchmarks/texts.py [--ratings 400000] [--seed 0] [--only NAME ...]``

``likes``: a user is the mean embedding of the games they liked in training; NDCG@10 and Recall@20 of
the held-out ones among all rated games. ``tags``: mean Jaccard index of a game's tags and those of
its ten nearest games; a text that holds the tags itself says little by this. ``cold``: Recall@20 of
games held out whole, ranked among themselves, by content alone and by the hybrid (docs/evaluation.md).

Each way is compared with the present recipe on the same users, games and rankings (paired bootstrap).
Vectors are kept in the usual cache: a second run is quick.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits
from tokenizers import Tokenizer

from recsys.config import CfSettings, ContentSettings, EvaluationSettings
from recsys.embedding import open_encoder
from recsys.embedding.encoder import unit
from recsys.embedding.model import find_model
from recsys.evaluation.bootstrap import paired_difference
from recsys.evaluation.contenders import CONTENT, ContentProfile
from recsys.evaluation.holdout import split
from recsys.evaluation.newcomers import Sample
from recsys.evaluation.newcomers.games import cold_rankings
from recsys.evaluation.newcomers.rankings import HYBRID
from recsys.evaluation.scores import evaluate
from recsys.marts.catalogue import Catalogue
from recsys.marts.ratings import Ratings
from recsys.marts.tags import game_tags
from recsys.marts.text import clean_games
from recsys.models import CollaborativeFilter
from recsys.models.confidence import like_threshold
from recsys.ranking.top import best_columns
from ways import BREAK, PRESENT, ways

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from recsys.embedding import Encoder
    from ways import Way

    Floats = npt.NDArray[np.float32]
    Scores = dict[str, npt.NDArray[np.float64]]


def read(ratings: int, seed: int) -> tuple[Sample, pd.DataFrame]:
    """Return a sample of the ratings, yet without vectors, and its games in the order of their codes."""
    folder = Path(os.environ["RECSYS_REAL_DATA"])
    games, _ = clean_games(pd.read_parquet(folder / "mart_games.parquet"))
    everything = Ratings.from_frame(pd.read_parquet(folder / "mart_user_ratings.parquet"))
    liked = like_threshold("auto", everything.matrix.data)
    tags = game_tags(games["CATEGORIES"], games["MECHANICS"])
    catalogue = Catalogue(games["GAME_ID"].tolist(), np.zeros((len(games), 0), np.float32), tags)
    sample = Sample.of(everything, catalogue, liked, seed=seed, at_most=ratings)
    rated = games.set_index("GAME_ID").loc[sample.ratings.items.ids()]
    return sample, rated.assign(DESCRIPTION=rated["DESCRIPTION"].str.replace("\n", BREAK))


def embed(way: Way, games: pd.DataFrame, encoder: Encoder) -> Floats:
    """Return unit vectors of the games, float32 (games, dimension)."""
    texts = way.texts(games)
    vectors = encoder.encode([text for own in texts for text in own])
    starts = np.cumsum([0, *(len(own) for own in texts[:-1])])
    return unit(np.add.reduceat(vectors, starts, axis=0))


def likes(sample: Sample, vectors: dict[str, Floats], settings: EvaluationSettings) -> tuple[Scores, Scores]:
    """Return NDCG@k and Recall@2k of every user, by way."""
    parts = split(sample.ratings, settings, sample.like_threshold)
    contenders = [ContentProfile(parts.train, own, sample.like_threshold, name) for name, own in vectors.items()]
    scored = evaluate(contenders, parts, settings).contenders
    metrics = f"ndcg@{settings.k}", f"recall@{2 * settings.k}"
    ndcg, recall = ({name: scored[name].per_user[metric] for name in vectors} for metric in metrics)
    return ndcg, recall


def agreement(tags: Sequence[Sequence[str]], vectors: dict[str, Floats]) -> Scores:
    """Return the mean Jaccard index of each game's tags and its ten neighbours', by way."""
    vocabulary = {tag: column for column, tag in enumerate(sorted({tag for own in tags for tag in own}))}
    marks = np.zeros((len(tags), len(vocabulary)), dtype=np.float32)
    for row, own in enumerate(tags):
        marks[row, [vocabulary[tag] for tag in own]] = 1
    shared = marks @ marks.T
    union = marks.sum(1)[:, None] + marks.sum(1) - shared
    jaccard = shared / np.maximum(union, 1)
    scores: Scores = {}
    for name, own in vectors.items():
        near = own @ own.T
        np.fill_diagonal(near, -np.inf)
        scores[name] = np.take_along_axis(jaccard, best_columns(near, 10), 1).mean(1).astype(np.float64)
    return scores


def cold(sample: Sample, vectors: dict[str, Floats], settings: EvaluationSettings) -> tuple[Scores, Scores]:
    """Return Recall@2k of every ranking of games held out whole, by way: content alone, and the hybrid."""
    filters: dict[bytes, CollaborativeFilter] = {}

    def train(ratings: Ratings) -> CollaborativeFilter:
        # The folds are the same for every way, and the filter reads no text.
        fold = ratings.matrix.indices.tobytes()
        if fold not in filters:
            filters[fold] = CollaborativeFilter(CfSettings(tuning="off")).fit(ratings)
        return filters[fold]

    scores_of: tuple[Scores, Scores] = ({}, {})
    for name, own in vectors.items():
        among, _ = cold_rankings(replace(sample, vectors=own), train, settings, 3_000)
        for scores, model in zip(scores_of, (CONTENT, HYBRID), strict=True):
            scores[name] = np.concatenate(among.scores[model])
    return scores_of


def table(columns: dict[str, Scores]) -> str:
    """Return means and paired differences from the present recipe as a Markdown table."""
    lines = ["| way | " + " | ".join(f"{title} | lead" for title in columns) + " |"]
    lines.append("| --- |" + " --- |" * (2 * len(columns)))
    for name in next(iter(columns.values())):
        cells = [name]
        for scores in columns.values():
            lead = "–" if name == PRESENT else str(paired_difference(scores[name], scores[PRESENT], 1000, 42))
            cells += [f"{scores[name].mean():.4f}", lead]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Embed, score and print."""
    tokenizer = Tokenizer.from_file(str(find_model().path / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    known = ways(tokenizer)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ratings", type=int, default=400_000, help="drawn from the table, user by user")
    parser.add_argument("--seed", type=int, default=0, help="of the draw")
    parser.add_argument("--k", type=int, default=10, help="length of the lists: NDCG@k, Recall@2k")
    parser.add_argument("--only", nargs="+", choices=known, default=list(known), metavar="NAME", help="ways to compare")
    given = parser.parse_args()
    sample, games = read(given.ratings, given.seed)
    encoder = open_encoder(ContentSettings())
    vectors = {}
    for name in dict.fromkeys([PRESENT, *given.only]):
        vectors[name] = embed(known[name], games, encoder)
        print(f"embedded: {name}", flush=True)
    settings = EvaluationSettings(users=0, k=given.k)
    with threadpool_limits(1, "blas"):
        columns = dict(zip(("likes: NDCG", "likes: recall"), likes(sample, vectors, settings), strict=True))
        columns["tags"] = agreement(sample.tags, vectors)
        columns["cold: content"], columns["cold: hybrid"] = cold(sample, vectors, settings)
    sizes = ", ".join(f"{title} {len(scores[PRESENT]):,}" for title, scores in columns.items())
    print(f"{len(games):,} games; rows behind each mean: {sizes}\n{table(columns)}")


if __name__ == "__main__":
    main()
