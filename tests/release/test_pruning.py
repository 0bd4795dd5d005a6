"""Releases go by number and by age; the current one stays, and what is promised to be forgotten does not."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from factories.small_release import Parts, backdate, make_parts
from recsys.cli import run
from recsys.config import Settings
from recsys.errors import LockHeld
from recsys.operation_settings import ReleaseSettings
from recsys.release.check import check_here
from recsys.release.store import ReleaseStore
from recsys.trainer import Trainer

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Parts]:
    """Return a folder with releases of 40, 20, 10 and 0 days, and what they are made of; the newest is current."""
    folder = tmp_path_factory.mktemp("ages")
    parts = make_parts(folder / "parts")
    store = ReleaseStore(folder / "models", check=check_here)
    for name, days in {"a": 40, "b": 20, "c": 10, "d": 0}.items():
        parts.publish(store, name)
        backdate(store.path(name), days)
    return folder / "models", parts


@pytest.fixture
def models(tmp_path: Path, published: tuple[Path, Parts]) -> Path:
    """Return a copy of the four releases."""
    return shutil.copytree(published[0], tmp_path / "models", symlinks=True)


@pytest.fixture
def parts(published: tuple[Path, Parts]) -> Parts:
    """Return what the releases are made of."""
    return published[1]


def store_of(models: Path, **retention: Any) -> ReleaseStore:
    """Return a store that checks releases in this process, which is quick."""
    return ReleaseStore(models, check=check_here, **retention)


def test_a_publish_removes_what_is_too_old(models: Path, parts: Parts) -> None:
    """Whatever ``keep`` has room for; an age of 0 is no bound."""
    parts.publish(store_of(models, keep=9), "e")
    assert store_of(models).names() == ["a", "b", "c", "d", "e"]
    parts.publish(store_of(models, keep=9, max_age_days=15), "f")
    assert store_of(models).names() == ["c", "d", "e", "f"]


def test_both_bounds_hold(models: Path) -> None:
    """Few are kept though all are young, and the oldest go first."""
    assert store_of(models, keep=3, max_age_days=30).prune() == ["a"]
    assert store_of(models, keep=2, max_age_days=30).prune() == ["b"]


def test_the_replaced_release_goes_when_it_is_too_old(models: Path) -> None:
    """Nobody who asked to be forgotten stays in it; the current release stays however old it is."""
    store = store_of(models, max_age_days=5)
    backdate(store.path("d"), 90)
    assert store.prune() == ["a", "b", "c"]
    assert (store.names(), store.current()) == (["d"], "d")
    assert store.verify().release == "d"


def test_a_night_without_news_prunes(models: Path) -> None:
    """Who is forgotten must not wait for news."""
    store = store_of(models, max_age_days=15)
    with store.staging("quiet"):
        pass
    assert store.names() == ["c", "d"]


def test_a_night_that_failed_removes_nothing(models: Path) -> None:
    """It leaves everything as it was: `recsys prune` does not wait for the source."""
    store = store_of(models, max_age_days=15)

    def night() -> None:
        with store.staging("failed"):
            raise RuntimeError("the source is down")

    with pytest.raises(RuntimeError, match="the source is down"):
        night()
    assert store.names() == ["a", "b", "c", "d"]


def test_a_release_without_an_age_stays_and_is_named(models: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A fault of the disk must not choose what goes: a person does."""
    (models / "releases" / "a" / "manifest.json").write_bytes(b"{}")
    assert store_of(models, max_age_days=5).prune() == ["b", "c"]
    (warning,) = [record for record in caplog.records if "remove its folder" in record.message]
    assert vars(warning)["recsys_keys"] == {"path": models / "releases" / "a"}


def test_pruning_waits_for_no_run_and_knows_what_is_current(models: Path) -> None:
    """While a run is at work it ends with 75; a link that a killed run left waiting is made before leftovers go."""
    store = store_of(models, max_age_days=5)
    with store_of(models).staging("busy"), pytest.raises(LockHeld):
        store.prune()
    (models / ".v1.partial").symlink_to("releases/b")
    (models / "v1").unlink()
    (models / "releases" / ".staging-killed").mkdir()
    assert store_of(models, max_age_days=5).prune() == ["a", "c"]
    assert store.current() == "b"
    assert {path.name for path in (models / "releases").iterdir()} == {"b", "d"}


def test_the_settings_reach_the_store(tmp_path: Path) -> None:
    """A run prunes by ``release.keep`` and ``release.max_age_days``."""
    settings = Settings(release=ReleaseSettings(keep=2, max_age_days=30))
    retention = Trainer(models_output_dir=tmp_path, source="sample", settings=settings)._run().store.retention
    assert (retention.keep, retention.max_age_days) == (2, 30.0)


def test_the_command_prunes_also_under_a_hold(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """First it says what would go, then it removes that; the settings decide, and a hold does not."""
    store_of(models).holds.place("sale week")
    command = ["prune", "--models", str(models), "--set", "release.max_age_days=15"]
    assert run([*command, "--preview"]) == 0
    assert capsys.readouterr().out == "would remove a, b; 2 stay: c, d\n"
    assert run([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"status": "pruned", "removed": ["a", "b"], "stay": ["c", "d"]}
    assert run(command) == 0
    assert capsys.readouterr().out == "removed nothing; 2 stay: c, d\n"


def test_pruning_where_nothing_is_makes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder that is not there is not made."""
    assert run(["prune", "--models", str(tmp_path / "absent")]) == 0
    assert capsys.readouterr().out == "removed nothing\n"
    assert not (tmp_path / "absent").exists()
