"""Archives of arrays: what numpy reads, written as a stream, and used where it lies."""

from __future__ import annotations

import io
import pickle
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from implicit.cpu.als import AlternatingLeastSquares

from factories.small_release import make_parts
from recsys.errors import ArtifactCorrupt
from recsys.release.formats import PICKLE_PROTOCOL, write_model
from recsys.release.mapped import MappedFile
from recsys.release.npz import ALIGNED, Field, arrays_of, read_npz, write_npz
from recsys.release.store import ReleaseStore
from recsys.release.verify import verify

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ARRAYS: dict[str, np.ndarray] = {
    "odd": np.arange(13, dtype=np.int8),
    "factors": np.linspace(0, 1, 33, dtype=np.float32).reshape(11, 3),
    "turned": np.asfortranarray(np.arange(6, dtype=np.float64).reshape(2, 3)),
    "none": np.empty((0, 4), dtype=np.float32),
    "text": np.array("a recipe"),
}


class Pipe(io.RawIOBase):
    """Takes bytes as a pipe does: nothing can be sought, and nothing read."""

    def __init__(self) -> None:
        self.data = bytearray()

    def writable(self) -> bool:
        """Return that it is."""
        return True

    def write(self, data: Any) -> int:
        """Take some bytes."""
        self.data += data
        return memoryview(data).nbytes


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """Return the folder of a small release."""
    store = ReleaseStore(tmp_path / "models", check=lambda *_: None)
    make_parts(tmp_path / "parts", games=20).publish(store, "one")
    return store.path()


def stored(**arrays: np.ndarray) -> bytes:
    """Return what is written of some arrays."""
    pipe = Pipe()
    write_npz(pipe, **arrays)  # type: ignore[arg-type]
    return bytes(pipe.data)


def saved(arrays: dict[str, np.ndarray], save: Callable[..., None] = np.savez) -> bytes:
    """Return what numpy writes of some arrays."""
    out = io.BytesIO()
    save(out, **arrays)
    return out.getvalue()


def test_numpy_reads_what_is_streamed() -> None:
    """The file is one that ``numpy.load`` reads, the same bytes each time, though nothing can be sought in it."""
    with np.load(io.BytesIO(stored(**ARRAYS)), allow_pickle=False) as archive:
        assert archive.files == list(ARRAYS)
        for name, array in ARRAYS.items():
            np.testing.assert_array_equal(archive[name], array)
            assert archive[name].dtype == array.dtype
    assert stored(**ARRAYS) == stored(**ARRAYS)


def test_arrays_are_used_where_they_lie() -> None:
    """Each array is a view of the content, begins at a multiple of 64 bytes, and cannot be written."""
    content = stored(**ARRAYS)
    base = np.frombuffer(content, dtype=np.uint8)
    for name, array in arrays_of(content).items():
        np.testing.assert_array_equal(array, ARRAYS[name])
        assert array.flags.f_contiguous == ARRAYS[name].flags.f_contiguous
        if array.size:
            assert np.shares_memory(array, base)
            assert not array.flags.writeable
            assert (array.ctypes.data - base.ctypes.data) % ALIGNED == 0


def test_what_numpy_saved_is_read_too() -> None:
    """Releases of earlier versions hold archives without padding: the arrays are right, and lie as they must."""
    for name, array in arrays_of(saved(ARRAYS)).items():
        np.testing.assert_array_equal(array, ARRAYS[name])
        assert array.flags.aligned


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (saved({"a": np.zeros(9)}, np.savez_compressed), r"a\.npy is compressed"),
        (saved({"a": np.array([{}], dtype=object)}), r"a\.npy holds Python objects"),
        (stored(a=np.zeros(9, dtype=np.float32)).replace(b"(9,)", b"(8,)"), "does not match its checksum"),
        (b"nothing", "not a zip file"),
    ],
)
def test_other_archives_are_refused(content: bytes, problem: str) -> None:
    """Compressed arrays, objects and damage are told, with the file's name."""
    with pytest.raises(ArtifactCorrupt, match=rf"some\.npz cannot be read: .*{problem}"):
        read_npz("some.npz", content, {"a": Field(1, ("float32", "float64"))})


def test_a_length_that_is_not_there() -> None:
    """Also where nobody compares checksums, an array is never longer than its bytes."""
    content = memoryview(stored(a=np.zeros(9, dtype=np.float32)).replace(b"(9,)", b"(8,)"))
    with pytest.raises(ArtifactCorrupt, match=r"a\.npy has 36 bytes of values for \(8,\) of float32"):
        read_npz("some.npz", content, {"a": Field(1, ("float32",))})


def test_the_model_is_streamed_as_it_was_pickled() -> None:
    """Streamed, ``cf_model.pkl`` has the bytes that ``pickle.dumps`` gives."""
    model = AlternatingLeastSquares(factors=4, random_state=1)
    model.user_factors = np.ones((40_000, 4), dtype=np.float32)
    model.item_factors = np.zeros((3, 4), dtype=np.float32)
    pipe = Pipe()
    write_model(pipe, model)  # type: ignore[arg-type]
    assert bytes(pipe.data) == pickle.dumps(model, protocol=PICKLE_PROTOCOL)


def test_verified_arrays_are_mapped_from_the_disk(published: Path) -> None:
    """What is verified is not read into memory: its arrays belong to a map of the file that was hashed."""
    content = verify(published, keep=["cf_factors.npz"]).contents["cf_factors.npz"]
    assert isinstance(content.obj, MappedFile)
    assert content.obj.path.name == "cf_factors.npz"
    factors = arrays_of(content)["user_factors"]
    before = factors.copy()
    (published / "cf_factors.npz").unlink()  # as pruning does
    np.testing.assert_array_equal(factors, before)


def test_large_releases_are_hashed_by_several_threads(published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With threads, the same is returned, in the same order, and the same damage found."""
    alone = verify(published, keep=["metadata.json", "hybrid.npz"])
    monkeypatch.setattr("recsys.release.verify._LARGE", 0)
    beside = verify(published, keep=["metadata.json", "hybrid.npz"])
    assert list(beside.contents) == list(alone.contents)
    assert {name: bytes(data) for name, data in beside.contents.items()} == {
        name: bytes(data) for name, data in alone.contents.items()
    }
    file = published / "hybrid.npz"
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    with pytest.raises(ArtifactCorrupt, match=r"hybrid\.npz is not what was published"):
        verify(published)
