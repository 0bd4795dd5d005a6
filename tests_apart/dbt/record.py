"""Write anew what ``tests/data/dbt`` holds: ``.venv-dbt/bin/python tests_apart/dbt/record.py``.

Each file is what dbt left in ``target`` after the commands of one night, cut down by :meth:`Project.left`.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from project import ROOT, Project

DATA = ROOT / "tests" / "data" / "dbt"


def write(project: Project, name: str, night: str) -> None:
    """Record one of the files that the commands of a night left."""
    text = json.dumps(project.left(name), indent=1)
    (DATA / name.replace(".json", f"-{night}.json" if night else ".json")).write_text(f"{text}\n", encoding="utf-8")


def main() -> None:
    """Go through the nights."""
    DATA.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        project = Project.copied(Path(folder) / "dbt")
        for line in ("python load.py", "dbt source freshness", "dbt build"):
            assert project.run(line).returncode == 0, line
        write(project, "manifest.json", "")
        write(project, "sources.json", "fresh")
        write(project, "run_results.json", "built")
        project.run("dbt compile")
        write(project, "run_results.json", "compiled")
        project.run("dbt build --select mart_games")
        write(project, "run_results.json", "games-alone")
        project.sql("UPDATE raw.ratings SET score = 11 WHERE score = 10")
        project.run("dbt build")
        write(project, "run_results.json", "test-failed")
        project.sql("UPDATE raw.games SET loaded_at = now() - INTERVAL 3 DAY")
        project.sql("UPDATE raw.ratings SET loaded_at = now() - INTERVAL 30 HOUR")
        project.run("dbt source freshness")
        write(project, "sources.json", "stale")
        project.sql("ALTER TABLE raw.games RENAME blurb TO description")
        project.run("dbt build")
        write(project, "run_results.json", "model-failed")


if __name__ == "__main__":
    main()
