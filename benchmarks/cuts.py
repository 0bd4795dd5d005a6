"""What the cuts of the item-item half cost: entries that stay of a dense solution, games that may speak for others.

``python benchmarks/cuts.py FILE [FILE …] [--liked-from 1] [--users 3000]``

Each user loses 20% of the ratings at random; printed is NDCG@10 of what rated games say alone, and the best weight
beside the factors of the recipe that the search finds. Up to 8,000 games are solved at once: ``kept`` entries a game
stay, the largest of all. Beyond, ``features`` are the most rated games, of which each game is solved on its nearest.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from recsys.config import CfSettings
from recsys.marts.ratings import Ratings
from recsys.models import item_item
from recsys.models.cf import CollaborativeFilter
from recsys.models.confidence import confidence
from recsys.models.taste import active_of, standard
from served_lists import at_random, ndcg, ranked

if TYPE_CHECKING:
    import numpy.typing as npt
    import scipy.sparse as sp

    Codes = npt.NDArray[np.int32]
    Floats = npt.NDArray[np.float32]

KEPT = (100, 300, 500, 1_000, 1_000_000)
FEATURES = (3_000, 6_000, 12_000, 1_000_000)
WEIGHTS = (0.0, 0.15, 0.3, 0.5, 0.65, 0.8, 1.0)


def compare(path: Path, liked_from: float, users: int) -> None:
    """Print the table of one file."""
    cut = at_random(path)
    # Counts of plays have no scale: a like is a like.
    ratings = Ratings.from_frame(cut.known.assign(RATING=cut.known["RATING"].clip(upper=10)))
    later = cut.later[cut.later["RATING"] >= liked_from]
    people, games = pd.Index(ratings.users.ids()), pd.Index(ratings.items.ids())
    asked: dict[int, set[int]] = {}
    for user, game in zip(people.get_indexer(later["USER_ID"]), games.get_indexer(later["GAME_ID"]), strict=True):
        if user >= 0:
            asked.setdefault(int(user), set()).add(int(game))
    codes = np.sort(np.random.default_rng(1).permutation(sorted(asked))[:users]).astype(np.intp)
    relevant = [asked[code] for code in codes.tolist()]
    model = CollaborativeFilter(CfSettings(like_threshold=liked_from, item_weight=0.0)).fit(ratings)
    weights, active = confidence(ratings.matrix, model.pinned.confidence, liked_from), active_of(model.item_factors)

    name = "KEPT" if len(games) <= item_item.DENSE else "FEATURES"
    for number in KEPT if name == "KEPT" else FEATURES:
        setattr(item_item, name, number)
        began = time.perf_counter()
        said = item_item.fit_item_item(weights, 0.0, 1.0)
        seconds = time.perf_counter() - began

        def score(weight: float, said: sp.csr_matrix = said) -> float:
            def scores(
                some: np.ndarray[tuple[int], np.dtype[np.int32]],
            ) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
                factors = model.user_factors[some] @ model.item_factors.T
                words = (weights[some] @ said).toarray()
                return (1 - weight) * standard(factors, active) + weight * standard(words, active)

            return float(ndcg(ranked(scores, ratings.matrix, codes), relevant).mean())

        found = {weight: score(weight) for weight in WEIGHTS}
        best = max(found, key=found.__getitem__)
        told = "all" if number == 1_000_000 else f"{number:,}"
        row = [f"{said.nnz:,}", f"{seconds:.0f}", *(f"{score:.4f}" for score in (found[0.0], found[1.0], found[best]))]
        print(f"| {path.stem} | {name.lower()} {told} | {' | '.join(row)} | {best:g} |", flush=True)


def main() -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--liked-from", type=float, default=1)
    parser.add_argument("--users", type=int, default=3_000)
    given = parser.parse_args()
    print("| table | cut | entries | s | factors | rated games alone | best of both | its weight |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for path in given.files:
        compare(path, given.liked_from, given.users)


if __name__ == "__main__":
    main()
