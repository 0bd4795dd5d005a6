"""A release of 33c5b6d: what people have published is verified, served, shown, succeeded and gone back to."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from factories.old_release import FOLDER, NAME, marts, store_with_it
from factories.tables import TableSource, WordEncoder
from recsys.cli import run
from recsys.config import Settings
from recsys.release.check import check_here
from recsys.release.layout import LOADED_FILES, MANIFEST, OPTIONAL_FILES
from recsys.release.manifest import Manifest
from recsys.release.store import ReleaseStore
from recsys.serving import load
from recsys.trainer import Trainer

if TYPE_CHECKING:
    from pathlib import Path


class ModelOfTheRelease(WordEncoder):
    """Stands in for the model that embedded the release."""

    recipe = {**WordEncoder.recipe, "revision": "1110a243fdf4706b3f48f1d95db1a4f5529b4d41"}  # noqa: RUF012 - a plain attribute, as the protocol asks


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the release and one that was trained beside it, which is current."""
    folder = store_with_it(tmp_path_factory.mktemp("old") / "models")
    settings = Settings.model_validate({"cf": {"factors": 16}, "evaluation": {"resamples": 200}})
    store = ReleaseStore(folder, check=check_here)
    Trainer(
        {}, folder, source=TableSource(*marts()), settings=settings, embedding_model=WordEncoder(), store=store
    ).run_pipeline()
    return folder


def test_it_verifies_and_answers_its_golden_queries(tmp_path: Path) -> None:
    """Every byte is what was published, it loads, and it answers as its training process did."""
    store = ReleaseStore(store_with_it(tmp_path / "models"))
    manifest = store.verify()
    assert (manifest.release, manifest.format, manifest.minor, manifest.sequence) == (NAME, 1, 0, None)
    assert set(LOADED_FILES) - OPTIONAL_FILES <= set(manifest.files)
    assert sum(map(len, manifest.golden.values())) == 10


def test_nothing_that_it_says_is_lost() -> None:
    """Every key of its manifest is read and would be written again, in its order and with its value."""
    stored = json.loads((FOLDER / MANIFEST).read_bytes())
    written = json.loads(Manifest.from_bytes((FOLDER / MANIFEST).read_bytes()).to_bytes())
    assert (written.pop("minor"), written.pop("sequence"), written.pop("scenarios")) == (0, None, {})
    assert [written[half].pop("precisions") for half in ("content", "cf")] == [{}, {}]
    assert json.dumps(written) == json.dumps(stored)


def test_it_is_served() -> None:
    """Recommendations, neighbours, searches by text and explanations come from it."""
    recommender = load(FOLDER, encoder=ModelOfTheRelease())
    manifest = recommender.snapshot.manifest
    for query in manifest.golden["cf"]:
        assert recommender.recommend(query.asked, len(query.games)).ids == list(query.games)
    for query in manifest.golden["content"]:
        answer = recommender.similar(query.asked, len(query.games), by="content")
        np.testing.assert_allclose(sorted(2 - 2 * game.score for game in answer), query.values, atol=1e-4)
    assert len(recommender.search("trade and railways", 5)) == 5
    user, game = manifest.golden["cf"][0].asked, manifest.golden["cf"][0].games[0]
    assert recommender.explain(user, game).because


def test_its_page_is_rendered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``recsys report`` shows all of it: no section says that something is missing but segments, which it had not."""
    folder = store_with_it(tmp_path / "models")
    assert run(["report", "--models", str(folder), "--out", str(tmp_path / "page.html")]) == 0, capsys.readouterr()
    page = (tmp_path / "page.html").read_text()
    assert NAME in page
    assert "NDCG@10" in page
    assert page.count("says nothing about") == page.count("says nothing about “segments”") == 1


def test_a_new_release_is_judged_by_it(models: Path) -> None:
    """Its data, recipe, search and score are what the next night is held against, and the next number is counted on."""
    manifest = ReleaseStore(models).manifest()
    facts = manifest.facts
    assert (manifest.replaces, manifest.sequence) == (NAME, 2)
    assert facts.drift is not None
    assert (facts.drift.release, facts.drift.reason) == (NAME, "")
    assert facts.tuning is not None
    assert facts.tuning.age == 0, "its search knew nothing of what is added to the factors"
    assert facts.tuning.because.startswith(f"other settings are left open than for {NAME}: cf.")
    metrics = json.loads((models / "v1" / "metrics.json").read_bytes())
    rules = {check["rule"]: check["reason"] for check in metrics["verdict"]["checks"]}
    assert f"of the current release {NAME}" in rules["current recipe"]
    assert f"that the current release {NAME} was published with" in rules["recorded score"]


def test_people_go_back_to_it(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``recsys rollback`` makes the release current that the new one replaced."""
    store = ReleaseStore(models)
    newer = store.current()
    assert newer != NAME
    assert run(["rollback", "--models", str(models)]) == 0, capsys.readouterr()
    assert store.current() == NAME
    assert load(models / "v1").release == NAME
    assert run(["rollback", str(newer), "--models", str(models)]) == 0
