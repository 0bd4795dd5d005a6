"""Addresses of stores, where the package that reads them is not installed."""

from __future__ import annotations

import importlib.util

import pytest

from recsys.cli import run
from recsys.errors import ConfigError, MissingExtra
from recsys.release.store import ReleaseStore
from recsys.serving import load
from recsys.trainer import Trainer


@pytest.mark.skipif(importlib.util.find_spec("obstore") is not None, reason="the extra s3 is installed here")
@pytest.mark.parametrize(
    "command",
    [
        ["verify"],
        ["releases"],
        ["hold"],
        ["recommend", "1"],
        ["serve", "--port", "0"],
        ["export", "factors", "x.parquet"],
    ],
    ids=lambda command: command[0],
)
def test_a_missing_extra_is_named(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """By every command, before anything is asked of a network."""
    assert run([*command, "--models", "s3://games/models"]) == 78
    assert "pip install 'recsys-releases[s3]'" in capsys.readouterr().err


@pytest.mark.skipif(importlib.util.find_spec("obstore") is not None, reason="the extra s3 is installed here")
def test_a_missing_extra_is_named_in_python() -> None:
    """As an error of its own kind."""
    for opened in (load, ReleaseStore):
        with pytest.raises(MissingExtra, match="needs the extra 's3'"):
            opened("s3://games/models")


@pytest.mark.parametrize("address", ["gs://games/models", "az://games/models", "S3://games", "https://games/models"])
def test_other_addresses_are_refused(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder of that name is nobody's wish."""
    assert run(["verify", "--models", address]) == 78
    assert "is an address" in capsys.readouterr().err
    with pytest.raises(ConfigError, match="is an address"):
        load(address)
    with pytest.raises(ConfigError, match="is an address"):
        Trainer(models_output_dir=address)


@pytest.mark.parametrize("address", ["s3://", "s3://A", "s3://games?x=1", "s3:///models"])
def test_what_is_no_bucket_is_said(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Before the package is asked for."""
    assert run(["verify", "--models", address]) == 78
    assert "is no address of a bucket" in capsys.readouterr().err
