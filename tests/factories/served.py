"""A store with real releases of small marts, for tests of what serves them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa

from factories.tables import RECIPE, TableSource, WordEncoder, games, ratings
from recsys.config import Settings
from recsys.trainer import Trainer

if TYPE_CHECKING:
    from pathlib import Path

REPRINT, UNRATED, CAFE = 200, 201, 202
"""Games that nobody has rated: another edition of game 100, one of trains, and one with an accent."""

EXTRA = pd.DataFrame(
    {
        "GAME_ID": [REPRINT, UNRATED, CAFE],
        "NAME": ["The Economic Game 100: Second Edition", "Night Mail", "Café Zürich"],
        "DESCRIPTION": ["A game of economic, all about economic.", "A game of trains, all about trains.", "Bluffing."],
        "CATEGORIES": ["Economic", "Trains", "Bluffing"],
        "MECHANICS": ["Hand Management", "Hand Management", "Deck, Bag, and Pool Building"],
    }
)


def catalogue() -> pd.DataFrame:
    """Return the 40 games of the small marts and three that nobody has rated."""
    return pd.concat([games(), EXTRA], ignore_index=True)


def publish(
    output: Path,
    seed: int = 0,
    encoder: WordEncoder | None = None,
    names: dict[int, str] | None = None,
    **cf: object,
) -> Path:
    """Train on the small marts, publish into ``output``, and return the release's folder.

    Parameters
    ----------
    output
        Folder of the releases.
    seed
        Of the ratings: another one makes another release.
    encoder
        Of the texts.
    names
        Other names of some games, by id.
    cf
        Settings of the section ``cf``.
    """
    catalogued = catalogue()
    catalogued["NAME"] = catalogued["GAME_ID"].map(names or {}).fillna(catalogued["NAME"])
    return publish_marts(output, catalogued, ratings(seed), encoder, **cf)


def publish_marts(
    output: Path, catalogued: pd.DataFrame, rated: pd.DataFrame, encoder: WordEncoder | None = None, **cf: object
) -> Path:
    """Train on two marts, their columns as they are, publish into ``output``, and return the release's folder."""
    more = ",".join(name for name in catalogued.columns if name not in EXTRA.columns)
    tables = [pa.Table.from_pandas(frame, preserve_index=False) for frame in (catalogued, rated)]
    trainer = Trainer(
        models_output_dir=output,
        source=TableSource(*tables),
        settings=Settings.model_validate(
            {"cf": RECIPE | cf, "release": {"keep": 50}, "source": {"game_columns": more}}
        ),
        embedding_model=encoder or WordEncoder(),
    )
    path = trainer.run_pipeline(force=True).path
    assert path is not None
    return path
