"""Ctrl-C and SIGTERM at ten moments of a real run: it ends at once, and the current release is untouched."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from factories.tables import RECIPE, ratings, write_marts
from recsys.release.check import check_here
from recsys.release.store import ReleaseStore

LIMIT_S = 2.0

MOMENTS = (
    "run begins",
    "opened source",
    "step begins step=fetch_ratings",
    "step begins step=check",
    "step begins step=fingerprint",
    "step begins step=embed",
    "ALS iteration iteration=3",
    "step begins step=evaluate",
    "step begins step=publish",
    "the fresh process",
)


def train(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start a run over the marts in ``folder``, with every event on stderr."""
    quick = [part for key, value in RECIPE.items() for part in ("--set", f"cf.{key}={value}")]
    command = [sys.executable, "-W", "ignore", "-m", "recsys", "train", "--source", "marts", "-v", *quick, *arguments]
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("SNOWFLAKE_", "RECSYS_"))}
    return subprocess.Popen(command, cwd=folder, env=clean, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with marts, a release, and every text's vector in the cache."""
    folder = tmp_path_factory.mktemp("interrupted")
    write_marts(folder / "marts")
    _, said = train(folder).communicate(timeout=300)
    assert ReleaseStore(folder / "models").current(), said
    return folder


def wait_for(moment: str, run: subprocess.Popen[str]) -> None:
    """Return when the run has come to a moment."""
    assert run.stderr
    awaited = "step begins step=publish" if moment == "the fresh process" else moment
    seen = []
    for line in run.stderr:
        seen.append(line)
        if awaited in line:
            break
    else:
        raise AssertionError(f"the run ended before {moment!r}: {''.join(seen)}")
    children = Path(f"/proc/{run.pid}/task/{run.pid}/children")
    while moment == "the fresh process" and not children.read_text():
        time.sleep(0.001)


@pytest.mark.parametrize("moment", MOMENTS)
def test_an_interrupted_run_ends_at_once(folder: Path, moment: str) -> None:
    """Exit code 130 or 143 within two seconds; yesterday's release is current and sound."""
    number = signal.SIGINT if MOMENTS.index(moment) % 2 else signal.SIGTERM
    store = ReleaseStore(folder / "models", check=check_here)
    before = store.current()
    run = train(folder, "--force", "--set", "cf.iterations=300")
    wait_for(moment, run)
    sent = time.monotonic()
    run.send_signal(number)
    run.wait(timeout=30)
    assert time.monotonic() - sent < LIMIT_S
    assert run.returncode == 128 + number
    assert run.stderr
    assert f"interrupted by {number.name}" in run.stderr.read()
    assert store.current() == before
    store.verify()


def test_the_next_run_succeeds_and_tidies_up(folder: Path) -> None:
    """What interrupted runs have left is gone, and new data are published."""
    write_marts(folder / "marts", ratings_frame=ratings(seed=1))
    (folder / "models" / "releases" / ".staging-interrupted").mkdir()
    run = train(folder)
    _, said = run.communicate(timeout=300)
    assert run.returncode == 0, said
    assert not list((folder / "models" / "releases").glob(".*"))
    assert len(ReleaseStore(folder / "models").names()) == 2
