"""``recsys init``: what it writes is true, complete, and never in the place of something else."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import duckdb
import pytest

from factories.tables import write_marts
from recsys.cli import run
from recsys.cli.init import CHANGED, SETTINGS, TEMPLATES
from recsys.config import Settings, load_settings
from recsys.marts import GAME_COLUMNS
from recsys.marts.schema import RATING_COLUMNS
from recsys.sources.snowflake.names import NAMES

if TYPE_CHECKING:
    from pathlib import Path

OWN = {"release": {"output": "recommender"}}
"""The one setting that is written out."""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder that the command has filled, as the working folder."""
    assert run(["init", str(tmp_path / "project")]) == 0
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


def test_its_settings_are_the_defaults(project: Path) -> None:
    """As they were written, and with every line in force: no unknown name, no other value than the default."""
    written = (project / SETTINGS).read_text(encoding="utf-8")
    in_force, lines = re.subn(r"(?m)^#(?=\w+ = )", "", written)
    assert lines == sum(len(keys) for keys in CHANGED.values())
    for text in (written, in_force):
        (project / "tried.toml").write_text(text, encoding="utf-8")
        assert load_settings(project / "tried.toml", environ={}) == Settings.model_validate(OWN)


def test_the_names_of_snowflakes_variables_are_all_there_without_values(project: Path) -> None:
    """Whoever copies the file learns every name, and commits no secret."""
    lines = (project / ".env.example").read_text(encoding="utf-8").splitlines()
    given = [line for line in lines if line and not line.startswith("#")]
    assert sorted(given) == sorted(f"SNOWFLAKE_{name}=" for name in NAMES)


def sql(project: Path, name: str, **values: str) -> str:
    """Return a dbt file's SQL with its expressions put in, as far as these files have any."""
    text = (project / name).read_text(encoding="utf-8")
    text = re.sub(r"\{\{ config\(.*\) \}\}|\{%.*%\}", "", text)
    text = re.sub(r"\{\{ ref\('(\w+)'\) \}\}", r"\1", text)
    return re.sub(r"\{\{ (\w+) \}\}", lambda found: values[found[1]], text)


def test_its_marts_keep_the_contract(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Tables made by the two models are what a dry run asks for, and ``schema.yml`` names their columns and types."""
    marts = write_marts(project / "marts")
    with duckdb.connect(str(project / "warehouse.db")) as warehouse:
        warehouse.sql("CREATE SCHEMA ANALYTICS")
        for staged, mart in (("stg_games", "mart_games"), ("stg_ratings", "mart_user_ratings")):
            warehouse.sql(f"CREATE VIEW {staged} AS SELECT * FROM '{marts / mart}.parquet'")
            warehouse.sql(f"CREATE TABLE ANALYTICS.{mart} AS {sql(project, f'models/marts/{mart}.sql')}")
        types = {
            mart: {name: str(kind).lower() for name, kind, *_ in warehouse.sql(f"DESCRIBE ANALYTICS.{mart}").fetchall()}
            for mart in ("mart_games", "mart_user_ratings")
        }
    assert [*types["mart_games"]] == [*GAME_COLUMNS]
    assert [*types["mart_user_ratings"]] == [*RATING_COLUMNS]
    models = (project / "models/marts/schema.yml").read_text(encoding="utf-8").split("  - name: mart_")[1:]
    for model in models:
        named = re.findall(r"- name: ([A-Z_]+)\n(?:        description: .*\n)?        data_type: (\w+)", model)
        assert dict(named) == types["mart_" + model.split("\n")[0]]
    assert run(["train", "--source", "duckdb:warehouse.db", "--dry-run"]) == 0
    assert "checked: 40 games, 720 ratings by 80 users" in capsys.readouterr().out


def test_its_test_of_a_range_finds_what_the_contract_refuses(project: Path) -> None:
    """Greater than the lower bound, at most the upper one: as ``data.rating_min`` and ``data.rating_max``."""
    query = sql(project, "tests/generic/in_range.sql", model="ratings", column_name="r", above="0", at_most="10")
    found = duckdb.sql(f"WITH ratings AS (SELECT unnest([-1, 0, 0.1, 10, 10.1, NULL]) AS r) {query}").fetchall()
    assert [float(rating) for (rating,) in found] == [-1, 0, 10.1]


@pytest.mark.parametrize("name", [SETTINGS, *TEMPLATES])
def test_nothing_is_overwritten(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is there stays, is named, and no other is written beside it; also a link that leads nowhere."""
    kept = tmp_path / name
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text("mine")
    assert run(["init", str(tmp_path)]) == 73
    assert f"nothing was written: {kept} is there already" in capsys.readouterr().err
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [kept]
    assert kept.read_text() == "mine"
    kept.unlink()
    kept.symlink_to("nowhere")
    assert run(["init", str(tmp_path)]) == 73
