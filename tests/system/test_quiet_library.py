"""A run inside another program ends as it should, whatever that has made of its streams and logging."""

from __future__ import annotations

import io
import logging
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from factories.tables import RECIPE, TableSource, WordEncoder, games, ratings
from recsys.config import Settings
from recsys.release.check import check_here
from recsys.release.store import ReleaseStore
from recsys.system.log import events
from recsys.trainer import Trainer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Spoilt:
    """A stream without a method."""


def closed() -> io.StringIO:
    """Return a stream that was closed."""
    stream = io.StringIO()
    stream.close()
    return stream


def trainer(folder: Path) -> Trainer:
    """Return a trainer over small marts with an orphan, which is worth a warning."""
    tables = [pa.Table.from_pandas(frame, preserve_index=False) for frame in (games().iloc[1:], ratings())]
    settings = Settings.model_validate({"cf": RECIPE, "evaluation": {"newcomers": False, "resamples": 100}})
    store = ReleaseStore(folder, check=check_here)
    return Trainer(
        {}, folder, source=TableSource(*tables), settings=settings, embedding_model=WordEncoder(), store=store
    )


@pytest.fixture
def handler() -> Iterator[logging.Handler]:
    """Log to a stream that is closed."""
    handler = logging.StreamHandler(closed())
    logger = logging.getLogger("recsys")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(level)


@pytest.mark.parametrize("odd", [None, Spoilt(), closed()], ids=["none", "no methods", "closed"])
def test_a_run_publishes_without_streams(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, handler: logging.Handler, odd: object
) -> None:
    """Services have no streams, notebooks odd ones, and logging's own handlers write to what was closed."""
    for name in ("sys.stdout", "sys.stderr"):
        monkeypatch.setattr(name, odd)
    assert trainer(tmp_path / "models").run_pipeline().status == "published"


def test_an_event_that_a_handler_fails_on_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """It costs this handler the event; others have it."""

    class Fails(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise ConnectionError("the collector is gone")

    logger = events("recsys.test_fails")
    logger.addHandler(handler := Fails())
    logger.propagate = False
    logger.warning("lost")
    logger.removeHandler(handler)
    logger.propagate = True
    logger.warning("heard")
    assert [record.message for record in caplog.records] == ["heard"]
