"""The encoder that runs the model through sentence-transformers."""

from __future__ import annotations

import os
from functools import cached_property
from typing import TYPE_CHECKING

from recsys.embedding.model import DIMENSION, MAX_TOKENS, find_model, revision_of
from recsys.errors import MissingExtra

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from sentence_transformers import SentenceTransformer

    from recsys.config import ContentSettings

RECIPE_VERSION = "1"
"""Raised whenever the same text, model and precision would give another vector."""


class TransformerEncoder:
    """Encodes texts with sentence-transformers; the model is loaded at the first text.

    Parameters
    ----------
    settings
        ``model`` and ``batch_size`` are used.
    """

    def __init__(self, settings: ContentSettings) -> None:
        self._settings = settings
        self.dimension = DIMENSION

    @cached_property
    def recipe(self) -> Mapping[str, str]:
        """See :class:`recsys.embedding.Encoder`."""
        return {
            "version": RECIPE_VERSION,
            "revision": revision_of(self._settings.model),
            "precision": "float32",
            "max_length": str(MAX_TOKENS),
        }

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """See :meth:`recsys.embedding.Encoder.encode`."""
        import numpy as np

        if not len(texts):
            return np.empty((0, self.dimension), dtype=np.float32)
        vectors = self._model.encode(
            list(texts), batch_size=self._settings.batch_size, normalize_embeddings=True, show_progress_bar=False
        )
        return np.ascontiguousarray(vectors, dtype=np.float32)

    @cached_property
    def _model(self) -> SentenceTransformer:
        folder = find_model(self._settings.model)
        # The hub is asked for newer files even when every file is here.
        os.environ["HF_HUB_OFFLINE"] = "1"
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError as error:
            raise MissingExtra("train", "encoding texts") from error

        model = SentenceTransformer(str(folder.path), device="cpu", local_files_only=True)
        model.max_seq_length = MAX_TOKENS
        return model
