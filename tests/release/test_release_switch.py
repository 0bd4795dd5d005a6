"""A publisher makes the link to the current release again, and a rollback mends whatever is in its place."""

from __future__ import annotations

import multiprocessing
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import recsys
from factories.restored import REFUSED, TAKEN, Case, folder, follow_links, half_of_it, only_and_parts, tree
from factories.small_release import Parts, make_parts
from recsys.errors import ArtifactCorrupt, ArtifactWriteError, ReleaseError
from recsys.pipeline.publication import save_alone
from recsys.release.check import check_here
from recsys.release.store import ReleaseStore
from recsys.release.verify import verify

if TYPE_CHECKING:
    from multiprocessing.queues import Queue
    from multiprocessing.synchronize import Event

    from factories.restored import Spoil


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Parts:
    """Return the parts of a small release."""
    return make_parts(tmp_path_factory.mktemp("parts"))


@pytest.fixture(scope="module")
def published(parts: Parts, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a store with the releases ``a`` and ``b``, of which ``b`` is current, both signed."""
    root = tmp_path_factory.mktemp("published") / "models"
    for name in ("a", "b"):
        parts.publish(ReleaseStore(root, check=check_here), name)
    return root


@pytest.fixture
def models(published: Path, tmp_path: Path) -> Path:
    """Return a copy of it, links as links."""
    return Path(shutil.copytree(published, tmp_path / "models", symlinks=True))


def stored(root: Path) -> ReleaseStore:
    """Return the store in a folder, which checks releases in this process."""
    return ReleaseStore(root, check=check_here)


THERE_ARE = "or make a release current with `recsys rollback NAME` (there are a, b)"


@pytest.mark.parametrize("case", TAKEN.values(), ids=TAKEN)
def test_a_publisher_makes_the_link_again(models: Path, parts: Parts, case: Case) -> None:
    """With the lock held, before anything is trained; nothing else is left, and the next release replaces that one."""
    case.spoil(models)
    with stored(models).staging("c") as staging:
        assert os.readlink(models / "v1").endswith("newest" if "newest" in os.listdir(models) else case.current)  # noqa: PTH115
        assert staging.current == models / "releases" / case.current
        check_here(staging.current)
    left = {"a", "b", "unreleased-1"} & set(os.listdir(models / "releases"))
    assert set(os.listdir(models / "releases")) == left
    assert ("unreleased-1" in left) == (case.spoil is only_and_parts)
    assert not (models / ".v1.partial").exists()
    assert parts.publish(stored(models), "c").replaces == case.current
    assert os.readlink(models / "v1") == "releases/c"  # noqa: PTH115 - the raw text is meant


@pytest.mark.parametrize("case", TAKEN.values(), ids=TAKEN)
def test_a_rollback_loses_no_release(models: Path, case: Case) -> None:
    """The link leads to the older release, and the one in the link's place is among the others."""
    case.spoil(models)
    store = stored(models)
    names = store.names()
    assert store.rollback(names[0]).release == names[0]
    assert os.readlink(models / "v1") == f"releases/{names[0]}"  # noqa: PTH115 - the raw text is meant
    assert store.names() == names
    for name in names:
        store.verify(name)


@pytest.mark.parametrize(("spoil", "message"), REFUSED.values(), ids=REFUSED)
def test_a_rollback_to_a_name_mends_it(models: Path, parts: Parts, spoil: Spoil, message: str) -> None:
    """As the message says; what stood in the link's place is kept, unless it was a link."""
    spoil(models)
    with pytest.raises(ReleaseError, match=THERE_ARE.replace("(", r"\(").replace(")", r"\)")):
        stored(models).current()
    kept = os.path.lexists(models / "v1") and not (models / "v1").is_symlink()
    was = tree(models / "v1") if kept else {}
    assert stored(models).rollback("a", hold=False).release == "a"
    assert recsys.load(models / "v1").release == stored(models).current() == "a", message
    aside = models / "releases" / "unreleased-1"
    assert os.path.lexists(aside) == kept
    assert tree(aside) == was
    assert parts.publish(stored(models), "c").replaces == "a"


def test_of_two_copies_the_sound_one_stays(models: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A publisher looks at every byte before it gives one up; the damaged one is kept aside."""
    follow_links(models)
    (models / "releases" / "b" / "hybrid.npz").write_bytes(b"cut")
    assert recsys.load(models / "v1").release == "b"
    with stored(models).staging("c"):
        check_here(models / "releases" / "b")
    assert (models / "releases" / "unreleased-1" / "hybrid.npz").read_bytes() == b"cut"
    assert "a release is damaged, and the copy in the link's place takes its own" in caplog.text


def test_a_damaged_copy_gives_way_to_the_release(models: Path) -> None:
    """Readers of the folder are told; a publisher makes the link to the sound one."""
    half_of_it(models)
    with pytest.raises(ArtifactCorrupt, match=r"v1/hybrid.npz has 3 bytes"):
        recsys.load(models / "v1")
    with stored(models).staging("c"):
        check_here(models / "v1")
    assert stored(models).names() == ["a", "b"]
    assert not (models / "releases" / "unreleased-1").exists()


def test_two_damaged_copies_are_both_kept(models: Path) -> None:
    """None is lost for the other, and the release stays current by its name, as behind a link."""
    half_of_it(models)
    (models / "releases" / "b" / "games.parquet").write_bytes(b"cut")
    with stored(models).staging("c") as staging:
        assert staging.replaces == "b"
    assert (models / "releases" / "unreleased-1" / "hybrid.npz").read_bytes() == b"cut"
    assert (models / "releases" / "b" / "games.parquet").read_bytes() == b"cut"


@pytest.mark.parametrize("beside", [True, False], ids=["a copy", "the release itself"])
def test_readers_never_miss_it_while_the_link_is_made(published: Path, tmp_path: Path, *, beside: bool) -> None:
    """Two of them look all the time, and find the same release before, in between and after."""
    fork = multiprocessing.get_context("fork")
    for number in range(10):
        models = Path(shutil.copytree(published, tmp_path / str(number)))
        if not beside:
            shutil.rmtree(models / "releases" / "b")
        seen, over = fork.Queue(), fork.Event()
        readers = [fork.Process(target=look_at, args=(models, seen, over)) for _ in range(2)]
        for reader in readers:
            reader.start()
            assert seen.get(timeout=60) == "looking"
        with stored(models).staging("c"):
            over.set()
        assert [seen.get(timeout=60) for _ in readers] == [{"b"}] * 2
        for reader in readers:
            reader.join()


def look_at(models: Path, seen: Queue[Any], over: Event) -> None:
    """Read ``v1`` until it is over; tell all that it was."""
    answers = set()
    ready = False
    while not over.is_set():
        try:
            answers |= {verify(models / "v1").manifest.release, stored(models).current()}
        except ReleaseError as error:
            answers.add(repr(error))
        if not ready:
            seen.put("looking")
            ready = True
    seen.put(answers)


def test_what_was_moved_aside_is_never_in_the_way(models: Path) -> None:
    """The first free number is taken, also where an older one was removed."""
    folder(models, "notes")
    for name in ("unreleased-1", "unreleased-3"):
        (models / "releases" / name).mkdir()
        (models / "releases" / name / "kept").touch()
    stored(models).rollback("a")
    assert (models / "releases" / "unreleased-2" / "notes").exists()


def test_a_folder_of_releases_behind_a_link_is_one(models: Path, tmp_path: Path) -> None:
    """The folder itself may be reached through a link; what is current is the same."""
    follow_links(models)
    (tmp_path / "linked").symlink_to("models")
    with stored(tmp_path / "linked").staging("c") as staging:
        assert staging.replaces == "b"
    assert os.readlink(models / "v1") == "releases/b"  # noqa: PTH115 - the raw text is meant


def test_parts_that_cannot_be_saved_leave_no_empty_folder(tmp_path: Path) -> None:
    """It would be in the way of the next run, which could not know what it is; what was saved stays."""

    class Failing:
        def __init__(self, *names: str) -> None:
            self.names = names

        def save(self, path: Path) -> None:
            path.mkdir(parents=True, exist_ok=True)
            for name in self.names:
                (path / name).write_bytes(b"whole")
            raise ArtifactWriteError("no space left")

    with pytest.raises(ArtifactWriteError):
        save_alone(tmp_path, Failing())  # type: ignore[arg-type]
    assert not (tmp_path / "v1").exists()
    with pytest.raises(ArtifactWriteError):
        save_alone(tmp_path, Failing("rag_index.faiss"))  # type: ignore[arg-type]
    assert stored(tmp_path).current() is None
