"""``cf_model.pkl`` becomes implicit's ALS, and nothing else ever runs."""

from __future__ import annotations

import builtins
import io
import os
import pickle
import pickletools
import subprocess
from typing import TYPE_CHECKING, Any

import implicit.cpu.als as implicit_als
import numpy as np
import pytest

from factories.small_release import cf_model
from recsys.errors import ArtifactCorrupt
from recsys.release.unpickle import als_state, load_als

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def model() -> Any:
    """Return a trained implicit model."""
    return cf_model(0).als_model


def test_a_model_comes_back_as_it_was(model: Any) -> None:
    """Class, factors and settings are those of plain unpickling."""
    data = pickle.dumps(model, protocol=5)
    loaded, plain = load_als(data), pickle.loads(data)
    assert type(loaded) is implicit_als.AlternatingLeastSquares
    assert vars(loaded).keys() == vars(plain).keys()
    np.testing.assert_array_equal(loaded.user_factors, plain.user_factors)
    np.testing.assert_array_equal(loaded.item_factors, plain.item_factors)
    assert loaded.user_factors.dtype == np.float32
    for name in ("factors", "regularization", "alpha", "iterations", "random_state", "dtype"):
        assert getattr(loaded, name) == getattr(plain, name)


def test_a_loaded_model_works(model: Any) -> None:
    """It recommends what the original recommends, norms computed before pickling included."""
    model.similar_items(0)
    loaded = load_als(pickle.dumps(model, protocol=5))
    from scipy.sparse import csr_matrix

    seen = csr_matrix(np.zeros((1, len(model.item_factors)), dtype=np.float32))
    for mine, theirs in zip(loaded.recommend(0, seen), model.recommend(0, seen), strict=True):
        np.testing.assert_array_equal(mine, theirs)


class Call:
    """Pickles as a call of ``function`` with ``arguments``."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self._call = function, arguments

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return self._call


def with_attribute(name: str, value: Any) -> bytes:
    """Return a pickled ALS model with one attribute more, or another value of one."""
    model = cf_model(0).als_model
    vars(model)[name] = value
    return pickle.dumps(model, protocol=5)


def assembled(*opcodes: bytes) -> bytes:
    """Return a pickle of protocol 5, written by hand."""
    return b"\x80\x05" + b"".join(opcodes) + b"."


def text(value: str) -> bytes:
    """Return the opcode that pushes a text."""
    return b"\x8c" + bytes([len(value.encode())]) + value.encode()


ALS = text("implicit.cpu.als") + text("AlternatingLeastSquares") + b"\x93"
DTYPE = text("numpy") + text("dtype") + b"\x93"


def hostile(marker: Path) -> dict[str, bytes]:
    """Return pickles that try to run something, or to leave something behind."""
    command = f"touch {marker}"
    return {
        "os.system": pickle.dumps(Call(os.system, command), protocol=5),
        "eval": pickle.dumps(Call(builtins.eval, f"__import__('os').system({command!r})"), protocol=5),
        "exec": pickle.dumps(Call(builtins.exec, f"open({str(marker)!r}, 'w')"), protocol=5),
        "subprocess": pickle.dumps(Call(subprocess.Popen, ["touch", str(marker)]), protocol=5),
        "open": pickle.dumps(Call(open, str(marker), "w"), protocol=5),
        "getattr": assembled(text("builtins"), text("getattr"), b"\x93", DTYPE, text("mro"), b"\x86R"),
        "inside an attribute": with_attribute("random_state", Call(os.system, command)),
        "in place of the factors": with_attribute("item_factors", Call(np.save, str(marker), 1)),
        "a dotted name": assembled(
            text("implicit.cpu.als"), text("AlternatingLeastSquares.__init__.__globals__"), b"\x93"
        ),
        "the old opcode": assembled(b"cposix\nsystem\n", text(command), b"\x85R"),
        "numpy's own loader": pickle.dumps(Call(np.load, str(marker), None, 1), protocol=5),
        "an extension code": assembled(b"\x82\x01"),
        "a persistent id": assembled(text(command), b"Q"),
        "an object array": assembled(DTYPE, text("O8"), b"\x89\x88\x87R"),
    }


def test_no_hostile_pickle_runs(tmp_path: Path) -> None:
    """More than a dozen ways in: each is refused by name, and none has run."""
    marker = tmp_path / "ran"
    pickles = hostile(marker)
    assert len(pickles) >= 5
    for name, data in pickles.items():
        with pytest.raises(ArtifactCorrupt, match=r"cf_model.pkl"):
            load_als(data)
        assert not marker.exists(), name


def test_the_canary_would_have_sung(tmp_path: Path) -> None:
    """Plain unpickling does run the first of them: the test above proves something."""
    marker = tmp_path / "ran"
    pickle.loads(hostile(marker)["os.system"])
    assert marker.exists()


def test_a_pickle_leaves_no_mark_on_the_real_classes(model: Any) -> None:
    """A state that is set on the class itself would change every model of the process: it meets a stand-in."""
    # BUILD with (None, {"recommend": numpy.dtype}) on the class, not on an instance of it.
    data = assembled(ALS, b"N}", text("recommend"), DTYPE, b"s\x86b")
    pickletools.dis(data, io.StringIO())
    before = implicit_als.AlternatingLeastSquares.recommend
    with pytest.raises(ArtifactCorrupt):
        load_als(data)
    assert implicit_als.AlternatingLeastSquares.recommend is before


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("recommend", 1),
        ("__class__", 1),
        ("factors", float("nan")),
        ("factors", [1]),
        ("user_factors", None),
        ("item_factors", np.zeros(3, dtype=np.float32)),
        ("item_factors", np.zeros((3, 3), dtype=np.int64)),
    ],
)
def test_attributes_that_no_model_has_are_refused(name: str, value: Any) -> None:
    """Methods cannot be replaced, and factors are two-dimensional arrays of floats."""
    with pytest.raises(ArtifactCorrupt):
        als_state(with_attribute(name, value))


@pytest.mark.parametrize(
    "data",
    [b"", b"\x80", b"not a pickle", pickle.dumps({"user_factors": 1}, protocol=5), pickle.dumps(1, protocol=4)],
)
def test_what_is_no_model_is_refused(data: bytes) -> None:
    """Garbage, other objects and other protocols are one error."""
    with pytest.raises(ArtifactCorrupt, match=r"cf_model.pkl"):
        als_state(data)


def test_bytes_after_the_model_are_refused(model: Any) -> None:
    """A second pickle behind the first is not skipped in silence."""
    data = pickle.dumps(model, protocol=5)
    with pytest.raises(ArtifactCorrupt, match="3 bytes after the end"):
        als_state(data + b"\x80\x05.")


def test_every_cut_is_refused(model: Any) -> None:
    """A model cut off anywhere is an error of ours, whatever pickle makes of it."""
    data = pickle.dumps(model, protocol=5)
    for end in range(0, len(data) - 1, 7):
        with pytest.raises(ArtifactCorrupt):
            als_state(data[:end])
