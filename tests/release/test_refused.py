"""Refused candidates are kept in the order in which they were refused, whatever the clock said."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from recsys.errors import ArtifactWriteError
from recsys.release.refused import ORDER, REFUSED, keep_refused

if TYPE_CHECKING:
    from pathlib import Path


def refuse(root: Path, *names: str, keep: int = 2) -> set[str]:
    """Keep candidates one after the other; return whose folders are there."""
    for name in names:
        keep_refused(root, name, {"metrics.json": b"{}"}, keep)
    return {path.name for path in (root / REFUSED).iterdir()}


def test_a_candidate_of_next_year_goes_when_its_turn_comes(tmp_path: Path) -> None:
    """Run ids follow the clock, and one of them was made with a clock that was ahead."""
    assert refuse(tmp_path, "2027-a", "2026-b", "2026-a") == {"2026-b", "2026-a"}
    assert refuse(tmp_path, "2025") == {"2026-a", "2025"}


def test_the_newest_stays_whatever_the_files_times(tmp_path: Path) -> None:
    """A copy has new times, and the order of before."""
    refuse(tmp_path, "c", "b", keep=5)
    os.utime(tmp_path / REFUSED / "c", (2e9, 2e9))
    assert refuse(tmp_path, "a") == {"b", "a"}


def test_candidates_of_an_unknown_order_are_the_oldest(tmp_path: Path) -> None:
    """Those of versions that kept no list, and of copies that lost it, go by name and before the others."""
    refuse(tmp_path, "y", "z", keep=5)
    (tmp_path / ORDER).unlink()
    assert refuse(tmp_path, "x") == {"z", "x"}


def test_a_candidate_is_never_written_over(tmp_path: Path) -> None:
    """Two runs of one id: what the first left stays."""
    refuse(tmp_path, "a")
    with pytest.raises(ArtifactWriteError, match="exists already"):
        keep_refused(tmp_path, "a", {"metrics.json": b"[]"}, 2)
    assert (tmp_path / REFUSED / "a" / "metrics.json").read_bytes() == b"{}"


def test_none_stay_where_none_are_wanted(tmp_path: Path) -> None:
    """With 0 nothing is written, and what is there goes."""
    refuse(tmp_path, "a")
    assert refuse(tmp_path, "b", keep=0) == set()
    assert keep_refused(tmp_path / "new", "a", {}, 0) is None
    assert not (tmp_path / "new").exists()
