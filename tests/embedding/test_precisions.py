"""Precisions: the current release's is kept, others are taken from the cache and counted, none is claimed wrongly."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from conftest import require_engine
from factories.engines import WordEngine, word_encoder
from recsys.config import ContentSettings
from recsys.embedding import open_cache, open_encoder
from recsys.embedding.cache import VectorCache
from recsys.embedding.encoder import recipe_of
from recsys.embedding.engine import load_engine
from recsys.embedding.model import PINNED, find_model
from recsys.embedding.plan import Plan, keep
from recsys.embedding.processors import PRECISIONS
from recsys.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from recsys.embedding.processors import Precision

TEXTS = ["trains and ore", "sheep for wood", "two lay tiles"]
BOTH_WAYS = pytest.mark.parametrize(("mine", "other"), [PRECISIONS, PRECISIONS[::-1]])


@BOTH_WAYS
def test_vectors_of_another_precision_are_taken_and_counted(tmp_path: Path, mine: Precision, other: Precision) -> None:
    """What another machine encoded is taken bit for bit; what is new is encoded in the precision that was chosen."""
    cache = VectorCache(tmp_path, 10**8)
    elsewhere = word_encoder(WordEngine(other), cache)
    made = elsewhere.encode(TEXTS[:2])
    assert elsewhere.precisions == {other: 2}
    engine = WordEngine(mine)
    here = word_encoder(engine, cache)
    vectors = here.encode([*TEXTS, TEXTS[0]])
    assert engine.asked == TEXTS[2:]
    assert here.precisions == {other: 3, mine: 1}
    np.testing.assert_array_equal(vectors[[0, 1, 3]], made[[0, 1, 0]])
    np.testing.assert_array_equal(vectors[2:3], word_encoder(WordEngine(mine), None).encode(TEXTS[2:]))


@BOTH_WAYS
def test_the_precision_that_was_chosen_is_taken_first(tmp_path: Path, mine: Precision, other: Precision) -> None:
    """A text that the cache holds in both is taken in that one."""
    cache = VectorCache(tmp_path, 10**8)
    own = word_encoder(WordEngine(mine), cache).encode(TEXTS)
    assert not np.array_equal(word_encoder(WordEngine(other), cache, named=True).encode(TEXTS), own)
    warm = word_encoder(WordEngine(mine), cache)
    np.testing.assert_array_equal(warm.encode(TEXTS), own)
    assert warm.precisions == {mine: 3}


def test_who_names_a_precision_gets_no_other(tmp_path: Path) -> None:
    """With float32 named, a text that is cached in bfloat16 is encoded by the real engine; `auto` takes it."""
    require_engine("openvino")
    shared: dict[str, Any] = {"cache_dir": str(tmp_path), "device": "cpu", "engine": "openvino"}
    cached = word_encoder(WordEngine("bfloat16"), open_cache(ContentSettings(**shared))).encode(TEXTS)
    named = open_encoder(ContentSettings(**shared, precision="float32"))
    assert not np.array_equal(named.encode(TEXTS[:1]), cached[:1])
    assert named.precisions == {"float32": 1}
    auto = open_encoder(ContentSettings(**shared))
    np.testing.assert_array_equal(auto.encode(TEXTS[1:]), cached[1:])
    assert auto.precisions == {"bfloat16": 2}


def test_a_vector_is_kept_under_the_precision_it_was_computed_in(tmp_path: Path) -> None:
    """Where the engine cannot do what was chosen, it is counted and cached as what it did."""
    cache = VectorCache(tmp_path, 10**8)
    unable = word_encoder(WordEngine("float32"), cache, planned="bfloat16")
    made = unable.encode(TEXTS)
    assert unable.precisions == {"float32": 3}
    assert unable.recipe["precision"] == "bfloat16"
    engine = WordEngine("float32")
    np.testing.assert_array_equal(word_encoder(engine, cache, named=True).encode(TEXTS), made)
    assert engine.asked == []


def test_openvino_says_what_it_computes_in() -> None:
    """It is asked for bfloat16: the vectors are float32's to the bit exactly where it says that it computes so."""
    require_engine("openvino")
    engines = [load_engine(find_model(), Plan("cpu", asked, "openvino", 1)) for asked in PRECISIONS]
    (exact,), (lower,) = ([vectors for _, vectors in engine.embed(TEXTS)] for engine in engines)
    assert engines[0].precision == "float32"
    assert (engines[1].precision == "float32") == np.array_equal(exact, lower)


def test_a_named_precision_that_openvino_does_not_compute_in_is_an_error(tmp_path: Path) -> None:
    """Nothing named is replaced by something else: the vectors are of bfloat16, or there are none."""
    require_engine("openvino")
    able = load_engine(find_model(), Plan("cpu", "bfloat16", "openvino", 1)).precision == "bfloat16"
    encoder = open_encoder(
        ContentSettings(cache_dir=str(tmp_path), device="cpu", engine="openvino", precision="bfloat16")
    )
    if able:
        encoder.encode(TEXTS)
        assert encoder.precisions == {"bfloat16": 3}
    else:
        with pytest.raises(ConfigError, match="OpenVINO computes in float32 on this processor"):
            encoder.encode(TEXTS)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_precision_of_the_current_release_is_kept(precision: Precision) -> None:
    """On whatever machine, and whatever is faster there; who names another gets that."""
    require_engine("openvino")
    made_by = recipe_of(PINNED, precision)
    kept = open_encoder(ContentSettings(device="cpu", cache_mb=0), made_by)
    assert kept.plan.precision == precision
    assert kept.recipe == made_by
    (other,) = set(PRECISIONS) - {precision}
    named = open_encoder(ContentSettings(device="cpu", cache_mb=0, precision=other), made_by)
    assert named.plan.precision == other


@pytest.mark.parametrize(
    "change", [{"revision": "another"}, {"max_tokens": "128"}, {"recipe_version": "0"}, {"precision": "int8"}, None]
)
def test_only_the_precision_of_this_models_vectors_is_kept(change: dict[str, str] | None) -> None:
    """A release of another model, length or precision is encoded anew in any case: in what is fastest here."""
    here = open_encoder(ContentSettings(device="cpu", cache_mb=0)).plan.precision
    (other,) = set(PRECISIONS) - {here}
    made_by = {} if change is None else {**recipe_of(PINNED, other), **change}
    assert open_encoder(ContentSettings(device="cpu", cache_mb=0), made_by).plan.precision == here


def test_what_is_kept_is_told_with_what_changes_it(caplog: pytest.LogCaptureFixture) -> None:
    """One line where this machine would have chosen otherwise, none where it would not or the settings decide."""
    plan = Plan("cpu", "float32", "openvino", 2, because="on a machine without AMX")
    with caplog.at_level(logging.INFO, "recsys"):
        assert keep(plan, ContentSettings(), None) == keep(plan, ContentSettings(), "float32") == plan
        assert keep(plan, ContentSettings(precision="float32"), "bfloat16") == plan
        assert not caplog.records
        assert keep(plan, ContentSettings(), "bfloat16") == replace(plan, precision="bfloat16")
    (record,) = caplog.records
    assert record.getMessage() == "the precision of the current release's vectors is kept"
    event = record.recsys_keys  # type: ignore[attr-defined]
    assert event == {"precision": "bfloat16", "here": "float32", "to_change": "content.precision=float32"}
