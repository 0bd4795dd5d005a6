"""Nights that fall on unlike machines: the precision is kept, no text is encoded twice, and "nothing new" stays so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from conftest import require_engine
from factories.engines import WordEngine, word_encoder
from factories.tables import RECIPE, TableSource, games, ratings
from recsys import Trainer
from recsys.config import Settings
from recsys.embedding import open_cache, open_encoder
from recsys.embedding.openvino_engine import computes_bfloat16
from recsys.embedding.processors import PRECISIONS
from recsys.errors import ConfigError
from recsys.marts.text import embedding_text
from recsys.release.loading import load_release
from recsys.release.store import ReleaseStore

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from recsys.embedding.encoder import TextEncoder
    from recsys.embedding.processors import Precision
    from recsys.release.manifest import Provenance


def night(
    output: Path, cache: Path, frame: pd.DataFrame | None = None, encoder: TextEncoder | None = None, **content: str
) -> Trainer:
    """Return a quick trainer on a machine whose cache lies in a folder; with an encoder, on one that has that."""
    frames = (games() if frame is None else frame), ratings()
    source = TableSource(*(pa.Table.from_pandas(each, preserve_index=False) for each in frames))
    evaluation = {"newcomers": False, "resamples": 100}
    chosen = {"cache_dir": str(cache), "device": "cpu", **content}
    settings = Settings.model_validate({"cf": RECIPE, "evaluation": evaluation, "content": chosen})
    store = ReleaseStore(output, check=lambda *_: None)
    return Trainer({}, output, source=source, settings=settings, embedding_model=encoder, store=store)


@pytest.fixture
def other() -> Precision:
    """Return the precision that this machine does not choose by itself."""
    here = open_encoder(Settings().content.model_copy(update={"device": "cpu"})).plan.precision
    return next(precision for precision in PRECISIONS if precision != here)


def filled(folder: Path, precision: Precision, frame: pd.DataFrame | None = None) -> Path:
    """Return a cache that holds the texts of the games in one precision, and nothing else."""
    cache = open_cache(Settings.model_validate({"content": {"cache_dir": str(folder)}}).content)
    texts = embedding_text(games() if frame is None else frame).tolist()
    word_encoder(WordEngine(precision), cache).encode(texts)
    return folder


def content_of(output: Path) -> Provenance:
    """Return where the content half of the current release comes from."""
    return load_release(output / "v1").manifest.content


def test_a_night_on_another_machine_keeps_the_precision(tmp_path: Path, other: Precision) -> None:
    """Nothing is new there; what is new later is encoded as before, and vectors are taken as they are cached."""
    output, (mine,) = tmp_path / "models", set(PRECISIONS) - {other}
    elsewhere = word_encoder(WordEngine(other), None)
    assert night(output, tmp_path / "a", encoder=elsewhere).run_pipeline().status == "published"
    assert content_of(output).precisions == {other: 40}
    # No text is in this machine's cache, and none is asked for.
    assert night(output, tmp_path / "none").check().outlook == "nothing new"
    assert night(output, tmp_path / "none").run_pipeline().status == "nothing new"
    assert not (tmp_path / "none").exists()

    changed = games().assign(MECHANICS="Dice Rolling")
    cache = filled(tmp_path / "mine", mine, changed)
    assert night(output, cache, changed).run_pipeline().status == "published"
    content = content_of(output)
    assert content.section("recipe")["precision"] == other
    assert content.precisions == {mine: 40}
    # A cache that holds others decides nothing about what is new.
    cache = filled(tmp_path / "theirs", other, changed)
    assert night(output, cache, changed).run_pipeline().status == "nothing new"


def test_a_named_precision_wins_over_the_current_release(tmp_path: Path, other: Precision) -> None:
    """It is new, and of that precision alone, though the cache holds the release's."""
    output, (mine,) = tmp_path / "models", set(PRECISIONS) - {other}
    cache = filled(tmp_path / "cache", other)
    assert night(output, cache, encoder=word_encoder(WordEngine(other), None)).run_pipeline().status == "published"
    filled(cache, mine)
    assert night(output, cache, precision=mine).run_pipeline().status == "published"
    assert content_of(output).section("recipe")["precision"] == mine
    assert content_of(output).precisions == {mine: 40}


def test_a_precision_that_cannot_be_had_ends_a_run_before_the_fetch(tmp_path: Path) -> None:
    """OpenVINO is asked at once; where it computes in bfloat16, there is nothing to end it."""
    require_engine("openvino")
    source = TableSource(*(pa.Table.from_pandas(each, preserve_index=False) for each in (games(), ratings())))
    content = {"device": "cpu", "engine": "openvino", "precision": "bfloat16"}
    trainer = Trainer({}, tmp_path, source=source, settings=Settings.model_validate({"content": content}))
    if computes_bfloat16():
        assert trainer.check().outlook == "train"
    else:
        with pytest.raises(ConfigError, match=r"set content.precision = float32, or auto"):
            trainer.check()
        assert source.queries == []


def test_a_half_that_is_carried_over_keeps_its_counts(tmp_path: Path, other: Precision) -> None:
    """They are of the vectors, which stay; a content half that is trained counts its own."""
    output, (mine,) = tmp_path / "models", set(PRECISIONS) - {other}
    cache = filled(tmp_path / "cache", mine)
    night(output, cache, encoder=word_encoder(WordEngine(other), None)).run_pipeline()
    night(output, cache).train_cf_model()
    assert content_of(output).precisions == {other: 40}
    night(output, cache).train_rag_model()
    assert content_of(output).precisions == {mine: 40}
    assert content_of(output).section("recipe")["precision"] == other
