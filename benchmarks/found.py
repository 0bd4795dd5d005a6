"""What a night finds against what is there to be found: its recipe, and the best of a wide grid on the full table.

``python benchmarks/found.py FILE [FILE …] [--test FILE] [--liked-from 1] [--users 5000] [--class] [--grid]``

A table loses 20% of each user's ratings at random, or a second one holds what is asked (``--test``; then Recall and
NDCG at 20, recall over all that is relevant). The night holds out what the gate does, searches on the rest, and its
recipe is trained on everything that was known: as ``recsys train`` does, without its texts. ``--class`` adds what
``CollaborativeFilter.fit`` finds, whose search sees all of it. ``--grid`` adds the best of 5 lengths × 4 ρ × 4 κ with
nothing added, and of 4 λ × 2 exponents × 8 weights of the item-item half beside the best of them: it is chosen on what
is asked, in its own favour, and takes hours on a large table.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
import scipy.sparse as sp

from recsys.config import CfSettings, EvaluationSettings
from recsys.evaluation.holdout import split
from recsys.marts.ratings import Ratings
from recsys.models.confidence import confidence
from recsys.models.item_item import fit_item_item
from recsys.models.recipe import CfRecipe
from recsys.models.solvers import Factors, solver_of
from recsys.models.taste import active_of, standard
from recsys.ranking import metrics
from recsys.ranking.places import placed
from recsys.tuning import find_recipe
from served_lists import at_random

if TYPE_CHECKING:
    import numpy.typing as npt

LENGTHS, RHOS, KAPPAS = (64, 128, 256, 512, 1024), (2.0, 8.0, 16.0, 32.0), (0.18, 0.25, 0.35, 0.5)
LAMBDAS, EXPONENTS, WEIGHTS = (0.3, 1.0, 3.0, 10.0), (0.0, 0.5), (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.75, 0.9)
_CELLS = 20_000_000


class Found(NamedTuple):
    """A recipe, and what its lists score."""

    recipe: CfRecipe
    ndcg: float
    recall: float


@dataclass
class Asked:
    """What is known, and what is asked of some users."""

    known: Ratings
    relevant: sp.csr_matrix
    users: npt.NDArray[np.int64]
    depth: int
    recall_depth: int
    over_all: bool

    @classmethod
    def of(cls, file: Path, test: Path | None, liked_from: float, most: int) -> Asked:
        """Part a table, or take a split as it is published."""
        if test is None:
            cut = at_random(file)
            before, later = cut.known, cut.later
        else:
            before, later = (pd.read_parquet(each).assign(RATING=1.0) for each in (file, test))
        known = Ratings.from_frame(before)
        later = later[later["RATING"] >= liked_from]
        codes = [
            ids.codes_of(later[name].tolist()) for ids, name in ((known.users, "USER_ID"), (known.items, "GAME_ID"))
        ]
        there = (codes[0] >= 0) & (codes[1] >= 0)
        entries = np.ones(int(there.sum()), np.float32), (codes[0][there], codes[1][there])
        relevant = sp.csr_matrix(entries, known.matrix.shape)
        some = np.random.default_rng(1).permutation(np.flatnonzero(np.diff(relevant.indptr)))[:most]
        return cls(known, relevant, np.sort(some), 10 if test is None else 20, 20, test is not None)

    def score(self, factors: Factors, weights: sp.csr_matrix, found: sp.csr_matrix | None, shares: list[float]) -> list:
        """Return NDCG and recall of lists by the factors and some shares of the item-item half."""
        active, hits = active_of(factors.items), [[] for _ in shares]
        size = max(_CELLS // self.relevant.shape[1], 1)
        for start in range(0, len(self.users), size):
            users = self.users[start : start + size]
            standing = factors.users[users] @ factors.items.T
            said = None
            if found is not None:
                standing, said = standard(standing, active), standard((weights[users] @ found).toarray(), active)
            for share, hit in zip(shares, hits, strict=True):
                scores = standing if said is None else np.float32(1 - share) * standing + np.float32(share) * said
                scores = np.where(active, scores, np.float32(-np.inf))
                scores[self.known.matrix[users].nonzero()] = -np.inf
                hit.append(placed(scores, self.relevant, users, self.recall_depth))
        number = np.diff(self.relevant.indptr)[self.users]
        below = number if self.over_all else np.minimum(number, self.recall_depth)
        whole = [np.concatenate(hit) for hit in hits]
        return [
            (metrics.ndcg(hit, number, self.depth).mean(), (hit.sum(axis=1) / below).mean()) for hit in whole
        ]  # fmt: skip


class Trainer:
    """Trains recipes on all that is known."""

    def __init__(self, asked: Asked, threads: int) -> None:
        self.asked, self.threads = asked, threads

    def try_all(self, recipe: CfRecipe, shares: tuple[float, ...] = ()) -> list[Found]:
        """Return what a recipe scores, with its own weight of the item-item half or with others."""
        table = self.asked.known.matrix
        weights = confidence(table, recipe.confidence, recipe.like_threshold)
        factors = solver_of(recipe).fit(weights, recipe, CfSettings().seed, threads=self.threads)
        tried, found = list(shares or (recipe.item_weight,)), None
        if any(tried):
            found = fit_item_item(weights, recipe.item_exponent, recipe.item_regularization, threads=self.threads)
        scores = self.asked.score(factors, weights, found, tried)
        return [
            Found(replace(recipe, item_weight=share), *score) for share, score in zip(tried, scores, strict=True)
        ]  # fmt: skip

    def best_of_grid(self, rule: CfRecipe) -> Found:
        """Return the best of a wide grid, chosen on what is asked."""
        alone = [
            found
            for length, rho, kappa in product(LENGTHS, RHOS, KAPPAS)
            for found in self.try_all(replace(rule, factors=length, unobserved=rho, regularization=kappa))
        ]
        best = max(alone, key=lambda one: one.ndcg)
        beside = [
            found
            for ridge, exponent in product(LAMBDAS, EXPONENTS)
            for found in self.try_all(
                replace(best.recipe, item_regularization=ridge, item_exponent=exponent), (0.0, *WEIGHTS)
            )
        ]
        return max(beside, key=lambda one: one.ndcg)


def row(name: str, found: Found, more: str = "") -> None:
    """Print a line of the table."""
    recipe = found.recipe
    scales = f"{recipe.factors}, ρ {recipe.unobserved:g}, κ {recipe.regularization:g}, {recipe.iterations} sweeps"
    half = f"w {recipe.item_weight:g}, a {recipe.item_exponent:g}, λ {recipe.item_regularization:g}"
    added = half if recipe.item_weight else "–"
    print(f"| {name} | {found.ndcg:.4f} | {found.recall:.4f} | {scales} | {added} | {more} |", flush=True)


def main() -> None:
    """Print a table for each file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--test", type=Path)
    parser.add_argument("--liked-from", type=float, default=1.0)
    parser.add_argument("--users", type=int, default=5000)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--class", action="store_true", dest="whole")
    parser.add_argument("--grid", action="store_true")
    given = parser.parse_args()
    settings = CfSettings(like_threshold=given.liked_from, threads=given.threads)
    for file in given.files:
        asked = Asked.of(file, given.test, given.liked_from, given.users)
        trainer = Trainer(asked, given.threads)
        rule = CfRecipe.by_rule(settings, asked.known.matrix.data)
        print(f"{file.stem}: {asked.known.matrix.nnz:,} ratings, {len(asked.users):,} users asked\n")
        print(f"| | NDCG@{asked.depth} | Recall@20 | factors | item-item half | search |\n|" + " --- |" * 6)
        row("rule", *trainer.try_all(rule))
        tables = {"night": split(asked.known, EvaluationSettings(), given.liked_from).train}
        tables |= {"class": asked.known} if given.whole else {}
        for name, table in tables.items():
            began = time.perf_counter()
            recipe, search = find_recipe(table, settings)
            told = f"{time.perf_counter() - began:.0f} s" + (f", work {search.work:.1f}" if search else "")
            row(f"{name}, factors alone", *trainer.try_all(replace(recipe, item_weight=0.0)))
            row(name, *trainer.try_all(recipe), told)
        if given.grid:
            row("best of a grid", trainer.best_of_grid(rule))
        print()


if __name__ == "__main__":
    main()
