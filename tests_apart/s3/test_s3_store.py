"""Releases in an object store: published, listed, verified, held, gone back to and served as in a folder."""

from __future__ import annotations

import json
import logging
import re
import uuid
from typing import TYPE_CHECKING

import pytest

from factories.signing import make_pair
from recsys.cli import run
from recsys.errors import (
    ArtifactCorrupt,
    ArtifactWriteError,
    ConfigError,
    LockHeld,
    PublishingHeld,
    ReleaseNotFound,
    StoreError,
    StoreRefused,
)
from recsys.release.card import Card
from recsys.release.check import check_here
from recsys.release.objects import ObjectStorage
from recsys.release.objects.bucket import Bucket, _said
from recsys.release.objects.lease import Lease
from recsys.release.store import ReleaseStore
from recsys.serving import load
from standins.bucket_server import CREDENTIALS, Request, Way, make_bucket

if TYPE_CHECKING:
    from pathlib import Path

    from factories.small_release import Parts


def store_at(address: str, folder: Path, *, keep: int = 5, lease_s: float = 300, retries: int = 2) -> ReleaseStore:
    """Return a store as another machine has it: with copies of its own."""
    storage = ObjectStorage(Bucket(address, retries=retries), folder, lease_s)
    return ReleaseStore(storage, keep=keep, check=check_here)


@pytest.fixture
def store(address: str, tmp_path: Path) -> ReleaseStore:
    """Return an empty store."""
    return store_at(address, tmp_path / "publisher")


def objects(address: str) -> set[str]:
    """Return the names of all objects of the current store's releases."""
    bucket = Bucket(address)
    return {f"{name}/{file}" for name in bucket.folders("releases") for file in bucket.names(f"releases/{name}")}


def test_a_night_a_second_and_back(store: ReleaseStore, address: str, parts: Parts, tmp_path: Path) -> None:
    """What one machine publishes, another lists, verifies and goes back to; the log says all of it."""
    assert store.current() is None
    assert store.names() == []
    for name in ("a", "b"):
        parts.publish(store, name)
    other = store_at(address, tmp_path / "other")
    assert (other.names(), other.current()) == (["a", "b"], "b")
    assert [other.manifest(name).sequence for name in ("a", "b")] == [1, 2]
    assert other.manifest().replaces == "a"
    assert other.verify().release == "b"
    assert other.rollback(reason="worse", by="anna").release == "a"
    assert store.current() == "a"
    with pytest.raises(PublishingHeld, match="worse"):
        parts.publish(store, "c")
    assert store.holds.lift("anna") is not None
    parts.publish(store, "c")
    assert store.current() == "c"
    told = [(line.event, line.release) for line in other.journal.lines()]
    assert told == [
        ("published", "a"),
        ("published", "b"),
        ("rolled back", "a"),
        ("hold lifted", None),
        ("published", "c"),
    ]
    assert other.journal.unexplained("c") == ""


def test_a_hold_that_comes_while_a_run_uploads_is_kept(
    store: ReleaseStore, address: str, parts: Parts, tmp_path: Path, way: Way
) -> None:
    """Placed after the run has looked last, and before its switch: the switch fails, and nothing of it stays."""
    parts.publish(store, "a")
    other = store_at(address, tmp_path / "other")

    def hold_at_the_switch(request: Request) -> str | None:
        if request.method == "PUT" and "log.jsonl" in request.path:
            way.fault = lambda _: None
            other.holds.place("look at it first", "anna")
        return None

    way.fault = hold_at_the_switch
    with pytest.raises(PublishingHeld, match="look at it first"):
        parts.publish(store, "b")
    assert store.current() == "a"
    assert not any(name.startswith("b/") for name in objects(address))
    assert [line.event for line in store.journal.lines()] == ["published", "held", "published", "withdrawn"]


def test_old_releases_go_and_a_store_without_that_right_keeps_them(
    address: str, parts: Parts, tmp_path: Path, way: Way, caplog: pytest.LogCaptureFixture
) -> None:
    """`keep` removes the manifest first; where the right to delete is missing, that is a warning."""
    store = store_at(address, tmp_path / "publisher", keep=2)
    for name in ("a", "b", "c"):
        parts.publish(store, name)
    assert store.names() == ["b", "c"]
    assert not any(name.startswith("a/") for name in objects(address))
    removed = [request.path for request in way.asked if request.method in {"DELETE", "POST"}]
    assert removed
    way.fault = lambda request: "403" if request.method in {"DELETE", "POST"} else None
    with caplog.at_level(logging.WARNING):
        parts.publish(store, "d")
    assert store.current() == "d"
    assert store.names() == ["b", "c", "d"]
    assert "an old release could not be removed" in caplog.text


def test_a_reader_copies_once_and_goes_on_when_the_store_is_away(
    store: ReleaseStore, address: str, parts: Parts, way: Way, caplog: pytest.LogCaptureFixture
) -> None:
    """Each digest is compared; what is here is not copied again; a new release is found; an outage is a warning."""
    parts.publish(store, "a")
    recommender = load(address, eager=True)
    assert recommender.release == "a"
    asked = len(way.asked)
    assert load(address).release == "a"
    assert len(way.asked) - asked <= 2, "one look at what is current, and nothing is copied"
    parts.publish(store, "b")
    assert recommender.reload()
    assert recommender.release == "b"
    assert load(f"{address}/v1").release == "b"
    assert load(f"{address}/releases/a").release == "a"
    way.fault = lambda _: "kill"
    with caplog.at_level(logging.WARNING):
        again = load(address)
        assert again.release == "b"
        assert not again.reload()
    assert "the store cannot be reached; the copy goes on" in caplog.text
    assert "cannot read v1.json" in again.current.place.problem


def test_without_a_copy_a_store_that_is_away_is_an_error(
    store: ReleaseStore, address: str, parts: Parts, way: Way
) -> None:
    """Nothing is answered from nothing."""
    parts.publish(store, "a")
    way.fault = lambda _: "500"
    with pytest.raises(StoreError, match=r"cannot read v1\.json"):
        load(address)


def test_a_damaged_copy_is_made_again(store: ReleaseStore, address: str, parts: Parts, tmp_path: Path) -> None:
    """A disk that lost bytes here is no reason not to serve what the store has."""
    parts.publish(store, "a")
    load(address)
    (copy,) = (tmp_path / "cache" / "recsys" / "stores").glob("*/releases/a")
    (copy / "games.parquet").write_bytes(b"spoilt")
    assert load(address).release == "a"
    assert (copy / "games.parquet").read_bytes() == parts.files["games.parquet"]


@pytest.mark.parametrize("spoilt", ["games.parquet", "rag_index.faiss", "manifest.json", "manifest.sha256"])
def test_what_was_changed_in_the_store_is_neither_loaded_nor_verified(
    store: ReleaseStore, address: str, parts: Parts, spoilt: str, tmp_path: Path
) -> None:
    """One byte of any file; the copy that a server has goes on."""
    parts.publish(store, "a")
    serving = load(address)
    bucket = Bucket(address)
    seen = bucket.read(f"releases/a/{spoilt}")
    assert seen is not None
    assert bucket.swap(f"releases/a/{spoilt}", seen.data[:-1] + bytes([seen.data[-1] ^ 1]), seen.etag)
    with pytest.raises(ArtifactCorrupt):
        store_at(address, tmp_path / "fresh").verify("a")
    if not spoilt.startswith("manifest"):  # its own copy is sound, and what the store holds is not
        with pytest.raises(ArtifactCorrupt, match=f"{address}/releases/a: {spoilt} is not what was published"):
            store.verify("a")
    assert not serving.reload()
    assert serving.release == "a"


@pytest.mark.parametrize("change", ["missing", "extra"])
def test_a_release_with_other_files_than_it_was_published_with_is_refused(
    store: ReleaseStore, address: str, parts: Parts, change: str, tmp_path: Path
) -> None:
    """As in a folder."""
    parts.publish(store, "a")
    bucket = Bucket(address)
    if change == "missing":
        bucket.delete("releases/a/hybrid.npz")
    else:
        assert bucket.create("releases/a/more.bin", b"x")
    with pytest.raises(ArtifactCorrupt, match=r"hybrid.npz is missing|more.bin was not published"):
        store_at(address, tmp_path / "fresh").path("a")


@pytest.mark.parametrize("condition", ["If-None-Match", "If-Match"])
def test_a_store_that_does_not_honour_a_condition_is_refused(
    store: ReleaseStore, address: str, parts: Parts, way: Way, condition: str
) -> None:
    """Before anything is fetched: there, whose release is current would be luck."""
    way.change = lambda headers: {name: value for name, value in headers.items() if name.lower() != condition.lower()}
    with pytest.raises(ConfigError, match=f"does not honour {condition}:"):
        parts.publish(store, "a")
    assert objects(address) == set()


def test_what_is_wrong_is_said_without_secrets(address: str, way: Way, tmp_path: Path) -> None:
    """No bucket, no right, no address."""
    with pytest.raises(ConfigError, match="there is no bucket 'no-such'"):
        store_at("s3://no-such/models", tmp_path).current()
    with pytest.raises(ConfigError, match="is no address of a bucket"):
        Bucket("s3://")
    with pytest.raises(ReleaseNotFound, match="no release is current in s3://"):
        load(address)
    way.fault = lambda _: "403"
    with pytest.raises(StoreRefused, match="AccessDenied") as refused:
        store_at(address, tmp_path).current()
    for error in (refused.value, refused.value.__cause__):
        assert CREDENTIALS["AWS_SECRET_ACCESS_KEY"] not in str(error)
    assert refused.value.exit_code == 77


def test_a_bucket_of_releases_without_a_state_is_refused_until_somebody_says(
    store: ReleaseStore, address: str, parts: Parts, tmp_path: Path
) -> None:
    """Copied there from a folder: which one is current is not guessed."""
    parts.publish(store, "a")
    Bucket(address).delete("v1.json")
    fresh = store_at(address, tmp_path / "fresh")
    with pytest.raises(ReleaseNotFound, match=r"has releases, and no v1.json .*\(there are a\)"):
        fresh.current()
    fresh.rollback("a", hold=False)
    assert store.current() == "a"


def test_the_commands_take_an_address(
    address: str,
    parts: Parts,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`--models`, `--output` and `release.output` alike."""
    store = store_at(address, tmp_path / "publisher")
    for name in ("a", "b"):
        parts.publish(store, name)
    monkeypatch.setenv("RECSYS_RELEASE__OUTPUT", address)
    monkeypatch.chdir(tmp_path)
    assert run(["releases", "--json"]) == 0
    assert [row["release"] for row in json.loads(capsys.readouterr().out)] == ["a", "b"]
    for command in (
        ["verify"],
        ["show", "a"],
        ["compare", "a", "b"],
        ["hold"],
        ["similar", "100"],
        ["prune", "--preview"],
    ):
        assert run([*command, "--models", address]) == 0, command
        assert capsys.readouterr().out
    assert run(["rollback", "--no-hold", "--models", address]) == 0
    assert f"{address}/releases/a" not in capsys.readouterr().err
    assert store.current() == "a"


def test_a_sample_is_trained_published_refused_and_served(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The whole command: the first night, one with nothing new, and one that the gate refuses."""
    fast = ["--set", "cf.tuning=off", "--set", "evaluation.newcomers=false"]
    assert run(["train", "--source", "sample", "--output", address, "--json", *fast]) == 0
    first = json.loads(capsys.readouterr().out)
    assert first["address"] == f"{address}/releases/{first['run_id']}"
    assert run(["train", "--source", "sample", "--output", address, *fast]) == 0
    assert f"nothing new: {address}/releases/{first['run_id']}" in capsys.readouterr().out
    assert run(["train", "--force", "--source", "sample", "--output", address, *fast, "--set", "gate.floor=0.9"]) == 3
    bucket = Bucket(address)
    (refused,) = bucket.folders("refused")
    assert set(bucket.names(f"refused/{refused}")) == {"metrics.json", "metrics.parquet", "report.html"}
    assert f"{address}/refused/{refused}" in capsys.readouterr().err
    assert run(["recommend", "1", "--models", address]) == 0
    assert first["run_id"] in capsys.readouterr().out
    assert run(["train", "--dry-run", "--source", "sample", "--output", address, *fast]) == 0
    assert run(["doctor", "--source", "sample", "--output", address]) == 0


def test_a_name_that_leads_elsewhere_touches_nothing(
    store: ReleaseStore, address: str, parts: Parts, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither to read nor to replace: a name of a release is no path."""
    parts.publish(store, "a")
    keepsake = tmp_path / "keepsake"
    keepsake.write_text("mine")
    for name in ("../../../../..", "..", ".staging-x"):
        with pytest.raises((ReleaseNotFound, ConfigError)):
            load(f"{address}/releases/{name}")
        with pytest.raises(ReleaseNotFound):
            store.path(name)
        assert run(["recommend", "1", "--release", name, "--models", address]) in {76, 78}
        assert run(["show", name, "--models", address]) == 76
        assert capsys.readouterr().err
    assert keepsake.read_text() == "mine"


@pytest.mark.parametrize("address", ["s3://games/releases/prod", "s3://games/prod/v1", "s3://games/../c"])
def test_an_address_within_a_store_is_no_store(address: str, way: Way) -> None:
    """Else one command would write where another does not read."""
    assert way.url
    with pytest.raises(ConfigError, match="lies within a store"):
        ReleaseStore(address)


def test_a_bucket_that_is_called_releases_is_a_bucket(server: str, way: Way, parts: Parts, tmp_path: Path) -> None:
    """The name of a bucket is no folder of a store."""
    assert way.endpoint == server
    make_bucket(server, "releases")
    address = f"s3://releases/{tmp_path.name}"
    name = f"a-{uuid.uuid4().hex}"
    parts.publish(store_at(address, tmp_path / "publisher"), name)
    assert load(address).release == name
    assert load(f"{address}/releases/{name}").release == name


def test_a_current_release_without_its_manifest_stays(
    store: ReleaseStore, address: str, parts: Parts, tmp_path: Path
) -> None:
    """What looks like the rest of an interrupted run is what v1.json names: nothing of it is removed."""
    for name in ("a", "b"):
        parts.publish(store, name)
    Bucket(address).delete("releases/b/manifest.json")
    before = objects(address)
    for machine in (store, store_at(address, tmp_path / "fresh")):
        with pytest.raises((ArtifactCorrupt, ReleaseNotFound)):
            parts.publish(machine, "c")
        assert objects(address) == before
    store.rollback("a", hold=False)
    parts.publish(store, "c")
    assert store.current() == "c"


def test_a_bucket_that_lost_its_state_is_neither_published_into_nor_pruned(
    store: ReleaseStore, address: str, parts: Parts, tmp_path: Path
) -> None:
    """A run would take it for a beginning, and remove what is current."""
    for name in ("a", "b", "c"):
        parts.publish(store, name)
    Bucket(address).delete("v1.json")
    before = objects(address)
    fresh = store_at(address, tmp_path / "fresh", keep=1)
    for act in (lambda: parts.publish(fresh, "d"), fresh.prune, fresh.current):
        with pytest.raises(ReleaseNotFound, match="says which one is current"):
            act()
    assert objects(address) == before
    fresh.rollback("b", hold=False)
    assert store.current() == "b"


def test_a_publisher_that_slept_removes_nothing_that_others_made_current(
    address: str, parts: Parts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lease was taken over while it pruned, and somebody went back."""
    asleep, other = store_at(address, tmp_path / "asleep", keep=2, lease_s=-1), store_at(address, tmp_path / "other")
    for name in ("a", "b", "c"):
        parts.publish(other, name)
    delete = ObjectStorage.delete

    def late(self: ObjectStorage, release: Path) -> None:
        monkeypatch.setattr(ObjectStorage, "delete", delete)
        other.rollback("a", hold=False)
        delete(self, release)

    monkeypatch.setattr(ObjectStorage, "delete", late)
    monkeypatch.setattr(Lease, "_renew", lambda *_: None)
    parts.publish(asleep, "d")
    assert other.current() == "a"
    assert any(name.startswith("a/") for name in objects(address))


def test_another_hold_is_neither_lifted_nor_undone(
    store: ReleaseStore, address: str, parts: Parts, tmp_path: Path, way: Way
) -> None:
    """Whoever lifts or gives up a rollback takes away what they saw, and no other."""
    for name in ("a", "b"):
        parts.publish(store, name)
    other = store_at(address, tmp_path / "other")

    def hold_at_the_log(request: Request) -> str | None:
        if request.method == "PUT" and "log.jsonl" in request.path:
            way.fault = lambda _: None
            other.holds.place("anna's", "anna")
        return None

    store.holds.place("first", "ben")
    way.fault = hold_at_the_log
    with pytest.raises(LockHeld, match="another hold was placed"):
        store.holds.lift("ben")
    assert "anna's" in str(store.holds.current())
    store.holds.lift("ben")

    def hold_and_fail(request: Request) -> str | None:
        if request.method == "PUT" and "log.jsonl" in request.path:
            way.fault = lambda request: "403" if "log.jsonl" in request.path else None
            other.holds._note.write(Card.signed("anna's", "anna").model_dump_json().encode())
            return "403"
        return None

    way.fault = hold_and_fail
    with pytest.raises(StoreRefused):
        store.rollback("a", reason="mine")
    way.fault = lambda _: None
    assert "anna's" in str(store.holds.current())
    assert store.current() == "b"


def test_a_copy_that_fails_in_the_middle_lets_the_old_one_go_on(
    store: ReleaseStore, address: str, parts: Parts, way: Way
) -> None:
    """A restart while the store fails at one file of the new release."""
    parts.publish(store, "a")
    load(address)
    parts.publish(store, "b")
    way.fault = lambda request: "500" if "/b/interactions.npz" in request.path else None
    assert load(address).release == "a"
    way.fault = lambda _: None
    assert load(address).release == "b"


def test_a_seal_that_was_spoilt_and_mended_is_read_anew(
    store: ReleaseStore, address: str, parts: Parts, tmp_path: Path
) -> None:
    """What was wrong once is not remembered; what is wrong now is found, whatever is here."""
    parts.publish(store, "a")
    bucket, reader = Bucket(address), store_at(address, tmp_path / "reader")
    assert reader.verify("a").release == "a"
    seen = bucket.read("releases/a/manifest.json")
    assert seen is not None
    assert bucket.swap("releases/a/manifest.json", seen.data.replace(b'"sequence": 1', b'"sequence": 2'), seen.etag)
    with pytest.raises(ArtifactCorrupt, match=r"manifest\.json is not what was copied"):
        reader.verify("a")
    late = store_at(address, tmp_path / "late")
    with pytest.raises(ArtifactCorrupt):
        late.manifest("a")
    spoilt = bucket.read("releases/a/manifest.json")
    assert spoilt is not None
    assert bucket.swap("releases/a/manifest.json", seen.data, spoilt.etag)
    assert late.manifest("a").release == "a"
    assert reader.verify("a").release == "a"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("AWS_ENDPOINT_URL_S3=localhost:9000", "has to begin with https:// or http://"),
        ("AWS_SERVER_SIDE_ENCRYPTION=foo", "an AWS_\\* variable is wrong"),
    ],
)
def test_variables_that_are_wrong_are_settings_that_are_wrong(
    way: Way, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], wrong: str, said: str
) -> None:
    """78, and no bug to report."""
    assert way.url
    monkeypatch.setenv(*wrong.split("="))
    assert run(["verify", "--models", "s3://games/models"]) == 78
    assert re.search(said, capsys.readouterr().err)


def test_a_password_in_an_endpoint_is_not_said(
    way: Way, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Some proxies are given one."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", way.url.replace("http://", "http://user:canary-word@"))
    way.fault = lambda _: "403"
    assert run(["verify", "--models", "s3://games/models"]) == 77
    assert "canary-word" not in capsys.readouterr().err
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "user:canary-word@host")
    assert run(["verify", "--models", "s3://games/models"]) == 78
    assert "canary-word" not in capsys.readouterr().err


def test_switches_are_signed_in_a_bucket_too(address: str, parts: Parts, tmp_path: Path, way: Way) -> None:
    """Published, gone back to with a signature; what was put back without one is refused, also after a restart."""
    pair = make_pair(tmp_path / "keys")
    store = ReleaseStore(ObjectStorage(Bucket(address), tmp_path / "publisher"), keys=pair.keys, check=check_here)
    parts.publish(store, "a")
    bucket = Bucket(address)
    old = bucket.read("v1.json")
    parts.publish(store, "b")
    reader = load(address, public_keys=[pair.public])
    assert reader.release == "b"
    assert reader.current.place.switch is not None
    assert reader.current.place.switch.number == 2
    now = bucket.read("v1.json")
    assert old is not None
    assert now is not None
    assert bucket.swap("v1.json", old.data, now.etag)
    for look in (reader.reload, lambda: load(address, public_keys=[pair.public])):
        with pytest.raises(ArtifactCorrupt, match="is old: it is switch 1 to a"):
            look()
    assert reader.release == "b"
    with pytest.raises(ArtifactCorrupt, match="is old"):
        parts.publish(store, "c")
    assert load(address).release == "a", "without a key nothing is refused"
    store.rollback("b", reason="somebody put a back", hold=False)
    assert load(address, public_keys=[pair.public]).release == "b"
    way.fault = lambda _: "kill"
    assert load(address, public_keys=[pair.public]).release == "b"
    way.fault = lambda _: None
    unsigned = store_at(address, tmp_path / "unsigned")
    unsigned.keys.for_publishing()
    parts.publish(unsigned, "d")
    with pytest.raises(ArtifactCorrupt, match="is not signed"):
        load(address, public_keys=[pair.public])


def test_what_the_store_wrote_otherwise_is_not_published(
    store: ReleaseStore, address: str, parts: Parts, way: Way
) -> None:
    """It said that it was done, and holds another bit: each file is read back before it counts."""
    parts.publish(store, "a")
    way.fault = lambda request: "spoilt" if request.method == "PUT" and "hybrid.npz" in request.path else None
    with pytest.raises(ArtifactWriteError, match=r"hybrid\.npz: the store said it was done and holds other bytes"):
        parts.publish(store, "b")
    way.fault = lambda _: None
    assert store.current() == "a"
    assert not any(name.startswith("b/") for name in objects(address))


def test_a_lease_that_is_taken_over_in_the_last_moment_publishes_nothing(
    address: str, parts: Parts, tmp_path: Path, way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the last file and the switch: the switch looks at the lease in the same step."""
    monkeypatch.setattr(Lease, "_renew", lambda *_: None)
    asleep, other = store_at(address, tmp_path / "asleep", lease_s=-1), store_at(address, tmp_path / "other")

    def take_over(request: Request) -> str | None:
        if request.method == "PUT" and "log.jsonl" in request.path:
            way.fault = lambda _: None
            parts.publish(other, "in-time")
        return None

    way.fault = take_over
    with pytest.raises(LockHeld, match="the lease of this run is nobody's now"):
        parts.publish(asleep, "late")
    assert other.current() == "in-time"
    assert not any(name.startswith("late/") for name in objects(address))


def test_a_reader_keeps_two_copies(store: ReleaseStore, address: str, parts: Parts, tmp_path: Path) -> None:
    """The current release, and the one before; a copy that was broken off goes too."""
    for name in ("a", "b", "c"):
        parts.publish(store, name)
        assert load(address).release == name
        (copies,) = (tmp_path / "cache" / "recsys" / "stores").glob("*/releases")
        if name == "b":
            (copies / ".fetching-x").mkdir()
    assert {path.name for path in copies.iterdir()} == {"b", "c"}


def test_a_secret_that_a_library_quotes_is_not_said() -> None:
    """Parameters of a request, users of an endpoint, and the value of each variable that holds a secret."""
    secret = CREDENTIALS["AWS_SECRET_ACCESS_KEY"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_SECRET_ACCESS_KEY", secret)
        said = _said(Exception(f"GET http://me:{secret}@host/x?X-Amz-Signature=abc failed with {secret}"))
    assert secret not in said
    assert "abc" not in said
    assert "[AWS_SECRET_ACCESS_KEY]" in said


def test_a_large_file_goes_up_in_parts(address: str, way: Way, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And is the same afterwards."""
    monkeypatch.setattr("recsys.release.objects.bucket._PART", 5 << 20)
    large = tmp_path / "large"
    large.write_bytes(bytes(range(256)) * (48 << 10))
    bucket = Bucket(address)
    bucket.put_file("releases/a/large", large)
    assert sum("partNumber=" in request.path for request in way.asked) == 3
    assert b"".join(bucket.stream("releases/a/large")) == large.read_bytes()
