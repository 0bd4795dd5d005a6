"""Texts to unit vectors: the encoder, its model, and the cache of what was encoded before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from recsys.config import ContentSettings


class Encoder(Protocol):
    """Turns texts into unit vectors. What the content model calls ``embedding_model``."""

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        ...

    @property
    def recipe(self) -> Mapping[str, str]:
        """Everything that decides a text's vector, apart from the text: model revision, precision, maximum length.

        It keys the cache and goes into the manifest. Reading it loads no model.
        """
        ...

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one row for each text, in their order.

        Returns
        -------
        ndarray of float32, shape (len(texts), dimension)
            C-contiguous; every row finite and of length one.
        """
        ...


def open_encoder(settings: ContentSettings) -> Encoder:
    """Return the encoder that the settings describe.

    Nothing heavy happens here: the model is looked up and loaded when the first text is encoded.

    Raises
    ------
    ModelNotFound
        At the first text: if the model is in none of the four places where it is looked for.
    """
    from recsys.embedding.transformer import TransformerEncoder

    return TransformerEncoder(settings)
