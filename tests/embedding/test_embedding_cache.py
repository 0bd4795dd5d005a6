"""The cache of vectors: what it keeps, what it survives, and what it never does."""

from __future__ import annotations

import json
import logging
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from recsys.cli import run
from recsys.embedding.cache import VectorCache
from recsys.errors import ArtifactWriteError
from recsys.system.paths import cache_folder

ROOM = 100_000_000

WRITER = """
import sys, numpy as np
from pathlib import Path
from recsys.embedding.cache import VectorCache
from recsys.system.paths import cache_folder
cache = VectorCache(Path(sys.argv[1]), 100_000_000)
for number in range(int(sys.argv[3])):
    keys = [f"{sys.argv[2]} {number} {row}".encode() for row in range(50)]
    cache.store(keys, np.full((50, 384), number, dtype=np.float32))
    print(number, flush=True)
"""

OVERLAPPING = """
import sys, numpy as np
from pathlib import Path
from recsys.embedding.cache import VectorCache
from recsys.system.paths import cache_folder
cache = VectorCache(Path(sys.argv[1]), 100_000_000)
for start in range(int(sys.argv[2]), 2000, 50):
    numbers = range(start, start + 50)
    cache.store([f"key {number}".encode() for number in numbers], np.repeat(np.float32(numbers), 384).reshape(50, 384))
"""


def vectors(count: int, seed: int = 0) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """Return float32 rows."""
    return np.random.default_rng(seed).standard_normal((count, 384), dtype=np.float32)


def names(*numbers: int) -> list[bytes]:
    """Return a key for each number."""
    return [f"key {number}".encode() for number in numbers]


def writer(folder: Path, name: str, rounds: int) -> subprocess.Popen[str]:
    """Start a process that stores 50 vectors a round, all equal to the round's number."""
    command = [sys.executable, "-c", WRITER, str(folder), name, str(rounds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


class Clock:
    """A clock that is moved by hand."""

    now = 1_000_000.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


def test_vectors_come_back_bit_for_bit(tmp_path: Path) -> None:
    """What was stored is found by its key, through another object, and nothing else is."""
    rows = vectors(1200)
    VectorCache(tmp_path, ROOM).store(names(*range(1200)), rows)
    known = VectorCache(tmp_path, ROOM).look_up(names(*range(2000)))
    assert list(known) != []
    assert set(known) == set(names(*range(1200)))
    np.testing.assert_array_equal([known[key] for key in names(*range(1200))], rows)


def test_an_empty_cache_makes_no_file(tmp_path: Path) -> None:
    """Looking and counting leave nothing behind."""
    cache = VectorCache(tmp_path / "deep" / "down", ROOM)
    assert cache.look_up(names(1)) == {}
    assert (cache.info().vectors, cache.info().oldest) == (0, None)
    assert list(tmp_path.iterdir()) == []


def test_a_file_without_a_table_yet_is_an_empty_cache(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Beside the first writer of all, or after its death, nothing has failed: there is nothing yet."""
    cache = VectorCache(tmp_path, ROOM)
    cache.path.touch()
    assert cache.look_up(names(1)) == {}
    assert caplog.records == []


def test_a_killed_writer_leaves_whole_vectors(tmp_path: Path) -> None:
    """Whenever the process is killed: each transaction is there or not, and the next writer goes on."""
    for attempt in range(4):
        process = writer(tmp_path, f"life {attempt}", 100_000)
        assert process.stdout is not None
        for _ in range(3 + 5 * attempt):
            process.stdout.readline()
        time.sleep(0.0007 * attempt)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        cache = VectorCache(tmp_path, ROOM)
        with sqlite3.connect(cache.path) as database:
            assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert cache.info().vectors % 50 == 0
        assert cache.info().vectors >= 50 * (3 + 5 * attempt)
        known = cache.look_up([f"life {attempt} 2 {row}".encode() for row in range(50)])
        np.testing.assert_array_equal(list(known.values()), np.full((50, 384), 2, dtype=np.float32))


def test_two_writers_at_once_lose_nothing(tmp_path: Path) -> None:
    """Each waits for the other; both find all of theirs afterwards."""
    both = [writer(tmp_path, name, 40) for name in ("left", "right")]
    assert [process.wait(120) for process in both] == [0, 0]
    for process in both:
        process.communicate()
    keys = [
        f"{name} {number} {row}".encode() for name in ("left", "right") for number in range(40) for row in range(50)
    ]
    assert len(VectorCache(tmp_path, ROOM).look_up(keys)) == 4000


def test_two_writers_of_the_same_texts_agree(tmp_path: Path) -> None:
    """Two runs on one catalogue: where half of a portion is there already, the other half is stored all the same."""
    commands = [[sys.executable, "-c", OVERLAPPING, str(tmp_path), start] for start in ("0", "25")]
    both = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for command in commands]
    assert [process.communicate(timeout=120)[1] for process in both] == ["", ""]
    assert [process.returncode for process in both] == [0, 0]
    cache = VectorCache(tmp_path, ROOM)
    known = cache.look_up(names(*range(2025)))
    assert cache.info().vectors == len(known) == 2025
    for number in range(2025):
        assert np.all(known[names(number)[0]] == number)


def test_a_reader_gets_whole_vectors_while_others_go(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Vectors that are evicted while somebody reads are found whole or not at all; neither side fails."""
    cache = VectorCache(tmp_path, 1_000_000)
    stop, sizes = threading.Event(), list[int]()

    def read() -> None:
        while not stop.wait(0.002):
            known = VectorCache(tmp_path, 1_000_000).look_up(names(*range(6000)))
            sizes.append(sum(bool(np.all(row == int(key.split()[1]))) for key, row in known.items()))
            sizes.append(len(known))

    with ThreadPoolExecutor(2) as readers:
        reading = [readers.submit(read) for _ in range(2)]
        for start in range(0, 6000, 100):
            rows = np.repeat(np.arange(start, start + 100, dtype=np.float32), 384).reshape(100, 384)
            cache.store(names(*range(start, start + 100)), rows)
        stop.set()
        assert [done.result() for done in reading] == [None, None]
    assert len(sizes) >= 4
    assert sizes[::2] == sizes[1::2]
    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert [record.recsys_keys for record in warnings] == []  # type: ignore[attr-defined]
    assert cache.info().vectors < 600, "nothing was evicted"


def test_a_cache_that_is_cleared_again_and_again_fails_no_writer(tmp_path: Path) -> None:
    """Whatever the moment: every vector that the run stored was removed by a clear, or is there and whole."""
    process = writer(tmp_path, "run", 300)
    assert process.stdout is not None
    cache = VectorCache(tmp_path, ROOM)
    cleared = 0
    for line in process.stdout:
        if int(line) % 15 == 0:
            cleared += cache.clear().vectors
    assert process.wait(60) == 0
    left = cache.look_up([f"run {number} {row}".encode() for number in range(300) for row in range(50)])
    assert all(np.all(vector == int(key.split()[1])) for key, vector in left.items())
    assert cleared > 0
    assert cleared + len(left) == 300 * 50
    with closing(sqlite3.connect(cache.path)) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_the_least_recently_used_go_first(tmp_path: Path) -> None:
    """At the bound, what was looked up lately stays, what was not goes; the file stays below the bound."""
    clock = Clock()
    cache = VectorCache(tmp_path, 2_000_000, clock)
    cache.store(names(*range(500)), vectors(500))
    clock.now += 86_400
    cache.store(names(*range(500, 900)), vectors(400))
    clock.now += 86_400
    assert len(cache.look_up(names(*range(100)))) == 100
    cache.store(names(*range(900, 1300)), vectors(400))
    known = set(cache.look_up(names(*range(1300))))
    assert known >= set(names(*range(100))) | set(names(*range(900, 1300)))
    assert not known & set(names(*range(100, 300)))
    assert 800 < len(known) < 1150
    assert cache.path.stat().st_size <= 2_000_000
    assert cache.info().size <= 2_000_000


def test_a_lowered_bound_shrinks_the_file(tmp_path: Path) -> None:
    """The next write brings the file below the new bound."""
    VectorCache(tmp_path, ROOM).store(names(*range(2000)), vectors(2000))
    cache = VectorCache(tmp_path, 1_000_000)
    assert cache.path.stat().st_size > 3_000_000
    cache.store(names(9999), vectors(1))
    assert cache.path.stat().st_size <= 1_000_000
    assert len(cache.look_up(names(9999))) == 1


def test_a_flipped_bit_is_found(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A vector whose bytes changed on disk is not returned, is told, and can be stored anew."""
    cache = VectorCache(tmp_path, ROOM)
    rows = vectors(3)
    cache.store(names(1, 2, 3), rows)
    content = bytearray(cache.path.read_bytes())
    content[content.index(rows[1].tobytes()) + 700] ^= 4
    cache.path.write_bytes(content)
    assert set(cache.look_up(names(1, 2, 3))) == set(names(1, 3))
    assert "cached vectors are damaged" in caplog.text
    cache.store(names(2), rows[1:2])
    np.testing.assert_array_equal(cache.look_up(names(2))[names(2)[0]], rows[1])


@pytest.mark.parametrize("spoilt", [b"this is no database", b"SQLite format 3\0" + bytes(50_000)])
def test_a_file_that_is_no_database_is_set_aside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, spoilt: bytes
) -> None:
    """The run goes on as if nothing were cached, says so, and the next one has a working cache."""
    cache = VectorCache(tmp_path, ROOM)
    cache.path.write_bytes(spoilt)
    assert cache.look_up(names(1)) == {}
    assert "the embedding cache failed" in caplog.text
    assert cache.path.with_suffix(".damaged").read_bytes() == spoilt
    cache.store(names(1), vectors(1))
    assert len(cache.look_up(names(1))) == 1


def test_a_folder_that_cannot_be_written_costs_only_time(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Storing warns and returns: a read-only home must not end a nightly run."""
    (tmp_path / "file").write_text("")
    cache = VectorCache(tmp_path / "file" / "folder", ROOM)
    cache.store(names(1), vectors(1))
    assert "the embedding cache failed" in caplog.text
    assert cache.look_up(names(1)) == {}


def test_the_folder_follows_the_setting_then_xdg_then_home() -> None:
    """A relative XDG_CACHE_HOME is ignored, as its specification says."""
    assert cache_folder("/named", {"XDG_CACHE_HOME": "/xdg"}) == Path("/named")
    assert cache_folder("", {"XDG_CACHE_HOME": "/xdg"}) == Path("/xdg/recsys")
    assert cache_folder("", {"XDG_CACHE_HOME": "relative"}) == Path.home() / ".cache" / "recsys"
    assert cache_folder("", {}) == Path.home() / ".cache" / "recsys"


def test_the_command_line_counts_and_clears(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``recsys cache info`` and ``clear``, for people and as JSON."""
    VectorCache(tmp_path, ROOM).store(names(*range(70)), vectors(70))
    here = f"content.cache_dir={tmp_path}"
    assert run(["cache", "info", "--set", here]) == 0
    assert "70 vectors" in capsys.readouterr().out
    assert run(["cache", "clear", "--set", here, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["vectors"] == 70
    assert run(["cache", "info", "--set", here, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["vectors"] == 0


def holed(path: Path) -> bytes:
    """Return the bytes of a cache in whose middle every page is garbage."""
    cache = VectorCache(path, ROOM)
    cache.store(names(*range(500)), vectors(500))
    content = bytearray(cache.path.read_bytes())
    content[3 * 16384 : -16384] = b"\xa5" * (len(content) - 4 * 16384)
    return bytes(content)


@pytest.mark.parametrize("spoilt", [b"this is no database", b"SQLite format 3\0" + b"garbage" * 9000, "holed"])
def test_clear_mends_whatever_is_there(tmp_path: Path, spoilt: bytes | str) -> None:
    """Asked about a broken cache, `info` names the command that helps; after it there is a sound, empty cache."""
    cache = VectorCache(tmp_path / "here", ROOM)
    cache.path.parent.mkdir()
    cache.path.write_bytes(spoilt if isinstance(spoilt, bytes) else holed(tmp_path / "other"))
    for end in ("-journal", "-wal", "-shm"):
        cache.path.with_name(cache.path.name + end).write_bytes(b"left behind")
    size = cache.path.stat().st_size
    with pytest.raises(ArtifactWriteError, match=r"cannot be read.*recsys cache clear"):
        cache.info()
    assert cache.clear().size == size
    assert list(cache.path.parent.iterdir()) == []
    assert cache.info().vectors == 0
    cache.store(names(1), vectors(1))
    assert len(cache.look_up(names(1))) == 1


def test_clear_mends_a_file_that_can_still_be_read(tmp_path: Path) -> None:
    """Damage that neither counting nor deleting stumbles on, here in the map of the pages' owners, is gone too."""
    cache = VectorCache(tmp_path, ROOM)
    cache.store(names(*range(500)), vectors(500))
    content = bytearray(cache.path.read_bytes())
    content[16384 + 2 : 16384 + 4] = b"\xa5\xa5"
    cache.path.write_bytes(content)
    assert cache.info().vectors == 500
    cache.clear()
    cache.store(names(1), vectors(1))
    with closing(sqlite3.connect(cache.path)) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_file_that_was_set_aside_is_counted_and_cleared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It takes room beyond the bound: `info` says how much, `clear` removes it too, with or without a cache."""
    cache = VectorCache(tmp_path, ROOM)
    here = f"content.cache_dir={tmp_path}"
    for stored in (0, 3):
        cache.path.write_bytes(bytes(100) * 20_000)
        assert cache.look_up(names(1)) == {}
        if stored:
            cache.store(names(*range(stored)), vectors(stored))
        assert cache.info().damaged == 2_000_000
        assert run(["cache", "info", "--set", here]) == 0
        assert "a damaged file of 2.0 MB" in capsys.readouterr().out
        assert run(["cache", "clear", "--set", here, "--json"]) == 0
        answer = json.loads(capsys.readouterr().out)
        assert (answer["vectors"], answer["damaged_bytes"]) == (stored, 2_000_000)
        assert [path for path in tmp_path.iterdir() if path != cache.path] == []
        assert cache.info().damaged == 0


def test_a_writer_goes_on_after_a_clear(tmp_path: Path) -> None:
    """What it stores through a file that it opened before is in the cache; a file removed under it would lose that."""
    cache = VectorCache(tmp_path, ROOM)
    cache.store(names(*range(2000)), vectors(2000))
    with closing(sqlite3.connect(cache.path, isolation_level=None)) as writing:
        assert writing.execute("SELECT count(*) FROM vectors").fetchone() == (2000,)
        assert cache.clear().vectors == 2000
        assert cache.path.stat().st_size < 100_000
        data = vectors(1)[0].tobytes()
        writing.execute("INSERT INTO vectors VALUES (?, ?, ?, 0)", (names(7)[0], data, zlib.crc32(data)))
    assert set(cache.look_up(names(*range(2000)))) == set(names(7))


def test_clear_never_removes_a_file_that_somebody_writes(tmp_path: Path) -> None:
    """A writer that stays longer than the patience of `clear` is an error, and keeps its file and all its vectors."""
    cache = VectorCache(tmp_path, ROOM, patience=0.1)
    cache.store(names(1, 2), vectors(2))
    with closing(sqlite3.connect(cache.path, isolation_level=None)) as writing:
        writing.execute("BEGIN IMMEDIATE")
        with pytest.raises(ArtifactWriteError, match="cannot be emptied: database is locked"):
            cache.clear()
    assert len(cache.look_up(names(1, 2))) == 2


@pytest.mark.skipif(os.name != "posix", reason="needs a full device, /dev/full or a small file limit")
def test_a_full_disk_costs_only_time(tmp_path: Path) -> None:
    """With no room for the file, storing warns, and what was there before is still there."""
    VectorCache(tmp_path, ROOM).store(names(1), vectors(1))
    code = (
        "import resource, signal, sys, numpy as np; from pathlib import Path\n"
        "from recsys.embedding.cache import VectorCache\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))\n"
        "keys = [str(n).encode() for n in range(500)]\n"
        "VectorCache(Path(sys.argv[1]), 10**8).store(keys, np.ones((500, 384), np.float32))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "the embedding cache failed" in done.stderr
    assert VectorCache(tmp_path, ROOM).info().vectors == 1
