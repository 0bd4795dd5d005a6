"""Nobody goes back in secret: a reader with a key refuses a switch that is older than what it has seen."""

from __future__ import annotations

import json
import logging
import os
import random
import shutil
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from factories.signing import Pair, make_pair
from factories.small_release import Parts, make_parts
from recsys.errors import ArtifactCorrupt, ArtifactWriteError, ConfigError, RecsysError, ReleaseError
from recsys.release import folder as folder_
from recsys.release.check import check_here
from recsys.release.keys import PUBLIC, Keys, PublicKeys
from recsys.release.store import ReleaseStore
from recsys.release.switches import POINTER, Claim, next_switch, read_switches
from recsys.release.witness import Witness
from recsys.serving import load

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from recsys.release.switches import Switch
    from recsys.serving import Recommender

MUTATIONS = 10_000 if os.environ.get("RECSYS_FAULTS") == "all" else 400


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Parts:
    """Return the parts of a small release."""
    return make_parts(tmp_path_factory.mktemp("parts"), games=20)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """Return the keys of the publisher."""
    return make_pair(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the cache of a machine that has seen nothing."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "machine"))
    return tmp_path / "machine"


@pytest.fixture
def store(tmp_path: Path, pair: Pair, machine: Path) -> ReleaseStore:
    """Return an empty store whose releases are signed."""
    assert not machine.exists()
    return ReleaseStore(tmp_path / "models", keys=pair.keys, check=check_here)


def read(store: ReleaseStore, pair: Pair) -> Recommender:
    """Load what is current as a reader with the public key."""
    return load(store.root / "v1", public_keys=[pair.public])


def switches(store: ReleaseStore, pair: Pair) -> tuple[Switch, ...]:
    """Return the signed switches of a store."""
    return read_switches(POINTER, (store.root / POINTER).read_bytes(), pair.readers)


def put_back(store: ReleaseStore, name: str) -> None:
    """Point the link to an older release, as somebody would who may write there."""
    (store.root / "v1").unlink()
    (store.root / "v1").symlink_to(f"releases/{name}")


def test_each_switch_has_the_next_number(store: ReleaseStore, parts: Parts, pair: Pair) -> None:
    """Also a rollback, which readers follow; the last two are kept."""
    for name in ("a", "b", "c"):
        parts.publish(store, name)
    reader = read(store, pair)
    assert [(each.number, each.release, each.act) for each in switches(store, pair)] == [
        (3, "c", "published"),
        (2, "b", "published"),
    ]
    store.rollback("a", reason="worse", hold=False)
    assert reader.reload()
    assert reader.release == "a"
    last = switches(store, pair)[0]
    assert (last.number, last.release, last.act) == (4, "a", "rolled back")
    assert len({each.store for each in switches(store, pair)}) == 1


@pytest.mark.parametrize("with_pointer", [False, True], ids=["the link", "link and pointer"])
def test_an_older_release_that_was_put_back_is_refused(
    store: ReleaseStore, parts: Parts, pair: Pair, tmp_path: Path, *, with_pointer: bool
) -> None:
    """Rightly signed, every byte whole: who has seen a later switch refuses it, and goes on with what it has."""
    parts.publish(store, "a")
    old = (store.root / POINTER).read_bytes()
    parts.publish(store, "b")
    parts.publish(store, "c")
    reader = read(store, pair)
    put_back(store, "a")
    if with_pointer:
        (store.root / POINTER).write_bytes(old)
    said = "is old: it is switch 1 to a .* and switch 3 to c" if with_pointer else "names c, and a is current"
    with pytest.raises(ArtifactCorrupt, match=said):
        reader.reload()
    assert reader.release == "c"
    with pytest.raises(ArtifactCorrupt, match=said):
        read(store, pair)
    assert load(store.root / "v1").release == "a", "without a key nothing is refused"
    assert load(store.root / "releases" / "a", public_keys=[pair.public]).release == "a", "who names it means it"
    if with_pointer:
        os.environ["XDG_CACHE_HOME"] = str(tmp_path / "fresh")
        assert read(store, pair).release == "a", "who has seen nothing can only ask how old it is"


def test_the_release_before_is_refused_too(store: ReleaseStore, parts: Parts, pair: Pair) -> None:
    """Its switch is kept, for readers who look while the link moves: no way back for who has seen the new one."""
    parts.publish(store, "a")
    parts.publish(store, "b")
    assert read(store, pair).release == "b"
    put_back(store, "a")
    with pytest.raises(ArtifactCorrupt, match="is old: it is switch 1 to a"):
        read(store, pair)


def test_a_pointer_that_is_gone_is_refused_by_who_has_seen_one(store: ReleaseStore, parts: Parts, pair: Pair) -> None:
    """And a release from before switches were signed is read by who has not."""
    parts.publish(store, "a")
    (store.root / POINTER).unlink()
    reader = read(store, pair)
    hours = reader.current.signed_hours_ago
    assert hours is not None
    assert hours < 1
    parts.publish(store, "b")
    assert [(each.number, each.release) for each in switches(store, pair)] == [(2, "b"), (1, "a")], (
        "until the link moves"
    )
    assert reader.reload()
    (store.root / POINTER).unlink()
    with pytest.raises(ArtifactCorrupt, match=r"pointer\.json is gone, and switch 2 to b .* was seen"):
        read(store, pair)


def test_the_pointer_of_another_store_is_refused(store: ReleaseStore, parts: Parts, pair: Pair, tmp_path: Path) -> None:
    """With all its releases, signed with the same key."""
    other = ReleaseStore(tmp_path / "staging", keys=pair.keys, check=check_here)
    for name in ("a", "b", "c"):
        parts.publish(other, name)
    parts.publish(store, "a")
    assert read(store, pair).release == "a"
    shutil.rmtree(store.root)
    shutil.copytree(other.root, store.root, symlinks=True)
    with pytest.raises(ArtifactCorrupt, match=r"that of another store: say which release is right.*remove"):
        read(store, pair)


def test_a_switch_that_was_broken_off_leaves_the_release_before(
    store: ReleaseStore, parts: Parts, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pointer is written and the link has not moved: readers go on, and the next run publishes."""

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    parts.publish(store, "a")
    assert read(store, pair).release == "a"
    with monkeypatch.context() as patch:
        patch.setattr(folder_, "point", killed)
        with pytest.raises(KeyboardInterrupt):
            parts.publish(store, "b")
    assert switches(store, pair)[0].release == "b"
    assert read(store, pair).release == "a"
    parts.publish(store, "c")
    assert read(store, pair).release == "c"


def test_a_run_that_finds_nothing_new_signs_that(store: ReleaseStore, parts: Parts, pair: Pair) -> None:
    """So how long ago it was signed says when a run looked last, and a server follows without loading."""
    parts.publish(store, "a")
    reader = read(store, pair)
    snapshot = reader.snapshot
    with store.staging("nothing-new"):
        pass
    reader.current.refresh()
    assert reader.snapshot is snapshot
    last = switches(store, pair)[0]
    assert (last.number, last.act) == (2, "kept")
    assert reader.current.place.switch == last


def test_a_run_that_failed_signs_nothing(store: ReleaseStore, parts: Parts, pair: Pair) -> None:
    """Nobody looked."""
    parts.publish(store, "a")

    def fail() -> None:
        with store.staging("fails"):
            raise ConfigError("wrong")

    with pytest.raises(ConfigError):
        fail()
    assert [each.number for each in switches(store, pair)] == [1]


def test_who_has_no_private_key_rolls_nothing_back(store: ReleaseStore, parts: Parts, pair: Pair) -> None:
    """Readers would refuse what it did."""
    for name in ("a", "b"):
        parts.publish(store, name)
    with pytest.raises(ConfigError, match="RECSYS_SIGNING_KEY_FILE"):
        ReleaseStore(store.root, keys=Keys(pair.readers), check=check_here).rollback("a")
    assert store.current() == "b"


def test_what_was_seen_is_kept_in_memory_where_it_cannot_be_written(
    store: ReleaseStore, parts: Parts, pair: Pair, caplog: pytest.LogCaptureFixture, machine: Path
) -> None:
    """A cache that is a file: one line of the log, and the process goes on by what it knows."""
    parts.publish(store, "a")
    parts.publish(store, "b")
    shutil.rmtree(machine, ignore_errors=True)
    machine.write_text("in the way")
    with caplog.at_level(logging.WARNING):
        reader = read(store, pair)
    assert "the switch is remembered until this process ends" in caplog.text
    put_back(store, "a")
    with pytest.raises(ArtifactCorrupt, match="is old"):
        reader.reload()


def test_nothing_of_a_pointer_that_was_changed_is_accepted(
    store: ReleaseStore, parts: Parts, pair: Pair, tmp_path: Path
) -> None:
    """Bits, an older one, a foreign key's, another store's, none: refused, or the very switch that was signed."""
    parts.publish(store, "a")
    old = (store.root / POINTER).read_bytes()
    parts.publish(store, "b")
    true, now = (store.root / POINTER).read_bytes(), switches(store, pair)[0]
    foreign, draw = make_pair(tmp_path / "foreign"), random.Random(4711)
    claim = Claim(now.release, now.digest, "published")
    other_store = next_switch(POINTER, None, pair.keys, claim)
    forged = next_switch(POINTER, None, foreign.keys, claim)
    assert other_store is not None
    assert forged is not None

    def flipped() -> bytes:
        place, bit = draw.randrange(len(true)), draw.randrange(1, 256)
        return true[:place] + bytes([true[place] ^ bit]) + true[place + 1 :]

    def other_text() -> bytes:
        content = json.loads(true)
        signed = draw.choice(content["signed"])
        inside = json.loads(signed["switch"])
        key = draw.choice(sorted(inside))
        inside[key] = draw.choice([draw.randrange(1, 99), f"x{draw.random()}", now.release, None])
        signed["switch"] = json.dumps(inside)
        return json.dumps(content).encode()

    kinds: dict[str, Callable[[], bytes | None]] = {
        "a bit": flipped,
        "another text": other_text,
        "an old one": lambda: old,
        "another store's": lambda: other_store,
        "a foreign key's": lambda: forged,
        "a part": lambda: true[: draw.randrange(len(true))],
        "none": lambda: None,
        "the older switch first": lambda: json.dumps(
            {**json.loads(true), "signed": json.loads(true)["signed"][1:]}
        ).encode(),
    }
    witness, tried = Witness("here", pair.readers, tmp_path / "seen"), Counter[str]()
    assert witness.accept(true, "b", store.path("b")) == now
    for number in range(MUTATIONS):
        kind = list(kinds)[number % len(kinds)]
        for release in ("a", "b"):
            try:
                switch = witness.accept(kinds[kind](), release, store.path(release))
            except ReleaseError:
                tried[kind] += 1
            else:
                assert (switch, release) == (now, "b"), kind
    assert set(tried) == set(kinds)
    assert witness.accept(true, "b", store.path("b")) == now


def test_a_server_is_not_ready_once_what_it_serves_was_signed_too_long_ago(
    store: ReleaseStore, parts: Parts, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`serving.max_age_hours`; the next run makes it ready again."""
    pytest.importorskip("httpx")
    from fastapi.testclient import TestClient

    from recsys.release import switches as switches_
    from recsys.service.app import create_app
    from recsys.service.front import ServiceOptions

    class LongAgo(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
            assert tz is UTC
            return datetime(2026, 1, 1, tzinfo=UTC)

    with monkeypatch.context() as patch:
        patch.setattr(switches_, "datetime", LongAgo)
        parts.publish(store, "a")
    reader = read(store, pair)
    client = TestClient(create_app(reader, options=ServiceOptions(max_age_hours=36)))
    answer = client.get("/ready")
    assert answer.status_code == 503
    assert "the release a was signed" in answer.text
    assert "serving.max_age_hours is 36" in answer.text
    assert client.get("/health").status_code == 200
    unbounded = TestClient(create_app(reader))
    assert unbounded.get("/ready").status_code == 200
    keyless = TestClient(create_app(load(store.root / "v1"), options=ServiceOptions(max_age_hours=36)))
    assert keyless.get("/ready").status_code == 200, "without a key nothing is refused"
    parts.publish(store, "b")
    reader.reload()
    assert client.get("/ready").status_code == 200


def test_an_age_without_a_key_is_refused_at_the_start(
    store: ReleaseStore, parts: Parts, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It would be asked of nobody."""
    from recsys.cli import run

    parts.publish(store, "a")
    monkeypatch.delenv(PUBLIC, raising=False)
    monkeypatch.setenv("RECSYS_SERVING__MAX_AGE_HOURS", "36")
    assert run(["serve", "--models", str(store.root), "--port", "0"]) == 78
    assert "serving.max_age_hours is 36, and RECSYS_PUBLIC_KEY_FILES names no key" in capsys.readouterr().err


def test_what_was_seen_and_is_spoilt_is_an_error(store: ReleaseStore, parts: Parts, pair: Pair, machine: Path) -> None:
    """It is not taken for nothing: who could spoil it could go back."""
    parts.publish(store, "a")
    read(store, pair)
    (seen,) = machine.glob("recsys/seen/*.json")
    seen.write_bytes(b"{")
    with pytest.raises(RecsysError, match=r"what was seen of .* remove it if it is spoilt"):
        read(store, pair)


def test_the_pair_is_changed_while_readers_go_on(store: ReleaseStore, parts: Parts, pair: Pair, tmp_path: Path) -> None:
    """The switch before bears the old key: a reader that accepts the new one alone reads what the new one signed."""
    new = make_pair(tmp_path / "new")
    both = PublicKeys([pair.public, new.public])
    parts.publish(store, "a")
    assert load(store.root / "v1", public_keys=both.files).release == "a"
    alone = ReleaseStore(store.root, keys=new.keys, check=lambda *_: None)
    with pytest.raises((ArtifactCorrupt, ConfigError)):
        parts.publish(alone, "b")
    changing = ReleaseStore(store.root, keys=Keys(both, new.keys.signing), check=check_here)
    parts.publish(changing, "b")
    assert load(store.root / "v1", public_keys=[new.public]).release == "b"
    parts.publish(alone, "c")
    assert load(store.root / "v1", public_keys=both.files).release == "c"
    assert len({each.store for each in switches(store, new)}) == 1


def test_two_switches_that_were_broken_off_leave_the_release_before(
    store: ReleaseStore, parts: Parts, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The switch that stays beside the next one is that of what is current, and not that of what nobody made so."""

    def fail(*_: object) -> None:
        raise ArtifactWriteError("no room")

    parts.publish(store, "a")
    with monkeypatch.context() as patch:
        patch.setattr(folder_, "point", fail)
        for name in ("b", "c"):
            with pytest.raises(ArtifactWriteError, match="no room"):
                parts.publish(store, name)
    assert read(store, pair).release == "a"


def test_a_run_signs_nothing_that_somebody_put_back(store: ReleaseStore, parts: Parts, pair: Pair) -> None:
    """Neither that it is still right, nor the next one upon it: a person says what is right, and signs that."""
    for name in ("a", "b"):
        parts.publish(store, name)
    assert read(store, pair).release == "b"
    put_back(store, "a")

    def look() -> None:
        with store.staging("nothing-new"):
            pass

    for act in (look, lambda: parts.publish(store, "c")):
        with pytest.raises(ArtifactCorrupt, match=r"is old: .* say which release is right with `recsys rollback NAME`"):
            act()
    with pytest.raises(ArtifactCorrupt, match="is old"):
        read(store, pair)
    store.rollback("b", reason="somebody put a back", hold=False)
    assert read(store, pair).release == "b"


def test_another_link_to_the_current_one_is_asked_as_it_is(
    store: ReleaseStore, parts: Parts, pair: Pair, tmp_path: Path
) -> None:
    """A name of one's own for the link is no way round."""
    for name in ("a", "b"):
        parts.publish(store, name)
    assert read(store, pair).release == "b"
    (tmp_path / "mine").symlink_to(store.root / "v1")
    (tmp_path / "alias").symlink_to("mine")
    assert load(tmp_path / "alias", public_keys=[pair.public]).release == "b"
    put_back(store, "a")
    with pytest.raises(ArtifactCorrupt, match="is old"):
        load(tmp_path / "alias", public_keys=[pair.public])


def test_another_process_may_have_seen_more(store: ReleaseStore, parts: Parts, pair: Pair, tmp_path: Path) -> None:
    """What one remembers does not take the place of what another has seen since."""
    parts.publish(store, "a")
    old, first = (store.root / POINTER).read_bytes(), store.path("a")
    parts.publish(store, "b")
    now = (store.root / POINTER).read_bytes()
    slow = Witness("here", pair.readers, tmp_path / "seen")
    accepted = slow._remember
    (switch,) = (each for each in read_switches(POINTER, old, pair.readers) if each.release == "a")
    fast = Witness("here", pair.readers, tmp_path / "seen")
    assert fast.accept(now, "b", store.path("b")) is not None
    accepted(switch)
    with pytest.raises(ArtifactCorrupt, match="is old"):
        Witness("here", pair.readers, tmp_path / "seen").accept(old, "a", first)
