"""What the files of a release hold: shapes and dtypes, for the manifest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recsys.errors import ArtifactWriteError
from recsys.release.formats import read_game_ids, read_index
from recsys.release.layout import METADATA
from recsys.release.manifest import ArrayFacts
from recsys.release.mapped import mapped
from recsys.release.npz import arrays_of

if TYPE_CHECKING:
    from pathlib import Path


def describe(path: Path) -> dict[str, ArrayFacts]:
    """Return shape and dtype of every array in an artifact; empty for other files.

    Parameters
    ----------
    path
        A file of a release; its name's ending says what it is.

    Returns
    -------
    dict
        By the array's name, such as ``user_factors``.

    Raises
    ------
    ArtifactWriteError
        If the file is not what its ending says: it must not be published.
    """
    reader = {".faiss": _index, ".npz": _npz, ".parquet": _parquet}.get(path.suffix)
    if path.name == METADATA:
        reader = _metadata
    try:
        return reader(path) if reader else {}
    except Exception as error:
        # Parsers fail in their own ways (RuntimeError, BadZipFile, ArrowInvalid…); none may be published.
        raise ArtifactWriteError(f"{path} cannot be read back: {type(error).__name__}: {error}; run again") from error


def _array(shape: tuple[int, ...], dtype: object) -> ArrayFacts:
    return ArrayFacts(shape=tuple(int(length) for length in shape), dtype=str(dtype))


def _index(path: Path) -> dict[str, ArrayFacts]:
    index = read_index(path.read_bytes())
    return {"vectors": _array((index.ntotal, index.d), "float32")}


def _npz(path: Path) -> dict[str, ArrayFacts]:
    return {name: _array(array.shape, array.dtype) for name, array in arrays_of(mapped(path)).items()}


def _parquet(path: Path) -> dict[str, ArrayFacts]:
    import pyarrow.parquet as pq

    # Arrow takes a path such as `run:1` for an address: it is given the open file.
    with path.open("rb") as file:
        parquet = pq.ParquetFile(file)
        rows = parquet.metadata.num_rows
        return {field.name: _array((rows,), field.type) for field in parquet.schema_arrow}


def _metadata(path: Path) -> dict[str, ArrayFacts]:
    ids = read_game_ids(path.read_bytes())
    return {"ids": _array((len(ids),), "/".join(sorted({type(id_).__name__ for id_ in ids})))}
