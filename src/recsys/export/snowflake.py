"""A table in Snowflake: parts go to a staging table, whose rows take the old ones' place in one statement."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from recsys.export.targets import refuse_other_columns
from recsys.release.durable import writing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pyarrow as pa

    from recsys.config import SnowflakeSettings
    from recsys.sources.snowflake import Credentials


class SnowflakeTarget:
    """A table in Snowflake.

    Parameters
    ----------
    credentials
        Who writes.
    settings
        Timeouts and query tag.
    table
        ``TABLE``, ``SCHEMA.TABLE`` or ``DATABASE.SCHEMA.TABLE``.
    """

    def __init__(self, credentials: Credentials, settings: SnowflakeSettings, table: str) -> None:
        self._credentials, self._settings, self._table = credentials, settings, table
        self.name = f"snowflake:{credentials.account} ({table})"

    @contextmanager
    def replaced(self, schema: pa.Schema, *, recreate: bool) -> Iterator[Callable[[pa.RecordBatch], None]]:
        """Fill a table of this session's own, then overwrite; see :class:`recsys.export.targets.Target`."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        from recsys.sources.snowflake import open_table

        columns = {field.name: _type_of(field.type) for field in schema}
        table = open_table(self._credentials, self._settings, self._table)
        try:
            there, sent, part, changes = table.columns(), 0, 0, False
            if there is not None:
                ours = {name: _SPELLED.get(kind, kind) for name, kind in columns.items()}
                found = {name: _FAMILIES.get(kind, kind) for name, kind in there.items()}
                refuse_other_columns(table.name, found, ours, recreate=recreate)
                changes = list(found.items()) != list(ours.items())
            table.begin(columns)
            with tempfile.TemporaryDirectory(prefix="recsys-export-") as folder:

                def write(batch: pa.RecordBatch) -> None:
                    nonlocal sent, part
                    file = Path(folder) / f"part-{part:05d}.parquet"
                    with writing(f"write {file}"):
                        pq.write_table(pa.Table.from_batches([batch]), file, compression="zstd", store_schema=False)
                    table.load(file, batch.num_rows)
                    file.unlink()
                    sent, part = sent + batch.num_rows, part + 1

                yield write
            table.replace(columns, sent, there=there is not None, recreate=changes)
        finally:
            with suppress(Exception):
                table.close()


_FAMILIES = {"VARCHAR": "TEXT", "DOUBLE": "FLOAT"}
"""Other names that ``INFORMATION_SCHEMA`` may have for a type."""
_SPELLED = {"NUMBER(38, 0)": "NUMBER", "VARCHAR": "TEXT", "TIMESTAMP_NTZ(6)": "TIMESTAMP_NTZ"}
"""How ``INFORMATION_SCHEMA`` spells the types of our columns."""


def _type_of(kind: pa.DataType) -> str:
    import pyarrow as pa

    if pa.types.is_integer(kind) or pa.types.is_decimal(kind):
        return "NUMBER(38, 0)"
    if pa.types.is_floating(kind):
        return "FLOAT"
    if pa.types.is_list(kind):
        return "ARRAY"
    return "TIMESTAMP_NTZ(6)" if pa.types.is_timestamp(kind) else "VARCHAR"
