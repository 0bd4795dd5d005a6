"""Which folder holds the releases: ``release.output`` for all commands, unless the command line names one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from typer.main import get_command

from factories.tables import RECIPE, write_marts
from recsys.cli import app, run
from recsys.trainer import Trainer

if TYPE_CHECKING:
    from pathlib import Path

QUICK = [part for key, value in RECIPE.items() for part in ("--set", f"cf.{key}={value}")]
READING = {
    "compare": ["a", "b"],
    "card": [],
    "report": [],
    "releases": [],
    "verify": [],
    "rollback": [],
    "hold": [],
    "show": ["current"],
    "similar": ["Catan"],
    "search": ["trains"],
    "recommend": ["1"],
    "serve": ["--port", "0"],
    "export recommendations": ["lists.parquet"],
    "export similar": ["lists.parquet"],
    "export factors": ["factors.parquet"],
    "export embeddings": ["vectors.parquet"],
}
"""The commands that take ``--models``, with what else each needs; ``tune`` trains, ``prune`` names no folder, and
``rebuild`` reads settings in any case."""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a working folder whose ``recsys.toml`` names another folder for the releases."""
    (tmp_path / "recsys.toml").write_text('[release]\noutput = "elsewhere"\n')
    monkeypatch.chdir(tmp_path)
    return tmp_path


def taking(flag: str, group: Any, name: str = "") -> set[str]:
    """Return the commands that have an option."""
    found = set()
    for sub, member in group.commands.items():
        whole = f"{name} {sub}".strip()
        if hasattr(member, "commands"):
            found |= taking(flag, member, whole)
        elif any(flag in option.opts for option in member.params):
            found.add(whole)
    return found


def test_every_command_that_reads_releases_is_tried_here() -> None:
    """A new one joins the table."""
    assert taking("--models", get_command(app)) == {*READING, "tune", "prune", "rebuild"}


@pytest.mark.parametrize("command", READING)
def test_where_no_folder_is_named_the_settings_say_it(
    place: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each command looks there; with ``--models`` it looks elsewhere, and reads no settings for that."""
    arguments = [*command.split(), *READING[command]]
    code = run(arguments)
    assert "elsewhere" in "".join(capsys.readouterr())
    assert run([*arguments, "--models", "here"]) == code
    said = "".join(capsys.readouterr())
    assert "here" in said.replace("elsewhere", "")
    assert "elsewhere" not in said


def test_a_broken_file_of_settings_ends_what_needs_it(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 78 and the file's name; a command that is told where to look needs none."""
    (place / "recsys.toml").write_text("[release")
    assert run(["releases"]) == 78
    assert "recsys.toml cannot be read as TOML" in capsys.readouterr().err
    assert run(["releases", "--models", "here"]) == 0


def test_a_run_publishes_there_and_the_folder_is_no_input(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Moved elsewhere, with the setting, the release is still the one that tonight's run would make."""
    write_marts(place / "marts")
    assert run(["train", "--source", "marts", *QUICK]) == 0
    assert not (place / "models").exists()
    assert run(["show", "current"]) == 0
    assert "elsewhere/releases/" in capsys.readouterr().out
    assert "elsewhere" not in (place / "elsewhere" / "v1" / "manifest.json").read_text(encoding="utf-8")
    (place / "elsewhere").rename(place / "moved")
    (place / "recsys.toml").write_text('[release]\noutput = "moved"\n')
    assert run(["train", "--source", "marts", *QUICK]) == 0
    assert "nothing new: moved/releases/" in capsys.readouterr().out


def test_the_doctor_looks_there(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Unless it is told where a run would publish."""
    for named, folder in (((), "elsewhere"), (("--output", "here"), "here")):
        run(["doctor", "--source", "sample", *named])
        assert f"{folder} is not there yet, and can be made" in " ".join(capsys.readouterr().out.split())


def test_a_trainer_takes_the_folder_of_the_settings(place: Path) -> None:
    """As it takes everything else that is not given."""
    assert str(Trainer().models_output_dir) == "elsewhere"
    assert str(Trainer(models_output_dir="given").models_output_dir) == "given"


def test_an_address_is_no_folder(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is refused where it is read, by its name."""
    (place / "recsys.toml").write_text('[release]\noutput = "gs://bucket/models"\n')
    assert run(["releases"]) == 78
    assert "release.output = 'gs://bucket/models' (from recsys.toml)" in capsys.readouterr().err
