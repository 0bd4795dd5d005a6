"""What visitors' ratings and dislikes do to their lists, on people whom training has not seen.

``RECSYS_REAL_DATA=FOLDER python benchmarks/visitors.py [--visitors 2000] [--likes 3 10 40] [--by taste blend]
[--folder FOLDER]``

Some people with 20 ratings or more are left out of ``recsys train``. Of each who rated games up to 4, some likes
(from 7) and half of these low ratings are told; relevant are the other likes, and counted too is how many of the
other badly rated games stand in a list of ten. Then known users are asked for as visitors with the very same ratings.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

import recsys
from recsys.serving import Visitor, people
from served_lists import DEPTH, ndcg

if TYPE_CHECKING:
    import numpy.typing as npt

    from recsys.serving import Recommender
    from recsys.serving.answers import Way

    Doubles = npt.NDArray[np.float64]

LIKED, LOW, LEAST = 7, 4, 20
WAYS: tuple[Way, ...] = ("taste", "blend")
SHARES = (0.1, 0.25, 0.5, 1.0)
"""Confidences of a dislike that are tried, as a share of a like's."""


class Case(NamedTuple):
    """Somebody: ratings that are told, and games that are not."""

    likes: dict[int, float]
    between: dict[int, float]
    lows: dict[int, float]
    relevant: set[int]
    bad: set[int]


def trained(visitors: int, folder: Path) -> tuple[Recommender, pd.DataFrame, pd.DataFrame]:
    """Train without some people, and return what serves, the ratings that it knows, and those of the people."""
    data = Path(os.environ["RECSYS_REAL_DATA"])
    ratings = pd.read_parquet(data / "mart_user_ratings.parquet")
    many = ratings[ratings.groupby("USER_ID")["RATING"].transform("size") >= LEAST]
    out = np.random.default_rng(0).choice(np.sort(many["USER_ID"].unique()), visitors, replace=False)
    theirs = ratings["USER_ID"].isin(out)
    marts, models = folder / "marts", folder / "models"
    if not models.exists():
        marts.mkdir(parents=True)
        shutil.copy(data / "mart_games.parquet", marts)
        ratings[~theirs].to_parquet(marts / "mart_user_ratings.parquet", index=False)
        command = [sys.executable, "-m", "recsys", "train", "--source", str(marts), "--output", str(models)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return recsys.load(models / "v1"), ratings[~theirs], ratings[theirs]


def of_each(served: Recommender, ratings: pd.DataFrame) -> dict[int, dict[int, float]]:
    """Return each user's ratings by game, of games that the catalogue has."""
    has = {game for game in ratings["GAME_ID"].unique().tolist() if served.snapshot.catalogue.find(game) is not None}
    known = ratings[ratings["GAME_ID"].isin(has)]
    return {
        user: dict(zip(one["GAME_ID"].tolist(), one["RATING"].tolist(), strict=True))
        for user, one in known.groupby("USER_ID")
    }


def cases(served: Recommender, ratings: pd.DataFrame, likes: int) -> list[Case]:
    """Return everybody who likes a game that is not told and rated one low, with so many likes at most."""
    draw, found = np.random.default_rng(1), []
    for everything in of_each(served, ratings).values():
        theirs = dict(list(everything.items())[place] for place in draw.permutation(len(everything)))
        liked = [game for game, rating in theirs.items() if rating >= LIKED]
        low = [game for game, rating in theirs.items() if rating <= LOW]
        between = [game for game, rating in theirs.items() if LOW < rating < LIKED]
        told = min(likes, int(len(liked) * 0.8))
        half = (len(low) + 1) // 2
        if told and low:
            some = between[: len(between) * told // len(liked)]
            parts = [{game: theirs[game] for game in games} for games in (liked[:told], some, low[:half])]
            found.append(Case(*parts, set(liked[told:]), set(low[half:])))
    return found


def lists(served: Recommender, visitors: list[Visitor], hidden: list[Case], by: Way) -> list[list[int]]:
    """Return lists of ten without the games that anybody told, however they are asked for."""
    found = []
    for visitor, case in zip(visitors, hidden, strict=True):
        named = case.likes | case.between | case.lows
        (answer,) = served.recommend_from_batch([visitor], DEPTH + len(named), by=by)
        found.append([game for game in answer.ids if game not in named][:DEPTH])
    return found


def dislikes(served: Recommender, ratings: pd.DataFrame, likes: int, by: Way) -> None:
    """Print what each way to tell of the same games does to lists."""
    asked = cases(served, ratings, likes)
    lowest = float(ratings["RATING"].min())
    ways = {
        "likes": [Visitor(list(case.likes)) for case in asked],
        "ratings of the liked games": [Visitor(ratings=case.likes) for case in asked],
        "all ratings": [Visitor(ratings=case.likes | case.between | case.lows) for case in asked],
        "likes, and low ratings as the lowest": [
            Visitor(list(case.likes), dict.fromkeys(case.lows, lowest)) for case in asked
        ],
    }
    against = [Visitor(list(case.likes), dislikes=case.lows.keys()) for case in asked]
    rows = {name: lists(served, visitors, asked, by) for name, visitors in ways.items()}
    kept, fades = people.DISLIKE, people.FADES
    people.FADES = np.inf
    rows["all ratings, half of the mean user always"] = lists(served, ways["all ratings"], asked, by)
    people.FADES = fades
    for share in SHARES:
        people.DISLIKE = share
        rows[f"likes and dislikes, {share:g} of a like"] = lists(served, against, asked, by)
    people.DISLIKE = kept
    print(f"\n{likes} likes at most and {np.mean([len(case.lows) for case in asked]):.1f} low ratings told, by {by};")
    print(f"{len(asked):,} people, {np.mean([len(case.bad) for case in asked]):.1f} low ratings not told\n")
    print("| told | NDCG@10 | change, 95% | badly rated games in ten | change, 95% |\n| --- | --- | --- | --- | --- |")
    first: tuple[Doubles, Doubles] | None = None
    for name, tops in rows.items():
        good = ndcg(tops, [case.relevant for case in asked])
        bad = np.array([len(case.bad & set(top)) for case, top in zip(asked, tops, strict=True)], dtype=float)
        first = first or (good, bad)
        print(
            f"| {name} | {good.mean():.4f} | {change(good, first[0])} | {bad.mean():.4f} | {change(bad, first[1])} |",
            flush=True,
        )


def change(new: Doubles, old: Doubles) -> str:
    """Return how the mean changed, and half the width of its 95% interval."""
    return f"{(new - old).mean():+.4f} ± {1.96 * (new - old).std() / np.sqrt(len(new)):.4f}"


def known(served: Recommender, ratings: pd.DataFrame, number: int) -> None:
    """Print how far known users' lists are those of visitors with the same ratings."""
    some = np.random.default_rng(2).choice(np.sort(ratings["USER_ID"].unique()), number, replace=False)
    them = of_each(served, ratings[ratings["USER_ID"].isin(some)])
    users, theirs = list(them), [Visitor(ratings=rated) for rated in them.values()]
    print(f"\n| {number} known users, as visitors | of ten games the same | the same first game |\n| --- | --- | --- |")
    for by in WAYS:
        answers = served.recommend_batch(users, DEPTH, by=by), served.recommend_from_batch(theirs, DEPTH, by=by)
        pairs = list(zip(*answers, strict=True))
        same = np.mean([len(set(one.ids) & set(other.ids)) for one, other in pairs])
        first = np.mean([one.ids[0] == other.ids[0] for one, other in pairs])
        print(f"| by {by} | {same:.2f} | {first:.0%} |", flush=True)


def main() -> None:
    """Train, and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--visitors", type=int, default=2000)
    parser.add_argument("--likes", type=int, nargs="+", default=[3, 10, 40])
    parser.add_argument("--by", nargs="+", default=WAYS)
    parser.add_argument("--known", type=int, default=1000)
    parser.add_argument("--folder", type=Path, help="keep the release here, and take the one that is here")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        served, ratings, others = trained(given.visitors, given.folder or Path(folder))
        known(served, ratings, given.known)
        for by in given.by:
            for likes in given.likes:
                dislikes(served, others, likes, by)


if __name__ == "__main__":
    main()
