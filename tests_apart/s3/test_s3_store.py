"""Releases in an object store: published, listed, verified, held, gone back to and served as in a folder."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

import pytest

from recsys.cli import run
from recsys.errors import (
    ArtifactCorrupt,
    ConfigError,
    PublishingHeld,
    ReleaseNotFound,
    StoreError,
    StoreRefused,
)
from recsys.release.check import check_here
from recsys.release.objects import ObjectStorage
from recsys.release.objects.bucket import Bucket
from recsys.release.store import ReleaseStore
from recsys.serving import load
from standins.bucket_server import CREDENTIALS, Request, Way

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
    with pytest.raises(ReleaseNotFound, match=r"has releases and no v1.json.*\(there are a\)"):
        fresh.current()
    fresh.rollback("a", hold=False)
    assert store.current() == "a"


def test_the_commands_take_an_address(
    store: ReleaseStore, address: str, parts: Parts, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--models`, `--output` and `release.output` alike."""
    for name in ("a", "b"):
        parts.publish(store, name)
    monkeypatch.setenv("RECSYS_RELEASE__OUTPUT", address)
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
    assert set(bucket.names(f"refused/{refused}")) == {"metrics.json", "report.html"}
    assert f"{address}/refused/{refused}" in capsys.readouterr().err
    assert run(["recommend", "1", "--models", address]) == 0
    assert first["run_id"] in capsys.readouterr().out
    assert run(["train", "--dry-run", "--source", "sample", "--output", address, *fast]) == 0
    assert run(["doctor", "--source", "sample", "--output", address]) == 0
