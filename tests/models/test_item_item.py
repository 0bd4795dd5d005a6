"""The item-item half: its numbers against a plain solution, its determinism, and what a release keeps of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import scipy.sparse as sp

from factories.tastes import ratings_of, tastes
from recsys.config import CfSettings
from recsys.errors import ArtifactCorrupt, ConfigError
from recsys.models import CollaborativeFilter, item_item
from recsys.models.fading import MONTH_US
from recsys.models.item_item import Rows, fit_item_item
from recsys.release.layout import INTERACTIONS, ITEM_ITEM

if TYPE_CHECKING:
    from pathlib import Path

USERS, GAMES = 400, 60


@pytest.fixture(scope="module")
def confidence() -> sp.csr_matrix:
    """Confidences of a table with two taste groups; one user and one game have none."""
    rng = np.random.default_rng(3)
    chance = np.where(np.arange(USERS)[:, None] % 2 == np.arange(GAMES) % 2, 0.3, 0.06)
    rated = rng.random((USERS, GAMES)) < chance
    rated[5] = rated[:, 7] = False
    matrix = sp.csr_matrix(np.where(rated, rng.uniform(0.25, 2, rated.shape), 0).astype(np.float32))
    matrix.sort_indices()
    return matrix


def gram(confidence: sp.csr_matrix, exponent: float) -> np.ndarray:
    """Return G in float64, by its formula."""
    dense = confidence.toarray().astype(np.float64)
    counts = (dense > 0).sum(axis=1)
    weight = (counts[counts > 0].mean() / np.maximum(counts, 1)) ** (2 * exponent)
    return (dense * weight[:, None]).T @ dense  # type: ignore[no-any-return]


@pytest.mark.parametrize("exponent", [0.0, 0.5])
def test_few_games_are_solved_at_once(confidence: sp.csr_matrix, exponent: float) -> None:
    """B = -P / diag P with P = (G + λ ḡ I)⁻¹, and nothing on the diagonal."""
    whole = gram(confidence, exponent)
    inverse = np.linalg.inv(whole + 0.7 * np.diag(whole).mean() * np.eye(GAMES))
    expected = -inverse / np.diag(inverse)
    np.fill_diagonal(expected, 0)
    found = fit_item_item(confidence, exponent, 0.7)
    np.testing.assert_allclose(found.toarray(), expected, atol=2e-5)
    assert not found.diagonal().any()
    assert not found[7].nnz


def test_only_the_largest_entries_stay(confidence: sp.csr_matrix, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of all as many as are kept a game, wherever they are, and none that is left out is larger."""
    whole = fit_item_item(confidence, 0.5, 1.0).toarray()
    monkeypatch.setattr(item_item, "KEPT", 9)
    cut = fit_item_item(confidence, 0.5, 1.0).toarray()
    assert np.count_nonzero(cut) == 9 * GAMES
    np.testing.assert_array_equal(cut[cut != 0], whole[cut != 0])
    assert np.abs(whole[cut == 0]).max() <= np.abs(cut[cut != 0]).min()


def test_many_games_are_solved_on_their_neighbours(confidence: sp.csr_matrix, monkeypatch: pytest.MonkeyPatch) -> None:
    """For each game a ridge regression on the features with the largest G_ij / √G_ii, whatever the threads are."""
    monkeypatch.setattr(item_item, "DENSE", 10)
    monkeypatch.setattr(item_item, "FEATURES", 40)
    found = fit_item_item(confidence, 0.5, 1.0, neighbours=8, threads=1)
    again = fit_item_item(confidence, 0.5, 1.0, neighbours=8, threads=2)
    assert np.array_equal(found.data, again.data)
    assert np.array_equal(found.indices, again.indices)
    whole = gram(confidence, 0.5)
    features = np.sort(np.argsort(-np.diff(confidence.tocsc().indptr), kind="stable")[:40])
    ridge = np.diag(whole)[features].mean()
    for game in (0, 11, 42):
        near = whole[features, game] / np.sqrt(np.diag(whole)[features])
        near[features == game] = 0
        chosen = np.sort(features[np.argsort(-near, kind="stable")[:8]])
        solved = np.linalg.solve(whole[np.ix_(chosen, chosen)] + ridge * np.eye(8), whole[chosen, game])
        column = found.toarray()[:, game]
        assert np.array_equal(np.flatnonzero(column), chosen)
        np.testing.assert_allclose(column[chosen], solved, rtol=2e-3, atol=1e-5)


def test_rows_add_up_without_scipy(confidence: sp.csr_matrix) -> None:
    """The sum of weighted rows is the product with the matrix."""
    found = fit_item_item(confidence, 0.0, 1.0)
    rows = Rows(found.indptr.astype(np.int64), found.indices, found.data)
    user = confidence[3]
    np.testing.assert_allclose(rows.summed(user.indices, user.data), (user @ found).toarray()[0], rtol=1e-5, atol=1e-6)
    assert not rows.summed(np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.float32)).any()


BLENDED = CfSettings(
    factors=8, tuning="off", threads=1, like_threshold=7.0, item_weight=0.4, item_exponent=0.5, item_regularization=1.0
)


def test_lists_come_from_both_halves() -> None:
    """The score is (1 - w) z(x·y) + w z(c B), z over the games with a rating that counts."""
    model = CollaborativeFilter(BLENDED).fit(tastes(users=200, items=50))
    code, weights = 4, model.confidence
    rated = slice(model.ratings.indptr[code], model.ratings.indptr[code + 1])
    factors = model.folded.of(code)
    own = model.item_factors.astype(np.float64) @ factors
    said = np.zeros(50)
    assert model.item_item is not None
    matrix = sp.csr_matrix(
        (model.item_item.matrix.values, model.item_item.matrix.indices, model.item_item.matrix.indptr), shape=(50, 50)
    ).toarray()
    for item, sure in zip(model.ratings.indices[rated], weights[rated], strict=True):
        said += sure * matrix[item]
    expected = 0.6 * (own - own.mean()) / own.std() + 0.4 * (said - said.mean()) / said.std()
    np.testing.assert_allclose(model.taste.settled(code, factors), expected, atol=1e-4)
    np.testing.assert_allclose(model.taste.scores(np.array([9, code]))[1], expected, atol=0.02)  # as training left them
    expected[model.ratings.indices[rated]] = -np.inf
    best = model.items.ids(np.argsort(-expected, kind="stable")[:5])
    assert [game.game_id for game in model.recommend(model.users.id_of(code), 5)] == list(best)


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    """Lists are the same after a way over the disk; without a second half there is no file for it."""
    model = CollaborativeFilter(BLENDED).fit(tastes(users=200, items=50))
    model.save(tmp_path / "both")
    loaded = CollaborativeFilter.load(tmp_path / "both")
    user = model.users.id_of(3)
    assert loaded.recommend(user) == model.recommend(user)
    alone = CollaborativeFilter(BLENDED.model_copy(update={"item_weight": 0.0})).fit(tastes(users=200, items=50))
    alone.save(tmp_path / "alone")
    assert not (tmp_path / "alone" / ITEM_ITEM).exists()
    assert (tmp_path / "alone" / INTERACTIONS).exists()
    model.save(tmp_path / "alone")
    alone.save(tmp_path / "alone")  # over another model: its second half does not stay
    assert CollaborativeFilter.load(tmp_path / "alone").recommend(user) == alone.recommend(user)
    (tmp_path / "both" / ITEM_ITEM).write_bytes(b"PK nothing")
    with pytest.raises(ArtifactCorrupt, match=ITEM_ITEM):
        CollaborativeFilter.load(tmp_path / "both")


def test_a_game_without_a_rating_that_counts_is_in_no_list() -> None:
    """Planted: everybody rated it lately and nobody liked it; its trend is the highest, and no release serves it."""
    draw = np.random.default_rng(3)
    users, games = np.nonzero(draw.random((200, 30)) < 0.3)
    rows = [(int(user), int(game), 9.0, 0.0) for user, game in zip(users, games, strict=True)]
    rows += [(user, 99, 1.0, 10 * MONTH_US) for user in range(0, 200, 2)]
    settings = BLENDED.model_copy(update={"confidence": "liked", "like_threshold": 7.0, "trend": 1.0})
    model = CollaborativeFilter(settings).fit(ratings_of(*map(list, zip(*rows, strict=True))))
    user = model.users.id_of(1)
    listed = model.recommend(user, 30)
    assert 99 not in {game.game_id for game in listed}
    assert all(game.score > -100 for game in listed)
    code = model.items.code_of(99)
    assert (model.taste.scores(np.arange(4))[:, code] < -100).all()
    assert np.isfinite(model.taste.settled(1, model.folded.of(1))).all()


@pytest.mark.parametrize("setting", ["half_life", "trend"])
def test_what_needs_dates_says_so(setting: str) -> None:
    """A half-life or a trend of ratings without dates is an error that names the setting and the column."""
    settings = CfSettings.model_validate({"factors": 4, "tuning": "off", setting: 3.0})
    with pytest.raises(ConfigError, match=rf"cf\.{setting} = 3 needs to know when .* source\.time_column"):
        CollaborativeFilter(settings).fit(tastes(users=100, items=30))


def test_what_has_faded_to_nothing_is_close_to_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Confidence that has all but vanished divides by no zero, and leaves others their neighbours."""
    monkeypatch.setattr(item_item, "DENSE", 2)
    draw = np.random.default_rng(5)
    table = sp.csr_matrix((draw.random((200, 30)) < 0.3).astype(np.float32))
    table.data[table.indices == 7] = np.float32(1e-25)
    found = fit_item_item(table, 0.0, 1.0, neighbours=5)
    assert np.isfinite(found.data).all()
    assert (np.diff(found.tocsc().indptr)[:7] == 5).all()
