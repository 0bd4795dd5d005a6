"""``hold``, ``rollback`` and ``releases`` say whether publishing is held, to people and to programs."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from factories.small_release import make_parts
from recsys.cli import run
from recsys.release.store import ReleaseStore

if TYPE_CHECKING:
    from pathlib import Path

    Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a store with the releases a and b."""
    folder = tmp_path_factory.mktemp("store")
    parts = make_parts(folder / "parts", games=20)
    for name in ("a", "b"):
        parts.publish(ReleaseStore(folder / "models", check=lambda *_: None), name)
    return folder / "models"


@pytest.fixture
def models(tmp_path: Path, template: Path) -> Path:
    """Return a copy of it."""
    shutil.copytree(template, tmp_path / "models", symlinks=True)
    return tmp_path / "models"


def answer(capsys: Capture, *arguments: object, code: int = 0) -> Any:
    """Run a command with ``--json`` and return what it printed."""
    assert run([*map(str, arguments), "--json"]) == code
    return json.loads(capsys.readouterr().out)


def said(capsys: Capture, *arguments: object, code: int = 0) -> str:
    """Run a command and return the line that it printed."""
    assert run([*map(str, arguments)]) == code
    return capsys.readouterr().out.rstrip("\n")


def test_a_hold_is_placed_asked_for_and_lifted(models: Path, capsys: Capture) -> None:
    """Each answer says who, when and why; without a hold it says so, and lifting nothing is no failure."""
    free = f"publishing into {models} is not held"
    assert said(capsys, "hold", "--models", models) == free
    assert said(capsys, "hold", "--release", "--models", models) == free
    held = said(capsys, "hold", "sale week", "--by", "anna", "--models", models)
    assert held.startswith(f"publishing into {models} is held by anna since 20")
    assert held.endswith(f' UTC: "sale week". Lift it with `recsys hold --release --models {models}`')
    assert said(capsys, "hold", "--models", models) == held
    lifted = said(capsys, "hold", "--release", "--models", models)
    assert lifted.startswith(f"publishing into {models} is free again; it was held by anna since 20")
    assert said(capsys, "hold", "--models", models) == free


def test_programs_read_a_hold(models: Path, capsys: Capture) -> None:
    """``status``, and an object with the same keys wherever a hold is shown."""
    assert answer(capsys, "hold", "--models", models) == {"status": "not held", "hold": None}
    placed = answer(capsys, "hold", "sale week", "--by", "anna", "--models", models)
    assert placed["status"] == "held"
    assert placed["hold"].keys() == {"reason", "by", "since", "rolled_back_from", "rolled_back_to", "problem"}
    assert answer(capsys, "hold", "--models", models) == placed
    rows = {row["release"]: row for row in answer(capsys, "releases", "--models", models)}
    assert rows["b"]["hold"] == placed["hold"]
    assert "hold" not in rows["a"]
    assert answer(capsys, "hold", "--release", "--models", models) == {"status": "lifted", "hold": placed["hold"]}
    assert answer(capsys, "hold", "--release", "--models", models) == {"status": "not held", "hold": None}


def test_a_hold_that_cannot_be_read_is_shown_as_one(models: Path, capsys: Capture) -> None:
    """Asking is no failure; the answer has the problem, and nothing in place of what is not known."""
    (models / "hold.json").write_text("held")
    shown = answer(capsys, "hold", "--models", models)
    assert shown["status"] == "held"
    assert "Invalid JSON" in shown["hold"].pop("problem")
    assert set(shown["hold"].values()) == {None}
    assert "who placed it and why cannot be read" in said(capsys, "hold", "--models", models)
    assert "who placed it and why cannot be read" in said(capsys, "releases", "--models", models)
    assert "free again; it was held: " in said(capsys, "hold", "--release", "--models", models)


def test_a_rollback_holds_at_once(models: Path, capsys: Capture) -> None:
    """Its answer says so, and the list of the releases does until it is lifted."""
    moved = answer(capsys, "rollback", "--reason", "worse on phones", "--by", "anna", "--models", models)
    assert (moved["status"], moved["release"], moved["before"]) == ("rolled back", "a", "b")
    assert (moved["hold"]["reason"], moved["hold"]["by"]) == ("worse on phones", "anna")
    assert (moved["hold"]["rolled_back_from"], moved["hold"]["rolled_back_to"]) == ("b", "a")
    *_, blank, last = said(capsys, "releases", "--models", models).split("\n")
    assert (blank, last) == ("", said(capsys, "hold", "--models", models))
    assert '"worse on phones" (placed with the rollback from b to a)' in last
    assert said(capsys, "rollback", "b", "--models", models).endswith(last), "without a reason it stays as it is"


def test_a_rollback_holds_nothing_where_that_is_asked(models: Path, capsys: Capture) -> None:
    """``--no-hold``; the reason is in the log."""
    assert run(["rollback", "--no-hold", "--reason", "to compare", "--models", str(models), "--json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {"status": "rolled back", "release": "a", "before": "b", "hold": None}
    assert "'to compare'" in captured.err
    assert said(capsys, "rollback", "b", "--no-hold", "--models", models).endswith(f"into {models} is not held")
    assert "held" not in said(capsys, "releases", "--models", models)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["hold", ""], "the reason is blank"),
        (["hold", "a\nb"], "one line of text"),
        (["hold", "x" * 501], "has 501 signs"),
        (["hold", "stop", "--by", " "], "the name is blank"),
        (["hold", "stop", "--release"], "give one of them"),
        (["hold", "--by", "anna"], "--by goes with a reason"),
        (["rollback", "--reason", " "], "the reason is blank"),
        (["rollback", "--by", "\x1b[1m"], "one line of text"),
    ],
)
def test_what_is_no_reason_is_wrong_usage(models: Path, capsys: Capture, arguments: list[str], message: str) -> None:
    """Exit code 2, and nothing is moved or held."""
    assert run([*arguments, "--models", str(models)]) == 2
    assert message in " ".join(capsys.readouterr().err.replace("│", " ").split())
    store = ReleaseStore(models)
    assert (store.current(), store.holds.current()) == ("b", None)


def test_a_slip_in_the_folders_name_is_no_hold(tmp_path: Path, capsys: Capture) -> None:
    """Exit code 76: nobody goes home believing that publishing is held."""
    for arguments in (["hold", "stop"], ["hold", "--release"]):
        assert answer(capsys, *arguments, "--models", tmp_path / "modles", code=76)["error"] == "ReleaseNotFound"
    assert not (tmp_path / "modles").exists()
