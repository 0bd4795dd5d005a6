"""A copy of examples/dbt to run commands in, and what it leaves, cut down to what a test can compare."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "dbt"
QUICK = {
    "RECSYS_CF__TUNING": "off",
    "RECSYS_CF__FACTORS": "16",
    "RECSYS_CF__ITERATIONS": "4",
    "RECSYS_EVALUATION__NEWCOMERS": "false",
    "RECSYS_EVALUATION__RANDOM_DRAW": "false",
    "RECSYS_EVALUATION__RESAMPLES": "100",
}
"""Settings that cost little; how good a release is, other tests say."""
MADE = ("target", "logs", "recommender", "warehouse.duckdb", ".user.yml")
"""What commands leave in the folder."""

KEPT = {
    "manifest.json": {"nodes", "sources", "parent_map"},
    "run_results.json": {"metadata", "args", "results"},
    "sources.json": {"results"},
}
NODE = ("database", "schema", "alias", "relation_name", "attached_node", "freshness")
RESULT = ("unique_id", "status", "message", "max_loaded_at", "criteria")


@dataclass(frozen=True)
class Project:
    """A copy of the example."""

    folder: Path

    @classmethod
    def copied(cls, folder: Path) -> Project:
        """Copy the example into a folder that does not exist yet."""
        shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns(*MADE))
        return cls(folder)

    def run(self, line: str) -> subprocess.CompletedProcess[str]:
        """Run a line of a shell in it, with the programs of this environment and a training that takes no time."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        cache = str(self.folder.parent / "cache")
        return subprocess.run(
            ["bash", "-c", line],
            cwd=self.folder,
            env={**os.environ, **QUICK, "PATH": path, "XDG_CACHE_HOME": cache},
            capture_output=True,
            text=True,
            check=False,
        )

    def sql(self, statement: str) -> None:
        """Change the warehouse."""
        with duckdb.connect(str(self.folder / "warehouse.duckdb")) as warehouse:
            warehouse.execute(statement)

    def left(self, name: str) -> dict[str, Any]:
        """Return one of the files in ``target``, cut down."""
        whole = json.loads((self.folder / "target" / name).read_text(encoding="utf-8"))
        cut = {key: value for key, value in whole.items() if key in KEPT[name]}
        for kind in {"nodes", "sources"} & cut.keys():
            cut[kind] = {key: _only(NODE, node) for key, node in sorted(cut[kind].items())}
        if "parent_map" in cut:
            cut["parent_map"] = dict(sorted(cut["parent_map"].items()))
        if "results" in cut:
            cut["results"] = [_only(RESULT, each) for each in cut["results"]]
        if "args" in cut:
            cut["args"] = {"which": cut["args"]["which"]}
        return cut


def _only(keys: tuple[str, ...], record: dict[str, Any]) -> dict[str, Any]:
    return {key: record[key] for key in keys if record.get(key) is not None}
