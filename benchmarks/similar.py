"""Games like one: by the factors' cosine, and with what the item-item half says.

``python benchmarks/similar.py FILE [FILE …] [--liked-from 1] [--people 12000]``

Each user loses 20% of the ratings at random. A question is a game that somebody likes; right is another one that they
like and that was held out. Printed is the share of questions whose ten games hold it, and the same with each hit
weighed by 1 / log(1 + ratings), since a list of bestsellers answers many questions and says nothing.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from recsys.config import CfSettings
from recsys.marts.ratings import Ratings
from recsys.models.cf import CollaborativeFilter
from recsys.models.confidence import confidence
from recsys.models.item_item import fit_item_item
from recsys.models.taste import active_of, standard
from served_lists import at_random

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    Floats = npt.NDArray[np.float32]
    Scores = Callable[[npt.NDArray[np.intp]], Floats]

DEPTH = 10
WEIGHTS = (0.15, 0.5)
QUESTIONS = 6_000


def compare(path: Path, liked_from: float, people: int) -> None:
    """Print the table of one file."""
    cut = at_random(path, people)
    ratings = Ratings.from_frame(cut.known.assign(RATING=cut.known["RATING"].clip(upper=10)))
    model = CollaborativeFilter(CfSettings(tuning="off", like_threshold=liked_from)).fit(ratings)
    weights = confidence(ratings.matrix, model.pinned.confidence, liked_from)
    active, counts = active_of(model.item_factors), np.bincount(ratings.matrix.indices, minlength=len(ratings.items))
    lengths = np.linalg.norm(model.item_factors, axis=1, keepdims=True)
    directions = model.item_factors / np.where(lengths, lengths, 1)
    asked = questions(ratings, cut.later[cut.later["RATING"] >= liked_from], liked_from)

    def cosine(games: npt.NDArray[np.intp]) -> Floats:
        return np.asarray(directions[games] @ directions.T)

    ways: dict[str, Scores] = {
        "popularity": lambda games: np.tile(counts.astype(np.float32), (len(games), 1)),
        "cosine of factors": cosine,
    }
    for exponent in (0.0, 0.5):
        said = fit_item_item(weights, exponent, 1.0).tocsr()
        ways[f"rows of B, a {exponent:g}"] = lambda games, said=said: said[games].toarray()  # type: ignore[misc]
        for weight in WEIGHTS:
            ways[f"{weight:g} of it beside the cosine"] = lambda games, said=said, weight=weight: (  # type: ignore[misc]
                (1 - weight) * standard(cosine(games), active) + weight * standard(said[games].toarray(), active)
            )
        for name, scores in ways.items():
            hits = found(scores, asked, active)
            rare = hits / np.log1p(counts[asked[:, 1]])
            print(f"| {path.stem} | {name} | {hits.mean():.4f} | {rare.mean():.4f} |", flush=True)
        ways.clear()


def questions(ratings: Ratings, later: pd.DataFrame, liked_from: float) -> npt.NDArray[np.intp]:
    """Return pairs of a liked game that is known and one that was held out, of one person each; (n, 2)."""
    users, games = pd.Index(ratings.users.ids()), pd.Index(ratings.items.ids())
    later = later[later["GAME_ID"].isin(games) & later["USER_ID"].isin(users)]
    later = later.sample(min(len(later), QUESTIONS), random_state=2)
    draw, matrix, pairs = np.random.default_rng(2), ratings.matrix, []
    for user, game in zip(users.get_indexer(later["USER_ID"]), games.get_indexer(later["GAME_ID"]), strict=True):
        rated = slice(matrix.indptr[user], matrix.indptr[user + 1])
        liked = matrix.indices[rated][matrix.data[rated] >= liked_from]
        if len(liked):
            pairs.append((draw.choice(liked), game))
    return np.array(pairs, dtype=np.intp)


def found(scores: Scores, asked: npt.NDArray[np.intp], active: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return which questions are answered by the best ten games."""
    hits = []
    for start in range(0, len(asked), 500):
        games, right = asked[start : start + 500].T
        values = scores(games).copy()
        values[:, ~active] = -np.inf
        values[np.arange(len(games)), games] = -np.inf
        best = np.argpartition(-values, DEPTH, axis=1)[:, :DEPTH]
        hits.append((best == right[:, None]).any(axis=1))
    return np.concatenate(hits)


def main() -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--liked-from", type=float, default=1)
    parser.add_argument("--people", type=int, default=12_000)
    given = parser.parse_args()
    print("| table | ranked by | hit rate@10 | of rare games |\n| --- | --- | --- | --- |")
    for path in given.files:
        compare(path, given.liked_from, given.people)


if __name__ == "__main__":
    main()
