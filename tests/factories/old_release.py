"""A release of the first format, as commit 33c5b6d published it, and the marts that it was made of."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.compute as pc

from recsys.release.layout import MANIFEST
from recsys.sources.sample import sample_warehouse

if TYPE_CHECKING:
    import pyarrow as pa

FOLDER = Path(__file__).parents[1] / "data" / "release_33c5b6d"
"""What `recsys train --source marts --set cf.factors=16 --set evaluation.resamples=200` of that commit left."""

NAME: str = json.loads((FOLDER / MANIFEST).read_bytes())["release"]
"""Its run id."""


def store_with_it(models: Path) -> Path:
    """Put the release into a folder of releases, as its current one, and return the folder."""
    shutil.copytree(FOLDER, models / "releases" / NAME)
    (models / "v1").symlink_to(f"releases/{NAME}")
    return models


def marts() -> tuple[pa.Table, pa.Table]:
    """Return the games and ratings that it was made of: every third game, every fourth user of the sample."""
    made = sample_warehouse()
    third, fourth = sorted(made.game_tastes)[::3], sorted(made.user_tastes)[::4]
    games = made.games.filter(pc.field("GAME_ID").isin(third))
    ratings = made.ratings.filter(pc.field("GAME_ID").isin(third) & pc.field("USER_ID").isin(fourth))
    return games, ratings
