"""Where people look: exit code 3 and its reason, GitHub's page, two releases side by side."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from contextlib import redirect_stderr
from typing import TYPE_CHECKING

import pytest

from factories.tables import RECIPE, WordEncoder, write_marts
from recsys.config import Settings
from recsys.pipeline import github
from recsys.release.check import check_here
from recsys.release.store import ReleaseStore
from recsys.trainer import Trainer

if TYPE_CHECKING:
    from pathlib import Path

LEARNS = [part for key, value in RECIPE.items() for part in ("--set", f"cf.{key}={value}")]


def recsys(*arguments: object, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a fresh process, with nothing around it that it reads."""
    noise = ("SNOWFLAKE_", "RECSYS_", "GITHUB_")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(noise)}
    return subprocess.run(
        [sys.executable, "-m", "recsys", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env={**clean, **environ},
        timeout=300,
    )


@pytest.fixture(scope="module")
def refused(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """Run on a machine of GitHub Actions with a candidate below the floor."""
    folder = tmp_path_factory.mktemp("refused")
    marts = write_marts(folder / "marts")
    done = recsys(
        *("train", "--source", marts, *LEARNS, "--set", "gate.floor=0.99", "--json"),
        cwd=folder,
        GITHUB_ACTIONS="true",
        GITHUB_STEP_SUMMARY=str(folder / "summary.md"),
    )
    return folder, done


Refused = tuple["Path", "subprocess.CompletedProcess[str]"]


def test_a_refusal_is_in_the_log_of_the_releases(refused: Refused) -> None:
    """Which run, and the gate's own reason; nothing was published before."""
    folder, _ = refused
    (line,) = ReleaseStore(folder / "models").journal.lines()
    assert (line.event, line.release in os.listdir(folder / "models" / "refused")) == ("refused", True)
    assert "0.99" in (line.why or "")


def test_a_refusal_ends_with_exit_code_3_and_one_line(refused: Refused) -> None:
    """The reason with its numbers on stderr, no traceback, no release, the metrics kept."""
    folder, done = refused
    assert done.returncode == 3, done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("recsys: error:")]
    assert "below gate.floor 0.99" in line
    assert "no release is current" in line
    assert "Traceback" not in done.stderr
    assert not (folder / "models" / "v1").exists()
    assert list((folder / "models" / "refused").glob("*/metrics.json"))


def test_a_refusal_in_json_carries_scores_and_verdict(refused: Refused) -> None:
    """Programs read class, exit code, scores by contender and every check from the one object."""
    answer = json.loads(refused[1].stdout)
    assert (answer["error"], answer["exit_code"]) == ("QualityGateFailed", 3)
    assert answer["scores"]["cf"]["ndcg@10"] > answer["scores"]["popularity"]["ndcg@10"]
    assert [check["rule"] for check in answer["verdict"]["checks"] if not check["passed"]] == ["floor"]


def test_a_refusal_is_an_annotation_and_a_summary(refused: Refused) -> None:
    """``::error::`` carries the reason; the page has the table of contenders and the checks."""
    folder, done = refused
    (annotation,) = [line for line in done.stderr.splitlines() if line.startswith("::error")]
    assert annotation.startswith("::error title=QualityGateFailed::the candidate was refused: NDCG@10")
    page = (folder / "summary.md").read_text()
    assert "users | ndcg@10 | recall@20 | hit_rate@10 | coverage |" in page
    assert "| popularity | 0." in page
    assert "- ✅ NDCG@10" in page
    assert "- ❌ NDCG@10" in page


def test_an_override_needs_a_reason(tmp_path: Path) -> None:
    """An empty reason is wrong usage: exit 2, nothing runs."""
    for option in ("--publish-anyway", "--accept-drift"):
        done = recsys("train", "--source", "sample", option, " ", cwd=tmp_path)
        assert done.returncode == 2
        assert "say why" in done.stderr


def test_outside_github_nothing_is_announced(tmp_path: Path) -> None:
    """Without its variables neither annotation nor summary is written."""
    stderr = io.StringIO()
    with redirect_stderr(stderr):
        github.announce("QualityGateFailed", "no", {})
        github.summarize("no", None, {})
    assert stderr.getvalue() == ""


def test_annotations_are_escaped() -> None:
    """Line breaks, percent signs and, in the title, colons and commas would end the command early."""
    stderr = io.StringIO()
    with redirect_stderr(stderr):
        github.announce("a: b, c", "5% worse\nand 6%", {"GITHUB_ACTIONS": "true"})
    assert stderr.getvalue() == "::error title=a%3A b%2C c::5%25 worse%0Aand 6%25\n"


def test_compare_puts_two_releases_side_by_side(tmp_path: Path) -> None:
    """Scores, data and the settings that differ, as a table and as JSON; an unknown release is exit 76."""
    marts = write_marts(tmp_path / "marts")
    runs = []
    for factors in (8, 6):
        settings = Settings.model_validate({"cf": {**RECIPE, "factors": factors}})
        store = ReleaseStore(tmp_path / "models", check=check_here)
        made = Trainer(
            {}, tmp_path / "models", source=str(marts), settings=settings, embedding_model=WordEncoder(), store=store
        )
        runs.append(json.loads(json.dumps(made.run_pipeline().to_json())))
    names = [run["run_id"] for run in runs]
    answer = json.loads(recsys("compare", *names, "--json", cwd=tmp_path).stdout)
    rows = {row["name"]: row for row in answer["rows"]}
    assert (answer["a"], answer["b"], answer["comparable"]) == (*names, True)
    scores = [run["scores"]["cf"]["ndcg@10"] for run in runs]
    assert [rows["ndcg@10"]["a"], rows["ndcg@10"]["b"]] == scores
    assert rows["ndcg@10"]["change"] == pytest.approx(scores[1] / scores[0] - 1, abs=1e-6)
    assert [row["name"] for row in answer["rows"] if row["section"] == "recipe"] == ["factors"]
    table = recsys("compare", names[0], "current", cwd=tmp_path).stdout
    assert names[1] in table
    assert "factors" in table
    missing = recsys("compare", names[0], "nobody", cwd=tmp_path)
    assert missing.returncode == 76
    assert "there is no release 'nobody'" in missing.stderr
