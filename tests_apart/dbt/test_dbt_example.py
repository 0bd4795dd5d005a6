"""The example is followed word for word, and what it leaves is what the tests of the gate take for dbt's files."""

from __future__ import annotations

import json
import re
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from project import EXAMPLE, ROOT, Project

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PAGE = (EXAMPLE / "README.md").read_text(encoding="utf-8")
DATA = ROOT / "tests" / "data" / "dbt"

# The first test waits until the whole page has been followed.
pytestmark = pytest.mark.timeout(3600)


def blocks(language: str) -> list[str]:
    """Return the page's blocks of a language."""
    return [
        text for kind, text in re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL) if kind == language
    ]


def commands() -> Iterator[tuple[str, int]]:
    """Yield each line of the page's shell blocks, and the exit code that the page tells of it."""
    for line in "".join(blocks("sh")).splitlines():
        told = re.search(r"# ends with (\d+)$", line)
        yield line, int(told[1]) if told else 0


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a copy of the example, which nobody has touched."""
    return Project.copied(tmp_path_factory.mktemp("example") / "dbt")


@pytest.fixture(scope="module")
def said(project: Project) -> dict[str, str]:
    """Follow the page; return what each command printed, and the files that dbt left after the good night."""
    printed: dict[str, str] = {}
    for line, code in commands():
        done = project.run(line)
        output = done.stdout + done.stderr
        assert done.returncode == code, f"{line} ended with {done.returncode}: {output}"
        printed[f"{len(printed)} {line}"] = output
        if line.startswith("recsys recommend"):
            for name in ("manifest.json", "run_results.json", "sources.json"):
                printed[name] = json.dumps(project.left(name))
    return printed


def of(said: dict[str, str], command: str) -> list[str]:
    """Return what each run of a command printed."""
    return [output for line, output in said.items() if line.partition(" ")[2].startswith(command)]


def test_a_good_night_publishes_a_release_that_recommends(said: dict[str, str], project: Project) -> None:
    """Both marts are built under contract and pass their tests; the list names a game of the same kind."""
    assert "WARN 785" in of(said, "dbt build")[0]
    first = of(said, "recsys train")[0]
    assert "published recommender/releases/" in first
    assert "dbt built the marts" in first
    assert "Genoese" in of(said, "recsys recommend")[0]
    assert (project.folder / "recommender" / "v1").is_symlink()


def test_the_bad_nights_end_as_the_page_says(said: dict[str, str]) -> None:
    """Word for word; the release of the good night stays, alone."""
    told = [" ".join(text.split()) for text in blocks("")]
    assert len(told) == 2
    for message, output in zip(told, of(said, "recsys train")[1:], strict=True):
        assert re.search(".*".join(map(re.escape, message.split("…"))), " ".join(output.split()))
    assert len(re.findall(r"\d{8}T\d{6}Z-[0-9a-f]{4}", of(said, "recsys releases")[0])) == 1


@pytest.mark.parametrize("name", ["manifest.json", "run_results.json", "sources.json"])
def test_the_recorded_files_are_what_dbt_writes(said: dict[str, str], name: str) -> None:
    """Those that ``make test`` reads; times and names of runs apart."""
    night = {"manifest.json": "", "run_results.json": "-built", "sources.json": "-fresh"}[name]
    recorded = (DATA / name.replace(".json", f"{night}.json")).read_text(encoding="utf-8")
    assert timeless(json.loads(said[name])) == timeless(json.loads(recorded)), "run tests_apart/dbt/record.py"


def timeless(content: dict[str, Any]) -> dict[str, Any]:
    """Return a file without what differs from run to run."""
    content = {key: value for key, value in content.items() if key != "metadata"}
    for each in content.get("results", []):
        each.pop("max_loaded_at", None)
    return content


def test_dbt_is_told_to_send_no_statistics(said: dict[str, str], project: Project) -> None:
    """As its own file says; and it keeps no name of whoever runs it."""
    manifest = json.loads((project.folder / "target" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["metadata"]["send_anonymous_usage_stats"] is False
    assert not (project.folder / ".user.yml").exists()


def test_the_marts_are_under_contract(said: dict[str, str], project: Project) -> None:
    """A column of another type than the contract's ends the build of its mart."""
    mart = project.folder / "models" / "marts" / "mart_games.sql"
    mart.write_text(
        mart.read_text(encoding="utf-8").replace("game_id AS BIGINT", "game_id AS VARCHAR"), encoding="utf-8"
    )
    done = project.run("dbt build --select mart_games")
    assert done.returncode == 1
    assert "This model has an enforced contract that failed" in done.stdout


def test_the_exposure_names_the_release(said: dict[str, str], project: Project) -> None:
    """Of type ``ml``, made of both marts."""
    manifest = json.loads((project.folder / "target" / "manifest.json").read_text(encoding="utf-8"))
    exposure = manifest["exposures"]["exposure.games.recommender"]
    assert exposure["type"] == "ml"
    assert set(exposure["depends_on"]["nodes"]) == {"model.games.mart_games", "model.games.mart_user_ratings"}
    assert (project.folder / exposure["meta"]["release"] / "manifest.json").is_file()


def test_what_commands_leave_is_not_committed(project: Project, said: dict[str, str]) -> None:
    """Git ignores it, and takes ``recsys.toml``, which it ignores elsewhere."""
    names = "ls -Ap | sed 's|^|examples/dbt/|'"
    seen = project.run(f"{names} | git -C {ROOT} check-ignore --no-index --stdin")
    ignored = {line.removeprefix("examples/dbt/").rstrip("/") for line in seen.stdout.split()}
    assert ignored == {"logs", "recommender", "target", "warehouse.duckdb"}
    added = {path.name for path in project.folder.iterdir()} - {path.name for path in EXAMPLE.iterdir()}
    assert added <= ignored
    assert "recsys.toml" not in ignored


def test_the_models_of_recsys_init_are_built(tmp_path: Path) -> None:
    """Both marts that ``recsys init`` writes, on the example's staging, under their contract and tests."""
    project = Project.copied(tmp_path / "dbt")
    shutil.rmtree(project.folder / "models" / "marts")
    for name in ("recsys.toml", "tests/generic/in_range.sql"):
        (project.folder / name).unlink()
    for line in ("python load.py", "recsys init", "dbt build"):
        done = project.run(line)
        assert done.returncode == 0, done.stdout + done.stderr
    assert "2 table models" in done.stdout
