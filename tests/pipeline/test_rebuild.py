"""A release made once more from its records: what is the same, what differs, and when it cannot be told."""

from __future__ import annotations

import hashlib
import json
import shutil
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pytest

from factories.tables import WordEncoder, games, ratings, write_marts
from recsys import Trainer
from recsys.cli import run
from recsys.cli.state import State
from recsys.config import Settings
from recsys.models.hybrid import HybridRecommender
from recsys.pipeline import provenance
from recsys.pipeline.outcome import Overrides
from recsys.release.check import check_here
from recsys.release.store import ReleaseStore

if TYPE_CHECKING:
    from pathlib import Path

SCENARIO = {"near": {"diversity": 0.3}}
LEARNS: dict[str, dict[str, Any]] = {
    "cf": {"factors": 8, "threads": 1},
    "gate": {"max_psi": 9, "popular_lately": "warn"},
}


def train(models: Path, marts: Path, *, force: bool = False, **settings: Any) -> str:
    """Publish a release of the marts, and return its name."""
    trainer = Trainer(
        {}, source=str(marts), settings=Settings.model_validate({**LEARNS, **settings}), embedding_model=WordEncoder(),
        store=ReleaseStore(models, check=check_here),
    )  # fmt: skip
    overrides = Overrides(publish_anyway="a test", accept_drift="a test")
    return trainer.run_pipeline(force=force, overrides=overrides).run_id


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, list[str]]:
    """Return a folder of releases, the marts of all but the first, and their names.

    The first searched its settings, the second reused them on other marts, the third has another recipe than its rival,
    the last is the third one's files with a scenario.
    """
    folder = tmp_path_factory.mktemp("rebuilt")
    models, before, marts = folder / "models", write_marts(folder / "before"), write_marts(folder / "marts")
    ratings(seed=1).to_parquet(marts / "mart_user_ratings.parquet")
    names = [train(models, before), train(models, marts), train(models, marts, cf={**LEARNS["cf"], "factors": 6})]
    names.append(train(models, marts, cf={**LEARNS["cf"], "factors": 6}, scenario=SCENARIO))
    return models, marts, names


Store = tuple["Path", "Path", list[str]]


def rebuilt(capsys: pytest.CaptureFixture[str], *arguments: object, code: int = 0) -> Any:
    """Run the command with ``--json``, and return what it printed; the store is as it was."""
    assert run(["rebuild", *map(str, arguments), "--json"], State(encoder=WordEncoder())) == code
    return json.loads(capsys.readouterr().out)


def states(answer: Any) -> dict[str, str]:
    """Return the state of each file."""
    return {file["name"]: file["state"] for file in answer["files"]}


def digest_of(folder: Path) -> str:
    """Return one digest of every name and byte below a folder."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        digest.update(str(path).encode() + (path.read_bytes() if path.is_file() else b""))
    return digest.hexdigest()


@pytest.mark.parametrize("place", [1, 2, 3])
def test_a_release_is_what_its_records_make(
    store: Store, place: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Byte for byte: reused settings, drift, a rival recipe and scenarios included. The store stays."""
    models, marts, names = store
    before = digest_of(models)
    answer = rebuilt(capsys, names[place], "--models", models, "--source", marts, "--keep", tmp_path / "again")
    assert answer["status"] == "same", answer
    assert set(states(answer).values()) <= {"same", "not compared"}
    assert digest_of(models) == before
    published = models / "releases" / names[place]
    compared = [name for name, state in states(answer).items() if state == "same" and name != "manifest.json"]
    assert {"metrics.json", "metrics.parquet", "rag_index.faiss", "cf_factors.npz", "hybrid.npz"} <= set(compared)
    for name in compared:
        assert (tmp_path / "again" / name).read_bytes() == (published / name).read_bytes(), name
    check_here(tmp_path / "again", None)


def test_the_first_release_needs_the_marts_of_then(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """Other marts end it with 65 and both fingerprints before anything is trained; those of then do not."""
    models, marts, names = store
    then = json.loads((models / "releases" / names[0] / "manifest.json").read_text())
    now = json.loads((models / "releases" / names[1] / "manifest.json").read_text())
    failure = rebuilt(capsys, names[0], "--models", models, "--source", marts, code=65)
    assert then["cf"]["fingerprint"] in failure["message"]
    assert now["cf"]["fingerprint"] in failure["message"]
    assert "the games" not in failure["message"], "they are the same in both"
    before = marts.with_name("before")
    assert rebuilt(capsys, names[0], "--models", models, "--source", before)["status"] == "same"


def test_encoding_anew_finds_vectors_of_other_texts(
    store: Store, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Vectors that the texts do not give are found by --embed alone: 3, and nothing that changed is blamed."""
    models, marts, _ = store
    encoder = WordEncoder()
    encoder.encode = lambda texts: WordEncoder().encode([text[::-1] for text in texts])  # type: ignore[method-assign]
    trainer = Trainer(
        {}, source=str(marts), settings=Settings.model_validate(LEARNS), embedding_model=encoder,
        store=ReleaseStore(tmp_path / "models", check=check_here),
    )  # fmt: skip
    trainer.run_pipeline()
    answer = rebuilt(capsys, "current", "--models", tmp_path / "models", "--source", marts, "--embed", code=3)
    assert answer["status"] == "differs"
    assert answer["vectors"]["below"] == answer["vectors"]["texts"] == len(games())
    assert "the machine" in answer["why"]
    assert rebuilt(capsys, "current", "--models", tmp_path / "models", "--source", marts)["status"] == "same", (
        "its vectors are taken"
    )
    assert rebuilt(capsys, "current", "--models", models, "--source", marts, "--embed")["vectors"]["below"] == 0


def test_what_changed_since_is_named(
    store: Store, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another library is told with both versions, and so is other code; a model that learns otherwise is then 3."""
    from recsys.pipeline.rebuild import again

    class Otherwise(HybridRecommender):
        def fit(self, *arguments: Any) -> Any:
            model = super().fit(*arguments)
            model.factors = model.factors + np.float32(1e-3)
            return model

    models, marts, names = store
    monkeypatch.setattr(provenance, "version", lambda name: f"{name}-next")
    monkeypatch.setattr(again, "HybridRecommender", Otherwise)
    answer = rebuilt(capsys, names[-1], "--models", models, "--source", marts, code=3)
    assert [name for name, state in states(answer).items() if state == "differs"] == ["hybrid.npz"]
    assert {"what": "scipy", "then": __import__("scipy").__version__, "now": "scipy-next"} in answer["changed"]
    assert "scipy" in answer["why"]


def test_without_the_release_that_it_was_held_against(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was pruned cannot be a rival again: its part of the proof is left out and said, all else is the same."""
    models, marts, names = store
    shutil.copytree(models, tmp_path / "models", symlinks=True)
    shutil.rmtree(tmp_path / "models" / "releases" / names[1])
    answer = rebuilt(capsys, names[2], "--models", tmp_path / "models", "--source", marts)
    assert answer["status"] == "same", answer
    notes = {file["name"]: file["note"] for file in answer["files"]}
    assert "gone" in notes["metrics.json"]
    assert "without current recipe" in notes["metrics.parquet"]


def test_a_release_of_two_runs_is_refused(store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each half has marts of its own: 76, with both runs."""
    models, marts, _ = store
    shutil.copytree(models, tmp_path / "models", symlinks=True)
    trainer = Trainer(
        {}, source=str(marts), settings=Settings.model_validate(LEARNS), embedding_model=WordEncoder(),
        store=ReleaseStore(tmp_path / "models", check=check_here),
    )  # fmt: skip
    trainer.train_rag_model()
    failure = rebuilt(capsys, "current", "--models", tmp_path / "models", "--source", marts, code=76)
    assert "come from two runs" in failure["message"]


@pytest.mark.parametrize("kind", ["full", "file", "among the releases"])
def test_only_an_empty_folder_is_written_to(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    """A folder with files, a file, and one in the store are refused before anything is read."""
    models, marts, names = store
    folder = models / "again" if kind == "among the releases" else tmp_path / "again"
    if kind == "full":
        folder.mkdir()
        (folder / "mine").touch()
    elif kind == "file":
        folder.touch()
    assert (
        "--keep"
        in rebuilt(capsys, names[1], "--models", models, "--source", marts, "--keep", folder, code=78)["message"]
    )
    assert not (models / "again").exists()


def test_people_read_a_table(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """A line for each file, the verdict, and why where it differs; no release is called published."""
    models, marts, names = store
    assert run(["rebuild", names[1], "--models", str(models), "--source", str(marts)]) == 0
    out = capsys.readouterr().out
    assert "cf_factors.npz" in out
    assert f"{names[1]} is what its records make." in out
    assert "published" not in out


def test_encoding_anew_compares_with_another_model_never(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """Vectors of two models have nothing to do with each other: 76, with both."""

    class Other(WordEncoder):
        recipe: ClassVar = {**WordEncoder.recipe, "revision": "other words"}

    models, marts, names = store
    arguments = ["rebuild", names[1], "--models", str(models), "--source", str(marts), "--embed", "--json"]
    assert run(arguments, State(encoder=Other())) == 76
    message = json.loads(capsys.readouterr().out)["message"]
    assert "revision words" in message
    assert "other words" in message
