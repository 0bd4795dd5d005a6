"""A hold keeps everything from being published until it is lifted, whatever is wrong with its file."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from factories.small_release import Parts, make_parts
from recsys.errors import ArgumentError, ArtifactWriteError, LockHeld, PublishingHeld, ReleaseNotFound
from recsys.release.folder import HOLD
from recsys.release.hold import NO_REASON
from recsys.release.lock import file_lock
from recsys.release.store import ReleaseStore

if TYPE_CHECKING:
    from collections.abc import Callable

GOOD = {"format": 1, "minor": 0, "reason": "worse", "by": "anna", "since": "2026-11-27T03:40:00Z"}


def stored(root: Path) -> ReleaseStore:
    """Return a store whose releases nobody asks anything: what is tried here is who may publish."""
    return ReleaseStore(root, keep=9, check=lambda *_: None)


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Parts:
    """Return the parts of a small release."""
    return make_parts(tmp_path_factory.mktemp("parts"), games=20)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, parts: Parts) -> Path:
    """Return a store with the releases a and b, of before there were holds and a log: without a file of theirs."""
    root = tmp_path_factory.mktemp("template") / "models"
    for name in ("a", "b"):
        parts.publish(stored(root), name)
    for name in (".hold.lock", ".log.lock", "log.jsonl"):
        (root / name).unlink()
    return root


@pytest.fixture
def store(tmp_path: Path, template: Path) -> ReleaseStore:
    """Return a copy of it."""
    shutil.copytree(template, tmp_path / "models", symlinks=True)
    return stored(tmp_path / "models")


def refused(store: ReleaseStore, parts: Parts) -> PublishingHeld:
    """Try to publish, and return the error that said no, before anything was done."""
    before = store.current()
    with pytest.raises(PublishingHeld) as caught, store.staging("c"):
        raise AssertionError("a run has begun")
    assert store.current() == before
    assert not (store.root / "releases" / ".staging-c").exists()
    return caught.value


def test_a_rollback_lasts_until_it_is_lifted(store: ReleaseStore, parts: Parts) -> None:
    """The next run ends with 3 before it begins, and names who, when, why, and how to lift it."""
    assert store.rollback(reason="worse on phones", by="anna").release == "a"
    error = refused(store, parts)
    assert error.exit_code == 3
    since = json.loads((store.root / HOLD).read_bytes())["since"]
    assert error.hold == {
        "reason": "worse on phones",
        "by": "anna",
        "since": since,
        "rolled_back_from": "b",
        "rolled_back_to": "a",
        "problem": None,
    }
    assert str(error) == (
        f"publishing into {store.root} is held by anna since {since[:10]} {since[11:16]} UTC:"
        ' "worse on phones" (placed with the rollback from b to a); nothing was fetched, and nothing was published.'
        f" Lift it with `recsys hold --release --models {store.root}`; --publish-anyway does not"
    )
    lifted = store.holds.lift()
    assert lifted is not None
    assert lifted.to_json() == error.hold
    assert store.holds.current() is None
    assert parts.publish(store, "c").replaces == "a"


def test_a_hold_needs_no_rollback(store: ReleaseStore, parts: Parts) -> None:
    """It keeps the release that is current; the user of the system places it where nobody is named."""
    placed = store.holds.place("sale week")
    assert placed == store.holds.current()
    assert placed.card is not None
    assert placed.card.by == pwd.getpwuid(os.getuid()).pw_name
    assert "placed with" not in str(refused(store, parts))
    assert store.current() == "b"


def test_a_hold_that_comes_during_a_run_is_kept(store: ReleaseStore, parts: Parts) -> None:
    """Placing does not wait for the run; the run looks again before it switches, and leaves nothing behind."""

    def run() -> None:
        with store.staging("c") as staging:
            for name, data in parts.files.items():
                staging.write(name, data)
            stored(store.root).holds.place("stop")
            staging.publish(parts.facts)

    with pytest.raises(PublishingHeld, match=r'"stop"; nothing was published'):
        run()
    assert store.current() == "b"
    assert sorted(path.name for path in (store.root / "releases").iterdir()) == ["a", "b"]


def test_nothing_is_published_after_a_hold_was_acknowledged(store: ReleaseStore, parts: Parts) -> None:
    """Whenever it comes, between a run's look for a hold and its switch too: what is current then stays."""
    for turn in range(40):
        checked, published = threading.Event(), threading.Event()

        def publish(
            turn: int = turn, checked: threading.Event = checked, published: threading.Event = published
        ) -> None:
            try:
                parts.publish(ReleaseStore(store.root, check=lambda *_: checked.set()), f"r{turn:02d}")
                published.set()
            except PublishingHeld:
                pass

        run = threading.Thread(target=publish)
        run.start()
        checked.wait()  # the last thing before the switch
        time.sleep(turn % 20 * 0.0005)
        stored(store.root).holds.place("now")
        then = store.current()
        run.join()
        assert store.current() == then
        assert published.is_set() == (then == f"r{turn:02d}")
        store.holds.lift()


def test_holds_placed_at_once_are_one_whole_hold(store: ReleaseStore) -> None:
    """Each waits for the other's file; a reader between them sees one or the other."""
    stop, seen = threading.Event(), set()

    def read() -> None:
        while not stop.is_set():
            hold = store.holds.current()
            seen.add("none" if hold is None else hold.problem or str(hold.card and hold.card.by))

    def place(who: str) -> None:
        for _ in range(20):
            stored(store.root).holds.place("x" * 400, who)

    threads = [threading.Thread(target=place, args=(who,)) for who in ("anna", "ben")]
    reader = threading.Thread(target=read)
    for thread in (reader, *threads):
        thread.start()
    for thread in threads:
        thread.join()
    stop.set()
    reader.join()
    assert seen >= {"anna", "ben"}
    assert seen <= {"none", "anna", "ben"}


def test_a_lock_is_waited_for_as_long_as_was_said(tmp_path: Path) -> None:
    """Then the error names who has it."""
    with file_lock(tmp_path / "lock", "the first"):
        with pytest.raises(LockHeld, match="held by the first"), file_lock(tmp_path / "lock", "b", patience_s=0.2):
            pass
        ended = threading.Timer(0.2, lambda: None)
        ended.start()
    released = threading.Event()

    def hold() -> None:
        with file_lock(tmp_path / "lock", "the second"):
            released.set()
            ended.join()

    thread = threading.Thread(target=hold)
    thread.start()
    released.wait()
    with file_lock(tmp_path / "lock", "the third", patience_s=10):
        assert b"the third" in (tmp_path / "lock").read_bytes()
    thread.join()


def test_a_second_hold_takes_the_place_of_the_first(store: ReleaseStore, caplog: pytest.LogCaptureFixture) -> None:
    """The log says what it was: nobody's reason is gone without a word."""
    store.holds.place("first", "anna")
    store.holds.place("second", "ben")
    hold = store.holds.current()
    assert hold is not None
    assert (hold.card and hold.card.reason) == "second"
    (given_way,) = [record for record in caplog.records if record.message == "another hold gives way"]
    assert "by anna since" in str(vars(given_way)["recsys_keys"])


def test_a_rollback_under_a_hold(store: ReleaseStore) -> None:
    """With a reason it is a new hold; without one, and with ``hold=False``, the one that is there stays as it is."""
    store.holds.place("freeze", "anna")
    before = (store.root / HOLD).read_bytes()
    store.rollback()
    store.rollback("b", reason="never mind", hold=False)
    assert (store.root / HOLD).read_bytes() == before
    store.rollback("b", reason="again", by="ben")
    hold = store.holds.current()
    assert hold is not None
    assert hold.card is not None
    assert (hold.card.reason, hold.card.by) == ("again", "ben")
    assert (hold.card.rolled_back_from, hold.card.rolled_back_to) == (None, "b"), "it was current already"


def test_a_rollback_without_a_reason_holds_and_says_so(store: ReleaseStore, parts: Parts) -> None:
    """In a hurry nobody writes; ``hold=False`` leaves publishing as it was."""
    store.rollback(hold=False)
    assert store.holds.current() is None
    parts.publish(store, "c")
    store.rollback()
    assert NO_REASON in str(refused(store, parts))


def test_a_rollback_that_is_refused_holds_nothing(store: ReleaseStore) -> None:
    """A damaged or absent target, or a reason that is none: all is as it was."""
    (store.path("a") / "cf_factors.npz").write_bytes(b"damaged")
    for name, reason, error in (("a", "r", "cf_factors"), ("z", "r", "no release 'z'"), ("a", " ", "blank")):
        with pytest.raises(ValueError, match=error):
            store.rollback(name, reason=reason)
    assert store.holds.current() is None
    assert store.current() == "b"


ODD = {
    "empty": "",
    "blank": " \t ",
    "long": "x" * 501,
    "two lines": "a\nb",
    "carriage return": "fine\rgone",
    "colours": "\x1b[31mred",
    "C1 control": "\x9b2J",
    "line separator": "a\u2028b",
    "turned around": "abc\u202etxt.exe",
    "NUL": "a\0b",
    "no UTF-8": b"\xff".decode("utf-8", "surrogateescape"),
}


@pytest.mark.parametrize("text", ODD.values(), ids=ODD)
def test_what_is_not_one_line_of_text_is_refused(store: ReleaseStore, text: str) -> None:
    """As a reason and as a name, before anything is written; the message shows no control sign."""
    for attempt in (
        lambda: store.holds.place(text),
        lambda: store.holds.place("fine", text),
        lambda: store.rollback(reason=text),
        lambda: store.rollback(by=text),
    ):
        with pytest.raises(ArgumentError) as caught:
            attempt()
        assert str(caught.value).isprintable()
    assert sorted(path.name for path in store.root.iterdir()) == [".lock", "releases", "v1"]
    assert store.current() == "b"


@pytest.mark.parametrize("text", ["Käse – 50 % „günstiger“", '"; rm -rf / # `$(x)` | <b>&', "👩‍💻 שלום", "x" * 500])
def test_any_line_of_text_comes_back(store: ReleaseStore, parts: Parts, text: str) -> None:
    """Exactly as it was given."""
    store.holds.place(text, text[:100])
    hold = store.holds.current()
    assert hold is not None
    assert hold.card is not None
    assert (hold.card.reason, hold.card.by) == (text, text[:100])
    assert f'"{text}"' in str(refused(store, parts))


def test_no_secret_of_the_environment_is_written(store: ReleaseStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the variable, not its value."""
    monkeypatch.setenv("SNOWFLAKE_PASSWORD", "canary-4711")
    with pytest.raises(ArgumentError, match="SNOWFLAKE_PASSWORD") as caught:
        store.holds.place("it is canary-4711")
    assert "canary" not in str(caught.value)


def text_file(content: object) -> Callable[[Path], object]:
    """Return what writes a file with a content: bytes, or JSON."""
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    return lambda path: path.write_bytes(data)


def linked(path: Path) -> None:
    """Put a link to a sound hold there."""
    (path.parent / "sound.json").write_text(json.dumps(GOOD))
    path.symlink_to("sound.json")


DAMAGED: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (Path.touch, "Invalid JSON"),
    "no JSON": (text_file(b"held, do not publish"), "Invalid JSON"),
    "cut": (text_file(json.dumps(GOOD).encode()[:40]), "Invalid JSON"),
    "no UTF-8": (text_file(b'{"format": 1, "reason": "\xff"}'), "Invalid JSON"),
    "a list": (text_file([GOOD]), "object"),
    "deep": (text_file(b"[" * 9999), "Invalid JSON"),
    "no reason": (text_file({**GOOD, "reason": ""}), "blank"),
    "no name": (text_file({key: value for key, value in GOOD.items() if key != "by"}), "by: Field required"),
    "a number": (text_file({**GOOD, "reason": 7}), "reason: Input should be a valid string"),
    "control signs": (text_file({**GOOD, "reason": "\x1b[2J\nrecsys: all is well"}), "control sign"),
    "no time": (text_file({**GOOD, "since": "yesterday"}), "since: String should match"),
    "of a newer version": (text_file({**GOOD, "format": 2}), "install a newer recsys"),
    "huge": (text_file({**GOOD, "more": "x" * (1 << 16)}), "more than 65,536 bytes"),
    "a link": (linked, "it is a link"),
    "a link to nothing": (lambda path: path.symlink_to("nothing"), "it is a link"),
    "a pipe": (os.mkfifo, "no plain file"),
}


@pytest.mark.parametrize(("spoil", "problem"), DAMAGED.values(), ids=DAMAGED)
def test_a_hold_that_cannot_be_read_holds(
    store: ReleaseStore, parts: Parts, spoil: Callable[[Path], object], problem: str
) -> None:
    """Its being there is the hold: the error says what is wrong with it, and lifting lifts it."""
    spoil(store.root / HOLD)
    error = refused(store, parts)
    assert f"{store.root / HOLD} is there, but who placed it and why cannot be read (" in str(error)
    assert problem in str(error)
    assert str(error).isprintable()
    assert error.hold is not None
    assert problem in str(error.hold["problem"])
    assert store.rollback().release == "a", "going back is no publishing"
    assert store.holds.current() is not None
    assert store.holds.lift() is not None
    assert not os.path.lexists(store.root / HOLD)
    parts.publish(store, "c")


@pytest.mark.parametrize(("spoil", "problem"), DAMAGED.values(), ids=DAMAGED)
def test_a_new_hold_takes_the_place_of_a_damaged_one(
    store: ReleaseStore, spoil: Callable[[Path], object], problem: str
) -> None:
    """And a link there is replaced, not followed; what is no file stays, and holds."""
    spoil(store.root / HOLD)
    if problem == "no plain file":
        with pytest.raises(ArtifactWriteError, match=r"is no file, and holds as it is; move it away"):
            store.holds.place("new")
        return
    assert store.holds.place("new", "anna") == store.holds.current()
    assert not (store.root / HOLD).is_symlink()


def test_a_folder_in_its_place_holds_until_somebody_moves_it(store: ReleaseStore, parts: Parts) -> None:
    """Nobody knows what is in it: it is not removed, and a rollback moves nothing."""
    (store.root / HOLD).mkdir()
    (store.root / HOLD / "notes").touch()
    assert "Is a directory" in str(refused(store, parts))
    with pytest.raises(ArtifactWriteError, match=r"is a folder, and nobody's hold; move it away"):
        store.holds.lift()
    with pytest.raises(ArtifactWriteError, match=r"move it away. Nothing was rolled back; --no-hold"):
        store.rollback(reason="worse")
    assert store.current() == "b"
    assert (store.root / HOLD / "notes").exists()
    assert store.rollback(hold=False).release == "a"


def test_what_a_later_version_adds_is_passed_over(store: ReleaseStore) -> None:
    """Keys of a higher MINOR."""
    text_file({**GOOD, "minor": 7, "ticket": {"id": 1}})(store.root / HOLD)
    hold = store.holds.current()
    assert hold is not None
    assert hold.card is not None
    assert hold.card.by == "anna"


def test_a_copy_of_the_folder_is_held(store: ReleaseStore, parts: Parts, tmp_path: Path) -> None:
    """Also one that leaves hidden files out, as artifacts of CI do."""
    store.rollback(reason="worse")
    shutil.copytree(store.root, tmp_path / "copy", ignore=shutil.ignore_patterns(".*"))
    assert '"worse"' in str(refused(stored(tmp_path / "copy"), parts))


def test_a_slip_in_the_folders_name_is_no_hold(tmp_path: Path) -> None:
    """Where no release is, nothing is held or lifted, and nothing is written."""
    holds = stored(tmp_path / "modles").holds
    assert holds.current() is None
    with pytest.raises(ReleaseNotFound, match="name the releases' folder"):
        holds.place("stop")
    with pytest.raises(ReleaseNotFound, match="name the releases' folder"):
        holds.lift()
    assert not (tmp_path / "modles").exists()
    (tmp_path / "file").touch()
    assert stored(tmp_path / "file").holds.current() is None


def test_nothing_is_there_to_lift(store: ReleaseStore) -> None:
    """Which is no failure: it is as it should be."""
    assert store.holds.lift() is None
