"""Loading a release in a process of its own: whoever answers meanwhile does not wait for Python's lock.

The other process verifies and loads the release and builds what answers from it, then hands that over through memory
that both map: arrays as they are, the rest pickled. Arrays that lie in files of the release are mapped from there.
Nothing that a release holds is unpickled: what is read here was written by this very package a moment ago, into memory
without a name.
"""

from __future__ import annotations

import gc
import io
import json
import mmap
import os
import pickle
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from recsys.errors import RecsysError
from recsys.release.keys import SIGNING, UNLOCKING
from recsys.release.loading import load_release
from recsys.release.mapped import MappedArray
from recsys.serving.snapshot import Snapshot, vectors_of
from recsys.system.told import retold, told

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from recsys.release.keys import PublicKeys

_ALIGNED = 64
_NICE = 10
"""How much less than questions the loading process counts, where cores are few."""
_BREATH_S = 0.001
_FEW = 16
"""Entries of a map that are handed over one by one."""
_CONTENT, _VECTORS = "content", "vectors"
"""Names of what is not handed over where the one before has it already."""


def snapshot_apart(path: Path, keys: PublicKeys | None, before: Snapshot | None, *, eager: bool) -> Snapshot:
    """Return a release, verified, loaded and built by another process.

    Parameters
    ----------
    path, keys, eager
        As of :func:`recsys.serving.load`.
    before
        Where it has the same vectors, they are shared with it.

    Raises
    ------
    ReleaseNotFound, ArtifactCorrupt, IncompatibleArtifact
        What the other process found, in its words.
    RecsysError
        If it ended otherwise.
    """
    asked = {"path": str(path), "eager": eager, "vectors": vectors_of(before.manifest) if before else None}
    with tempfile.TemporaryFile() if sys.platform != "linux" else _nameless() as file:
        said = _run(asked, keys, file)
        if "error" in said:
            raise retold(*said["error"])
        with _no_collection():
            snapshot = _taken_over(file, said["buffers"], said["rest"], said["parts"], before)
    if eager:
        snapshot.content.begin()
    return snapshot


def _nameless() -> BinaryIO:
    return os.fdopen(os.memfd_create("recsys-release"), "w+b")


def _run(asked: Mapping[str, object], keys: PublicKeys | None, file: BinaryIO) -> dict[str, Any]:
    # -P: nothing is imported from the working directory.
    command = [sys.executable, "-P", "-m", __name__, str(file.fileno())]
    done = subprocess.run(
        command,
        env=_environment(keys),
        input=json.dumps(asked).encode(),
        stdout=subprocess.PIPE,
        pass_fds=[file.fileno()],
        check=False,
    )
    try:
        said: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        raise RecsysError(f"the process that loads {asked['path']} ended with exit code {done.returncode}") from None
    return said


def _environment(keys: PublicKeys | None) -> dict[str, str]:
    """Return an environment that imports this very package, and knows no secret."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("SNOWFLAKE_", "AWS_"))}
    for name in ("RECSYS_SERVE_TOKEN", SIGNING, UNLOCKING):
        environment.pop(name, None)
    package = str(Path(__file__).resolve().parents[2])
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [package, environment.get("PYTHONPATH")]))
    environment["OPENBLAS_NUM_THREADS"] = environment["OMP_NUM_THREADS"] = "1"
    return environment if keys is None else environment | keys.environment()


@contextmanager
def _no_collection() -> Iterator[None]:
    """Keep the collector away from a release: looking through all of it, time and again, stops everybody else.

    A release is freed by its references; it holds no circle.
    """
    was = gc.isenabled()
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        if was:
            gc.enable()


def _taken_over(
    file: BinaryIO, buffers: Sequence[Sequence[int]], rest: int, parts: int, before: Snapshot | None
) -> Snapshot:
    # The arrays keep the map, and with it the memory, for as long as they are needed.
    memory = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    views = [memory[start : start + size] for start, size in buffers]
    reader, snapshot = _Reader(io.BytesIO(memory[rest:]), before, views), None
    for _ in range(parts):
        snapshot = reader.load()
        time.sleep(_BREATH_S)  # each part is read in one go: others have their turn between two of them
    assert isinstance(snapshot, Snapshot)
    return snapshot


class _Reader(pickle.Unpickler):
    def __init__(self, file: BinaryIO, before: Snapshot | None, buffers: Sequence[memoryview]) -> None:
        super().__init__(file, buffers=buffers)
        self._before = before
        self._files: dict[Path, memoryview] = {}

    def persistent_load(self, name: str | MappedArray) -> object:
        if isinstance(name, MappedArray):
            return name.open(self._files)
        assert self._before is not None
        return self._before.content if name == _CONTENT else self._before.content.vectors


class _Writer(pickle.Pickler):
    def __init__(self, file: BinaryIO, shared: Mapping[int, str], buffers: list[pickle.PickleBuffer]) -> None:
        super().__init__(file, protocol=5, buffer_callback=buffers.append)
        self._shared = shared

    def persistent_id(self, value: object) -> str | MappedArray | None:
        if isinstance(value, np.ndarray):
            return self._shared.get(id(value)) or MappedArray.of(value)
        return self._shared.get(id(value))


def _hand_over(snapshot: Snapshot, file: BinaryIO, *, shared: bool) -> dict[str, object]:
    """Write a snapshot, its arrays first; return where they begin and how long they are, and where the rest begins."""
    known = {id(snapshot.content): _CONTENT, id(snapshot.content.vectors): _VECTORS} if shared else {}
    buffers: list[pickle.PickleBuffer] = []
    rest = io.BytesIO()
    writer, parts = _Writer(rest, known, buffers), [*_parts(snapshot, known), snapshot]
    for part in parts:
        writer.dump(part)
    places = []
    for buffer in buffers:
        file.seek(-(-file.tell() // _ALIGNED) * _ALIGNED)
        places.append((file.tell(), buffer.raw().nbytes))
        file.write(buffer.raw())
    start = file.tell()
    file.write(rest.getbuffer())
    file.flush()
    return {"buffers": places, "rest": start, "parts": len(parts)}


def _parts(snapshot: Snapshot, known: Mapping[int, str]) -> Iterator[object]:
    """Yield what a snapshot is made of, piece by piece; the whole then names what was handed over before it."""
    for part in vars(snapshot).values():
        state = part.__getstate__() if hasattr(part, "__dict__") and id(part) not in known else None
        for value in state.values() if isinstance(state, dict) else ():
            yield from value.values() if isinstance(value, dict) and len(value) <= _FEW else ()
            yield value


def main(descriptor: int) -> None:
    """Load what stdin asks for, write it to a descriptor, and say on stdout where it is, or what is wrong."""
    os.nice(_NICE)
    gc.disable()
    asked = json.loads(sys.stdin.buffer.read())
    said: dict[str, object]
    try:
        snapshot = Snapshot(load_release(asked["path"]))
        shared = asked["vectors"] == vectors_of(snapshot.manifest)
        if asked["eager"]:
            snapshot.build(but_content=shared)
        with os.fdopen(descriptor, "w+b") as file:
            said = _hand_over(snapshot, file, shared=shared)
    except RecsysError as error:
        said = {"error": told(error)}
    sys.stdout.buffer.write(json.dumps(said).encode())
    sys.stdout.flush()
    os._exit(0)  # thread pools of C++ libraries sometimes abort while they are torn down


if __name__ == "__main__":
    main(int(sys.argv[1]))
