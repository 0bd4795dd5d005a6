"""A release that another process loaded answers as one that was loaded here, and nobody waits for it."""

from __future__ import annotations

import gc
import os
import weakref
from typing import TYPE_CHECKING

import numpy as np
import pytest

import recsys
from factories.served import CAFE, publish
from factories.tables import FIRST_GAME
from recsys.errors import ArtifactCorrupt, RecsysError, ReleaseNotFound
from recsys.models.users import FoldedUsers
from recsys.release.mapped import MappedArray, mapped

if TYPE_CHECKING:
    from pathlib import Path

    from recsys.serving import Recommender

pytestmark = pytest.mark.skipif(os.name != "posix", reason="elsewhere releases are loaded in place")


def answers(it: Recommender) -> list[object]:
    """Return what a recommender says to questions of every kind."""
    return [
        *(it.recommend(user, 5, by=by, why=True) for user in (1, 2, 999999) for by in ("taste", "content", "blend")),
        *(it.similar(FIRST_GAME + n, 5, by="blend", collapse=True) for n in range(5)),
        it.recommend_from([FIRST_GAME, CAFE], 5, filters=["tag=Trains|Bluffing", "N_RATINGS>=0"], why=True),
        it.explain(3, FIRST_GAME),
        it.find("economic game"),
        it.snapshot.catalogue.tags,
        it.snapshot.catalogue.columns,
    ]


@pytest.mark.parametrize("eager", [True, False])
def test_it_answers_as_a_release_that_was_loaded_here(tmp_path: Path, *, eager: bool) -> None:
    """To the last bit, with the same vectors and with others."""
    publish(tmp_path)
    apart = recsys.load(tmp_path / "v1", eager=eager, apart=True)
    publish(tmp_path, seed=1)
    assert apart.reload()
    assert answers(apart) == answers(recsys.load(tmp_path / "v1"))
    publish(tmp_path, seed=2, names={FIRST_GAME: "Renamed", CAFE: "Another"})
    assert apart.reload()
    here = recsys.load(tmp_path / "v1")
    assert answers(apart) == answers(here)
    assert not apart.snapshot.taste.factors.flags.writeable  # memory that the other process filled
    assert here.snapshot.taste.factors.flags.writeable
    np.testing.assert_array_equal(apart.snapshot.content.vectors, here.snapshot.content.vectors)


def test_vectors_that_stay_the_same_are_shared(tmp_path: Path) -> None:
    """They are most of a release, and their table of neighbours need not be filled again."""
    publish(tmp_path)
    it = recsys.load(tmp_path / "v1", eager=True, apart=True)
    content = it.snapshot.content
    publish(tmp_path, seed=1)
    assert it.reload()
    assert it.snapshot.content is content
    assert it.snapshot.hybrid.content is content


def test_arrays_that_lie_in_files_are_mapped_again(tmp_path: Path) -> None:
    """What is in a file of the release is not copied from process to process: who rated what takes no memory here."""
    publish(tmp_path)
    it = recsys.load(tmp_path / "v1", eager=True, apart=True)
    factors = it.snapshot.people.factors
    assert isinstance(factors, FoldedUsers)
    for array, name in (
        (factors.indices, "interactions.npz"),
        (factors.confidence, "interactions.npz"),
        (factors.item_factors, "cf_factors.npz"),
    ):
        place = MappedArray.of(array)
        assert place is not None
        assert place.path == str((tmp_path / "v1").resolve() / name)
        np.testing.assert_array_equal(place.open({}), array)
    assert MappedArray.of(factors.indices.copy()) is None
    assert MappedArray.of(factors.confidence[::2]) is None


def test_a_file_that_became_another_is_not_mapped(tmp_path: Path) -> None:
    """What the other process verified is what is mapped here, or nothing is."""
    file = tmp_path / "numbers"
    file.write_bytes(bytes(64))
    place = MappedArray.of(np.frombuffer(mapped(file), dtype=np.float32))
    assert place is not None
    (tmp_path / "other").write_bytes(bytes(64))
    (tmp_path / "other").replace(file)
    with pytest.raises(RecsysError, match="became another file"):
        place.open({})
    file.unlink()
    with pytest.raises(RecsysError, match="cannot be read any more"):
        place.open({})


def test_the_release_before_is_freed_by_its_references(tmp_path: Path) -> None:
    """The collector passes over what is loaded: a circle in a release would stay for ever."""
    publish(tmp_path)
    it = recsys.load(tmp_path / "v1", eager=True, apart=True)
    publish(tmp_path, seed=1)
    assert it.reload()
    answers(it)
    gone = weakref.ref(it.snapshot)
    gc.disable()
    try:
        publish(tmp_path, seed=2)
        gc.disable()
        assert it.reload()
        assert gone() is None
    finally:
        gc.enable()
        gc.unfreeze()


def test_its_errors_are_those_of_a_load_here(tmp_path: Path) -> None:
    """The kind and the words; the old release goes on."""
    publish(tmp_path)
    it = recsys.load(tmp_path / "v1", apart=True)
    before = it.release
    damaged = publish(tmp_path, seed=1) / "cf_factors.npz"
    damaged.chmod(0o600)
    damaged.write_bytes(damaged.read_bytes()[:-1])
    with pytest.raises(ArtifactCorrupt) as here:
        recsys.load(tmp_path / "v1")
    with pytest.raises(ArtifactCorrupt) as there:
        it.reload()
    assert str(there.value) == str(here.value)
    assert it.release == before


def test_a_recommender_that_waits_answers_nothing_until_it_is_loaded(tmp_path: Path) -> None:
    """Every question raises ``ReleaseNotFound``; the first load that succeeds ends that."""
    it = recsys.load(tmp_path / "v1", wait=True)
    for ask in (lambda: it.release, lambda: it.recommend(1), lambda: it.find("x"), it.reload):
        with pytest.raises(ReleaseNotFound):
            ask()
    publish(tmp_path)
    assert it.reload()
    assert it.recommend(1)
