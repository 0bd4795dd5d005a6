"""The encoder for searches by text: the one place where serving needs more than the core."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recsys.errors import MissingExtra

if TYPE_CHECKING:
    from recsys.embedding import Encoder
    from recsys.release.manifest import Manifest


def encoder_of(manifest: Manifest) -> Encoder:
    """Return the encoder for the texts that people search for in a release.

    It runs the release's model with whatever engine is best on this machine, and keeps nothing of
    the texts.

    Raises
    ------
    MissingExtra
        If nothing that runs the model is installed, or OpenVINO alone, which does not run every model.
    ModelNotFound
        If the release was embedded by a model in a folder, and the folder is not there.
    """
    from recsys.config import ContentSettings
    from recsys.embedding import open_encoder
    from recsys.embedding.plan import is_installed

    if not (is_installed("openvino") or is_installed("torch")):
        raise MissingExtra("train", "searching by text")

    model = str(manifest.content.section("content").get("model", ""))
    return open_encoder(ContentSettings(model=model, cache_mb=0))
