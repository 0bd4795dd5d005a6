"""The vectors of a rebuilt release: the recorded ones, and whether encoding gives them still."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from recsys.errors import ReleaseError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from recsys.config import Settings
    from recsys.embedding import Encoder
    from recsys.pipeline.rebuild.recorded import RecordedRelease
    from recsys.release.manifest import Provenance

LEAST_COSINE = 0.9999
"""So near must a vector be to the recorded one: engines and processors round otherwise, another model is further."""


@dataclass(frozen=True)
class Cosines:
    """Vectors that were encoded anew, beside the recorded ones.

    Attributes
    ----------
    texts
        How many.
    lowest
        The lowest cosine of a pair.
    below
        How many are below :data:`LEAST_COSINE`.
    """

    texts: int
    lowest: float
    below: int

    @classmethod
    def of(cls, recorded: npt.NDArray[np.float32], anew: npt.NDArray[np.float32]) -> Cosines:
        """Compare row by row; vectors of another length have nothing in common."""
        if recorded.shape != anew.shape:
            return cls(len(recorded), 0.0, len(recorded))
        cosines = np.einsum("ij,ij->i", recorded, anew, dtype=np.float64)
        return cls(len(cosines), float(cosines.min()), int((cosines < LEAST_COSINE).sum()))

    @property
    def agree(self) -> bool:
        """Whether all are near enough."""
        return not self.below


class Recorded:
    """An encoder that knows the texts of one release alone: in their order, it returns the vectors that it recorded.

    Parameters
    ----------
    vectors
        float32, (texts, dimension).
    content
        Where they come from.
    """

    def __init__(self, vectors: npt.NDArray[np.float32], content: Provenance) -> None:
        self.vectors = vectors
        self.dimension = vectors.shape[1]
        self.recipe: Mapping[str, str] = {name: str(value) for name, value in content.section("recipe").items()}
        self.runs_on: Mapping[str, str] = content.computed_on

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return the recorded vectors.

        Raises
        ------
        ReleaseError
            If there are more or fewer texts than vectors.
        """
        if len(texts) != len(self.vectors):
            raise ReleaseError(
                f"the release holds {len(self.vectors):,} vectors, and the marts have {len(texts):,} games"
            )
        return self.vectors


def open_encoder(recorded: RecordedRelease, settings: Settings, given: Encoder | None = None) -> Encoder:
    """Return what encodes the texts of a release anew: in its precision where this machine can, and without a cache.

    Parameters
    ----------
    recorded
        The release.
    settings
        See :meth:`RecordedRelease.settings`.
    given
        An encoder from outside; the one of the settings when not given.

    Raises
    ------
    ReleaseError
        If it is another model than the release's: its vectors are not to be compared.
    ConfigError, MissingExtra, ModelNotFound
        As :func:`recsys.embedding.open_encoder`.
    """
    from recsys.embedding import open_encoder as open_new

    then = Recorded(recorded.vectors, recorded.manifest.content).recipe
    # The cache may hold the very vectors that are looked at.
    encoder = given or open_new(settings.content.model_copy(update={"cache_mb": 0}), then)
    if _but_precision(encoder.recipe) != _but_precision(then):
        raise ReleaseError(
            f"the vectors of {recorded.manifest.release} are of the model {_text(then)}, and here is"
            f" {_text(encoder.recipe)}: install the model of then, or leave --embed out"
        )
    return encoder


def _but_precision(recipe: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in recipe.items() if name != "precision"}


def _text(recipe: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in _but_precision(recipe).items())
