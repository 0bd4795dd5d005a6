"""Games of the content model: what is known of a game before anybody has rated it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from recsys.marts.contract import CATEGORIES, MECHANICS
from recsys.marts.tags import game_tags

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    import pandas as pd

    from recsys.marts.ids import Id, IdMap
    from recsys.models.content import RAGRecommender


@dataclass(frozen=True)
class Embedded:
    """Games with their texts as vectors, and their tags; all in one order.

    Attributes
    ----------
    game_ids
        Of the games.
    vectors
        float32 unit vectors, (games, dimension).
    tags
        Categories and mechanics of each game.
    """

    game_ids: Sequence[Id]
    vectors: npt.NDArray[np.float32] = field(repr=False)
    tags: Sequence[Sequence[str]] = field(repr=False)

    @classmethod
    def of(cls, model: RAGRecommender, games: pd.DataFrame) -> Embedded:
        """Take the vectors out of a content model's index, and the tags from the games it was trained on."""
        index = model.faiss_index
        tags = game_tags(games[CATEGORIES], games[MECHANICS])
        return cls(model.game_ids, index.reconstruct_n(0, index.ntotal), tags)

    def places(self, items: IdMap) -> npt.NDArray[np.int64]:
        """Return where each of ``items`` stands among the games; int64, (items,), -1 where it does not."""
        places = np.full(len(items), -1, dtype=np.int64)
        codes = items.codes_of(list(self.game_ids))
        known = np.flatnonzero(codes >= 0)
        places[codes[known]] = known
        return places

    def rows_for(self, items: IdMap) -> npt.NDArray[np.float32]:
        """Return the vectors in the order of ``items``; zero rows for games that are not embedded."""
        places = self.places(items)
        rows = self.vectors[places]
        rows[places < 0] = 0
        return rows
