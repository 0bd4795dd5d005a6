"""A BERT sentence model as an OpenVINO graph, built from its weights.

The graph follows Devlin et al., "BERT" (arXiv 1810.04805), and Reimers and Gurevych, "Sentence-BERT"
(arXiv 1908.10084): embeddings, layers of attention and feed-forward, the mean over the tokens.
Building it takes a tenth of a second; tracing the torch module takes many, and imports torch.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np

from recsys.errors import ModelNotFound

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_FLOATS: dict[str, type[np.generic]] = {"F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": np.uint16}
"""The kinds of number that weights may be saved in, and what numpy reads them as."""
_LONGEST_HEADER = 100_000_000
"""Bytes: the limit of the format itself."""


def is_mean_pooled_bert(folder: Path) -> bool:
    """Whether :func:`build` can build the model in ``folder``: a BERT with mean pooling, its weights unchanged."""
    names = ("config.json", "1_Pooling/config.json", "modules.json", "model.safetensors")
    if not all((folder / name).is_file() for name in names):
        return False
    config = _read(folder / "config.json")
    pooling = _read(folder / "1_Pooling" / "config.json")
    modules = [str(module.get("type")).rsplit(".", 1)[-1] for module in _read(folder / "modules.json")]
    modes = {name for name, enabled in pooling.items() if name.startswith("pooling_mode_") and enabled is True}
    return (
        config.get("model_type", "bert") == "bert"
        and config.get("hidden_act") == "gelu"
        and config.get("position_embedding_type", "absolute") == "absolute"
        and not config.get("is_decoder", False)
        and all(config.get(name) is not None for name in _Config.__required_keys__)
        and _is_readable(folder / "model.safetensors")
        and modules in (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"])
        and (modes == {"pooling_mode_mean_tokens"} or pooling.get("pooling_mode") == "mean")
        and not (folder / "adapter_config.json").exists()
    )


def build(folder: Path) -> Any:
    """Return an ``openvino.Model`` of (token ids, mask), both int64 (rows, tokens), to float32 (rows, dimension)."""
    return _Bert(_read(folder / "config.json"), _weights(folder / "model.safetensors")).model()


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _is_readable(path: Path) -> bool:
    """Whether the weights have the names and kinds of number that :func:`build` knows."""
    tensors = _header(path)
    named = any(f"{prefix}embeddings.LayerNorm.weight" in tensors for prefix in ("", "bert."))
    kinds = {entry["dtype"] for name, entry in tensors.items() if name.endswith((".weight", ".bias"))}
    return named and kinds <= _FLOATS.keys()


class _Tensor(TypedDict):
    """What a safetensors file says of a tensor, as far as it is read."""

    dtype: str


class _Config(TypedDict):
    """What the configuration of a model must say."""

    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    layer_norm_eps: float


def _header(path: Path) -> dict[str, _Tensor]:
    """Return what a safetensors file says of its tensors, by name: eight bytes of length, then JSON."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        try:
            header: dict[str, _Tensor] = json.loads(file.read(min(length, _LONGEST_HEADER)))
        except ValueError as error:
            raise ModelNotFound(f"{path} is no safetensors file ({error}); get the model anew") from error
    header.pop("__metadata__", None)
    return header


def _weights(path: Path) -> dict[str, NDArray[Any]]:
    """Read the weights; what is saved in another precision becomes float32."""
    from safetensors import deserialize
    from safetensors.numpy import load_file

    kinds = {entry["dtype"] for entry in _header(path).values()}
    if "BF16" not in kinds:
        weights = load_file(path)
        return {name: values.astype(np.float32, copy=False) for name, values in weights.items()}
    # numpy has no bfloat16: it is the upper half of a float32.
    return {
        name: _floats(entry["dtype"], entry["data"]).reshape(entry["shape"])
        for name, entry in deserialize(path.read_bytes())  # type: ignore[no-untyped-call]
        if entry["dtype"] in _FLOATS
    }


def _floats(kind: str, data: bytes) -> NDArray[np.float32]:
    values = np.frombuffer(data, dtype=_FLOATS[kind])
    if kind == "BF16":
        return (values.astype(np.uint32) << 16).view(np.float32)
    return values.astype(np.float32)


class _Bert:
    """Writes the graph; ``weights`` are named as in the checkpoint, and ``name`` is the prefix of a part."""

    def __init__(self, config: _Config, weights: dict[str, NDArray[Any]]) -> None:
        from openvino import opset13

        self.ops = opset13
        self.weights = {name.removeprefix("bert."): values for name, values in weights.items()}
        self.layers = int(config["num_hidden_layers"])
        self.heads = int(config["num_attention_heads"])
        self.width = int(config["hidden_size"])
        self.epsilon = float(config["layer_norm_eps"])

    def model(self) -> Any:
        import openvino

        ops = self.ops
        token_ids = ops.parameter([-1, -1], np.int64, name="token_ids")
        mask = ops.parameter([-1, -1], np.int64, name="mask")
        # True where a token may be looked at, for every head and every looking token.
        seen = ops.unsqueeze(ops.convert(mask, "boolean"), self._const([1, 2]))
        hidden = self._embeddings(token_ids)
        for layer in range(self.layers):
            hidden = self._layer(f"encoder.layer.{layer}", hidden, seen)
        return openvino.Model([self._mean(hidden, mask)], [token_ids, mask], "sentence_bert")

    def _embeddings(self, token_ids: Any) -> Any:
        ops, weights = self.ops, self.weights
        axis = self._const(0)
        length = ops.gather(ops.shape_of(token_ids), self._const(1), axis)
        positions = ops.range(self._const(0), length, self._const(1), "i64")
        words = ops.gather(self._weight("embeddings.word_embeddings"), token_ids, axis)
        places = ops.gather(self._weight("embeddings.position_embeddings"), positions, axis)
        first_sentence = ops.constant(weights["embeddings.token_type_embeddings.weight"][0])
        return self._norm("embeddings.LayerNorm", ops.add(ops.add(words, places), first_sentence))

    def _layer(self, name: str, hidden: Any, seen: Any) -> Any:
        ops = self.ops
        query, key, value = (
            self._split_heads(self._dense(f"{name}.attention.self.{part}", hidden))
            for part in ("query", "key", "value")
        )
        attended = ops.transpose(ops.scaled_dot_product_attention(query, key, value, seen), self._const([0, 2, 1, 3]))
        joined = ops.reshape(attended, self._const([0, 0, self.width]), special_zero=True)
        mixed = self._dense(f"{name}.attention.output.dense", joined)
        hidden = self._norm(f"{name}.attention.output.LayerNorm", ops.add(mixed, hidden))
        inner = ops.gelu(self._dense(f"{name}.intermediate.dense", hidden), "erf")
        return self._norm(f"{name}.output.LayerNorm", ops.add(self._dense(f"{name}.output.dense", inner), hidden))

    def _mean(self, hidden: Any, mask: Any) -> Any:
        ops = self.ops
        weight = ops.unsqueeze(ops.convert(mask, "f32"), self._const([2]))
        total = ops.reduce_sum(ops.multiply(hidden, weight), self._const([1]), keep_dims=False)
        return ops.divide(total, ops.reduce_sum(weight, self._const([1]), keep_dims=False))

    def _split_heads(self, hidden: Any) -> Any:
        shape = self._const([0, 0, self.heads, self.width // self.heads])
        return self.ops.transpose(self.ops.reshape(hidden, shape, special_zero=True), self._const([0, 2, 1, 3]))

    def _dense(self, name: str, hidden: Any) -> Any:
        product = self.ops.matmul(hidden, self._weight(name), transpose_a=False, transpose_b=True)
        return self.ops.add(product, self.ops.constant(self.weights[f"{name}.bias"]))

    def _norm(self, name: str, hidden: Any) -> Any:
        scaled = self.ops.mvn(
            hidden, self._const([-1]), normalize_variance=True, eps=self.epsilon, eps_mode="inside_sqrt"
        )
        shift = self.ops.constant(self.weights[f"{name}.bias"])
        return self.ops.add(self.ops.multiply(scaled, self._weight(name)), shift)

    def _weight(self, name: str) -> Any:
        return self.ops.constant(self.weights[f"{name}.weight"])

    def _const(self, value: int | list[int]) -> Any:
        return self.ops.constant(np.array(value, dtype=np.int64))
