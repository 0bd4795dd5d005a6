"""A release as tables: lists for everybody, similar games, factors and embeddings; see ``docs/export.md``.

What is written comes from one release and from nothing else: no clock, no order of threads. The same release and
options give the same rows, and as Parquet the same bytes.
"""

from __future__ import annotations

from recsys.export.tables import Options, Table, table_of
from recsys.export.targets import Exported, Target, export, open_target

__all__ = ["Exported", "Options", "Table", "Target", "export", "open_target", "table_of"]
