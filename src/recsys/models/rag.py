"""The content model: what a game's text says, as vectors in an index."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from recsys.config import ContentSettings
from recsys.errors import ArtifactCorrupt, DataContractError, NotInModel, ReleaseNotFound
from recsys.ids import Id, IdMap, NotAnId, id_array_of, python_ids
from recsys.ranking import Neighbour

if TYPE_CHECKING:
    import faiss
    import numpy.typing as npt
    import pandas as pd

    from recsys.embedding import Encoder

log = logging.getLogger(__name__)

INDEX_FILE = "rag_index.faiss"
METADATA_FILE = "metadata.json"
EMBEDDING_TEXT = "embedding_text"

_UNIT = 1e-3
"""How far a vector's norm may be from 1: distances rank like cosines on unit vectors only."""


class RAGRecommender:
    """Text embeddings of games in an exact index.

    Parameters
    ----------
    settings
        Section ``content`` of the settings; the defaults when not given.
    embedding_model
        What turns texts into unit vectors; the model of the settings when not given.

    Attributes
    ----------
    embedding_model
        ``encode(texts)`` → float32, (texts, dimension).
    faiss_index
        ``faiss.IndexFlatL2``; row i is the game ``game_ids[i]``.
    game_ids
        In the order of the frame that was fitted.
    """

    faiss_index: faiss.IndexFlatL2
    game_ids: list[Id]

    def __init__(self, settings: ContentSettings | None = None, embedding_model: Encoder | None = None) -> None:
        from recsys.embedding import open_encoder

        self.settings = settings or ContentSettings()
        self.embedding_model: Encoder = embedding_model or open_encoder(self.settings)

    def fit(self, games_df: pd.DataFrame) -> RAGRecommender:
        """Embed every game and index the vectors, in the order of the frame.

        Parameters
        ----------
        games_df
            Column GAME_ID, and ``embedding_text`` or the columns that it is made from: NAME,
            DESCRIPTION, CATEGORIES, MECHANICS.

        Raises
        ------
        DataContractError
            If a column is missing, or an id is null, repeated or no id.
        """
        from recsys.text import embedding_text

        ids = _distinct_ids(games_df)
        texts = games_df[EMBEDDING_TEXT] if EMBEDDING_TEXT in games_df else embedding_text(games_df)
        vectors = self.embedding_model.encode(texts.tolist())
        self.faiss_index = build_index(vectors)
        self.game_ids = ids
        return self

    def similar(self, game_id: Id, k: int = 10) -> list[Neighbour]:
        """Return up to ``k`` games whose texts are nearest to a game's, nearest first.

        Raises
        ------
        NotInModel
            If the game is not in the index.
        """
        row = self._rows.code_of(game_id)
        if row is None:
            raise NotInModel(f"game {game_id!r} is not among the {len(self.game_ids):,} games of this index")
        place = int(self._places[row])
        vector = self.faiss_index.reconstruct(place)
        found = self._nearest(vector, k + 1)
        return [neighbour for neighbour in found if neighbour.game_id != self.game_ids[place]][:k]

    def search(self, text: str, k: int = 10) -> list[Neighbour]:
        """Return up to ``k`` games whose texts are nearest to ``text``, nearest first."""
        return self._nearest(self.embedding_model.encode([text])[0], k)

    def _nearest(self, vector: npt.NDArray[np.float32], k: int) -> list[Neighbour]:
        k = max(0, min(k, len(self.game_ids)))
        if k == 0:
            return []
        distances, places = self.faiss_index.search(vector[None, :], k)
        return [
            Neighbour(self.game_ids[place], float(distance))
            for place, distance in zip(places[0], distances[0], strict=True)
            if place >= 0
        ]


def build_index(vectors: npt.NDArray[np.float32]) -> faiss.IndexFlatL2:
    """Index unit vectors for exact search.

    Parameters
    ----------
    vectors
        float32, (games, dimension), finite, of length 1.

    Raises
    ------
    ValueError
        If a vector is not finite or not of length 1: the encoder is broken.
    """
    import faiss

    norms = np.linalg.norm(vectors, axis=1)
    wrong = np.flatnonzero(~(np.abs(norms - 1) <= _UNIT))
    if len(wrong):
        raise ValueError(
            f"{len(wrong):,} of {len(vectors):,} embeddings are not finite unit vectors "
            f"(row {wrong[0]} has length {norms[wrong[0]]:.4g}): the embedding model is broken"
        )
    index = faiss.IndexFlatL2(vectors.shape[1])
    index.add(np.ascontiguousarray(vectors, dtype=np.float32))
    return index


def _distinct_ids(games: pd.DataFrame) -> list[Id]:
    if "GAME_ID" not in games:
        raise DataContractError(
            f"the games have no column GAME_ID; the columns are {', '.join(map(str, games.columns))}"
        )
    try:
        ids = id_array_of(games["GAME_ID"])
    except NotAnId as error:
        raise DataContractError(f"GAME_ID holds no ids: {error}") from None
    if ids.null_count or len(ids.unique()) != len(ids):
        raise DataContractError(
            f"of {len(ids):,} GAME_IDs {ids.null_count:,} are null and {len(ids) - len(ids.unique()):,} repeated; "
            "each game needs one id of its own"
        )
    return python_ids(ids)
