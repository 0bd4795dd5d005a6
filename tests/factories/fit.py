"""Fixtures: a small set-up that is fit for a run."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from factories.small_release import make_parts
from factories.tables import write_marts
from recsys.release.store import ReleaseStore

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with both marts, and a store with one release."""
    folder = tmp_path_factory.mktemp("setup")
    make_parts(folder / "parts", games=20).publish(ReleaseStore(folder / "models", check=lambda *_: None), "a")
    shutil.rmtree(folder / "parts")
    write_marts(folder / "marts")
    return folder


@pytest.fixture
def here(tmp_path: Path, template: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a copy of it, with no variable of ours around."""
    for name in list(os.environ):
        if name.startswith(("SNOWFLAKE_", "RECSYS_")):
            monkeypatch.delenv(name)
    shutil.copytree(template, tmp_path / "here", symlinks=True)
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"
