"""A release whose lists come from factors, from what rated games say for others, and from texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import recsys
from factories.served import publish
from factories.tables import WordEncoder
from recsys.errors import ArtifactCorrupt, IncompatibleArtifact
from recsys.models import CollaborativeFilter
from recsys.release.layout import ITEM_ITEM
from recsys.release.store import ReleaseStore

if TYPE_CHECKING:
    from pathlib import Path

    from recsys.serving import Recommender

HALVES: dict[str, Any] = {"item_weight": 0.4, "item_exponent": 0.5, "item_regularization": 1.0}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with such a release."""
    folder = tmp_path_factory.mktemp("blended")
    publish(folder, **HALVES)
    return folder


@pytest.fixture(scope="module")
def served(store: Path) -> Recommender:
    """Return what serves it."""
    return recsys.load(store / "v1", encoder=WordEncoder())


def test_lists_are_those_of_the_model(store: Path, served: Recommender) -> None:
    """For each user the same games in the same order, and the same bits of their scores."""
    model = CollaborativeFilter.load(store / "v1")
    for user in model.users.ids():
        answer = served.recommend(user, 7)
        assert [(game.game_id, game.score) for game in answer] == [tuple(game) for game in model.recommend(user, 7)]


def test_a_list_is_the_same_alone_and_in_a_batch(served: Recommender) -> None:
    """Bit for bit, whoever else is asked for."""
    users = list(range(20))
    batch = served.recommend_batch(users, 5)
    alone = [served.recommend(user, 5) for user in reversed(users)][::-1]
    assert [list(answer) for answer in batch] == [list(answer) for answer in alone]


def test_a_visitor_is_shown_what_their_likes_say(served: Recommender) -> None:
    """The first games are of the shelf of what they like; games that they like are not shown."""
    liked = [100, 104]
    for by in ("taste", "blend"):
        answer = served.recommend_from(liked, 5, by=by)
        assert not set(liked) & set(answer.ids)
        assert sum(game % 4 == 0 for game in answer.ids) >= 4, answer.ids


def test_reasons_are_shares_of_the_score(served: Recommender) -> None:
    """What liked games add, in both halves, sums to one; a game of the same shelf is the strongest reason."""
    answer = served.recommend(0, 3, why=True)
    for game in answer:
        assert game.because
        assert sum(reason.share for reason in game.because) <= 1 + 1e-6
        assert game.because[0].game_id % 4 == game.game_id % 4
    explained = served.explain(0, answer.ids[0])
    assert explained.score == answer.games[0].score
    assert sum(reason.share for reason in explained.because) == pytest.approx(1)


def test_the_file_is_part_of_the_release(store: Path) -> None:
    """It is described, verified, and missed where the recipe asks for it."""
    manifest = ReleaseStore(store).manifest()
    assert manifest.format == 3
    assert manifest.files[ITEM_ITEM].arrays["trend"].dtype == "float32"
    assert (store / "v1" / ITEM_ITEM).is_file()


def test_another_content_half_keeps_it(tmp_path: Path) -> None:
    """The CF half that is carried over brings its second half along."""
    import pyarrow as pa

    from factories.served import catalogue
    from factories.tables import RECIPE, TableSource, ratings
    from recsys.config import Settings
    from recsys.trainer import Trainer

    publish(tmp_path, **HALVES)
    before = (tmp_path / "v1" / ITEM_ITEM).read_bytes()
    marts = (pa.Table.from_pandas(frame, preserve_index=False) for frame in (catalogue().iloc[:-1], ratings()))
    settings = Settings.model_validate({"cf": {**RECIPE, **HALVES}})
    Trainer(
        {}, tmp_path, source=TableSource(*marts), settings=settings, embedding_model=WordEncoder()
    ).train_rag_model()
    assert (tmp_path / "v1" / ITEM_ITEM).read_bytes() == before
    assert len(recsys.load(tmp_path / "v1").recommend(3)) == 10


def test_an_older_reader_is_told(store: Path) -> None:
    """Factors alone would rank otherwise: the format's MAJOR is a new one."""
    from recsys.release.layout import MANIFEST
    from recsys.release.manifest import Manifest
    from recsys.release.records import Format, read_record

    data = (store / "v1" / MANIFEST).read_bytes()
    with pytest.raises(IncompatibleArtifact, match="install a newer recsys"):
        read_record(MANIFEST, data, Manifest, Format(1, 1))


def test_scores_are_spread_as_one_would_expect(served: Recommender) -> None:
    """A score tells standard deviations: the best of a list stands above most games."""
    scores = np.array([game.score for game in served.recommend(1, 20)])
    assert 0.5 < scores[0] < 12
    assert (np.diff(scores) <= 0).all()


def test_a_recipe_without_its_file_is_no_release(store: Path, tmp_path: Path) -> None:
    """Factors alone are not taken for the whole."""
    import shutil

    from recsys.models.recipe import CfRecipe

    model = CollaborativeFilter.load(store / "v1")
    assert isinstance(model.recipe, CfRecipe)
    shutil.copytree(store / "v1", tmp_path / "copy")
    (tmp_path / "copy" / ITEM_ITEM).unlink()
    with pytest.raises(ArtifactCorrupt, match=ITEM_ITEM):
        recsys.load(tmp_path / "copy")
    with pytest.raises(ArtifactCorrupt, match=ITEM_ITEM):
        CollaborativeFilter.load(tmp_path / "copy")
