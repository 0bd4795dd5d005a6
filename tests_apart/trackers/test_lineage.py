"""OpenLineage by its file transport: what a night read and made."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from recsys.cli import run

if TYPE_CHECKING:
    from pathlib import Path

FAST = [
    *("--set", "cf.tuning=off"),
    *("--set", "evaluation.newcomers=false"),
    *("--set", "observers.lineage_namespace=games"),
]


@pytest.fixture
def events(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the file that events go to."""
    file = tmp_path / "events.jsonl"
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__TYPE", "file")
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__LOG_FILE_PATH", str(file))
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__APPEND", "true")
    return file


def test_a_night_is_told(tmp_path: Path, events: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Began and published, then nothing new, then refused: each with the same job, and an id for each run."""
    models = str(tmp_path / "models")
    command = ["train", "--source", "sample", "--output", models, *FAST]
    assert run([*command, "--json"]) == 0
    published = json.loads(capsys.readouterr().out)
    assert published["observers"] == {}
    assert run(command) == 0
    assert run([*command, "--force", "--set", "gate.floor=0.9"]) == 3
    told = [json.loads(line) for line in events.read_text().splitlines()]
    assert [event["eventType"] for event in told] == ["START", "COMPLETE", "START", "COMPLETE", "START", "FAIL"]
    assert {(event["job"]["namespace"], event["job"]["name"]) for event in told} == {("games", "recsys train")}
    assert len({event["run"]["runId"] for event in told}) == 3
    first = told[1]
    games, ratings = first["inputs"]
    assert (games["name"], ratings["name"]) == ("ANALYTICS.MART_GAMES", "ANALYTICS.MART_USER_RATINGS")
    assert [field["name"] for field in ratings["facets"]["schema"]["fields"]] == ["USER_ID", "GAME_ID", "RATING"]
    assert ratings["inputFacets"]["dataQualityMetrics"]["rowCount"] == published["rows"]["ratings"]
    (made,) = first["outputs"]
    assert (made["namespace"], made["name"]) == (models, "v1")
    assert made["facets"]["version"]["datasetVersion"] == published["run_id"]
    assert made["outputFacets"]["outputStatistics"]["rowCount"] == published["rows"]["games"]
    assert not told[3].get("outputs")
    assert "the candidate was refused" in told[5]["run"]["facets"]["errorMessage"]["message"]
