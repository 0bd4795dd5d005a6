"""The encoder for searches by text: the one place where serving needs more than the core."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

from recsys.errors import MissingExtra

if TYPE_CHECKING:
    from recsys.embedding import Encoder
    from recsys.release.manifest import Manifest


def encoder_of(manifest: Manifest) -> Encoder:
    """Return the encoder that made a release's vectors.

    Raises
    ------
    MissingExtra
        If what runs the model is not installed.
    """
    if importlib.util.find_spec("sentence_transformers") is None:
        raise MissingExtra("train", "searching by text")
    from recsys.config import ContentSettings
    from recsys.embedding import open_encoder

    known = ContentSettings.model_fields
    settings = manifest.content.settings.get("content", {})
    # Where texts were encoded, how many at once: that is up to this machine.
    return open_encoder(
        ContentSettings(**{name: settings[name] for name in ("model",) if name in settings and name in known})
    )
