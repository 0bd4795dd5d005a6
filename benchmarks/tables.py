"""Tables of ratings to try models on: parts of the real one, the built-in sample, and a synthetic one."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from recsys.sources.sample import sample_warehouse

if TYPE_CHECKING:
    from collections.abc import Callable


def table(name: str, seed: int = 11) -> pd.DataFrame:
    """Return the ratings, or a part of them."""
    frame = pd.read_parquet(Path(os.environ["RECSYS_REAL_DATA"]) / "mart_user_ratings.parquet")
    if name == "users":
        everybody = np.sort(frame["USER_ID"].unique())
        chosen = np.random.default_rng(seed).choice(everybody, len(everybody) // 20, replace=False)
        frame = frame[frame["USER_ID"].isin(chosen)]
    if name == "games":
        by_popularity = frame["GAME_ID"].value_counts().index
        middle = len(by_popularity) // 2
        frame = frame[frame["GAME_ID"].isin(by_popularity[middle - 100 : middle + 100])]
    return at_least_five(frame)


def at_least_five(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the ratings of users who have five or more."""
    return frame[frame.groupby("USER_ID")["RATING"].transform("size") >= 5].reset_index(drop=True)


def some(frame: pd.DataFrame, column: str, share: float, seed: int) -> pd.DataFrame:
    """Return the ratings of a random share of the users or games."""
    everybody = np.sort(frame[column].unique())
    chosen = np.random.default_rng(seed).choice(everybody, round(share * len(everybody)), replace=False)
    return frame[frame[column].isin(chosen)]


def cut(frame: pd.DataFrame, most: int, seed: int = 11) -> pd.DataFrame:
    """Return at most so many ratings of each game, drawn at random."""
    return frame.sample(frac=1, random_state=seed).groupby("GAME_ID").head(most)


def popular(frame: pd.DataFrame, column: str, share: float) -> pd.DataFrame:
    """Return the users or games with the most ratings; with the fewest where ``share`` is negative."""
    order = frame[column].value_counts().sort_index().sort_values(ascending=share < 0, kind="stable").index
    return frame[frame[column].isin(order[: round(abs(share) * len(order))])]


def newest(frame: pd.DataFrame, games: int) -> pd.DataFrame:
    """Return the ratings of the games that the catalogue took last."""
    return frame[frame["GAME_ID"].isin(np.sort(frame["GAME_ID"].unique())[-games:])]


def dated() -> pd.DataFrame:
    """Return the ratings with their months: columns as in the mart, and ``RATED_AT``."""
    return pd.read_parquet(Path(os.environ["RECSYS_REAL_DATA"]) / "mart_user_ratings_dated.parquet")


def sample() -> pd.DataFrame:
    """Return the built-in sample's ratings."""
    return sample_warehouse().ratings.to_pandas().drop(columns="RATED_AT")


def synthetic(users: int = 30_000, games: int = 8_000, seed: int = 0) -> pd.DataFrame:
    """Return ratings (1-5) of many small series of games: 40 genres, series of five, 25 games a user.

    A game's taste is its genre's, its series' and its own; users pick by taste and popularity (Gumbel
    noise makes it a weighted draw), and rate by taste.
    """
    draw = np.random.default_rng(seed)
    series = np.arange(games) // 5
    genre = draw.integers(0, 40, series[-1] + 1)[series]
    taste = 0.8 * draw.standard_normal((40, 16))[genre] + 2 * draw.standard_normal((series[-1] + 1, 16))[series]
    taste += 0.3 * draw.standard_normal((games, 16))
    popularity = -0.8 * np.log(draw.permutation(games) + 10)
    number = np.clip(draw.lognormal(0, 0.8, users) * 18, 5, games // 3).astype(int)
    parts = []
    for user, picks in enumerate(number):
        liking = taste @ draw.standard_normal(16) * 0.375
        chosen = np.argpartition(-(liking + popularity + draw.gumbel(size=games)), picks)[:picks]
        parts.append((np.full(picks, user), chosen, liking[chosen] + 0.8 * draw.standard_normal(picks)))
    user, game, felt = (np.concatenate(part) for part in zip(*parts, strict=True))
    rating = np.clip(np.round(3.7 + (felt - felt.mean()) / felt.std()), 1, 5)
    return pd.DataFrame({"USER_ID": user, "GAME_ID": game, "RATING": rating.astype(np.float32)})


CHOSEN: dict[str, Callable[[], pd.DataFrame]] = {
    "a fifth of the users": lambda: some(table("all"), "USER_ID", 0.2, 11),
    "a twentieth of the users": partial(table, "users"),
    "200 games of middle popularity": partial(table, "games"),
    "a quarter of those users": lambda: some(table("games"), "USER_ID", 0.25, 11),
    "cut at 300 ratings a game": lambda: cut(table("all"), 300),
    "a quarter of the ratings": lambda: table("all").sample(frac=0.25, random_state=11),
    "synthetic, many small series, cut at 100 ratings a game": lambda: cut(synthetic(), 100),
}
"""What the rule was chosen by."""
ASIDE: dict[str, Callable[[], pd.DataFrame]] = {
    "half of the games, a third of the users": lambda: some(some(table("all"), "GAME_ID", 0.5, 7), "USER_ID", 1 / 3, 7),
    "the tenth of the users with the most ratings": lambda: popular(table("all"), "USER_ID", 0.1),
    "the half of the games with the fewest ratings": lambda: popular(table("all"), "GAME_ID", -0.5),
    "the 300 newest games": lambda: newest(table("all"), 300),
    "a fifth of the users, the latest ratings held out": lambda: some(dated(), "USER_ID", 0.2, 7),
    "the built-in sample": sample,
}
"""What it was never tried on before it stood."""
