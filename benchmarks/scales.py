"""Whether one pair of relative scales serves tables of any shape: what the rule of ``recsys.models.recipe`` rests on.

``RECSYS_REAL_DATA=FOLDER python benchmarks/scales.py [--part chosen|readings|aside] [--table NAME ...]``

``chosen``: on the tables that the rule was chosen by, the best of 20 pairs (ρ, κ) with 64 factors, graded
confidence and 10 iterations, what it is in absolute terms, the rule's pair, the best EASE, and what ν = ½
and 0 lose with the best pair. ``readings``: other ways to read ratings, with the rule's pair. ``aside``: the
rule as it stands (``cf.tuning = "off"``) on tables that had no part in choosing it.

A fifth of the ratings is held out by hash (seed 42), or by time; up to 5,000 users are scored; NDCG@10.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from threadpoolctl import threadpool_limits

from ease import ease_of
from recsys.config import CfSettings, EvaluationSettings
from recsys.evaluation.contenders import Factors, Popularity
from recsys.evaluation.holdout import split
from recsys.evaluation.scores import evaluate, mean_ndcg
from recsys.marts.ratings import Ratings
from recsys.models import CollaborativeFilter
from recsys.models.confidence import confidence, like_threshold, scale_top
from recsys.models.recipe import CfRecipe
from recsys.models.solvers import solver_of
from tables import ASIDE, CHOSEN, at_least_five

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    from recsys.evaluation.holdout import Split

RHO, KAPPA = (1.5, 3.0, 6.0, 12.0, 24.0), (0.25, 0.5, 1.0, 2.0)
SETTINGS = EvaluationSettings(users=5000, seed=42)
DENSE = 2000
"""EASE is left out of tables with more games."""


def hold_out(frame: pd.DataFrame) -> tuple[Ratings, Split, float]:
    """Return a table of users with five ratings or more, its two parts, and from where on a rating is a like."""
    frame = at_least_five(frame)
    ratings = Ratings.from_frame(frame, time_column="RATED_AT" if "RATED_AT" in frame else "")
    liked = like_threshold("auto", ratings.matrix.data)
    return ratings, split(ratings, SETTINGS, liked), liked


def shape(ratings: Ratings) -> str:
    """Return a table's size and density, as two cells."""
    users, games = ratings.matrix.shape
    return f"{users:,} × {games:,} | {ratings.matrix.nnz / (users * games):.1%}"


def trained(parts: Split, **settings: object) -> Factors:
    """Train with some settings given and the others by rule."""
    model = CollaborativeFilter(CfSettings(tuning="off", **settings)).fit(parts.train)
    return Factors("cf", model.user_factors, model.item_factors)


def score(parts: Split, **settings: object) -> float:
    """Return NDCG@10 of a filter of 64 factors after 10 iterations."""
    return mean_ndcg(trained(parts, factors=64, iterations=10, **settings), parts, 10)


def best_pair(parts: Split) -> tuple[float, float, float]:
    """Return the best NDCG@10 of the grid, and its ρ and κ."""
    return max(
        (score(parts, confidence="graded", unobserved=r, regularization=k), r, k) for r, k in product(RHO, KAPPA)
    )


def chosen(name: str) -> None:
    """Print the row of a table that the rule was chosen by."""
    ratings, parts, liked = hold_out(CHOSEN[name]())
    ndcg, rho, kappa = best_pair(parts)
    pair = {"confidence": "graded", "unobserved": rho, "regularization": kappa}
    rule = score(parts, confidence="graded")
    train = parts.train.matrix
    recipe = CfRecipe.by_rule(CfSettings(**pair), train.data)
    objective = solver_of(recipe).objective(recipe, confidence(train, "graded", liked))
    small = train.shape[1] <= DENSE
    ease = f"{max(mean_ndcg(each, parts, 10) for each in ease_of(train, liked)):.4f}" if small else "–"
    lost = " | ".join(f"{1 - score(parts, exponent=nu, **pair) / ndcg:.1%}" for nu in (0.5, 0.0))
    absolute = f"{objective.unobserved:.3f} | {objective.regularization:.3f}"
    scores = f"{ndcg:.4f} | {rule:.4f} | {ease}"
    print(f"| {name} | {shape(ratings)} | {rho:g}, {kappa:g} | {absolute} | {scores} | {lost} |", flush=True)


def by_user(ratings: Ratings, *, spread: bool) -> Ratings:
    """Return ratings on each user's own scale: less their mean, shrunk by their number, or divided by their spread."""
    matrix = ratings.matrix.copy()
    counts = np.diff(matrix.indptr)
    rows = np.repeat(np.arange(len(counts)), counts)
    own = np.bincount(rows, matrix.data, len(counts)) / np.maximum(counts, 1)
    apart: npt.NDArray[np.float64] = matrix.data - own[rows]
    middle, usual = matrix.data.mean(), apart.std()
    if spread:
        deviation = np.sqrt(np.bincount(rows, apart**2, len(counts)) / np.maximum(counts, 1))
        values = middle + 1.5 * usual * apart / (deviation[rows] + 0.5 * usual)
    else:
        values = matrix.data - (counts / (counts + 5))[rows] * (own[rows] - middle)
    matrix.data = np.clip(values, 0.01, scale_top(matrix.data)).astype(np.float32)
    return replace(ratings, matrix=matrix)


def readings(name: str) -> None:
    """Print the row of other ways to read ratings, with the rule's pair."""
    _, parts, liked = hold_out(CHOSEN[name]())
    scores = [score(parts, confidence=way) for way in ("graded", "liked", "rating")]
    for spread in (False, True):
        scaled = replace(parts, train=by_user(parts.train, spread=spread))
        scores.append(score(scaled, confidence="graded", like_threshold=liked))
    print(f"| {name} | " + " | ".join(f"{each:.4f}" for each in scores) + " |", flush=True)


def aside(name: str) -> None:
    """Print the row of a table that had no part in choosing the rule."""
    ratings, parts, liked = hold_out(ASIDE[name]())
    contenders = [Popularity.of(parts.train), trained(parts), *ease_of(parts.train.matrix, liked)]
    scored = evaluate(contenders, parts, SETTINGS)
    best = max((c for c in scored.contenders if c.startswith("ease")), key=lambda c: scored.value(c, "ndcg@10"))
    values = " | ".join(f"{scored.value(key, 'ndcg@10'):.4f}" for key in ("popularity", best, "cf"))
    ahead = " | ".join(str(scored.difference("cf", other, "ndcg@10")) for other in ("popularity", best))
    print(f"| {name} | {shape(ratings)} | {values} | {ahead} |", flush=True)


def main() -> None:
    """Print the tables that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    rows = {"chosen": (chosen, CHOSEN), "readings": (readings, CHOSEN), "aside": (aside, ASIDE)}
    parser.add_argument("--part", choices=rows, nargs="+", default=list(rows))
    parser.add_argument("--table", choices=[*CHOSEN, *ASIDE], nargs="+", metavar="NAME", default=[*CHOSEN, *ASIDE])
    given = parser.parse_args()
    heads = {
        "chosen": "table | users × games | dense | best ρ, κ | α₀ | λ | NDCG@10 | ρ 4, κ 0.5 | best EASE | ν ½ | ν 0",
        "readings": "table | graded | liked | rating | graded, less the user's mean | graded, by the user's spread",
        "aside": "table | users × games | dense | popularity | best EASE | the rule | over popularity | over EASE",
    }
    for part in given.part:
        row, tables = rows[part]
        print(f"\n| {heads[part]} |\n|{' --- |' * (1 + heads[part].count('|'))}", flush=True)
        for name in tables:
            if name in given.table:
                with threadpool_limits(1, "blas"):
                    row(name)


if __name__ == "__main__":
    main()
