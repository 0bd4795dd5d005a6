"""MLflow, its real server on loopback: a run for each night, a version for each release."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from recsys.cli import run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlflow.tracking import MlflowClient

FAST = [
    *("--set", "cf.tuning=off"),
    *("--set", "evaluation.newcomers=false"),
    *("--set", "observers.mlflow_experiment=nights"),
    *("--set", "observers.mlflow_model=games"),
]


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield where the server listens."""
    folder, port = tmp_path_factory.mktemp("mlflow"), _free_port()
    command = [str(Path(sys.executable).with_name("mlflow")), "server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--backend-store-uri", f"sqlite:///{folder}/runs.db", "--artifacts-destination", str(folder / "files")]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, start_new_session=True)
    address = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 180
        while not _answers(address):
            assert server.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.5)
        yield address
    finally:
        os.killpg(server.pid, 15)
        server.wait(30)


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/health", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@pytest.fixture
def client(uri: str, monkeypatch: pytest.MonkeyPatch) -> MlflowClient:
    """Return a client of the server, which the environment names."""
    from mlflow.tracking import MlflowClient

    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    return MlflowClient(uri)


def test_a_night_a_version_and_a_refusal(
    client: MlflowClient, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Settings, scores, manifest, page and card; the version's source is that run's; tags say which release it is."""
    models = str(tmp_path / "models")
    command = ["train", "--source", "sample", "--output", models, *FAST]
    assert run([*command, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["observers"] == {}
    version = client.get_model_version_by_alias("games", "current")
    assert version.tags["recsys.release"] == result["run_id"]
    assert version.tags["recsys.store"] == models
    assert version.tags["recsys.sequence"] == "1"
    assert version.tags["recsys.digest"] == (tmp_path / "models/v1/manifest.sha256").read_text().split()[0]
    seen = client.get_run(version.run_id)
    assert version.source == f"{seen.info.artifact_uri}/release"
    assert seen.info.status == "FINISHED"
    assert seen.info.run_name == result["run_id"]
    assert seen.data.tags["recsys.status"] == "published"
    assert seen.data.tags["mlflow.note.content"].startswith("published ")
    assert seen.data.params["cf.solver"] == "ials"
    assert seen.data.params["content.engine"] == "auto"
    assert seen.data.metrics["cf/ndcg_at_10"] == pytest.approx(result["scores"]["cf"]["ndcg@10"], abs=1e-3)
    assert seen.data.metrics["seconds/embed"] > 0
    sent = {Path(file.path).name for file in client.list_artifacts(version.run_id, "release")}
    assert sent == {"manifest.json", "metrics.json", "report.html", "README.md"}
    assert run(command) == 0
    assert run([*command, "--force", "--set", "gate.floor=0.9"]) == 3
    nights = client.search_runs([seen.info.experiment_id], order_by=["attributes.start_time ASC"])
    assert [night.data.tags["recsys.status"] for night in nights] == ["published", "nothing new", "refused"]
    assert "the candidate was refused" in nights[-1].data.tags["recsys.message"]
    assert len(client.search_model_versions("name='games'")) == 1


def test_a_server_that_is_away_stops_no_night(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The night is published, and its result says what was not told."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{_free_port()}")
    command = ["train", "--source", "sample", "--output", str(tmp_path / "models"), "--json", *FAST]
    assert run([*command, "--set", "observers.limit_s=20"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["status"] == "published"
    assert "MlflowRun" in result["observers"]


def test_without_a_server_a_run_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is fetched: else MLflow would write into the working folder."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert run(["train", "--source", "sample", "--output", str(tmp_path / "models"), *FAST]) == 78
    assert "MLFLOW_TRACKING_URI names no server" in capsys.readouterr().err
    assert not (tmp_path / "models").exists()
