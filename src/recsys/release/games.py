"""``games.parquet``: the catalogue for people, filters and popularity."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd
    import pyarrow as pa

    from recsys.marts.ids import IdMap

N_RATINGS = "N_RATINGS"
"""Column with the number of ratings that a game has."""

_ID = "GAME_ID"
_LEFT_OUT = (_ID, "DESCRIPTION", N_RATINGS)
"""Not taken over as it is; the description is not needed for serving."""


def games_table(games: pd.DataFrame | pa.Table, items: IdMap, indices: npt.NDArray[np.int32]) -> bytes:
    """Return the content of ``games.parquet``, the same bytes for the same games and ratings.

    Parameters
    ----------
    games
        The catalogue, in the order of the content index.
    items
        Ids of the rated games.
    indices
        int32, shape (ratings,): the rated game of each rating, as a code of ``items`` (the
        ``indices`` of the CSR matrix users × items).

    Returns
    -------
    bytes
        Parquet with the catalogue's columns but for ``DESCRIPTION``, and ``N_RATINGS``, int64, 0 for games that
        nobody rated.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    from recsys.marts import column_counts
    from recsys.marts.ids import id_array_of, python_ids

    names = games.column_names if isinstance(games, pa.Table) else list(games.columns)
    catalogue = {name: _column(games, name) for name in names if name not in _LEFT_OUT}
    ids = id_array_of(_column(games, _ID))
    counts = np.append(column_counts(indices, len(items)), 0)  # the last one stands for "unknown": -1
    ratings = counts[items.codes_of(python_ids(ids))].astype(np.int64)
    table = pa.table({_ID: ids, **catalogue, N_RATINGS: ratings})
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd", store_schema=False)
    return buffer.getvalue()


def _column(games: pd.DataFrame | pa.Table, name: str) -> Any:
    import pyarrow as pa

    column = games[name]
    values = column if isinstance(column, pa.ChunkedArray) else pa.array(column, from_pandas=True)
    return values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
