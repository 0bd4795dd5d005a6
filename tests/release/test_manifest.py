"""Manifests read: formats that grow, values of any kind, and numbers in the order of publication."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factories.json_trees import VALUES, changed, places
from factories.old_release import FOLDER
from factories.small_release import Parts, make_parts
from recsys.errors import ArtifactCorrupt, IncompatibleArtifact
from recsys.release.facts import Facts
from recsys.release.layout import MANIFEST
from recsys.release.manifest import FORMAT, Manifest
from recsys.release.sequence import next_sequence
from recsys.release.store import ReleaseStore

if TYPE_CHECKING:
    from pathlib import Path

STORED: dict[str, Any] = json.loads((FOLDER / MANIFEST).read_bytes())


@settings(max_examples=400, deadline=None)
@given(path=st.sampled_from(list(places(STORED))), value=VALUES, drop=st.booleans())
def test_another_value_anywhere_is_read_or_refused(path: tuple[str | int, ...], value: Any, drop: bool) -> None:  # noqa: FBT001 - drawn
    """Whatever stands at any key, reading ends with a manifest or an error of exit code 76, never a traceback."""
    data = json.dumps(changed(STORED, path, value, drop=drop)).encode()
    try:
        manifest = Manifest.from_bytes(data)
    except (ArtifactCorrupt, IncompatibleArtifact) as error:
        assert MANIFEST in str(error)  # noqa: PT017 - both outcomes are right
        assert error.exit_code == 76  # noqa: PT017 - the same
    else:
        manifest.changes(manifest.content, manifest.cf)


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"null", b"{", b"[" * 100_000, b"\xff", b'{"format": 1}', b'{"format": "1"}']
)
def test_what_is_no_manifest_is_damage(data: bytes) -> None:
    """It is refused in words, however deep or short."""
    with pytest.raises(ArtifactCorrupt, match=MANIFEST):
        Manifest.from_bytes(data)


def test_what_a_later_minor_adds_is_passed_over() -> None:
    """Unknown keys at any place of a higher MINOR change nothing; among the facts they are kept."""
    later = json.loads(json.dumps(STORED)) | {"minor": FORMAT.minor + 7, "invention": [1]}
    for tree in (later["cf"], later["steps"]["fetch_games"], later["files"]["games.parquet"], later["facts"]["data"]):
        tree["invention"] = {"deep": True}
    later["facts"]["invention"] = "kept"
    manifest, before = (Manifest.from_bytes(json.dumps(tree).encode()) for tree in (later, STORED))
    assert manifest.minor == FORMAT.minor + 7
    assert manifest.changes(before.content, before.cf) == ["format"], "of an older MAJOR, and nothing else"
    assert manifest.facts.data == before.facts.data
    assert json.loads(manifest.to_bytes())["facts"]["invention"] == "kept"


@pytest.mark.parametrize("major", [FORMAT.major + 1, 10**30])
def test_a_higher_major_is_refused_before_anything_else_is_read(major: int) -> None:
    """Even where nothing else is as it was: install a newer recsys."""
    with pytest.raises(IncompatibleArtifact, match="install a newer recsys"):
        Manifest.from_bytes(json.dumps({"format": major, "release": None}).encode())


def test_facts_are_written_as_they_were_given() -> None:
    """A key that a run did not give is not made up, and one without a value stays."""
    facts = Facts.model_validate({"drift": None, "tuning": {"search": {"winner": {}}, "because": "x"}})
    assert facts.model_dump() == {"drift": None, "tuning": {"search": {"winner": {}}, "because": "x"}}


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Parts:
    """Return the parts of a small release."""
    return make_parts(tmp_path_factory.mktemp("parts"), games=20)


def test_releases_are_numbered_in_the_order_of_publication(tmp_path: Path, parts: Parts) -> None:
    """1, 2, 3, pruned ones counted; after going back, the next number is a new one, and names its predecessor."""
    store = ReleaseStore(tmp_path, keep=2, check=lambda *_: None)
    for name in ("a", "b", "c"):
        parts.publish(store, name)
    assert store.names() == ["b", "c"]
    store.rollback("b", hold=False)
    manifest = parts.publish(store, "d")
    assert (manifest.sequence, manifest.replaces) == (4, "b")
    assert (manifest.format, manifest.minor) == FORMAT


def numbered(name: str, replaces: str | None, sequence: int | None = None) -> Manifest:
    """Return a manifest with a name, a predecessor and perhaps a number."""
    tree = STORED | {"release": name, "replaces": replaces, "sequence": sequence}
    return Manifest.from_bytes(json.dumps(tree).encode())


@pytest.mark.parametrize(
    ("manifests", "following"),
    [
        ([], 1),
        ([("a", None, None)], 2),
        ([("c", "b", None), ("b", "a", None)], 4),
        ([("c", "gone", None)], 3),
        ([("e", "d", None), ("d", "c", 4)], 6),
        ([("a", "b", None), ("b", "a", None)], 3),
        ([("a", None, 9), ("b", "a", 2)], 10),
    ],
    ids=["first", "old", "line of old ones", "pruned predecessor", "old after new", "circle", "highest"],
)
def test_releases_without_a_number_count_as_their_line(
    manifests: list[tuple[str, str | None, int | None]], following: int
) -> None:
    """As far as predecessors are known, the last by name alone."""
    assert next_sequence(numbered(*manifest) for manifest in manifests) == following
