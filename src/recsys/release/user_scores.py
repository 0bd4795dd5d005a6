"""``metrics.parquet``: one row a scored user, under a pseudonym, in the order of the pseudonyms.

It stays with the release, or beside what was kept of a refused candidate: no observer is given it.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np

from recsys.release.damage import expect, reading
from recsys.release.layout import USER_SCORES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt
    import pyarrow as pa

    from recsys.release.durable import Buffer

USER, RATINGS, DAYS, RELEVANT = "USER", "RATINGS", "DAYS", "RELEVANT"
"""Columns that tell of the user; every other one is a score, named by contender and metric: ``cf ndcg@10``."""


def user_scores_bytes(
    names: Sequence[str],
    facts: Mapping[str, npt.NDArray[np.integer] | None],
    scores: Mapping[str, Mapping[str, npt.NDArray[np.float64]]],
) -> bytes:
    """Return the content of ``metrics.parquet``: the same bytes for the same scores.

    Parameters
    ----------
    names
        Pseudonym of each user; see :mod:`recsys.release.pseudonyms`.
    facts
        int, (users,), for ``RATINGS``, ``DAYS`` and ``RELEVANT``; None where nothing is known, which is null.
    scores
        float64, (users,), by contender and metric; NaN, which is null, where a user has none.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    # By pseudonym: the order of the ids would say who is who to somebody who has them.
    order = np.argsort(np.asarray(names, dtype=np.str_), kind="stable")
    columns = {USER: pa.array([names[place] for place in order.tolist()], pa.string())}
    for name, values in facts.items():
        columns[name] = pa.nulls(len(order), pa.int64()) if values is None else pa.array(values[order], pa.int64())
    for contender, by_metric in scores.items():
        for metric, scored in by_metric.items():
            columns[f"{contender} {metric}"] = pa.array(scored[order], pa.float64(), from_pandas=True)
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer, compression="zstd", store_schema=False)
    return buffer.getvalue()


def read_user_scores(data: Buffer) -> pa.Table:
    """Return the table of ``metrics.parquet``.

    Raises
    ------
    ArtifactCorrupt
        If it is no such table.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with reading(USER_SCORES):
        table = pq.ParquetFile(pa.BufferReader(data), pre_buffer=False).read(use_threads=False)
    missing = [name for name in (USER, RATINGS, DAYS, RELEVANT) if name not in table.column_names]
    expect(USER_SCORES, sound=not missing, problem=f"it has no column {', '.join(missing)}")
    return table
