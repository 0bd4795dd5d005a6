"""The order of publication is what the releases say of themselves: no clock and no file's time changes it."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
from typing import TYPE_CHECKING

import pytest

from factories.old_release import FOLDER
from factories.small_release import Parts, make_parts
from recsys.release.layout import DIGEST, MANIFEST
from recsys.release.manifest import Manifest
from recsys.release.sequence import places
from recsys.release.store import ReleaseStore

if TYPE_CHECKING:
    from pathlib import Path

STORED = json.loads((FOLDER / MANIFEST).read_bytes())


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Parts:
    """Return the parts of a small release."""
    return make_parts(tmp_path_factory.mktemp("parts"), games=20)


def stored(folder: Path, keep: int = 3) -> ReleaseStore:
    """Return a store that checks nothing, which is quick."""
    return ReleaseStore(folder, keep=keep, check=lambda *_: None)


def restamp(folder: Path, **facts: object) -> None:
    """Change what a release says of itself, its digest too, as another machine would have written it."""
    data = json.dumps(json.loads((folder / MANIFEST).read_bytes()) | facts).encode()
    (folder / MANIFEST).write_bytes(data)
    (folder / DIGEST).write_text(f"{hashlib.sha256(data).hexdigest()}  {MANIFEST}\n")


def test_a_clock_that_was_ahead_changes_nothing(tmp_path: Path, parts: Parts) -> None:
    """A release of next year is the oldest all the same, and goes first; the one that was replaced is gone back to."""
    store = stored(tmp_path, keep=2)
    parts.publish(store, "a")
    restamp(store.path("a"), created="2099-01-01T00:00:00.000+00:00")
    for name in ("b", "c"):
        parts.publish(store, name)
    assert store.names() == ["b", "c"]
    assert store.rollback().release == "b"


def test_two_machines_with_other_clocks_are_one_line(tmp_path: Path, parts: Parts) -> None:
    """Each release is stamped a year before the one that it replaced; the order is that of publication."""
    store = stored(tmp_path, keep=3)
    for year, name in zip((2030, 2029, 2028, 2027), ("d", "c", "b", "a"), strict=True):
        parts.publish(store, name)
        restamp(store.path(name), created=f"{year}-01-01T00:00:00.000+00:00")
    assert store.names() == ["c", "b", "a"]


def test_a_copy_with_new_file_times_is_in_the_same_order(tmp_path: Path, parts: Parts) -> None:
    """The newest release has the oldest files; listing, pruning and the next number take no notice."""
    store = stored(tmp_path / "models")
    for name in ("a", "b", "c"):
        parts.publish(store, name)
    shutil.copytree(tmp_path / "models", tmp_path / "copy", symlinks=True)
    for age, name in enumerate(("a", "b", "c")):
        for path in (folder := tmp_path / "copy" / "releases" / name, *folder.iterdir()):
            os.utime(path, (2e9 - age * 1e6,) * 2)
    copy = stored(tmp_path / "copy")
    assert copy.names() == ["a", "b", "c"]
    assert parts.publish(copy, "d").sequence == 4
    assert copy.names() == ["b", "c", "d"]


def test_a_damaged_release_keeps_its_number_to_itself(tmp_path: Path, parts: Parts) -> None:
    """Going back from it and publishing makes a number that it does not have, though its digest is wrong."""
    store = stored(tmp_path, keep=9)
    for name in ("a", "b", "c"):
        parts.publish(store, name)
    store.rollback("a", hold=False)
    (tmp_path / "releases" / "c" / DIGEST).write_text("damaged")
    assert parts.publish(store, "d").sequence == 4


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"sequence": "9"}', '{"sequence": true}', '{"sequence": -1}', "[" * 9999]
)
def test_a_damaged_manifest_may_claim_nothing(tmp_path: Path, parts: Parts, text: str) -> None:
    """What is no number is none; publishing goes on."""
    store = stored(tmp_path)
    parts.publish(store, "a")
    (tmp_path / "releases" / "a" / MANIFEST).write_text(text)
    with store.staging("b") as staging:
        assert staging.sequence == 1


def manifest(name: str, replaces: str | None, created: str, sequence: int | None = None) -> Manifest:
    """Return a manifest, without a number as versions wrote it that did not count."""
    tree = STORED | {"release": name, "replaces": replaces, "created": created, "sequence": sequence}
    return Manifest.from_bytes(json.dumps(tree).encode())


@pytest.mark.parametrize(
    ("line", "order"),
    [
        ([("a", None, "2027"), ("b", "a", "2026"), ("c", "b", "2025")], "abc"),
        ([("a", None, "1"), ("b", "a", "2"), ("c", "b", "3"), ("d", "a", "4")], "abcd"),
        ([("b", "gone", "2"), ("e", "gone too", "5"), ("f", "e", "1")], "bef"),
        ([("z", None, "2030"), ("b", "z", "2026", 2), ("a", "b", "2020", 3)], "zba"),
        ([("a", None, "2026", 7), ("b", "a", "2020"), ("c", "a", "2019", 9)], "abc"),
    ],
    ids=["clock went back", "gone back to", "removed by hand", "old before counted", "old after counted"],
)
def test_releases_without_a_number_come_after_what_they_replaced(
    line: list[tuple[str, str | None, str]], order: str
) -> None:
    """What is known of their line comes first; times decide between lines alone."""
    shuffled = random.Random(0).sample(line, len(line))
    place = places(manifest(*each) for each in shuffled)
    assert "".join(sorted(place, key=lambda name: place[name])) == order
