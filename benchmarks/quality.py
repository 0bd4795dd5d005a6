"""How good the collaborative filter is: against popularity, the textbook recipe and EASE.

``RECSYS_REAL_DATA=FOLDER python benchmarks/quality.py [--table all|users|games] [--split-seed 42]``

The filter finds its settings by itself, on the training part, as ``recsys train`` does. A fifth of
the ratings is held out by the hash of user and game; relevant is what was held out and liked; the
whole catalogue is ranked but what was seen. ``users`` is a twentieth of the users, ``games`` the 200
games of middle popularity; users of either have at least five ratings in it.
"""

from __future__ import annotations

import argparse
import time

from threadpoolctl import threadpool_limits

from ease import ease_of
from recsys.config import CfSettings, EvaluationSettings
from recsys.evaluation.contenders import Factors, Popularity
from recsys.evaluation.holdout import split
from recsys.evaluation.scores import evaluate
from recsys.marts.ratings import Ratings
from recsys.models import CollaborativeFilter
from recsys.models.confidence import like_threshold
from tables import table

TEXTBOOK = CfSettings(
    solver="implicit", confidence="rating", alpha=1.0, factors=64, regularization=0.01, iterations=15, tuning="off"
)
"""Ratings as confidence, λ 0.01: what tutorials show."""


def compare(name: str, split_seed: int) -> None:
    """Print every contender's scores, and the ratios that count."""
    ratings = Ratings.from_frame(table(name))
    liked = like_threshold("auto", ratings.matrix.data)
    settings = EvaluationSettings(users=15_000, seed=split_seed)
    parts = split(ratings, settings, liked)
    started = time.perf_counter()
    searched = CollaborativeFilter(CfSettings()).fit(parts.train)
    seconds = time.perf_counter() - started
    rule = CollaborativeFilter(CfSettings(tuning="off")).fit(parts.train)
    textbook = CollaborativeFilter(TEXTBOOK).fit(parts.train)
    models = {"cf": searched, "cf by rule": rule, "textbook": textbook}
    contenders = [Popularity.of(parts.train), *ease_of(parts.train.matrix, liked)]
    contenders += [Factors(key, model.user_factors, model.item_factors) for key, model in models.items()]
    scored = evaluate(contenders, parts, settings)
    shape = ratings.matrix.shape
    print(f"## {name}: {shape[0]:,} users x {shape[1]:,} games, {ratings.matrix.nnz:,} ratings; liked from {liked:g}")
    for contender in scored.contenders:
        ndcg, recall = (scored.interval(contender, f"{metric}") for metric in ("ndcg@10", "recall@20"))
        print(f"{contender:18s} NDCG@10 {ndcg}  Recall@20 {recall.value:.4f}", flush=True)
    best = max((c for c in scored.contenders if c.startswith("ease")), key=lambda c: scored.value(c, "ndcg@10"))
    for other in ("popularity", "textbook", best):
        print(f"cf / {other}: {1 + scored.difference('cf', other, 'ndcg@10', relative=True).value:.3f}")
    search = searched.tuning
    assert search is not None
    tried = sum(trial.seconds for trial in search.trials)
    print(f"search {search.seconds:.0f} s ({len(search.trials)} trials, {tried:.0f} s), complete: {search.complete};")
    print(f"with training {seconds:.0f} s; searched {search.winner}", flush=True)


def main() -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--table", choices=["all", "users", "games"], nargs="+", default=["all", "users", "games"])
    parser.add_argument("--split-seed", type=int, default=42)
    given = parser.parse_args()
    for name in given.table:
        with threadpool_limits(1, "blas"):
            compare(name, given.split_seed)


if __name__ == "__main__":
    main()
