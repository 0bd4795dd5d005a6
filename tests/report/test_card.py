"""The model card of a release: what a hub reads, and what people ask."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml

from factories.served import publish
from recsys.cli import run
from recsys.release.store import ReleaseStore

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a trained release."""
    folder = tmp_path_factory.mktemp("card")
    publish(folder)
    return folder


def test_a_card_says_what_the_release_is(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Front matter that a hub can read; data, scores of all contenders, verdict, settings and risks."""
    assert run(["card", "--models", str(models)]) == 0
    card = capsys.readouterr().out
    manifest = ReleaseStore(models).manifest()
    _, front, text = card.split("---\n", 2)
    assert yaml.safe_load(front)["tags"][0] == "recommender-system"
    assert f"# Release {manifest.release}" in text
    for part in (
        "How to use it",
        "What it is for",
        "What it was trained on",
        "How good it is",
        "How it was made",
        "Bias",
    ):
        assert f"\n## {part}" in text
    assert f"`{manifest.cf.fingerprint}`" in text
    assert f"{manifest.cf.rows['users']:,} people" in text
    assert "| popularity |" in text
    assert "| cf |" in text
    assert "The gate: " in text
    assert "{{" not in text


def test_a_release_that_was_not_measured_says_so(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No empty table."""
    from recsys.report import model_card

    card = model_card(ReleaseStore(models).manifest(), None)
    assert "Nothing was measured." in card
    assert run(["card", "nobody", "--models", str(models)]) == 76
    assert "there is no release 'nobody'" in capsys.readouterr().err
