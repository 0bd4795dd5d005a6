"""Texts to unit vectors: the encoder, its model, and the cache of what was encoded before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from recsys.config import ContentSettings
    from recsys.embedding.cache import VectorCache
    from recsys.embedding.encoder import TextEncoder
    from recsys.embedding.engine import Engine


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

    @property
    def runs_on(self) -> Mapping[str, str]:
        """What encodes a new text here, such as engine and device: it decides a vector's last bits at most.

        It goes into the manifest too, and keys nothing.
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


def open_encoder(settings: ContentSettings, made_by: Mapping[str, str] | None = None) -> TextEncoder:
    """Return the encoder that the settings describe on this machine.

    Nothing heavy happens here: the model is looked up and loaded when a text has to be encoded
    that the cache does not hold.

    With ``content.precision = auto`` the cache's vectors of another precision are taken before a text is encoded;
    who names a precision gets that one alone.

    Parameters
    ----------
    settings
        Section ``content``.
    made_by
        Recipe of the current release's vectors. ``auto`` keeps their precision where all else of it is this encoder's.

    Raises
    ------
    ConfigError
        If the settings ask for a device that this machine lacks, or for an engine that does not run the model. At the
        first text: if they name a precision that the engine does not compute in here.
    MissingExtra
        If the settings ask for an engine that is not installed, or for a GPU or a model that needs the extra
        ``torch``. At the first text: if no engine is installed.
    ModelNotFound
        If ``content.model`` names a folder that is no model. At the first text: if the model is in
        none of the four places where it is looked for.
    """
    from recsys.embedding.encoder import TextEncoder, recipe_of
    from recsys.embedding.engine import load_engine
    from recsys.embedding.hardware import probe
    from recsys.embedding.model import find_model, identify
    from recsys.embedding.plan import choose, keep, require_engine, require_precision
    from recsys.embedding.processors import PRECISIONS

    identity = identify(settings.model)
    kept = next((precision for precision in PRECISIONS if recipe_of(identity, precision) == made_by), None)
    plan = keep(choose(settings, probe(), bert=is_bert(settings)), settings, kept)

    def load() -> Engine:
        require_engine(plan)
        if settings.precision != "auto":
            require_precision(plan)
        return load_engine(find_model(settings.model), plan)

    admitted = PRECISIONS if settings.precision == "auto" else ()
    return TextEncoder(identity, plan, load, open_cache(settings), admitted)


def is_bert(settings: ContentSettings) -> bool:
    """Return whether the model is one that OpenVINO runs here: the default, or another BERT with mean pooling."""
    from recsys.embedding.openvino_bert import is_mean_pooled_bert
    from recsys.system.paths import local_path

    return not settings.model or is_mean_pooled_bert(local_path(settings.model, "content.model"))


def open_cache(settings: ContentSettings) -> VectorCache | None:
    """Return the cache of the settings; None where they turn it off."""
    from recsys.embedding.cache import VectorCache
    from recsys.system.paths import cache_folder

    if settings.cache_mb == 0:
        return None
    return VectorCache(cache_folder(settings.cache_dir), settings.cache_mb * 1_000_000)
