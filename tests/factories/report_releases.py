"""Two small releases with everything that a page shows: the same marts on two nights, with canaries in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd
import pyarrow as pa

from factories import tables
from recsys.config import Settings
from recsys.release.check import check_here
from recsys.release.store import ReleaseStore
from recsys.trainer import Trainer

if TYPE_CHECKING:
    from pathlib import Path


CANARY = "canary-person-"
"""Begins every user's id: nowhere on a page."""
ATTACK = "<script>alert('x')</script> & Sons"
"""Name of the best-known game: shown as it is, and never run."""


class Nights(NamedTuple):
    """A store with two releases, and the marts of the second night."""

    models: Path
    first: Path
    second: Path
    ratings: pd.DataFrame


def ratings() -> pd.DataFrame:
    """Return the ratings, users as canaries; everybody knows the first game."""
    frame = tables.ratings()
    frame["USER_ID"] = [f"{CANARY}{user:04d}" for user in frame["USER_ID"]]
    known = frame.drop_duplicates("USER_ID").assign(GAME_ID=tables.FIRST_GAME, RATING=7.5)
    return pd.concat([frame[frame["GAME_ID"] != tables.FIRST_GAME], known], ignore_index=True)


def games() -> pd.DataFrame:
    """Return the games; the best-known one has a dangerous name."""
    frame = tables.games()
    frame.loc[frame["GAME_ID"] == tables.FIRST_GAME, "NAME"] = ATTACK
    return frame


def train(models: Path, games_frame: pd.DataFrame, ratings_frame: pd.DataFrame, **sections: Any) -> Path:
    """Run the pipeline once, and return the folder of the release."""
    frames = (games_frame, ratings_frame)
    source = tables.TableSource(*(pa.Table.from_pandas(frame, preserve_index=False) for frame in frames))
    evaluation = {"resamples": 200, "learning_curve": True}
    settings = Settings.model_validate({"cf": tables.RECIPE, "evaluation": evaluation, **sections})
    trainer = Trainer(
        {},
        models,
        source=source,
        settings=settings,
        embedding_model=tables.WordEncoder(),
        store=ReleaseStore(models, check=check_here),
    )
    path = trainer.run_pipeline(force=True).path
    assert path is not None
    return path


def two_nights(folder: Path) -> Nights:
    """Publish twice: the second night brings two more games, more ratings, and another seed."""
    models, given = folder / "models", ratings()
    catalogue = games()
    fewer = catalogue[catalogue["GAME_ID"] < tables.FIRST_GAME + tables.GAMES - 2]
    first = train(models, fewer, given.iloc[:-10])
    second = train(models, catalogue, given, cf={**tables.RECIPE, "seed": 7})
    return Nights(models, first, second, given)
