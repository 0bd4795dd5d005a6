"""The log of a folder of releases: what it says, what it finds, and what happens where it cannot be written."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from factories.small_release import make_parts
from recsys.cli import run
from recsys.errors import ArtifactCorrupt, ArtifactWriteError
from recsys.release import folder as folder_
from recsys.release.facts import DriftFacts, Facts, Judgement
from recsys.release.folder import JOURNAL
from recsys.release.store import ReleaseStore

if TYPE_CHECKING:
    from pathlib import Path

    from factories.small_release import Parts


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Parts:
    """Return the parts of a release."""
    return make_parts(tmp_path_factory.mktemp("parts"))


@pytest.fixture
def store(tmp_path: Path) -> ReleaseStore:
    """Return an empty store whose checks are quick."""
    return ReleaseStore(tmp_path / "models", check=lambda *_: None)


def told(store: ReleaseStore) -> list[tuple[str, str | None, str | None]]:
    """Return event, release and reason of each line, the chain checked."""
    return [(line.event, line.release, line.why) for line in store.journal.lines()]


def test_each_switch_hold_and_lift_is_a_line(store: ReleaseStore, parts: Parts) -> None:
    """Who, what, why and what was current before; a log begins with the first line."""
    assert store.journal.lines() == []
    parts.publish(store, "a")
    parts.publish(store, "b")
    store.rollback("a", reason="worse on phones", by="ann")
    store.holds.lift(by="bob")
    store.holds.place("sale week", by="ann")
    assert told(store) == [
        ("published", "a", None),
        ("published", "b", None),
        ("rolled back", "a", "worse on phones"),
        ("hold lifted", None, None),
        ("held", None, "sale week"),
    ]
    lines = store.journal.lines()
    assert [line.by for line in lines[2:]] == ["ann", "bob", "ann"]
    assert [line.replaces for line in lines[:3]] == [None, "a", "b"]


def test_each_line_holds_the_digest_of_the_one_before(store: ReleaseStore, parts: Parts) -> None:
    """Computed here from the bytes of the file, as anybody can with sha256sum."""
    for name in ("a", "b", "c"):
        parts.publish(store, name)
    lines = (store.root / JOURNAL).read_bytes().splitlines()
    chain = [None, *(hashlib.sha256(line).hexdigest() for line in lines[:-1])]
    assert [json.loads(line)["before"] for line in lines] == chain


def test_overrides_are_told_with_their_reasons(store: ReleaseStore, parts: Parts) -> None:
    """Both rules that somebody may set aside."""
    facts = Facts(
        verdict=Judgement(passed=False, override="the demo is tonight", reason="below the floor"),
        drift=DriftFacts(release="z", accepted="a new shop", reason="users doubled", changes=()),
    )
    replace(parts, facts=replace(parts.facts, more=facts)).publish(store, "a")
    (line,) = store.journal.lines()
    assert line.overrides == {"publish_anyway": "the demo is tonight", "accept_drift": "a new shop"}


@pytest.mark.parametrize("change", ["edited", "taken out", "put in", "no JSON"])
def test_a_broken_chain_names_the_line(
    store: ReleaseStore, parts: Parts, change: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """76 with the number of the line that does not follow; a run goes on, and does not mend it."""
    for name in ("a", "b", "c"):
        parts.publish(store, name)
    path = store.root / JOURNAL
    lines = path.read_bytes().splitlines(keepends=True)
    changed = {
        "edited": [lines[0].replace(b'"a"', b'"x"'), *lines[1:]],
        "taken out": [lines[0], lines[2]],
        "put in": [lines[0], lines[0], *lines[1:]],
        "no JSON": [lines[0], b"{}\n", lines[2]],
    }[change]
    path.write_bytes(b"".join(changed))
    with pytest.raises(ArtifactCorrupt, match="line 2"):
        store.journal.lines()
    assert run(["releases", "--log", "--models", str(store.root)]) == 76
    assert "line 2" in capsys.readouterr().err
    parts.publish(store, "d")
    assert path.read_bytes().startswith(b"".join(changed))
    with pytest.raises(ArtifactCorrupt, match="line 2"):
        store.journal.lines()


def test_a_publish_that_ended_between_line_and_switch_is_found(
    store: ReleaseStore, parts: Parts, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The process is gone, the link is where it was: the list says so, the next run says and records it."""

    class Killed(BaseException):
        pass

    def killed(*_: Any) -> None:
        raise Killed

    parts.publish(store, "a")
    with monkeypatch.context() as patch:
        patch.setattr(folder_, "point", killed)
        patch.setattr(folder_, "points_to", lambda *_: True)  # nobody is there any more to take the line back
        with pytest.raises(Killed):
            parts.publish(store, "b")
    assert store.current() == "a"
    assert "names b as current" in store.journal.unexplained("a")
    for command in (["releases"], ["releases", "--log"]):
        assert run([*command, "--models", str(store.root)]) == 0
        assert "names b as current" in capsys.readouterr().out
    parts.publish(store, "c")
    assert [line[:2] for line in told(store)] == [
        ("published", "a"),
        ("published", "b"),
        ("found", "a"),
        ("published", "c"),
    ]
    assert store.journal.unexplained("c") == ""


def test_a_switch_that_failed_is_taken_back(store: ReleaseStore, parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was said and did not happen is said too, and nothing is left to be found."""

    def full(*_: Any) -> None:
        raise ArtifactWriteError("no room")

    parts.publish(store, "a")
    with monkeypatch.context() as patch:
        patch.setattr(folder_, "point", full)
        with pytest.raises(ArtifactWriteError):
            parts.publish(store, "b")
    assert [line[:2] for line in told(store)] == [("published", "a"), ("published", "b"), ("withdrawn", "b")]
    assert store.journal.unexplained("a") == ""
    parts.publish(store, "c")
    assert [line[0] for line in told(store)] == ["published", "published", "withdrawn", "published"]


def test_a_link_that_somebody_moved_is_found(store: ReleaseStore, parts: Parts) -> None:
    """An older release that was put back by hand is in no line."""
    for name in ("a", "b"):
        parts.publish(store, name)
    (store.root / "v1").unlink()
    (store.root / "v1").symlink_to("releases/a")
    assert "names b as current" in store.journal.unexplained(store.current())
    store.rollback("b", hold=False)
    assert [line[:2] for line in told(store)][2:] == [("found", "a"), ("rolled back", "b")]


def test_nothing_moves_where_the_log_cannot_be_written(store: ReleaseStore, parts: Parts) -> None:
    """A folder stands in its place: no release and no rollback, and a hold holds all the same."""
    for name in ("a", "b"):
        parts.publish(store, name)
    (store.root / JOURNAL).unlink()
    (store.root / JOURNAL).mkdir()
    with pytest.raises(ArtifactWriteError, match=JOURNAL):
        parts.publish(store, "c")
    with pytest.raises(ArtifactWriteError, match=JOURNAL):
        store.rollback("a")
    assert store.current() == "b"
    assert store.names() == ["a", "b"]
    assert store.holds.current() is None
    with pytest.raises(ArtifactWriteError, match=JOURNAL):
        store.holds.place("stop")
    assert store.holds.current() is not None
    with pytest.raises(ArtifactWriteError, match=JOURNAL):
        store.holds.lift()
    assert store.holds.current() is not None


def test_an_older_store_begins_a_log(store: ReleaseStore, parts: Parts, capsys: pytest.CaptureFixture[str]) -> None:
    """Releases without a log are nothing to be found; the list says that there is none."""
    parts.publish(store, "a")
    (store.root / JOURNAL).unlink()
    assert run(["releases", "--log", "--models", str(store.root)]) == 0
    assert "there is no log" in capsys.readouterr().out
    parts.publish(store, "b")
    assert [line[:2] for line in told(store)] == [("published", "b")]


def test_people_and_programs_read_the_log(
    store: ReleaseStore, parts: Parts, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line for each, and that the chain is whole; ``--json`` has the same."""
    parts.publish(store, "a")
    parts.publish(store, "b")
    store.rollback("a", reason="worse on phones", by="ann")
    assert run(["releases", "--log", "--models", str(store.root)]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[3].split()[1:] == ["rolled", "back", "a", "ann", "worse", "on", "phones"]
    assert "the chain is whole: 3 lines" in out
    assert run(["releases", "--log", "--models", str(store.root), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert [line["event"] for line in answer["lines"]] == ["published", "published", "rolled back"]
    assert answer["note"] == ""
