"""The command line as a user meets it: exit codes, one error line, one JSON line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from factories.tables import RECIPE, games, ratings, write_marts

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

QUICK = tuple(part for key, value in RECIPE.items() for part in ("--set", f"cf.{key}={value}"))


def recsys(*arguments: str | Path, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a fresh process, with no ``SNOWFLAKE_*`` or ``RECSYS_*`` around it."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("SNOWFLAKE_", "RECSYS_"))}
    return subprocess.run(
        [sys.executable, "-m", "recsys", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env={**clean, **environ},
        timeout=300,
    )


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["train", "--bogus"], 2, "No such option: --bogus"),
        (["trian"], 2, "No such command"),
        (["train"], 78, "To try without Snowflake: `recsys train --source sample`"),
        (["train", "--source", "nowhere"], 66, "nowhere"),
        (["train", "--source", "duckdb:none.db"], 66, "none.db"),
        (["train", "--source", "s3://bucket"], 78, "is an address, and only paths of this machine"),
        (["train", "--source", "sample", "--set", "cf.factrs=3"], 78, "cf.factrs (from --set): no such setting"),
        (["train", "--config", "none.toml"], 78, "none.toml does not exist"),
    ],
)
def test_a_wrong_call_ends_with_one_line_and_its_code(
    tmp_path: Path, arguments: list[str], code: int, words: str
) -> None:
    """No traceback, the next step in the message, nothing written."""
    done = recsys(*arguments, cwd=tmp_path)
    assert done.returncode == code, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "models" / "v1").exists()


@pytest.mark.parametrize("given", [{}, {"SNOWFLAKE_ACCOUNT": "MYORG-ACC"}])
def test_whoever_has_not_set_up_snowflake_is_left_with_nothing_to_clear_away(
    tmp_path: Path, given: dict[str, str]
) -> None:
    """What signing in needs is read before the folder of the releases is made."""
    assert recsys("train", cwd=tmp_path, **given).returncode == 78
    assert recsys("train", "--dry-run", cwd=tmp_path, **given).returncode == 78
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda folder: (folder / "mart_games.parquet").unlink(), (66, "mart_games")),
        (lambda folder: write_marts(folder, games().iloc[:0]), (65, "no rows")),
        (lambda folder: write_marts(folder, None, ratings().assign(RATING=float("nan"))), (65, "null or NaN")),
        (lambda folder: write_marts(folder, games().drop(columns="NAME")), (65, "NAME")),
        (lambda folder: (folder / "mart_games.parquet").write_bytes(b"PAR1 spoilt"), (69, "mart_games.parquet")),
    ],
)
def test_bad_marts_end_a_run(tmp_path: Path, spoil: Callable[[Path], object], words: tuple[int, str]) -> None:
    """A missing, empty, spoilt or broken mart: its exit code, its name, and no release."""
    folder = write_marts(tmp_path / "marts")
    spoil(folder)
    done = recsys("train", "--source", folder, cwd=tmp_path)
    assert done.returncode == words[0], done.stderr
    assert words[1] in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "models" / "v1").exists()


def test_a_run_with_json_ends_stdout_with_one_object(tmp_path: Path) -> None:
    """A dry run on real files: counts in the object, logs on stderr alone, nothing written."""
    folder = write_marts(tmp_path / "marts")
    done = recsys("train", "--source", folder, "--dry-run", "--json", "--log-format", "json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    answer = json.loads(line)
    assert (answer["status"], answer["outlook"]) == ("checked", "train")
    assert answer["rows"] == {
        "games": 40, "ratings": 720, "users": 80, "rated_games": 40, "orphan_games": 0, "orphan_ratings": 0
    }  # fmt: skip
    assert set(answer["seconds"]) >= {"fetch_games", "fetch_ratings", "check"}
    events = [json.loads(event) for event in done.stderr.splitlines()]
    assert "fetched ratings" in [event["event"] for event in events]
    assert [path.name for path in tmp_path.iterdir()] == ["marts"]


def test_a_failure_with_json_is_an_object_too(tmp_path: Path) -> None:
    """Programs learn the error's class and exit code from stdout."""
    done = recsys("train", "--source", "nowhere", "--json", cwd=tmp_path)
    answer = json.loads(done.stdout.splitlines()[-1])
    assert (answer["status"], answer["error"], answer["exit_code"]) == ("failed", "SourceNotFound", 66)
    assert answer["message"] in done.stderr


def test_verbose_shows_the_traceback(tmp_path: Path) -> None:
    """``-v`` is for whoever hunts the cause."""
    assert "Traceback" in recsys("train", "--source", "nowhere", "-v", cwd=tmp_path).stderr


def test_the_trainer_module_is_the_same_command(tmp_path: Path) -> None:
    """``python -m recsys.trainer`` takes the options of ``recsys train``."""
    folder = write_marts(tmp_path / "marts")
    done = subprocess.run(
        [sys.executable, "-m", "recsys.trainer", "--source", folder, "--dry-run"],
        capture_output=True, text=True, check=False, cwd=tmp_path, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "checked: 40 games, 720 ratings by 80 users" in done.stdout


def test_an_output_that_is_a_file(tmp_path: Path) -> None:
    """Exit 73 and the path."""
    folder = write_marts(tmp_path / "marts")
    (tmp_path / "models").write_text("a file")
    done = recsys("train", "--source", folder, *QUICK, cwd=tmp_path)
    assert done.returncode == 73
    assert "models" in done.stderr


def test_a_shell_completes_commands_and_choices(tmp_path: Path) -> None:
    """``--install-completion`` writes what a shell asks by, and what it then asks is answered."""
    variables = {"HOME": str(tmp_path), "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    installed = recsys("--install-completion", "bash", cwd=tmp_path, **variables)
    assert installed.returncode == 0, installed.stderr
    assert "_RECSYS_COMPLETE=complete_bash" in (tmp_path / ".bash_completions" / "recsys.sh").read_text()
    for words, choices in (("recsys tra", ["train"]), ("recsys train --log-format ", ["human", "json"])):
        asked = {"COMP_WORDS": words, "COMP_CWORD": str(words.count(" ")), "_RECSYS_COMPLETE": "complete_bash"}
        done = recsys(cwd=tmp_path, **asked)
        assert (done.returncode, done.stdout.split()) == (0, choices)
