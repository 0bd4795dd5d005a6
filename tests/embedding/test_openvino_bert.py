"""What the graph of OpenVINO is built from: which models it is right for, and weights of any precision."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from conftest import require_engine
from recsys.config import ContentSettings
from recsys.embedding import open_encoder
from recsys.embedding.model import find_model
from recsys.embedding.openvino_bert import is_mean_pooled_bert
from recsys.errors import ModelNotFound

if TYPE_CHECKING:
    from numpy.typing import NDArray

TEXTS = ["Catan", "a cooperative space survival game " * 30, "", "トリック"]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Return a copy of the model's folder, to be changed."""
    return Path(shutil.copytree(find_model().path, tmp_path / "model"))


def vectors(folder: Path) -> NDArray[np.float32]:
    """Encode with OpenVINO in float32, uncached."""
    settings = ContentSettings(model=str(folder), engine="openvino", device="cpu", precision="float32", cache_mb=0)
    return open_encoder(settings).encode(TEXTS)


@pytest.mark.parametrize("kind", ["F64", "F16", "BF16"])
def test_weights_of_another_precision_are_read(model: Path, kind: str) -> None:
    """A model saved in half precision gives the vectors of the same numbers saved in float32."""
    require_engine("openvino")
    from safetensors import TensorSpec, serialize_file
    from safetensors.numpy import load_file, save_file

    file = model / "model.safetensors"
    weights = {name: values for name, values in load_file(file).items() if values.dtype == np.float32}
    if kind == "BF16":
        # Cut to the upper half of each number, which is what bfloat16 holds.
        halves = {name: (values.view(np.uint32) >> 16).astype(np.uint16) for name, values in weights.items()}
        specs = {
            name: TensorSpec(dtype="bfloat16", shape=half.shape, data_ptr=half.ctypes.data, data_len=half.nbytes)
            for name, half in halves.items()
        }
        serialize_file(specs, str(file))
        same = {name: (half.astype(np.uint32) << 16).view(np.float32) for name, half in halves.items()}
    else:
        other = {name: values.astype({"F64": np.float64, "F16": np.float16}[kind]) for name, values in weights.items()}
        save_file(other, file)
        same = {name: values.astype(np.float32) for name, values in other.items()}
    encoded = vectors(model)
    save_file(same, file)
    np.testing.assert_array_equal(encoded, vectors(model))


@pytest.mark.parametrize(
    "entries", [{"is_decoder": True}, {"hidden_act": "gelu_new"}, {"model_type": "mpnet"}, {"layer_norm_eps": None}]
)
def test_a_bert_of_another_kind_is_torchs(model: Path, entries: dict[str, object]) -> None:
    """What changes the arithmetic, or leaves a size unsaid, is not taken for the kind that OpenVINO runs here."""
    assert is_mean_pooled_bert(model)
    config = model / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | entries))
    assert not is_mean_pooled_bert(model)


def test_weights_under_other_names_are_torchs(model: Path) -> None:
    """Old checkpoints call a norm's weight gamma, which transformers renames while it loads."""
    file = model / "model.safetensors"
    file.write_bytes(file.read_bytes().replace(b"LayerNorm.weight", b"LayerNorm.gammas"))
    assert not is_mean_pooled_bert(model)


def test_a_file_that_holds_no_weights_is_named(model: Path) -> None:
    """A pointer in place of the weights, as a clone without large files has it, is an error that names the file."""
    (model / "model.safetensors").write_text("version 1\nsize 90868376\n")
    with pytest.raises(ModelNotFound, match=r"model\.safetensors is no safetensors file"):
        open_encoder(ContentSettings(model=str(model), device="cpu"))
