"""A test that cannot run is skipped in sight, and fails in CI."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).with_name("conftest.py")

NEEDY = """
def test_tool(needs_tool):
    assert needs_tool("python-of-a-thousand-heads")

def test_data(real_data):
    assert real_data
"""


def outcome(folder: Path, **environ: str) -> str:
    """Run two tests whose needs are not met, and return pytest's report."""
    (folder / "conftest.py").write_text(CONFTEST.read_text(encoding="utf-8"), encoding="utf-8")
    (folder / "test_needy.py").write_text(NEEDY, encoding="utf-8")
    clean = {key: value for key, value in os.environ.items() if key not in {"CI", "RECSYS_REAL_DATA"}}
    command = [sys.executable, "-m", "pytest", "-ra", "-p", "no:cacheprovider", "-p", "no:xdist", str(folder)]
    return subprocess.run(
        command, cwd=folder, env=clean | environ, capture_output=True, text=True, check=False, timeout=60
    ).stdout


def test_missing_needs_are_skipped_with_the_reason(tmp_path: Path) -> None:
    """On a machine without a tool or the data, the summary names what is missing and how to get it."""
    report = outcome(tmp_path)
    assert "2 skipped" in report
    assert "the program python-of-a-thousand-heads is missing; install it" in report
    assert "RECSYS_REAL_DATA is not set" in report


@pytest.mark.parametrize("named", ["", "/nowhere"])
def test_missing_needs_fail_in_ci(tmp_path: Path, named: str) -> None:
    """With ``CI=true`` the same tests fail: CI never passes on tests it did not run."""
    report = outcome(tmp_path, CI="true", RECSYS_REAL_DATA=named)
    assert "1 failed, 1 error in" in report
