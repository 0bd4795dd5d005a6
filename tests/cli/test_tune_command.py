"""``recsys tune`` as a user meets it: what it prints, where it goes on, what it leaves alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from factories.small_release import make_parts
from factories.tables import write_marts
from recsys.config import CfSettings, load_settings
from recsys.evaluation.history import FACT, TuningHistory
from recsys.models.recipe import CfRecipe
from recsys.release.check import check_here
from recsys.release.facts import Facts
from recsys.release.store import ReleaseStore
from recsys.tuning.study.session import remembered

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

QUICK = ("--set", "cf.factors=8", "--set", "cf.iterations=6", "--set", "cf.threads=1")
WINNER = replace(CfRecipe.by_rule(CfSettings(), np.array([10], np.float32)), regularization=0.77, unobserved=7.5)


def start(folder: Path, *arguments: str, without: str = "") -> subprocess.Popen[str]:
    """Start the command over the marts of a folder; ``without`` is a package that cannot be imported."""
    code = f"import sys; sys.modules.update(dict.fromkeys({without.split()!r})); from recsys.cli import main; main()"
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("SNOWFLAKE_", "RECSYS_"))}
    command = [sys.executable, "-W", "ignore", "-c", code, "tune", "--source", "marts", "--study", "s.db", *arguments]
    return subprocess.Popen(command, cwd=folder, env=clean, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def files_below(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Return the time of change and the content of every file."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in paths}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a folder with marts, and a release that remembers a winner."""
    folder = tmp_path_factory.mktemp("tune")
    write_marts(folder / "marts")
    parts = make_parts(tmp_path_factory.mktemp("parts"))
    measure = {"hold_out": "hash", "fraction": 0.2, "seed": 42}
    memory = TuningHistory(
        {"winner": WINNER.as_json(), "trials": []}, "no earlier search is remembered", measure=measure
    )
    release = replace(parts, facts=replace(parts.facts, more=Facts.model_validate({FACT: memory.as_json()})))
    release.publish(ReleaseStore(folder / "models", check=check_here), "r1")
    before = files_below(folder / "models")
    yield folder
    assert files_below(folder / "models") == before, "recsys tune has touched the releases"


def test_the_command_goes_on_after_an_interruption(folder: Path) -> None:
    """Ctrl-C ends it with 130; the same study goes on, prints TOML alone on stdout, and then has nothing to do.

    The rule is tried first, then the winner that the current release remembers.
    """
    run = start(folder, *QUICK, "--minutes", "10")
    assert run.stderr
    heard: list[str] = []
    while not heard or "tried trial=2" not in heard[-1]:
        heard.append(next(run.stderr))
    run.send_signal(signal.SIGINT)
    assert (run.wait(timeout=30), run.stdout and run.stdout.read()) == (130, "")
    tried = [line for line in heard if "tried trial=" in line]
    assert "regularization=0.5 unobserved=4 " in tried[0]
    assert "regularization=0.77 unobserved=7.5 " in tried[1]
    out, err = (run := start(folder, *QUICK, "--trials", "6")).communicate(timeout=300)
    assert run.returncode == 0, err
    finished = int(err.partition("searching study=s.db finished=")[2].split()[0])
    assert 3 <= finished < 6
    assert err.count("tried trial=") == 6 - finished
    (folder / "found.toml").write_text(out, encoding="utf-8")
    settings = load_settings(folder / "found.toml", environ={}).cf
    assert (settings.factors, settings.iterations) == (8, 6)
    assert "auto" not in {settings.regularization, settings.unobserved, settings.confidence}
    out, err = (run := start(folder, *QUICK, "--trials", "6", "--json")).communicate(timeout=300)
    answer = json.loads(out)
    assert (answer["status"], answer["trials"]) == ("searched", 6)
    assert answer["settings"]["cf"] == {name: getattr(settings, name) for name in settings.model_fields_set}
    assert "tried" not in err


def test_without_the_extra_it_says_so_before_it_fetches(tmp_path: Path) -> None:
    """Exit 78 and the name of the extra, whatever the source is; no study is begun."""
    run = start(tmp_path, "--trials", "1", without="optuna")
    _, err = run.communicate(timeout=60)
    assert run.returncode == 78, err
    assert "recsys-releases[tune]" in err
    assert not list(tmp_path.iterdir())


def test_a_current_release_that_is_not_known_ends_it_before_it_fetches(tmp_path: Path) -> None:
    """Exit 76 as from every command, whatever the source is; no study is begun."""
    (tmp_path / "models" / "v1").mkdir(parents=True)
    run = start(tmp_path, "--trials", "1")
    _, err = run.communicate(timeout=60)
    assert run.returncode == 76, err
    assert "models/v1 is an empty folder, so no release is known to be current" in err
    assert [path.name for path in tmp_path.iterdir()] == ["models"]


@pytest.mark.parametrize(
    ("setting", "tried"),
    [
        ("cf.seed=1", True),
        ("evaluation.seed=1", False),
        ("evaluation.fraction=0.3", False),
        ("source.time_column=T", False),
    ],
)
def test_what_saw_the_hold_out_is_not_tried(folder: Path, setting: str, tried: bool) -> None:  # noqa: FBT001 - of the table
    """The winner that the current release remembers is a start only where the same ratings were kept from it."""
    winner = remembered(ReleaseStore(folder / "models"), load_settings(overrides=[setting], environ={}))
    assert winner == (WINNER if tried else None)
