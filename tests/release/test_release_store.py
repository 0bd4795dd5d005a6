"""Releases are published whole, listed, rolled back and pruned; nothing between is ever current."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from factories.small_release import Parts, make_parts
from recsys.errors import ArtifactCorrupt, ArtifactWriteError, LockHeld, ReleaseNotFound
from recsys.release.check import check_here
from recsys.release.describe import describe
from recsys.release.facts import Facts
from recsys.release.loading import load_release
from recsys.release.store import ReleaseStore


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Parts:
    """Return the parts of a small release."""
    return make_parts(tmp_path_factory.mktemp("parts"))


@pytest.fixture
def store(tmp_path: Path) -> ReleaseStore:
    """Return an empty store that checks releases in this process, which is quick."""
    return ReleaseStore(tmp_path / "models", keep=3, check=check_here)


def test_a_release_is_a_folder_behind_a_relative_link(store: ReleaseStore, parts: Parts) -> None:
    """``v1`` is a relative link, so that the whole folder can be copied or mounted elsewhere."""
    parts.publish(store, "first")
    assert os.readlink(store.root / "v1") == "releases/first"  # noqa: PTH115 - the raw text is meant
    assert {path.name for path in store.path().iterdir()} == {
        *parts.files,
        "manifest.json",
        "manifest.sha256",
    }
    assert load_release(store.root / "v1").manifest.release == "first"


def test_a_fresh_process_checks_the_staged_release(tmp_path: Path, parts: Parts) -> None:
    """The default check runs elsewhere, before the release is current, and a wrong golden answer stops it."""
    store = ReleaseStore(tmp_path / "models")
    parts.publish(store, "good")
    first, *others = parts.facts.golden["cf"]
    other = first.model_copy(update={"values": (first.values[0] + 0.1, *first.values[1:])})
    wrong = {**parts.facts.golden, "cf": [other, *others]}
    with pytest.raises(ArtifactWriteError, match=r"fresh process.*golden query otherwise.*current release stays"):
        replace(parts, facts=replace(parts.facts, golden=wrong)).publish(store, "bad")
    assert store.current() == "good"
    assert store.names() == ["good"]
    assert not list((store.root / "releases").glob(".staging-*"))


def test_a_release_without_golden_queries_is_refused(store: ReleaseStore, parts: Parts) -> None:
    """What was asked nothing has proved nothing."""
    silent = replace(parts, facts=replace(parts.facts, golden={"content": parts.facts.golden["content"], "cf": []}))
    with pytest.raises(ArtifactCorrupt, match="no golden query with an answer for its cf half"):
        silent.publish(store, "silent")
    assert store.current() is None


def test_leaving_the_staging_without_publishing_changes_nothing(store: ReleaseStore, parts: Parts) -> None:
    """An error in the block removes the folder and passes on."""
    parts.publish(store, "first")

    def failing_run() -> None:
        with store.staging("second") as staging:
            staging.write("metadata.json", b"{}")
            raise RuntimeError("training failed")

    with pytest.raises(RuntimeError, match="training failed"):
        failing_run()
    assert store.current() == "first"
    assert [path.name for path in (store.root / "releases").iterdir()] == ["first"]


def test_what_an_interrupted_run_left_is_removed_by_the_next(store: ReleaseStore, parts: Parts) -> None:
    """Staging, trash and a half-made link go; nothing else does."""
    parts.publish(store, "first")
    releases = store.root / "releases"
    for name in (".staging-dead", ".trash-old"):
        (releases / name).mkdir()
        (releases / name / "cf_model.pkl").write_bytes(b"half")
    (store.root / ".v1.partial").symlink_to("releases/dead")
    parts.publish(store, "second")
    assert {path.name for path in releases.iterdir()} == {"first", "second"}
    assert {path.name for path in store.root.iterdir()} == {
        "releases",
        "v1",
        "log.jsonl",
        ".lock",
        ".hold.lock",
        ".log.lock",
    }


def test_a_second_publisher_learns_who_holds_the_lock(store: ReleaseStore, parts: Parts) -> None:
    """It ends at once with exit code 75, names run, process and host, and leaves the first alone."""
    with store.staging("first") as staging:
        with pytest.raises(LockHeld, match=rf"held by run first \(process {os.getpid()} on .*since 20") as caught:
            parts.publish(store, "second")
        with pytest.raises(LockHeld):
            store.rollback("other")
        assert caught.value.exit_code == 75
        assert staging.folder.is_dir()
    parts.publish(store, "third")
    assert store.names() == ["third"]


def test_the_lock_is_gone_with_the_process(store: ReleaseStore, parts: Parts) -> None:
    """A publisher that was killed with its lock held does not stop the next one."""
    script = (
        "import os, sys, signal; from recsys.release.store import ReleaseStore\n"
        f"with ReleaseStore({str(store.root)!r}).staging('killed') as staging:\n"
        "    staging.write('metadata.json', b'half'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": "src"}, check=False)
    assert done.returncode == -9
    assert (store.root / "releases" / ".staging-killed").is_dir()
    parts.publish(store, "next")
    assert store.names() == ["next"]
    assert not (store.root / "releases" / ".staging-killed").exists()


def test_a_release_is_never_overwritten(store: ReleaseStore, parts: Parts) -> None:
    """Releases are immutable: a second one of the same name is refused."""
    parts.publish(store, "first")
    with pytest.raises(ArtifactWriteError, match="first exists already"):
        parts.publish(store, "first")
    store.verify("first")


@pytest.mark.parametrize("name", ["", "current", "../evil", ".hidden", "a/b", "unreleased-1", "x" * 200])
def test_a_release_cannot_be_called_anything(store: ReleaseStore, name: str) -> None:
    """A name that would leave the folder, hide, or mean something else is refused before anything is written."""
    with pytest.raises(ValueError, match="cannot be the name of a release"), store.staging(name):
        pass
    assert not store.root.exists()


def test_old_releases_go_and_the_current_one_stays(store: ReleaseStore, parts: Parts) -> None:
    """Three are kept by count; one that was rolled back to is current, and stays however old it is."""
    for name in ("a", "b", "c", "d"):
        parts.publish(store, name)
    assert store.names() == ["b", "c", "d"]
    store.rollback("b", hold=False)
    parts.publish(store, "e")
    parts.publish(store, "f")
    assert store.names() == ["d", "e", "f"]
    store.rollback("d", hold=False)
    with store.staging("unpublished"):
        pass
    assert store.current() == "d"


def test_the_release_that_was_replaced_always_stays(store: ReleaseStore, parts: Parts) -> None:
    """After going back it is an old one, and with ``keep=1`` it stays beside the current one: people go back to it."""
    for name in ("a", "b", "c"):
        parts.publish(store, name)
    store.rollback("a", hold=False)
    parts.publish(ReleaseStore(store.root, keep=2, check=check_here), "d")
    assert store.names() == ["a", "d"]
    parts.publish(ReleaseStore(store.root, keep=1, check=check_here), "e")
    assert store.names() == ["d", "e"]
    assert store.rollback().release == "d"


def test_a_predecessor_that_was_removed_by_hand_is_named(store: ReleaseStore, parts: Parts) -> None:
    """Going back asks where to, and names those that there are; nothing is guessed."""
    for name in ("a", "b", "c"):
        parts.publish(store, name)
    shutil.rmtree(store.path("b"))
    with pytest.raises(ReleaseNotFound, match=r"c replaced b, which is no longer in .*rollback NAME`; there are a, c"):
        store.rollback()
    assert store.current() == "c"


def test_rolling_back_goes_where_the_manifest_says(store: ReleaseStore, parts: Parts) -> None:
    """Without a name it is the release that the current one replaced, again and again; then there is none."""
    for name in ("a", "b", "c"):
        parts.publish(store, name)
    assert store.rollback(hold=False).release == "b"
    assert store.rollback(hold=False).release == "a"
    assert store.current() == "a"
    with pytest.raises(ReleaseNotFound, match="replaced none"):
        store.rollback()
    assert store.rollback("c", hold=False).release == "c"
    parts.publish(store, "d")
    assert store.manifest("d").replaces == "c"


def test_a_damaged_release_is_not_rolled_back_to(store: ReleaseStore, parts: Parts) -> None:
    """The target is verified first; the current release stays."""
    parts.publish(store, "a")
    parts.publish(store, "b")
    (store.path("a") / "cf_factors.npz").write_bytes(b"damaged")
    with pytest.raises(ArtifactCorrupt, match=r"cf_factors.npz has 7 bytes"):
        store.rollback()
    assert store.current() == "b"


def test_an_unknown_release_is_named_with_those_that_exist(store: ReleaseStore, parts: Parts) -> None:
    """The message is enough to type the right name."""
    with pytest.raises(ReleaseNotFound, match="none yet"):
        store.path()
    parts.publish(store, "a")
    with pytest.raises(ReleaseNotFound, match=r"no release 'b'.*there are a"):
        store.path("b")
    with pytest.raises(ReleaseNotFound):
        store.path("../releases/a")


def test_a_plain_folder_in_the_links_place_is_moved_aside(
    store: ReleaseStore, parts: Parts, caplog: pytest.LogCaptureFixture
) -> None:
    """Parts that somebody saved to ``v1`` are kept, said so, and are no release."""
    (store.root / "v1").mkdir(parents=True)
    (store.root / "v1" / "metadata.json").write_bytes(b"mine")
    with pytest.raises(ArtifactCorrupt, match=r"has no manifest.json: it holds parts of a release"):
        load_release(store.root / "v1")
    parts.publish(store, "first")
    assert store.names() == ["first"]
    assert (store.root / "releases" / "unreleased-1" / "metadata.json").read_bytes() == b"mine"
    assert "a plain folder stood where the link" in caplog.text


def test_a_damaged_release_is_listed_with_its_problem(store: ReleaseStore, parts: Parts) -> None:
    """A list of releases does not fail because one of them has."""
    parts.publish(store, "a")
    parts.publish(store, "b")
    (store.path("a") / "manifest.json").write_bytes(b"{}")
    problems = {entry.name: entry.problem for entry in store.entries()}
    assert "is not what was published" in problems["a"]
    assert not problems["b"]


def test_a_renamed_release_is_found_out(store: ReleaseStore, parts: Parts) -> None:
    """A folder that was copied over another is no longer what its name says."""
    parts.publish(store, "a")
    parts.publish(store, "b")
    store.path("a").rename(store.root / "releases" / "c")
    with pytest.raises(ArtifactCorrupt, match="holds the release a"):
        store.verify("c")


def test_secrets_of_the_environment_are_refused(
    store: ReleaseStore, parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A manifest that would hold one is not written; the message names the variable alone."""
    monkeypatch.setenv("SNOWFLAKE_PASSWORD", "canary-4711")
    leaking = replace(parts.facts, more=Facts.model_validate({"url": ["https://user:canary-4711@host"]}))
    with pytest.raises(ArtifactWriteError, match=r"SNOWFLAKE_PASSWORD at facts.url\[0\]") as caught:
        replace(parts, facts=leaking).publish(store, "leaking")
    assert "canary" not in str(caught.value)
    assert store.current() is None


def test_the_other_half_is_carried_over(store: ReleaseStore, parts: Parts, tmp_path: Path) -> None:
    """A new content half beside the current CF half is a whole, verified release."""
    parts.publish(store, "a")
    other = make_parts(tmp_path / "other", seed=1)
    with store.staging("b") as staging:
        before = staging.carry_over([name for name in parts.files if name not in {"rag_index.faiss", "metadata.json"}])
        for name in ("rag_index.faiss", "metadata.json"):
            staging.write(name, other.files[name])
        golden = {"content": other.facts.golden["content"], "cf": before.golden["cf"]}
        staging.publish(replace(parts.facts, content=other.facts.content, cf=before.cf, golden=golden))
    old, new = store.path("a"), store.path("b")
    assert (old / "cf_factors.npz").read_bytes() == (new / "cf_factors.npz").read_bytes()
    assert (old / "rag_index.faiss").read_bytes() != (new / "rag_index.faiss").read_bytes()
    manifest = store.manifest("b")
    assert store.manifest("a").changes(manifest.content, manifest.cf) == ["content.data", "content.settings"]


def test_files_on_the_shelf_are_no_releases(store: ReleaseStore) -> None:
    """Notes of people, and what the operating system leaves everywhere, are passed over; a folder is told."""
    shelf = store.root / "releases"
    shelf.mkdir(parents=True, exist_ok=True)
    for name in ("README.md", "Thumbs.db", "desktop.ini", ".DS_Store"):
        (shelf / name).touch()
    (shelf / "20260101T000000Z-0000").mkdir()
    assert store.names() == ["20260101T000000Z-0000"]


def test_a_release_may_lie_where_a_path_looks_like_an_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Arrow takes ``run:1`` for an address where it is given a path, and not where it is given an open file."""
    (tmp_path / "run:1").mkdir()
    monkeypatch.chdir(tmp_path)
    assert describe(_written(Path("run:1") / "games.parquet"))["A"].shape == (2,)


def _written(path: Path) -> Path:
    with path.open("wb") as file:
        pq.write_table(pa.table({"A": [1, 2]}), file)
    return path
