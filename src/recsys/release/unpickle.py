"""Unpickling ``cf_model.pkl`` without trusting it.

A pickle is a program. This one may call exactly three things, and it gets stand-ins of its own for
them, so that it cannot even leave a mark on the real ones: implicit's ALS class (which becomes a
bare record), ``numpy.dtype`` and numpy's array from a buffer. What comes out is checked field by
field before the real object is made.
"""

from __future__ import annotations

import io
import math
import pickle
from typing import TYPE_CHECKING, Any

from recsys.errors import ArtifactCorrupt, MissingExtra
from recsys.release.formats import PICKLE_PROTOCOL

if TYPE_CHECKING:
    from implicit.cpu.als import AlternatingLeastSquares

_ALS = ("implicit.cpu.als", "AlternatingLeastSquares")
_FACTORS = ("user_factors", "item_factors")
_SQUARES = ("_YtY", "_XtX")
_NORMS = ("_user_norms", "_item_norms")


def als_state(data: bytes) -> dict[str, Any]:
    """Return the attributes of a pickled implicit ALS model; implicit need not be installed.

    Parameters
    ----------
    data
        The content of ``cf_model.pkl``, pickled at protocol 5.

    Returns
    -------
    dict
        Attribute names and values: two-dimensional float arrays and plain scalars.

    Raises
    ------
    ArtifactCorrupt
        If it is not such a model, or asks for anything else.
    """
    if data[:2] != bytes([0x80, PICKLE_PROTOCOL]):
        raise ArtifactCorrupt(
            f"cf_model.pkl is not a pickle of protocol {PICKLE_PROTOCOL}; publish again with this version"
        )
    stream = io.BytesIO(data)
    unpickler = _AlsUnpickler(stream)
    try:
        record = unpickler.load()
    except ArtifactCorrupt:
        raise
    except Exception as error:
        # Bytes that are no pickle fail in every way there is: EOFError, KeyError, MemoryError…
        raise ArtifactCorrupt(f"cf_model.pkl cannot be unpickled: {type(error).__name__}: {error}") from error
    if type(record) is not unpickler.record:
        raise ArtifactCorrupt(
            f"cf_model.pkl holds a {type(record).__name__} instead of implicit's AlternatingLeastSquares"
        )
    if stream.tell() != len(data):
        raise ArtifactCorrupt(f"cf_model.pkl has {len(data) - stream.tell()} bytes after the end of the model")
    state = dict(vars(record))
    _check(state)
    return state


def load_als(data: bytes) -> AlternatingLeastSquares:
    """Return the implicit ALS model of ``cf_model.pkl``, without running what the pickle says.

    Raises
    ------
    ArtifactCorrupt
        If it is not such a model, or asks for anything else.
    MissingExtra
        If implicit is not installed.
    """
    state = als_state(data)
    try:
        from implicit.cpu.als import AlternatingLeastSquares
    except ImportError as error:
        raise MissingExtra("train", "the ALS model object") from error
    model = AlternatingLeastSquares.__new__(AlternatingLeastSquares)
    vars(model).update(state)
    return model


class _AlsUnpickler(pickle.Unpickler):
    """Knows three names; every load gets stand-ins of its own."""

    def __init__(self, stream: io.BytesIO) -> None:
        super().__init__(stream)
        import numpy as np

        self.record = type("AlternatingLeastSquares", (), {})

        def dtype(name: str, *_: object) -> np.dtype[Any]:
            if name not in {"f4", "f8"}:
                raise ArtifactCorrupt(f"cf_model.pkl holds an array of dtype {str(name)[:20]!r}; factors are f4 or f8")
            # A copy: the pickle sets the byte order of what it gets.
            return np.dtype(name, copy=True)

        def frombuffer(
            buffer: bytearray, kind: np.dtype[Any], shape: tuple[int, ...], order: str
        ) -> np.ndarray[Any, Any]:
            return np.frombuffer(buffer, dtype=kind).reshape(shape, order="F" if order == "F" else "C")

        self._known = {
            _ALS: self.record,
            ("numpy", "dtype"): dtype,
            ("numpy._core.numeric", "_frombuffer"): frombuffer,
        }

    def find_class(self, module: str, name: str) -> Any:
        """Return the stand-in for one of the three names."""
        try:
            return self._known[module, name]
        except KeyError:
            raise ArtifactCorrupt(
                f"cf_model.pkl asks for {module}.{name}, which no ALS model needs: it is not loaded"
            ) from None

    def persistent_load(self, _: Any) -> Any:
        """Refuse: a model refers to nothing outside itself."""
        raise ArtifactCorrupt("cf_model.pkl refers to something outside itself: it is not loaded")


def _check(state: dict[str, Any]) -> None:
    import numpy as np

    for name, value in state.items():
        if name in _FACTORS:
            fine = isinstance(value, np.ndarray) and value.ndim == 2
        elif name in _SQUARES:
            fine = value is None or (isinstance(value, np.ndarray) and value.ndim == 2)
        elif name in _NORMS:
            fine = value is None or (isinstance(value, np.ndarray) and value.ndim == 1)
        elif name == "dtype":
            fine = isinstance(value, np.dtype)
        else:
            fine = _is_setting(name, value)
        if not fine:
            raise ArtifactCorrupt(
                f"cf_model.pkl: attribute {str(name)[:40]!r} is no part of an ALS model: it is not loaded"
            )
    if missing := [name for name in _FACTORS if name not in state]:
        raise ArtifactCorrupt(f"cf_model.pkl lacks {' and '.join(missing)}")


_SETTINGS = {
    "num_threads", "factors", "regularization", "alpha", "use_native", "use_cg", "iterations",
    "calculate_training_loss", "cg_steps", "random_state", "fit_callback",
}  # fmt: skip


def _is_setting(name: str, value: object) -> bool:
    if name not in _SETTINGS:
        return False
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, int | str)
