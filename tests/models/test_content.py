"""The content model, with the real encoder where vectors matter and a quick one elsewhere."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import faiss
import numpy as np
import pytest

from conftest import require_engine
from factories.tables import WordEncoder, games
from recsys.config import ContentSettings
from recsys.embedding.model import find_model
from recsys.errors import ArtifactCorrupt, DataContractError, NotInModel, ReleaseNotFound
from recsys.marts.text import embedding_text
from recsys.models import RAGRecommender
from recsys.models.content import build_index

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd


@pytest.fixture(scope="module")
def model() -> RAGRecommender:
    """Return a content model of the small catalogue."""
    return RAGRecommender(embedding_model=WordEncoder()).fit(games())


@pytest.fixture(scope="module")
def real() -> RAGRecommender:
    """Return a content model of twelve games, embedded by the real model in float32."""
    return RAGRecommender(ContentSettings(precision="float32", device="cpu")).fit(games().head(12))


def test_vectors_equal_a_direct_call(real: RAGRecommender) -> None:
    """Against sentence-transformers itself, called as its documentation says."""
    require_engine("torch")
    from sentence_transformers import SentenceTransformer

    direct = SentenceTransformer(str(find_model("").path), device="cpu")
    expected = direct.encode(embedding_text(games().head(12)).tolist())
    np.testing.assert_allclose(real.faiss_index.reconstruct_n(0, 12), expected, atol=2e-6)


def test_the_index_is_flat_l2_of_384_dimensions(real: RAGRecommender) -> None:
    """What the contract names, in the order of the frame."""
    assert isinstance(real.faiss_index, faiss.IndexFlatL2)
    assert (real.faiss_index.d, real.faiss_index.ntotal) == (384, 12)
    assert real.game_ids == games().head(12)["GAME_ID"].tolist()


def test_the_index_is_a_view_of_the_vectors(tmp_path: Path) -> None:
    """Fitted, fitted again, loaded or given another index: vectors and index hold the same rows, bit for bit."""
    model = RAGRecommender(embedding_model=WordEncoder()).fit(games())
    first = model.faiss_index
    assert model.faiss_index is first
    model.fit(games().head(12))
    assert model.faiss_index is not first
    assert model.vectors.dtype == np.float32
    assert np.array_equal(model.vectors, WordEncoder().encode(embedding_text(games().head(12)).tolist()))
    model.save(tmp_path)
    loaded = RAGRecommender.load(tmp_path, embedding_model=WordEncoder())
    given = RAGRecommender(embedding_model=WordEncoder())
    given.faiss_index = build_index(model.vectors[:5])
    for each, rows in ((model, 12), (loaded, 12), (given, 5)):
        assert np.array_equal(each.faiss_index.reconstruct_n(0, rows), each.vectors)
        assert np.array_equal(each.vectors, model.vectors[:rows])


def test_a_second_fit_forgets_the_first() -> None:
    """Games of the first frame are unknown, and those of the second have neighbours of their own."""
    model = RAGRecommender(embedding_model=WordEncoder()).fit(games().head(8))
    gone, stays = model.game_ids[0], model.game_ids[7]
    assert model.similar(gone, 1)
    model.fit(games().tail(len(games()) - 1))
    with pytest.raises(NotInModel):
        model.similar(gone, 1)
    fresh = RAGRecommender(embedding_model=WordEncoder()).fit(games().tail(len(games()) - 1))
    assert model.similar(stays, 3) == fresh.similar(stays, 3)


def test_search_understands_words_it_has_not_seen(real: RAGRecommender) -> None:
    """'Locomotives' finds games about trains: the real model means what it reads."""
    neighbours = real.search("locomotives on railway tracks", 2)
    assert {near.game_id % 4 for near in neighbours} == {2}


def test_neighbours_equal_brute_force(model: RAGRecommender) -> None:
    """Ids and squared distances against every pair in float64."""
    vectors = WordEncoder().encode(embedding_text(games()).tolist()).astype(np.float64)
    distances = ((vectors[:, None, :] - vectors[None, :, :]) ** 2).sum(axis=2)
    np.fill_diagonal(distances, np.inf)
    for row, game in enumerate(model.game_ids):
        neighbours = model.similar(game, 5)
        np.testing.assert_allclose([near.distance for near in neighbours], np.sort(distances[row])[:5], atol=1e-5)
        assert game not in [near.game_id for near in neighbours]


def test_lists_are_never_padded(model: RAGRecommender) -> None:
    """Asking for more than there is gives what there is; asking for none gives none."""
    assert len(model.similar(100, 1000)) == 39
    assert len(model.search("fantasy", 1000)) == 40
    assert model.similar(100, 0) == model.search("fantasy", 0) == []


def test_an_unknown_game_is_named(model: RAGRecommender) -> None:
    """An id that was never indexed is an error."""
    with pytest.raises(NotInModel, match="game 7 is not among the 40 games"):
        model.similar(7)


@pytest.mark.parametrize("as_text", [False, True])
def test_a_model_survives_the_disk(tmp_path: Path, as_text: bool) -> None:  # noqa: FBT001
    """Saved and loaded, with ids of either kind, it finds the same neighbours."""
    frame = games().assign(GAME_ID=games()["GAME_ID"].astype(str)) if as_text else games()
    model = RAGRecommender(embedding_model=WordEncoder()).fit(frame)
    model.save(tmp_path)
    assert json.loads((tmp_path / "metadata.json").read_text()) == {"ids": frame["GAME_ID"].tolist()}
    assert faiss.read_index(str(tmp_path / "rag_index.faiss")).ntotal == 40
    loaded = RAGRecommender.load(tmp_path, embedding_model=WordEncoder())
    game = frame["GAME_ID"].tolist()[3]
    assert loaded.similar(game, 5) == model.similar(game, 5)


def test_files_that_do_not_belong_together_are_refused(tmp_path: Path, model: RAGRecommender) -> None:
    """A missing file, a spoilt one, and an index of another catalogue are told apart."""
    with pytest.raises(ReleaseNotFound, match=r"rag_index.faiss is missing"):
        RAGRecommender.load(tmp_path)
    model.save(tmp_path / "a")
    RAGRecommender(embedding_model=WordEncoder()).fit(games().head(5)).save(tmp_path / "b")
    shutil.copy(tmp_path / "b" / "metadata.json", tmp_path / "a")
    with pytest.raises(ArtifactCorrupt, match="40 vectors for 5 ids"):
        RAGRecommender.load(tmp_path / "a")
    (tmp_path / "b" / "rag_index.faiss").write_bytes(b"spoilt")
    with pytest.raises(ArtifactCorrupt, match="cannot be read"):
        RAGRecommender.load(tmp_path / "b")


@pytest.mark.parametrize("spoil", [np.nan, 2.0, 0.0])
def test_vectors_that_are_no_unit_vectors_are_refused(spoil: float) -> None:
    """L2 distances rank like cosines on unit vectors only."""
    vectors = WordEncoder().encode(["a", "b", "c"])
    vectors[1] *= spoil
    with pytest.raises(ValueError, match="1 of 3 embeddings are not finite unit vectors"):
        build_index(vectors)


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (games().drop(columns="GAME_ID"), "no column GAME_ID"),
        (games().assign(GAME_ID=1), "39 repeated"),
        (games().assign(GAME_ID=None), "40 are null"),
        (games().drop(columns="MECHANICS"), "MECHANICS"),
    ],
)
def test_a_broken_frame_is_refused(frame: pd.DataFrame, words: str) -> None:
    """``fit`` needs a distinct id for each game, and the columns that texts are made of."""
    with pytest.raises(DataContractError, match=words):
        RAGRecommender(embedding_model=WordEncoder()).fit(frame)


def test_questions_take_what_numpy_makes_of_numbers() -> None:
    """An id and a length may come out of an array."""
    model = RAGRecommender(embedding_model=WordEncoder()).fit(games())
    numbers: Any = np.array([model.game_ids[0], 3])
    assert model.similar(numbers[0], numbers[1]) == model.similar(model.game_ids[0], 3)


@pytest.mark.parametrize("id_", [[1], {}, True, 1.0, None])
def test_what_is_no_id_is_no_game(id_: Any) -> None:
    """A list cannot be looked up, and True is not the game 1."""
    frame = games().assign(GAME_ID=range(1, len(games()) + 1))
    with pytest.raises(NotInModel, match="is not among"):
        RAGRecommender(embedding_model=WordEncoder()).fit(frame).similar(id_)


def test_a_model_that_was_not_fitted_says_so() -> None:
    """Whatever it is asked."""
    model = RAGRecommender(embedding_model=WordEncoder())
    with pytest.raises(NotInModel, match="call fit first"):
        model.similar(1)
    with pytest.raises(NotInModel, match="call fit first"):
        model.search("trade")
