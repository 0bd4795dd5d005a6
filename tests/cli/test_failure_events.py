"""What a log says of a failure: one event, with what to do; and exit codes that tell a retry from a missing table."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pytest

from factories.tables import games, write_marts
from recsys import cli, errors
from recsys.errors import RETRY, RecsysError
from recsys.system import keys, streams
from recsys.system.log import _Json

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def strict(text: str) -> Any:
    """Read JSON, and nothing that only Python takes for it."""
    return json.loads(text, parse_constant=lambda sign: pytest.fail(f"{sign} is no JSON"))


def recsys(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the command."""
    return subprocess.run(
        [sys.executable, "-m", "recsys", *map(str, arguments)],
        capture_output=True, text=True, check=False, cwd=cwd, timeout=300,
    )  # fmt: skip


def no_ratings_table(folder: Path) -> str:
    """Make a database that lacks the ratings mart."""
    with duckdb.connect(folder / "warehouse.db") as connection:
        connection.execute("CREATE SCHEMA analytics")
        connection.register("given", games())
        connection.execute("CREATE TABLE analytics.mart_games AS SELECT * FROM given")
    return f"duckdb:{folder / 'warehouse.db'}"


def folder_of_one_mart(folder: Path) -> str:
    """Make a folder that lacks the ratings mart."""
    (write_marts(folder / "marts") / "mart_user_ratings.parquet").unlink()
    return str(folder / "marts")


@pytest.mark.parametrize(
    ("make", "error", "code"),
    [
        (lambda folder: str(folder / "nowhere"), "SourceNotFound", 66),
        (lambda folder: f"duckdb:{folder / 'nothing.db'}", "SourceNotFound", 66),
        (folder_of_one_mart, "SourceNotFound", 66),
        (no_ratings_table, "QueryFailed", 66),
    ],
)
def test_what_is_not_there_is_not_worth_a_retry(
    tmp_path: Path, make: Callable[[Path], str], error: str, code: int
) -> None:
    """One event of level error, the last; it names the class, the code and the next step, and so does stdout."""
    done = recsys("train", "--source", make(tmp_path), "--json", "--log-format", "json", cwd=tmp_path)
    events = [strict(line) for line in done.stderr.splitlines()]
    (failure,) = [event for event in events if event["level"] == "error"]
    assert failure == events[-1]
    kind = getattr(errors, error)
    expected = {"error": error, "exit_code": code, "next_step": kind.next_step, "retry": False}
    assert {key: failure[key] for key in expected} == expected
    answer = strict(done.stdout.splitlines()[-1])
    assert {key: answer[key] for key in (*expected, "message")} == {**expected, "message": failure["message"]}
    assert (failure["event"], done.returncode) == ("failed", code)


def test_a_bug_and_its_traceback_are_one_event(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """With -v the traceback is a key of it."""
    monkeypatch.setattr("recsys.config.load_settings", lambda *_: 1 / 0)  # a bug cannot be made otherwise
    assert cli.run(["train", "--log-format", "json", "-v", "--output", str(tmp_path)]) == errors.UNFORESEEN
    (line,) = capsys.readouterr().err.splitlines()
    event = strict(line)
    assert (event["error"], event["exit_code"]) == ("Unforeseen", 70)
    assert "ZeroDivisionError" in event["traceback"]


def test_a_wrong_command_line_is_an_event_too(capsys: pytest.CaptureFixture[str]) -> None:
    """In either spelling of the option; without it, it is the usual text."""
    for spelling in (["--log-format", "json"], ["--log-format=json"]):
        assert cli.run(["train", *spelling, "--no-such-option"]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert "--no-such-option" in strict(line)["message"]
    assert cli.run(["train", "--no-such-option"]) == 2
    assert "Usage: recsys train" in capsys.readouterr().err


def test_the_last_words_of_a_signal() -> None:
    """An event where events are JSON, an object on stdout where that is asked for, and otherwise one line."""
    event, line = cli._last_words(["train", "--log-format", "json", "--json"], "SIGTERM", 143)
    for text in (event, line):
        told = strict(text)
        assert (told["error"], told["exit_code"], told["retry"]) == ("Interrupted", 143, False)
    assert cli._last_words(["train"], "SIGTERM", 143) == (
        "\nrecsys: error: interrupted by SIGTERM; ended at once\n", ""
    )  # fmt: skip


def test_what_is_not_finite_is_null() -> None:
    """In an event and in an answer, however deep, and as numpy's own scalar."""
    values = {"a": float("nan"), "b": [np.float32("inf"), {"c": (-np.inf, 1.5, np.int64(3))}]}
    expected = {"a": None, "b": [None, {"c": [None, 1.5, 3]}]}
    record = logging.LogRecord("recsys", logging.INFO, "", 0, "scored", (), None)
    record.__dict__.update(keys(**values))
    event = strict(_Json().format(record))
    assert {key: event[key] for key in values} == expected
    assert strict(streams.as_json(values)) == expected


def test_retries_and_next_steps_of_every_error() -> None:
    """Each says what to do; what is worth a retry says so, and nothing else does."""
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, RecsysError)]
    for kind in kinds:
        says_retry = "once" in kind.next_step or "run again" in kind.next_step
        assert kind.next_step, kind
        assert says_retry or kind.exit_code not in RETRY, kind
    assert {kind.exit_code for kind in kinds} >= RETRY
