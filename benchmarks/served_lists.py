"""Lists as they are served: against what was popular, popular lately, item kNN and EASE.

``RECSYS_REAL_DATA=FOLDER python benchmarks/served_lists.py [--years-earlier 0 1 2] [--users 2000] [--liked-from 7]``
``python benchmarks/served_lists.py --table FILE [FILE …] --users 3000 --liked-from 1 [--alone]``

The whole way: what is known goes through ``recsys train``, and the lists come from ``recsys.load(…).recommend_batch``.
The board games are cut in time: at the 85% quantile of the dates, of all ratings or of those up to so many years
before the last; relevant is what was liked after it. Of a table each user loses 20% of the ratings at random. EASE has
the best λ of five, item kNN the best of six, popular lately the best half-life of four: all are chosen on what is
asked, in their favour. Beyond 12,000 games EASE and item kNN, which hold games × games, are left out. With
``--alone`` the factors alone compete, without the item-item half, trend and fading.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import scipy.sparse as sp

import recsys
from ease import LAMBDAS, ease_of
from knn import knn_of
from tables import dated

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from recsys.marts.ids import Id

DEPTH = 10
DENSE = 12_000
"""Games that are compared each with each at most."""
HALF_LIVES = (2, 3, 6, 12)
"""Months, of which the best is the contender `popular lately`."""


def trained(ratings: pd.DataFrame, folder: Path, liked_from: float, *given: str) -> recsys.Recommender:
    """Return what a run of ``recsys train`` on these ratings serves; games are known by their ids alone."""
    games = np.sort(ratings["GAME_ID"].unique())
    names = [f"game {game}" for game in games]
    texts = dict.fromkeys(("NAME", "DESCRIPTION", "CATEGORIES", "MECHANICS"), names)
    folder.mkdir()
    pq.write_table(pa.table({"GAME_ID": games, **texts}), folder / "mart_games.parquet")
    pq.write_table(pa.Table.from_pandas(ratings, preserve_index=False), folder / "mart_user_ratings.parquet")
    models = folder.with_name("models")
    command = [sys.executable, "-m", "recsys", "train", "--source", str(folder), "--output", str(models)]
    command += ["--publish-anyway", "measured", "--set", f"cf.like_threshold={liked_from}"]
    command += ["--set", f"data.rating_max={max(10, ratings['RATING'].max())}"]
    command += ["--set", "source.time_column=RATED_AT"] if "RATED_AT" in ratings else []
    command += [part for setting in given for part in ("--set", setting)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return recsys.load(models / "v1")


def ndcg(lists: list[list[int]], relevant: list[set[int]]) -> npt.NDArray[np.float64]:
    """Return NDCG@10 of each list of games, float64, (users,)."""
    discounts = 1 / np.log2(np.arange(2, DEPTH + 2))
    ideal = np.cumsum(discounts)
    hits = [
        np.array([game in wanted for game in top], dtype=float) for top, wanted in zip(lists, relevant, strict=True)
    ]
    gains = [float(hit @ discounts[: len(hit)]) for hit in hits]
    return np.array([gain / ideal[min(DEPTH, len(one)) - 1] for gain, one in zip(gains, relevant, strict=True)])


class Cut(NamedTuple):
    """Ratings that are known and those that are asked for; months of age of the known ones, where there are dates."""

    title: str
    known: pd.DataFrame
    later: pd.DataFrame
    age: npt.NDArray[np.float64] | None = None


def in_time(earlier: int) -> Cut:
    """Return the board games, cut in time."""
    ratings = dated().drop_duplicates(["USER_ID", "GAME_ID"])
    at = pd.to_datetime(ratings["RATED_AT"])
    here = at <= at.max() - pd.DateOffset(years=earlier)
    ratings, at = ratings[here], at[here]
    cut = at.quantile(0.85)
    age = ((cut - at[at < cut]).dt.days / 30.44).to_numpy()
    return Cut(f"board games, cut {cut:%Y-%m-%d}", ratings[at < cut], ratings[at >= cut], age)


def at_random(path: Path, people: int = 0) -> Cut:
    """Return a table of which each user has lost 20% of the ratings, one at least where they have two.

    Parameters
    ----------
    path
        Where it has no ratings, each row is a 1.
    people
        Users at most; 0 for all.
    """
    ratings = pd.read_parquet(path)
    ratings = ratings.assign(RATING=ratings.get("RATING", 1.0))[["USER_ID", "GAME_ID", "RATING"]]
    if people:
        some = np.random.default_rng(0).permutation(ratings["USER_ID"].unique())[:people]
        ratings = ratings[ratings["USER_ID"].isin(some)]
    lot = pd.Series(np.random.default_rng(0).random(len(ratings)), index=ratings.index)
    by_user = lot.groupby(ratings["USER_ID"])
    number = by_user.transform("size")
    out = (by_user.rank() <= np.maximum(1, np.floor(number * 0.2))) & (number > 1)
    return Cut(f"{path.stem}, 20% of each user's ratings", ratings[~out], ratings[out])


def compare(cut: Cut, most: int, liked_from: float, *, alone: bool = False) -> None:
    """Print every contender's score, and the lead over each; with ``alone``, the factors alone among them."""
    known, later = cut.known, cut.later[cut.later["RATING"] >= liked_from]
    users, games = (pd.Index(np.sort(known[column].unique())) for column in ("USER_ID", "GAME_ID"))
    rows, columns = users.get_indexer(known["USER_ID"]), games.get_indexer(known["GAME_ID"])
    shape = (len(users), len(games))
    before = sp.csr_matrix((known["RATING"].to_numpy(np.float32), (rows, columns)), shape)
    asked: dict[Id, set[int]] = {}
    for user, game in zip(later["USER_ID"], games.get_indexer(later["GAME_ID"]), strict=True):
        asked.setdefault(user, set()).add(int(game))  # -1 for a game that nobody had rated: it counts as missed
    people = [user for user in users if user in asked]
    people = list(np.sort(np.random.default_rng(1).permutation(people)[:most]).tolist())
    relevant, codes = [asked[user] for user in people], users.get_indexer(people)

    code = {game: place for place, game in enumerate(games)}

    def served(*given: str) -> npt.NDArray[np.float64]:
        with tempfile.TemporaryDirectory() as folder:
            answers = trained(known, Path(folder, "marts"), liked_from, *given).recommend_batch(people, DEPTH)
        return ndcg([[code[found.game_id] for found in answer] for answer in answers], relevant)

    started = time.perf_counter()
    ours = served()
    seconds = time.perf_counter() - started

    def best(scorers: list[Callable[[npt.NDArray[np.int32]], npt.NDArray[np.float32]]]) -> npt.NDArray[np.float64]:
        lists = [ranked(scores, before, codes) for scores in scorers]
        return max((ndcg(one, relevant) for one in lists), key=lambda values: float(values.mean()))

    others = {"popularity": best([everybody(np.bincount(columns, minlength=len(games)))])}
    if cut.age is not None:
        faded = [np.bincount(columns, 0.5 ** (cut.age / months), len(games)) for months in HALF_LIVES]
        others["popular lately"] = best([everybody(counts) for counts in faded])
    if alone:
        others["factors alone"] = served("cf.item_weight=0", "cf.trend=0", "cf.half_life=0")
    if len(games) <= DENSE:
        others["item kNN"] = best([one.scores for one in knn_of(before, liked_from)])
        liked = islice(ease_of(before, liked_from), len(LAMBDAS))  # the others are of any rating
        others["EASE"] = best([one.scores for one in liked])
    took = f"trained and listed in {seconds:.0f} s"
    print(f"{cut.title}, {len(people):,} users; {took}; recsys NDCG@10 {ours.mean():.4f}\n")
    print("| contender | NDCG@10 | recsys over it | lead, 95% |\n| --- | --- | --- | --- |")
    draw = np.random.default_rng(3)
    for name, values in others.items():
        lead = ours - values
        means = [lead[draw.integers(0, len(lead), len(lead))].mean() for _ in range(1000)]
        low, high = np.quantile(means, (0.025, 0.975))
        print(
            f"| {name} | {values.mean():.4f} | {ours.mean() / values.mean():.3f} | {low:.4f} to {high:.4f} |",
            flush=True,
        )


def everybody(counts: npt.NDArray[np.number]) -> Callable[[npt.NDArray[np.int32]], npt.NDArray[np.float32]]:
    """Return the scorer that says the same to everybody."""
    return lambda users: np.tile(counts.astype(np.float32), (len(users), 1))


def ranked(
    scores: Callable[[npt.NDArray[np.int32]], npt.NDArray[np.float32]],
    before: sp.csr_matrix,
    users: npt.NDArray[np.intp],
) -> list[list[int]]:
    """Return the best games of each user that they have not rated."""
    lists: list[list[int]] = []
    for start in range(0, len(users), 500):
        some = users[start : start + 500].astype(np.int32)
        values = scores(some)
        values[before[some].nonzero()] = -np.inf
        lists += np.argsort(-values, axis=1, kind="stable")[:, :DEPTH].tolist()
    return lists


def main() -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--years-earlier", type=int, nargs="+", default=[0])
    parser.add_argument("--table", type=Path, nargs="+", default=[])
    parser.add_argument("--users", type=int, default=2000)
    parser.add_argument("--liked-from", type=float, default=7)
    parser.add_argument("--alone", action="store_true")
    given = parser.parse_args()
    cuts = [partial(at_random, path) for path in given.table] or [partial(in_time, n) for n in given.years_earlier]
    for cut in cuts:
        compare(cut(), given.users, given.liked_from, alone=given.alone)


if __name__ == "__main__":
    main()
