"""The whole pipeline through Snowflake's protocol, against the same marts read from Parquet."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import faiss
import numpy as np
import pytest

from factories.tables import WordEncoder, write_marts
from recsys import Trainer
from recsys.cli import run
from recsys.config import CfSettings, Settings
from recsys.errors import TruncatedResult
from recsys.models import CollaborativeFilter
from standins.snowflake.canaries import ACCESS_TOKEN

if TYPE_CHECKING:
    from pathlib import Path

    from standins.snowflake.fixtures import Warehouse

pytest_plugins = ["standins.snowflake.fixtures"]

SETTINGS = Settings(cf=CfSettings(factors=8, threads=1, tuning="off"))


@pytest.fixture
def folder(warehouse: Warehouse, tmp_path: Path) -> Path:
    """Write the small marts to Parquet, and load the same files into the warehouse."""
    folder = write_marts(tmp_path / "marts")
    for mart in ("mart_games", "mart_user_ratings"):
        warehouse.table(mart.upper(), f"SELECT * FROM read_parquet('{folder / mart}.parquet')")
    warehouse.service.set(chunks=7)
    return folder


def test_the_same_marts_give_the_same_models(
    folder: Path, warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With nothing but environment variables: ids, vectors and factors equal those from Parquet."""
    for name in [name for name in os.environ if name.startswith("SNOWFLAKE_")]:
        monkeypatch.delenv(name)
    for name, value in {**warehouse.address(), "token": ACCESS_TOKEN}.items():
        monkeypatch.setenv(f"SNOWFLAKE_{name.upper()}", value)
    monkeypatch.setenv("SNOWFLAKE_HOME", str(tmp_path))
    for source in ("snowflake", str(folder)):
        trainer = Trainer(
            models_output_dir=tmp_path / source.rpartition("/")[2],
            source=source,
            settings=SETTINGS,
            embedding_model=WordEncoder(),
        )
        trainer.run_pipeline()
    ours, theirs = tmp_path / "snowflake" / "v1", tmp_path / "marts" / "v1"
    for name in ("metadata.json", "cf_mappings.json"):
        assert json.loads((ours / name).read_text()) == json.loads((theirs / name).read_text())
    vectors = [faiss.read_index(str(release / "rag_index.faiss")).reconstruct_n() for release in (ours, theirs)]
    assert np.array_equal(*vectors)
    filters = [CollaborativeFilter.load(release) for release in (ours, theirs)]
    assert np.array_equal(filters[0].user_factors, filters[1].user_factors)
    assert np.array_equal(filters[0].item_factors, filters[1].item_factors)


def test_a_dictionary_of_credentials_is_enough(folder: Path, warehouse: Warehouse) -> None:
    """``Trainer(snowflake_creds={…})`` signs in with these, over one connection for both marts.

    Both queries are the contract's, word for word. The columns of the ratings are described: nothing is run for that.
    """
    Trainer({**warehouse.address(), "token": ACCESS_TOKEN}, source="snowflake", settings=SETTINGS).check()
    seen = warehouse.service.seen()
    assert len(seen["sign_ins"]) == 1
    queries = [sql.partition(" AT(")[0] for sql in seen["statements"] if "MART_" in sql]
    assert queries.pop() == "SELECT * FROM ANALYTICS.MART_USER_RATINGS"
    assert seen["described"] == ["SELECT * FROM ANALYTICS.MART_USER_RATINGS"]
    assert queries == [
        "SELECT GAME_ID, NAME, DESCRIPTION, CATEGORIES, MECHANICS FROM ANALYTICS.MART_GAMES",
        "SELECT USER_ID, GAME_ID, RATING FROM ANALYTICS.MART_USER_RATINGS",
    ]


def test_a_truncated_result_leaves_no_release(folder: Path, warehouse: Warehouse, tmp_path: Path) -> None:
    """Nothing is trained on half a mart, and nothing is written."""
    warehouse.service.fault("later", "short")
    credentials = {**warehouse.address(), "token": ACCESS_TOKEN}
    trainer = Trainer(credentials, tmp_path / "models", source="snowflake", settings=SETTINGS)
    with pytest.raises(TruncatedResult):
        trainer.run_pipeline()
    assert not (tmp_path / "models" / "v1").exists()


@pytest.mark.parametrize(("kind", "code"), [("hang", 75), ("short", 69)])
def test_the_command_ends_on_time_with_its_exit_code(
    kind: str, code: int, folder: Path, warehouse: Warehouse, tmp_path: Path
) -> None:
    """``recsys train`` ends two seconds after its deadline at the latest, one line on stderr saying why."""
    deadline = 4
    warehouse.service.fault("later", kind)
    environ = {
        **os.environ,
        **{f"SNOWFLAKE_{name.upper()}": value for name, value in warehouse.address().items()},
        "SNOWFLAKE_TOKEN": ACCESS_TOKEN,
        "RECSYS_SNOWFLAKE__DEADLINE_S": str(deadline),
    }
    command = [sys.executable, "-m", "recsys", "train", "--source", "snowflake", "--output", str(tmp_path / "models")]
    run = subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, text=True)
    try:
        assert run.stderr is not None
        lines = []
        for line in run.stderr:
            if "signed in" in line:
                signed_in = time.monotonic()
            lines.append(line)
        assert run.wait(timeout=10) == code
    finally:
        run.kill()
    assert time.monotonic() - signed_in < deadline + 2 + 3  # a busy machine takes its time to end a process
    assert lines[-1].startswith("recsys: error: ")
    assert "Traceback" not in "".join(lines)
    assert ACCESS_TOKEN not in "".join(lines)


def test_a_rebuild_reads_the_marts_as_of_the_release(
    folder: Path,
    warehouse: Warehouse,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The manifest records the moment, and a rebuild asks for it; where it is past, 66 and no other moment."""
    assert folder.is_dir(), "the marts are in the warehouse"
    for name, value in {**warehouse.address(), "token": ACCESS_TOKEN}.items():
        monkeypatch.setenv(f"SNOWFLAKE_{name.upper()}", value)
    monkeypatch.setenv("SNOWFLAKE_HOME", str(tmp_path))
    Trainer(
        {}, tmp_path / "models", source=warehouse.open(), settings=SETTINGS, embedding_model=WordEncoder()
    ).run_pipeline()
    then = json.loads((tmp_path / "models" / "v1" / "manifest.json").read_text())["facts"]["read_at"]
    arguments = ["rebuild", "current", "--models", str(tmp_path / "models"), "--source", "snowflake", "--json"]
    seen = len(warehouse.service.seen()["statements"])
    assert run(arguments) == 0
    assert json.loads(capsys.readouterr().out)["status"] == "same"
    asked = [sql for sql in warehouse.service.seen()["statements"][seen:] if "ANALYTICS.MART" in sql and " AT(" in sql]
    assert len(asked) == 2
    assert all(f"'{then}'" in sql for sql in asked)
    warehouse.service.set(replaced={"MART_GAMES": "9999"})
    assert run(arguments) == 66
    assert f"cannot be read as of {then}" in json.loads(capsys.readouterr().out)["message"]
