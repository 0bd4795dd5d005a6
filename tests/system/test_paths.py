"""Paths that people give: one meaning everywhere."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from recsys.config import load_settings
from recsys.errors import ConfigError
from recsys.release.store import ReleaseStore
from recsys.serving import load
from recsys.sources import open_source
from recsys.system.paths import cache_folder, local_path
from recsys.trainer import Trainer


@pytest.mark.parametrize("given", ["~/models", Path("~/models")])
def test_a_tilde_is_the_home_folder(given: str | Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where no shell has read the path before: in TOML, in Python, in quotes."""
    monkeypatch.setenv("HOME", str(tmp_path))
    assert local_path(given, "it") == tmp_path / "models"
    assert Trainer(models_output_dir=given, settings=load_settings(environ={})).models_output_dir == tmp_path / "models"
    assert ReleaseStore(given).root == tmp_path / "models"
    assert cache_folder(str(given), {}) == tmp_path / "models"
    assert cache_folder("", {"XDG_CACHE_HOME": str(given)}) == tmp_path / "models" / "recsys"


@pytest.mark.parametrize(
    "given", ["run:1", "nightly-2026T10:00/models", "./~", "a/~/b", "C:/models", os.fsdecode(b"m\xff"), "", "a?b#c%20"]
)
def test_other_paths_stay_as_they_are(given: str) -> None:
    """Colons, tildes further on and bytes that are no text are what files may be called."""
    assert local_path(given, "it") == Path(given)


@pytest.mark.parametrize(
    "given",
    ["gs://bucket/models", Path("s3://bucket/models"), "file:///tmp/m", "abfss://a@b/c", "s3:/x", "gs:"],
)
def test_an_address_is_refused_before_anything_else(given: str | Path) -> None:
    """Nothing is trained, to be left in a folder called ``s3:``; a :class:`Path` of it has lost a stroke."""
    settings = load_settings(environ={})
    for use in (
        lambda: Trainer(models_output_dir=given, settings=settings),
        lambda: Trainer(source=str(given), settings=settings),
        lambda: Trainer(source=f"duckdb:{given}", settings=settings),
        lambda: ReleaseStore(given),
        lambda: load(given),
        lambda: load_settings(Path(given), [], {}),
        lambda: load_settings(None, [f"content.cache_dir={given}"], {}),
        lambda: load_settings(None, [f"content.model={given}"], {}),
        lambda: load_settings(None, [f"source.url={given}"], {}),
        lambda: open_source(str(given)),
    ):
        with pytest.raises(ConfigError, match="is an address"):
            use()


def test_a_nul_is_no_part_of_a_path() -> None:
    """The system would say so with an error of Python's, in the middle of a run."""
    with pytest.raises(ConfigError, match="NUL"):
        local_path("a\0b", "it")
