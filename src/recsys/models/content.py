"""The content model: what a game's text says, as vectors in an index."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Never

import numpy as np

from recsys.config import ContentSettings
from recsys.errors import ArtifactCorrupt, DataContractError, NotInModel, ReleaseNotFound
from recsys.marts.headings import refuse_twins
from recsys.marts.ids import Id, NotAnId, id_array_of, key_of, python_ids
from recsys.models.given import settings_given
from recsys.ranking.top import Neighbour, one_faiss_thread
from recsys.release.durable import make_folder, write_bytes
from recsys.release.formats import game_ids_bytes, index_bytes, read_game_ids, read_index
from recsys.release.layout import CONTENT_FILES, INDEX, METADATA
from recsys.release.path import folder_at
from recsys.system.paths import local_path

if TYPE_CHECKING:
    import faiss
    import numpy.typing as npt
    import pandas as pd

    from recsys.embedding import Encoder

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
    vectors
        float32 unit vectors, (games, dimension); row i is the game ``game_ids[i]``. Not to be changed in place.
    """

    vectors: npt.NDArray[np.float32]
    _index: faiss.IndexFlatL2 | None = None

    def __init__(
        self, settings: ContentSettings | None = None, embedding_model: Encoder | None = None, **loose: Never
    ) -> None:
        from recsys.embedding import open_encoder

        self.settings = settings_given("RAGRecommender", ContentSettings, settings, loose)
        self.embedding_model: Encoder = embedding_model or open_encoder(self.settings)

    def __repr__(self) -> str:
        """Return its size; of one that was not trained, that."""
        if not hasattr(self, "vectors"):
            return "RAGRecommender(not trained)"
        games, dimension = self.vectors.shape
        return f"RAGRecommender({games:,} games, vectors of {dimension})"

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
            If a column is missing, holds something that is no text, or an id is null, repeated or no id.
        """
        from recsys.marts.plain import require_columns, require_frame
        from recsys.marts.text import TEXT_COLUMNS, embedding_text, given_texts

        require_frame(games_df, "the games")
        given = EMBEDDING_TEXT in games_df.columns
        require_columns(games_df, ("GAME_ID", *([EMBEDDING_TEXT] if given else TEXT_COLUMNS)), "the games")
        ids = _distinct_ids(games_df)
        texts = given_texts(games_df, EMBEDDING_TEXT) if given else embedding_text(games_df).tolist()
        self.vectors, self._index = _unit(self.embedding_model.encode(texts)), None
        self.game_ids = ids
        return self

    @property
    def game_ids(self) -> list[Id]:
        """The games' ids, in the order of the frame that was fitted."""
        return self._game_ids

    @game_ids.setter
    def game_ids(self, ids: list[Id]) -> None:
        self._game_ids = ids
        self._rows: dict[object, int] = {id_: row for row, id_ in enumerate(ids)}

    @property
    def faiss_index(self) -> faiss.IndexFlatL2:
        """``faiss.IndexFlatL2`` of the vectors, made when it is first asked for; one that is set brings its own."""
        if self._index is None:
            self._index = build_index(self.vectors)
        return self._index

    @faiss_index.setter
    def faiss_index(self, index: faiss.IndexFlatL2) -> None:
        self.vectors, self._index = index.reconstruct_n(0, index.ntotal), index

    def similar(self, game_id: Id, k: int = 10) -> list[Neighbour]:
        """Return up to ``k`` games whose texts are nearest to a game's, nearest first.

        Raises
        ------
        NotInModel
            If the game is not in the index.
        """
        row = self._known().get(key_of(game_id))
        if row is None:
            raise NotInModel(f"game {game_id!r} is not among the {len(self.game_ids):,} games of this index")
        nearest = self._nearest(self.vectors[row], k + 1)
        return [neighbour for neighbour in nearest if neighbour.game_id != game_id][:k]

    def search(self, text: str, k: int = 10) -> list[Neighbour]:
        """Return up to ``k`` games whose texts are nearest to ``text``, nearest first."""
        self._known()
        return self._nearest(self.embedding_model.encode([text])[0], k)

    def save(self, path: Path | str) -> None:
        """Write ``rag_index.faiss`` and ``metadata.json`` into the folder ``path``.

        Raises
        ------
        ArtifactWriteError
            If a file cannot be written whole.
        """
        folder = local_path(path, "the folder of the model")
        make_folder(folder)
        write_bytes(folder / INDEX, index_bytes(self.faiss_index))
        write_bytes(folder / METADATA, game_ids_bytes(self.game_ids))

    @classmethod
    def load(
        cls, path: Path | str, settings: ContentSettings | None = None, embedding_model: Encoder | None = None
    ) -> RAGRecommender:
        """Read what :meth:`save` wrote.

        Raises
        ------
        ReleaseNotFound
            If a file is missing.
        ArtifactCorrupt
            If the files do not belong together, or are not what ``save`` writes.
        """
        folder = folder_at(local_path(path, "the folder of the model"))
        model = cls(settings, embedding_model)
        try:
            contents = {name: (folder / name).read_bytes() for name in CONTENT_FILES}
        except FileNotFoundError as error:
            raise ReleaseNotFound(f"{folder} holds no content model: {Path(error.filename).name} is missing") from error
        try:
            index, model.game_ids = read_index(contents[INDEX]), read_game_ids(contents[METADATA])
        except ArtifactCorrupt as error:
            raise ArtifactCorrupt(f"the content model in {folder} is damaged: {error}") from error
        model.faiss_index = index
        if index.ntotal != len(model.game_ids):
            raise ArtifactCorrupt(f"{folder} has {index.ntotal:,} vectors for {len(model.game_ids):,} ids: mixed files")
        return model

    def _known(self) -> dict[object, int]:
        if not hasattr(self, "_rows"):
            raise NotInModel("this model knows no games yet: call fit first, or load a model")
        return self._rows

    def _nearest(self, vector: npt.NDArray[np.float32], k: int) -> list[Neighbour]:
        k = int(max(0, min(k, len(self.game_ids))))  # FAISS takes no integers of numpy
        if k == 0:
            return []
        with one_faiss_thread():
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

    vectors = _unit(vectors)
    index = faiss.IndexFlatL2(vectors.shape[1])
    index.add(vectors)
    return index


def _unit(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return vectors as contiguous float32; ``ValueError`` if one is not finite or not of length 1."""
    norms = np.linalg.norm(vectors, axis=1)
    wrong = np.flatnonzero(~(np.abs(norms - 1) <= _UNIT))
    if len(wrong):
        raise ValueError(
            f"{len(wrong):,} of {len(vectors):,} embeddings are not finite unit vectors "
            f"(row {wrong[0]} has length {norms[wrong[0]]:.4g}): the embedding model is broken"
        )
    return np.ascontiguousarray(vectors, dtype=np.float32)


def _distinct_ids(games: pd.DataFrame) -> list[Id]:
    refuse_twins("the frame of games", games.columns, ("GAME_ID", "embedding_text"))
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
