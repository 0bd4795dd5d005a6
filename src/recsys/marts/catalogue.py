"""The games of a run: what is known of a game before anybody has rated it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from recsys.marts.schema import CATEGORIES, GAME_ID, MECHANICS
from recsys.marts.tags import game_tags

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    import pandas as pd
    import pyarrow as pa

    from recsys.marts.ids import Id, IdMap


@dataclass(frozen=True, eq=False)
class Catalogue:
    """Games with their texts as vectors, and their tags; all in one order.

    Attributes
    ----------
    game_ids
        Ids of the games.
    vectors
        float32 unit vectors, (games, dimension).
    tags
        Categories and mechanics of each game.
    table
        The columns of the games mart; None where nobody needs them.
    """

    game_ids: Sequence[Id]
    vectors: npt.NDArray[np.float32] = field(repr=False)
    tags: Sequence[Sequence[str]] = field(repr=False)
    table: pd.DataFrame | pa.Table | None = field(default=None, repr=False)

    @classmethod
    def of(cls, table: pd.DataFrame | pa.Table, vectors: npt.NDArray[np.float32]) -> Self:
        """Read ids and tags off the games mart, or the ``games.parquet`` that was made of it.

        Parameters
        ----------
        table
            Columns GAME_ID, CATEGORIES and MECHANICS, and more.
        vectors
            float32, (games, dimension): of its rows, in their order.
        """
        tags = game_tags(_values(table, CATEGORIES), _values(table, MECHANICS))
        return cls(_values(table, GAME_ID), vectors, tags, table)

    @cached_property
    def ids(self) -> IdMap:
        """The ids, sorted."""
        from recsys.marts.ids import IdMap

        return IdMap.of(list(self.game_ids))

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


def _values(table: pd.DataFrame | pa.Table, name: str) -> list[Any]:
    values = table[name]
    return values.to_pylist() if hasattr(values, "to_pylist") else values.tolist()
