"""The last screen of a run: on a terminal alone, true, and with commands that work as they stand there."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import shlex
import subprocess
import sys
import urllib.request
from contextlib import redirect_stdout
from typing import TYPE_CHECKING

import pytest

from factories.served import publish
from factories.tables import RECIPE, write_marts
from recsys.cli import run, screen
from recsys.pipeline.outcome import RunResult
from standins.server import running

if TYPE_CHECKING:
    from pathlib import Path

ROWS = {"games": 43, "ratings": 720, "users": 80}
TRAIN = ["train", "--source", "marts"]


def on_a_terminal(*arguments: str, cwd: Path, **variables: str) -> str:
    """Run the command on a terminal of its own, and return all that it showed."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("SNOWFLAKE_", "RECSYS_", "CI"))}
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "recsys", *arguments]
    process = subprocess.Popen(command, stdout=theirs, stderr=theirs, cwd=cwd, env=clean | variables)
    os.close(theirs)
    shown = b""
    try:
        while part := os.read(ours, 1 << 16):
            shown += part
    except OSError:  # how Linux says that the other end is closed
        pass
    finally:
        os.close(ours)
    assert process.wait(timeout=60) == 0, shown.decode()
    return shown.decode().replace("\r\n", "\n")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a working folder with marts, and with a release that a run at a terminal has published."""
    folder = tmp_path_factory.mktemp("first")
    write_marts(folder / "marts")
    settings = "\n".join(f"{key} = {json.dumps(value)}" for key, value in RECIPE.items())
    (folder / "recsys.toml").write_text(f"[cf]\n{settings}\n")
    (folder / "shown").write_text(on_a_terminal(*TRAIN, cwd=folder), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def shown(folder: Path) -> str:
    """Return the screen that the run ended with."""
    return (folder / "shown").read_text(encoding="utf-8").rpartition("published models/")[2]


def commands(shown: str) -> list[list[str]]:
    """Return the commands that a screen ends with, without the program."""
    lines = shown.rpartition("Try it:\n")[2].splitlines()
    assert all(line.startswith(f"  {shlex.quote(sys.executable)} -m recsys ") for line in lines)
    return [shlex.split(line)[3:] for line in lines]


def test_it_says_what_was_made_and_how_good_it_is(shown: str, folder: Path) -> None:
    """Counts as they were read, and shares of the people who found a game: those of ``metrics.json``."""
    assert "A recommender for 40 games, learnt from 720 ratings by 80 people, is in models/v1.\n" in shown
    scores = json.loads((folder / "models" / "v1" / "metrics.json").read_text(encoding="utf-8"))["evaluation"]
    found = {name: round(row["hit_rate@10"]["value"] * 100) for name, row in scores["contenders"].items()}
    assert f"people: {found['cf']} of 100 find a game they like among the first 10." in shown
    assert f"With a bestseller list: {found['popularity']}.\n" in shown
    assert (folder / re.findall(r"published: (\S+report\.html)", shown)[0]).is_file()


def test_its_commands_work_as_they_stand_there(shown: str, folder: Path, tmp_path: Path) -> None:
    """Two questions are answered from the release; the server shows its page where it says."""
    *questions, serve = commands(shown)
    assert [question[0] for question in questions] == ["similar", "recommend"]
    for question in questions:
        assert "games from release" in on_a_terminal(*question, cwd=folder)
    assert serve == ["serve"]
    # Another test may have the port that it would take.
    port = ("--port", "0", "--models", str(folder / "models"))
    with (
        running("-m", "recsys", *serve, *port, log=tmp_path / "log") as (_, address),
        urllib.request.urlopen(address, timeout=60) as page,
    ):
        assert page.status == 200


def test_a_run_with_nothing_new_shows_what_is_current(folder: Path, shown: str) -> None:
    """The same screen; a folder that was named is named in its commands too."""
    again = on_a_terminal(*TRAIN, "--output", "models", cwd=folder)
    assert "nothing new: models/" in again
    assert shown.partition("\n\n")[2].partition("Try it:")[0] in again
    for command in commands(again):
        assert command[-2:] == ["--models", "models"]


def test_programs_get_the_answer_alone(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In a pipe, in CI, with ``--json`` and with events as JSON there is no screen."""
    done = subprocess.run(
        [sys.executable, "-m", "recsys", *TRAIN], cwd=folder, capture_output=True, text=True, timeout=300, check=True
    )
    assert len(done.stdout.splitlines()) == 1
    assert "Try it" not in done.stderr
    assert "Try it" not in on_a_terminal(*TRAIN, cwd=folder, CI="true")
    assert "Try it" not in on_a_terminal(*TRAIN, "--log-format", "json", cwd=folder)
    assert json.loads(on_a_terminal(*TRAIN, "--json", cwd=folder).splitlines()[-1])["status"] == "nothing new"


class _Terminal(io.StringIO):
    """Keeps what is shown."""

    def isatty(self) -> bool:
        return True


def shown_after(result: RunResult, models: Path, *options: str) -> str:
    """Return what a terminal shows after a run."""
    with redirect_stdout(_Terminal()) as terminal:
        screen.show(result, models, options)
    return terminal.getvalue()


def test_a_name_that_a_command_line_would_misread_is_not_its_example(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Games called like an option, or like the id of another game, are passed over; quotes are quoted."""
    monkeypatch.delenv("CI", raising=False)
    odd = {id_: f"--{id_}" for id_ in range(100, 140, 3)} | {id_: f"{id_ + 1}" for id_ in range(101, 140, 3)}
    names = odd | {id_: f'Anna\'s $HOME "{id_}"' for id_ in range(102, 140, 3)}
    release = publish(tmp_path, names=names)
    shown = shown_after(RunResult("published", release.name, release, ROWS), tmp_path, "--models", str(tmp_path))
    program = f"  {screen._program()} "
    similar, recommend, _ = (shlex.split(line.removeprefix(program)) for line in shown.splitlines()[-3:])
    assert similar[1] == recommend[2]
    assert similar[1].startswith("Anna's $HOME")
    assert run(similar) == run(recommend) == 0


def test_a_run_stays_well_whatever_becomes_of_the_screen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A release that is gone by now, or has no scores: less is shown, nothing fails."""
    monkeypatch.delenv("CI", raising=False)
    assert shown_after(RunResult("published", "x", tmp_path / "gone", ROWS), tmp_path) == ""
    release = publish(tmp_path)
    (release / "metrics.json").unlink()
    shown = shown_after(RunResult("published", release.name, release, ROWS), tmp_path)
    assert "is in" in shown
    assert "of 100" not in shown
