"""Sums and draws by fixed blocks: what is alone, in pieces or after others has the same bits."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pytest
import scipy.sparse as sp

from recsys.marts import column_counts, column_sums, row_counts
from recsys.models.solvers.blocks import GROUP, ROWS, blocks, gramian, normal_rows, row_sums, summed, total
from recsys.models.solvers.cg import compiled

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> int:
    """Blocks of 32 rows, groups of 4: a group has 128 rows."""
    monkeypatch.setattr("recsys.models.solvers.blocks.ROWS", 32)
    monkeypatch.setattr("recsys.models.solvers.blocks.GROUP", 4)
    return 128


def factors(rows: int) -> np.ndarray:
    """Return factors whose squares differ by orders of magnitude, so that every order of adding shows."""
    rng = np.random.default_rng(3)
    return (rng.standard_normal((rows, 6)) * 10 ** rng.uniform(-3, 3, (rows, 1))).astype(np.float32)


def test_whole_groups_can_be_summed_elsewhere(small_blocks: int) -> None:
    """The Gramian of all rows is the sum, in order, of those of its groups, each from a part of the table alone."""
    rows = factors(5 * small_blocks + 7)
    apart = [gramian(rows[start : start + small_blocks]) for start in range(0, len(rows), small_blocks)]
    together = np.zeros((6, 6))
    for part in apart:
        together = together + part
    assert gramian(rows).tobytes() == together.tobytes()
    assert gramian(rows).tobytes() != (rows.T @ rows).astype(np.float64).tobytes()


def test_a_pool_sums_as_one_thread_does(small_blocks: int) -> None:
    """Three threads give the bits of none; no more than a group's parts are asked for at once."""
    rows, asked = factors(9 * small_blocks), list[int]()

    def run(part, some):  # type: ignore[no-untyped-def]
        asked.append(len(some))
        return pool.map(part, some)

    with ThreadPoolExecutor(3) as pool:
        assert gramian(rows, run).tobytes() == gramian(rows).tobytes()
    assert asked == [4] * 9


def test_blocks_of_the_present_sizes() -> None:
    """The sizes decide the bits of every release: who changes them says so in the changelog."""
    assert (ROWS, GROUP) == (8192, 64)
    assert blocks(20_000) == [(0, 8192), (8192, 16384), (16384, 20_000)]
    assert summed(lambda block: np.array(float(block[1] - block[0])), blocks(20_000), ()) == 20_000


def test_a_row_sums_alike_wherever_it_stands() -> None:
    """Rows before it, entries in other rows and empty rows change no bit of a row's sum."""
    rng = np.random.default_rng(1)
    cells = np.where(rng.random((9_000, 40)) < 0.2, 10 ** rng.uniform(-4, 4, (9_000, 40)), 0).astype(np.float32)
    cells[5] = cells[8_192] = 0
    sums = row_sums(sp.csr_matrix(cells))
    np.testing.assert_allclose(sums, cells.sum(axis=1, dtype=np.float64), rtol=1e-12)
    for row in (0, 5, 17, 8_191, 8_192, 8_999):
        assert row_sums(sp.csr_matrix(cells[row : row + 1]))[0] == sums[row]
    assert row_sums(sp.csr_matrix(np.zeros((3, 4), dtype=np.float32))).tolist() == [0, 0, 0]
    assert total(sums) == pytest.approx(float(cells.sum(dtype=np.float64)))


def test_factors_begin_alike_in_a_longer_table() -> None:
    """A row's first factors depend on the seed, the side and its block: more rows after it change none."""
    short, long = (normal_rows(rows, 4, 0.05, [7, 0]) for rows in (ROWS + 5, 3 * ROWS))
    assert short.tobytes() == long[: ROWS + 5].tobytes()
    assert not np.array_equal(short[:5], short[ROWS : ROWS + 5])
    assert not np.array_equal(short[:5], normal_rows(5, 4, 0.05, [7, 1]))
    assert long.std() == pytest.approx(0.05, rel=0.02)


def test_columns_are_counted_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Piece by piece, counts and sums are those of all at once; columns without an entry are 0."""
    monkeypatch.setattr("recsys.marts.counts._PIECE", 100)
    rng = np.random.default_rng(2)
    indices, values = rng.integers(0, 8, 1_234).astype(np.int32), rng.random(1_234, dtype=np.float32)
    np.testing.assert_array_equal(column_counts(indices, 11), np.bincount(indices, minlength=11))
    np.testing.assert_allclose(column_sums(indices, values, 11), np.bincount(indices, values, minlength=11))


def test_rows_are_counted_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Piece by piece, a row has as many of the entries as cell by cell; a row without any has none."""
    monkeypatch.setattr("recsys.marts.counts._ROWS", 7)
    rng = np.random.default_rng(6)
    cells = np.where(rng.random((40, 9)) < 0.4, rng.integers(1, 11, (40, 9)), 0).astype(np.float32)
    cells[3] = cells[39] = 0
    table = sp.csr_matrix(cells)
    np.testing.assert_array_equal(row_counts(table.indptr, table.data >= 7), (cells >= 7).sum(axis=1))


def test_rows_beyond_two_to_the_31_entries(tmp_path: Path) -> None:
    """The solver finds a row whose entries lie beyond 2^31 of others; holes stand for those, and are not read."""
    beyond, row = 2**31 + 5, np.array([3, 1, 0], dtype=np.int32)
    indices = np.memmap(tmp_path / "indices", np.int32, "w+", shape=(beyond + 3,))
    confidence = np.memmap(tmp_path / "confidence", np.float32, "w+", shape=(beyond + 3,))
    indices[beyond:], confidence[beyond:] = row, 1.5
    fixed = factors(4) / 100
    solved = {}
    for name, start, where, weights in (
        ("beyond", beyond, np.asarray(indices), np.asarray(confidence)),
        ("alone", 0, row, np.full(3, 1.5, dtype=np.float32)),
    ):
        x = np.zeros((1, 6), dtype=np.float32)
        indptr, ridge = np.array([start, start + 3], dtype=np.int64), np.full(1, 0.1, dtype=np.float32)
        compiled()(0, 1, indptr, where, weights, np.float32(0), fixed, x, np.full(6, 0.2, dtype=np.float32), ridge, 3)
        solved[name] = x
    assert solved["alone"].any()
    assert solved["beyond"].tobytes() == solved["alone"].tobytes()
