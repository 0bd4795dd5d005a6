"""``recsys serve`` where the extra ``serve`` is not installed: an error with a name, and no bug of ours."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

WITHOUT = "import sys; sys.modules['fastapi'] = None; from recsys.cli import main; main(sys.argv[1:])"
"""None in place of a module: to import it fails, as if it were not installed."""


@pytest.mark.parametrize("more", [[], ["--workers", "2"], ["--wait"]])
def test_the_extra_is_named(tmp_path: Path, more: list[str]) -> None:
    """Whatever is asked for: exit code 78, and how to install it."""
    command = [sys.executable, "-c", WITHOUT, "serve", "--models", str(tmp_path), "--port", "0", *more]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 78, done.stderr
    assert "recsys serve needs the extra 'serve'" in done.stderr
    assert "pip install 'recsys-releases[serve]'" in done.stderr
    assert "bug" not in done.stderr
