"""The README: each of its commands runs as it is printed, on the built-in sample, in the order in which it stands."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import urllib.request
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from recsys.config import Settings
from recsys.marts.query import MartQuery
from recsys.sources import open_source
from standins.server import running

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
QUICK = {"RECSYS_CF__FACTORS": "16", "RECSYS_CF__TUNING": "off", "RECSYS_EVALUATION__NEWCOMERS": "false"}
"""What a run need not find out here."""


def commands() -> list[list[str]]:
    """Return the commands of the README that call ``recsys``, one by one."""
    lines = [line for block in re.findall(r"```console\n(.*?)```", README, re.DOTALL) for line in block.splitlines()]
    return [shlex.split(line[2:], comments=True)[1:] for line in lines if line.startswith("$ recsys ")]


def marts(folder: Path) -> None:
    """Write the sample's tables as a folder of marts and as a DuckDB file."""
    source = Settings().source
    with open_source("sample") as sample, duckdb.connect(str(folder / "warehouse.db")) as warehouse:
        (folder / "marts").mkdir()
        warehouse.sql("CREATE SCHEMA ANALYTICS")
        for name, query in (("games", MartQuery.of_games(source)), ("user_ratings", MartQuery.of_ratings(source))):
            result = sample.execute(query)
            file = folder / "marts" / f"mart_{name}.parquet"
            pq.write_table(pa.Table.from_batches(list(result.batches), result.schema), file)
            warehouse.sql(f"CREATE TABLE ANALYTICS.MART_{name} AS SELECT * FROM '{file}'")


def test_every_command_runs_on_the_sample(tmp_path: Path) -> None:
    """In one folder, after ``make train``; Snowflake alone is not at hand, and says how to go on without."""
    marts(tmp_path)
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("SNOWFLAKE_", "RECSYS_"))}

    def recsys(*arguments: str, code: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "recsys", *arguments],
            capture_output=True, text=True, check=False, cwd=tmp_path, env=clean | QUICK, timeout=300,
        )  # fmt: skip
        assert done.returncode == code, f"{arguments}: {done.stderr}"
        return done.stdout + done.stderr

    recsys("train", "--source", "sample")
    tried = commands()
    assert {name for name, *_ in tried} >= {"init", "train", "similar", "search", "recommend", "export", "serve"}
    for command in tried:
        if command == ["train"]:
            assert "--source sample" in recsys(*command, code=78)
        elif command == ["serve"]:
            models = tmp_path / "recommender"
            with (
                running("-m", "recsys", "serve", "--port", "0", "--models", models, log=tmp_path / "log") as (
                    _,
                    address,
                ),
                urllib.request.urlopen(address, timeout=60) as page,
            ):
                assert page.status == 200
        else:
            recsys(*command)


def test_its_pictures_are_there_and_small() -> None:
    """Each is a PNG of 150 kB at most, drawn by ``docs/pictures.py``."""
    named = re.findall(r'src="(docs/pictures/[^"]+)"', README)
    assert sorted(named) == sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs" / "pictures").iterdir())
    for name in named:
        picture = (ROOT / name).read_bytes()
        assert picture.startswith(b"\x89PNG")
        assert len(picture) <= 150_000
        assert f'"{Path(name).name}"' in (ROOT / "docs" / "pictures.py").read_text(encoding="utf-8")
