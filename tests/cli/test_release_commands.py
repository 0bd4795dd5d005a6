"""``releases``, ``verify``, ``rollback`` and ``show`` tell people and programs the same."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from factories.small_release import make_parts
from recsys.cli import run
from recsys.release.check import check_here
from recsys.release.facts import Facts, Measure
from recsys.release.store import ReleaseStore

if TYPE_CHECKING:
    from pathlib import Path


SCORES = {"recall@20": 0.25, "ndcg@10": 0.3125, "coverage": 0.5}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a store with three releases, the second of which is current, and the first damaged."""
    folder = tmp_path_factory.mktemp("store")
    parts = make_parts(folder / "parts")
    store = ReleaseStore(folder / "models", check=check_here)
    for name in ("a", "b", "c"):
        facts = replace(parts.facts, scores=SCORES, more=Facts(measure=Measure(metric="ndcg@10")))
        replace(parts, facts=facts).publish(store, name)
    store.rollback("b", hold=False)
    (store.path("a") / "manifest.json").write_bytes(b"{}")
    return store.root


def answer(capsys: pytest.CaptureFixture[str], *arguments: object, code: int = 0) -> Any:
    """Run a command with ``--json`` and return what it printed."""
    assert run([*map(str, arguments), "--json"]) == code
    return json.loads(capsys.readouterr().out)


def test_releases_are_listed(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Id, when, number, predecessor, rows, scores and which is current; a damaged one is listed, too."""
    rows = {row["release"]: row for row in answer(capsys, "releases", "--models", models)}
    assert [name for name, row in rows.items() if row["current"]] == ["b"]
    assert "is not what was published" in rows["a"]["problem"]
    assert rows["c"]["rows"] == {"games": 40, "ratings": rows["b"]["rows"]["ratings"], "users": 30}
    assert rows["c"]["scores"] == SCORES
    assert (rows["c"]["sequence"], rows["c"]["replaces"]) == (3, "b")
    assert run(["releases", "--models", str(models)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split()[:2] == ["a", "damaged;"]
    assert lines[2].startswith("*  b")
    assert lines[0].split()[:4] == ["release", "published", "no.", "replaces"]
    assert lines[3].split()[:6] == ["c", *lines[3].split()[1:4], "3", "b"], "name, date, time, UTC, number, predecessor"
    assert lines[3].endswith("ndcg@10 0.3125  coverage 0.5000")


def test_an_empty_store_is_said_to_be_empty(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Listing nothing is no failure; verifying nothing is."""
    assert answer(capsys, "releases", "--models", tmp_path) == []
    assert run(["releases", "--models", str(tmp_path)]) == 0
    assert "there are no releases" in capsys.readouterr().out
    assert answer(capsys, "verify", "--models", tmp_path, code=76)["error"] == "ReleaseNotFound"
    assert answer(capsys, "rollback", "--models", tmp_path / "absent", code=76)["error"] == "ReleaseNotFound"
    assert not (tmp_path / "absent").exists()


def test_verify_tells_sound_from_damaged(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The current release by default; a damaged one ends with exit code 76."""
    sound = answer(capsys, "verify", "--models", models)
    assert (sound["status"], sound["release"], sound["files"], sound["golden_queries"]) == ("sound", "b", 10, 10)
    assert answer(capsys, "verify", "a", "--models", models, code=76)["error"] == "ArtifactCorrupt"
    assert answer(capsys, "verify", "z", "--models", models, code=76)["error"] == "ReleaseNotFound"


def test_show_prints_the_manifest(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As JSON it is the manifest itself, with path and whether it is current."""
    shown = answer(capsys, "show", "b", "--models", models)
    written = json.loads((models / "releases" / "b" / "manifest.json").read_bytes())
    assert shown == {**written, "path": str(models / "releases" / "b"), "current": True}
    assert run(["show", "current", "--models", str(models)]) == 0
    page = capsys.readouterr().out
    assert "user_factors 30×8" in page
    assert "seed=0" not in page  # a setting of no section of its half


def test_rollback_moves_the_link(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By name, and back; a damaged target is refused and nothing moves."""
    moved = answer(capsys, "rollback", "c", "--models", models)
    assert moved.pop("hold")["rolled_back_to"] == "c"
    assert moved == {"status": "rolled back", "release": "c", "before": "b"}
    assert answer(capsys, "rollback", "--models", models)["release"] == "b"
    assert answer(capsys, "rollback", "--models", models, code=76)["error"] == "ArtifactCorrupt"
    assert (models / "v1").resolve().name == "b"
