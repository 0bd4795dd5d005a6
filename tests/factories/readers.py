"""Readers of marts, as a run makes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recsys.config import Settings
from recsys.pipeline.reader import MartReader, Warehouse
from recsys.system.steps import Steps

if TYPE_CHECKING:
    from recsys.sources import Source


def reader(source: Source | str) -> MartReader:
    """Return what reads the marts of an open source, or of the text of ``--source``."""
    settings = Settings.model_validate({"source": {"url": source} if isinstance(source, str) else {}})
    warehouse = Warehouse(settings, {}, None if isinstance(source, str) else source)
    return MartReader(settings, warehouse, warehouse.fetch, Steps())
