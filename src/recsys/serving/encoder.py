"""The encoder for searches by text: the one place where serving needs more than the core."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from recsys.errors import IncompatibleArtifact, MissingExtra

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

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


class Queries:
    """Turns texts that people search for into vectors of a release, one text at a time.

    Parameters
    ----------
    encoder
        What does; the release's own model when not given.
    """

    def __init__(self, encoder: Encoder | None) -> None:
        self._encoder, self._own = encoder, encoder is None
        self._encoding = threading.Lock()

    def vector(self, text: str, manifest: Manifest) -> npt.NDArray[np.float32]:
        """Return the unit vector of a text, float32 (dimension,).

        Raises
        ------
        IncompatibleArtifact
            If another model embedded the release; and what :func:`encoder_of` raises.
        """
        with self._encoding:  # one at a time: the model's own threads use the cores
            made = manifest.content.section("recipe").get("revision")
            # A release may have been embedded by another model than the one before it.
            if self._encoder is None or (self._own and self._encoder.recipe.get("revision") != made):
                self._encoder = encoder_of(manifest)
            mine = self._encoder.recipe.get("revision")
            if made != mine:
                raise IncompatibleArtifact(
                    f"release {manifest.release} was embedded by the model {made}, and this encoder is {mine}: "
                    "their vectors cannot be compared"
                )
            vector: npt.NDArray[np.float32] = self._encoder.encode([text])[0]
            return vector
