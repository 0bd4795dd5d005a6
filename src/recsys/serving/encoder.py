"""The encoder for searches by text: the one place where serving needs more than the core."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

from recsys.errors import MissingExtra

if TYPE_CHECKING:
    from recsys.embedding import Encoder
    from recsys.release.manifest import Manifest

_ENGINES = ("sentence_transformers", "openvino")


def encoder_of(manifest: Manifest) -> Encoder:
    """Return the encoder for the texts that people search for in a release.

    It runs the release's model with whatever engine is best on this machine, and keeps nothing of
    the texts.

    Raises
    ------
    MissingExtra
        If nothing that runs the model is installed.
    ModelNotFound
        If the release was embedded by a model in a folder, and the folder is not there.
    """
    if not any(importlib.util.find_spec(engine) for engine in _ENGINES):
        raise MissingExtra("train", "searching by text")
    from recsys.config import ContentSettings
    from recsys.embedding import open_encoder

    model = manifest.content.settings.get("content", {}).get("model", "")
    return open_encoder(ContentSettings(model=model, cache_mb=0))
