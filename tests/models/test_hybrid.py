"""Taste for cold games and for people with few ratings: the map, the blend, folding in."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Literal

import numpy as np
import pytest

from factories.tastes import tastes
from recsys.config import CfSettings
from recsys.errors import ArtifactCorrupt, NotInModel, ReleaseNotFound
from recsys.marts.ratings import Ratings
from recsys.models import CollaborativeFilter
from recsys.models.confidence import confidence
from recsys.models.folding import FoldIn
from recsys.models.hybrid import CONTENT_SHARE, MOST_TAGS, RIDGES, HybridRecommender, content_features, fit_ridge
from recsys.release.layout import HYBRID
from recsys.serving.profiles import Grounds, Weights

if TYPE_CHECKING:
    from pathlib import Path

GAMES = 120
COLD = np.arange(100, 120)
"""Games that nobody has rated in training; game g is of taste group g mod 4."""

ALL = tastes(users=400, items=GAMES)


def without_cold() -> Ratings:
    """Return the ratings of the other games."""
    matrix = ALL.matrix.copy()
    matrix.data[np.isin(matrix.indices, COLD)] = 0
    matrix.eliminate_zeros()
    return Ratings(ALL.users, ALL.items, matrix)


@pytest.fixture(scope="module")
def model() -> CollaborativeFilter:
    """Return a filter that has never seen a rating of the cold games."""
    return CollaborativeFilter(CfSettings(factors=16, tuning="off", threads=1)).fit(without_cold())


@pytest.fixture(scope="module")
def hybrid(model: CollaborativeFilter) -> HybridRecommender:
    """Return a hybrid for all games; texts tell the group through noise, tags plainly."""
    return HybridRecommender().fit(model, np.arange(GAMES, dtype=np.int32), texts(), tags())


def texts() -> np.ndarray:
    """Return unit vectors with a direction for each group, and much noise."""
    rng = np.random.default_rng(2)
    vectors = np.eye(4, 24)[np.arange(GAMES) % 4] + rng.normal(0, 0.3, (GAMES, 24))
    unit: np.ndarray = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return unit


def tags() -> list[list[str]]:
    """Return a tag for the group and one that says nothing."""
    return [[f"group {game % 4}", f"colour {game % 7}"] for game in range(GAMES)]


def test_cold_games_get_the_taste_of_their_group(model: CollaborativeFilter, hybrid: HybridRecommender) -> None:
    """Users rank games without a single rating by taste: held-out cold games they rated come first."""
    scores = model.user_factors @ hybrid.factors[COLD].T
    rated = ALL.matrix[:, COLD].toarray() >= 7
    ahead = [
        (row[liked][:, None] > row[~liked]).mean() for row, liked in zip(scores, rated, strict=True) if liked.any()
    ]
    assert np.mean(ahead) > 0.7
    assert not model.item_factors[COLD].any()


def test_a_game_is_blended_by_its_ratings(model: CollaborativeFilter, hybrid: HybridRecommender) -> None:
    """Own factors weigh n / (n + 20): nothing without ratings, half with twenty."""
    n = np.bincount(model.ratings.indices, minlength=GAMES)
    np.testing.assert_allclose(hybrid.trust, n / (n + 20), rtol=1e-6)
    features = content_features(texts(), tags())
    rated = np.flatnonzero(model.item_factors.any(axis=1))
    predict, _ = fit_ridge(features[rated], model.item_factors[rated], hybrid.trust[rated])
    share = hybrid.trust[:, None]
    expected = share * model.item_factors + (1 - share) * predict(features)
    np.testing.assert_allclose(hybrid.factors, expected, atol=1e-5)


def test_ridge_is_scikit_learns() -> None:
    """Coefficients against another library, and λ against leaving out every row in turn."""
    from sklearn.linear_model import Ridge

    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 30)).astype(np.float32)
    y = (x[:, :3] @ rng.normal(size=(3, 4)) + rng.normal(0, 2, (60, 4))).astype(np.float32)
    predict, chosen = fit_ridge(x, y, np.ones(60, dtype=np.float32))
    oracle = Ridge(alpha=chosen).fit(x, y)
    np.testing.assert_allclose(predict(x), oracle.predict(x), atol=1e-4)
    errors = []
    for ridge in RIDGES:
        left_out = [
            Ridge(alpha=ridge).fit(np.delete(x, row, 0), np.delete(y, row, 0)).predict(x[row : row + 1])
            for row in range(60)
        ]
        errors.append(((np.vstack(left_out) - y) ** 2).sum())
    assert chosen == RIDGES[int(np.argmin(errors))]


def test_tags_that_are_free_text_do_not_fill_the_memory(caplog: pytest.LogCaptureFixture) -> None:
    """The most frequent tags are features, each rare one is not; what is left out is counted in the log."""
    tags = [["common", "common", f"only game {row}"] for row in range(MOST_TAGS + 50)]
    features = content_features(np.zeros((len(tags), 2), dtype=np.float32), tags)
    assert features.shape == (len(tags), 2 + MOST_TAGS)
    marked = np.count_nonzero(features, axis=0)
    assert marked.max() == len(tags)
    assert np.count_nonzero(features, axis=1).min() == 1
    (record,) = caplog.records
    assert vars(record)["recsys_keys"] == {"tags": MOST_TAGS + 51, "taken": MOST_TAGS}


@pytest.mark.parametrize("solver", ["ials", "implicit"])
def test_fold_in_finds_the_factors_of_training(solver: Literal["ials", "implicit"]) -> None:
    """Folding a user's own ratings in gives their trained factors, whichever solver found them."""
    settings = CfSettings(solver=solver, factors=8, iterations=40, tuning="off", threads=1, regularization=
                          0.5 if solver == "ials" else 20.0)  # fmt: skip
    model = CollaborativeFilter(settings).fit(ALL)
    folding = FoldIn.of(model)
    weights = confidence(model.ratings, model.recipe.confidence, model.recipe.like_threshold)
    scale = settings.alpha if solver == "implicit" else 1.0
    for code in range(0, 400, 40):
        rows = weights[code]
        folded = folding.user(model.item_factors[rows.indices], (scale * rows.data).astype(np.float32))
        np.testing.assert_allclose(folded, model.user_factors[code], atol=0.02 * np.abs(model.user_factors).max())


@pytest.mark.parametrize("overlap", [0.0, 1.0])
@pytest.mark.parametrize("n", [0, 1, 5, 8, 30])
def test_fold_in_is_the_least_squares_solution(n: int, overlap: float) -> None:
    """For one like or many, one visitor or several at once, and whatever a like counts (it may be no more than α₀)."""
    rng = np.random.default_rng(n)
    known = rng.standard_normal((60, 8))
    folding = FoldIn(known.T @ known, floor=60.0, regularization=0.1, exponent=1.0, overlap=overlap, confidence=2.0)
    liked = rng.standard_normal((3, n, 8)).astype(np.float32)
    sure = rng.choice([0.5, 1.0, 3.0], (3, n)).astype(np.float32)
    folded = folding.user(liked, sure)
    for row, y, c in zip(folded, liked.astype(np.float64), sure, strict=True):
        matrix = folding.gramian + (y.T * (c - overlap)) @ y + 0.1 * (c.sum() + 60) * np.eye(8)
        np.testing.assert_allclose(row, np.linalg.inv(matrix) @ (y.T @ c), atol=1e-5)
        np.testing.assert_allclose(folding.user(y.astype(np.float32), c), row, atol=1e-6)
        parts = folding.contributions(y.astype(np.float32), c, known.astype(np.float32))
        np.testing.assert_allclose(parts, known @ np.linalg.inv(matrix) @ y.T * c, atol=1e-4)


def test_fold_in_without_regularization_takes_the_smallest_solution() -> None:
    """Factors that no game has stay zero, where the matrix cannot be inverted."""
    known = np.array([[1.0, 2.0, 0.0], [2.0, 1.0, 0.0]])
    folding = FoldIn(known.T @ known, floor=2.0, regularization=0.0, exponent=1.0, overlap=0.0, confidence=1.0)
    folded = folding.user(known[:1].astype(np.float32))
    matrix = known.T @ known + np.outer(known[0], known[0])
    np.testing.assert_allclose(folded, np.linalg.pinv(matrix) @ known[0], atol=1e-6)
    assert folded[2] == 0


@pytest.mark.parametrize("confidence_name", ["graded", "liked"])
def test_folding_in_and_serving_count_the_games_that_training_counts(
    confidence_name: Literal["graded", "liked"],
) -> None:
    """Games without a rating that counts are no part of λ: all three give a user the same factors, with any exponent.

    A part of ν is a large one of λ here: whoever counted games that nobody has rated would be far off.
    """
    settings = CfSettings(
        factors=8, iterations=120, tuning="off", threads=1, confidence=confidence_name, unobserved=9.0, exponent=2.0
    )
    model = CollaborativeFilter(settings).fit(without_cold())
    weights = confidence(model.ratings, model.recipe.confidence, model.recipe.like_threshold)
    table = SimpleNamespace(
        recipe=model.recipe.as_json(),
        ratings=model.ratings.data,
        indices=model.ratings.indices,
        indptr=model.ratings.indptr,
    )
    folding, served = FoldIn.of(model), Weights(table)  # type: ignore[arg-type]
    close = 0.002 * np.abs(model.user_factors).max()
    for code in range(0, 400, 40):
        rows, given = weights[code], model.ratings[code]
        folded = folding.user(model.item_factors[rows.indices], rows.data)
        np.testing.assert_allclose(folded, model.user_factors[code], atol=close)
        grounds = Grounds(folding, model.item_factors, given.indices, served.of(given.data), np.zeros(0, dtype=np.intp))
        np.testing.assert_allclose(grounds.factors, model.user_factors[code], atol=close)


def test_implicits_own_fold_in_does_not_match(model: CollaborativeFilter) -> None:
    """Why there is a fold-in of ours: `recalculate_user` minimizes another objective."""
    code = 3
    theirs = model.als_model.recalculate_user(0, model.ratings[code])
    assert not np.allclose(theirs, model.user_factors[code], rtol=0.2)


def test_a_visitor_is_shown_what_they_like(hybrid: HybridRecommender) -> None:
    """A handful of liked games, one of them without a rating, is enough to find the group."""
    for group in range(4):
        liked = [group + 4, group + 8, group + 104]
        scores = hybrid.scores(hybrid.fold_in(liked), len(liked), texts() @ texts()[liked].mean(axis=0))
        scores[liked] = -np.inf
        assert np.mean(np.argsort(-scores)[:10] % 4 == group) >= 0.8


def test_a_liked_game_that_nobody_rated_speaks_too(hybrid: HybridRecommender) -> None:
    """One like of a cold game lifts the whole of its group, against a visitor of whom nothing is known."""
    unknown = hybrid.scores(hybrid.fold_in([]), 0)
    for group in range(4):
        lifted = hybrid.scores(hybrid.fold_in([100 + group]), 1) - unknown
        own = np.arange(GAMES) % 4 == group
        assert lifted[own].mean() > 0 > lifted[~own].mean()


def test_many_visitors_at_once_are_those_of_one_at_a_time(hybrid: HybridRecommender) -> None:
    """Factors and scores of a block of people equal those of each alone, whatever their numbers of ratings."""
    liked, numbers = np.array([[0, 4, 108], [1, 7, 3], [101, 2, 5]]), np.array([3, 40, 0])
    content = np.random.default_rng(0).normal(size=(3, GAMES)).astype(np.float32)
    visitors = hybrid.fold_in(liked)
    scores = hybrid.scores(visitors, numbers, content)
    for row in range(3):
        alone = hybrid.fold_in(liked[row])
        np.testing.assert_allclose(visitors[row], alone, rtol=1e-4, atol=1e-6)
        expected = hybrid.scores(alone, int(numbers[row]), content[row])
        np.testing.assert_allclose(scores[row], expected, rtol=1e-4, atol=1e-4)


def test_the_mean_user_fades_as_ratings_come_in(hybrid: HybridRecommender) -> None:
    """Nobody's visitor is half the mean user; each like adds to the visitor's own part."""
    np.testing.assert_allclose(hybrid.fold_in([]), 0.5 * hybrid.mean_user, atol=1e-7)
    shares = []
    for n in (1, 3, 8):
        visitor = hybrid.fold_in([4 * game for game in range(n)])
        own = visitor - 0.5 * hybrid.mean_user
        shares.append(np.linalg.norm(own) / np.linalg.norm(visitor))
    assert shares == sorted(shares)


def test_content_counts_where_ratings_say_nothing(hybrid: HybridRecommender) -> None:
    """Text moves the scores of cold games and of newcomers, and hardly anybody else's."""
    user = hybrid.fold_in([0, 4])
    content = np.linspace(-1, 1, GAMES, dtype=np.float32)
    moved = np.abs(hybrid.scores(user, 2, content) - hybrid.scores(user, 2))
    settled = np.abs(hybrid.scores(user, 2000, content) - hybrid.scores(user, 2000))
    standard = np.abs(content - content.mean()) / content.std()
    np.testing.assert_allclose(settled[COLD], CONTENT_SHARE * standard[COLD], rtol=1e-4)
    popular = int(np.argmax(hybrid.trust))
    assert settled[popular] < 0.4 * moved[popular]


def test_the_model_survives_the_disk(hybrid: HybridRecommender, tmp_path: Path) -> None:
    """Loaded factors and visitors are those that were saved, byte for byte; the file too."""
    hybrid.save(tmp_path)
    first = (tmp_path / HYBRID).read_bytes()
    loaded = HybridRecommender.load(tmp_path)
    assert loaded.factors.tobytes() == hybrid.factors.tobytes()
    np.testing.assert_array_equal(loaded.fold_in([1, 110]), hybrid.fold_in([1, 110]))
    loaded.save(tmp_path)
    assert (tmp_path / HYBRID).read_bytes() == first


def test_missing_and_broken_files_are_named(tmp_path: Path) -> None:
    """No file, or not ours: an error of the release, not of numpy."""
    with pytest.raises(ReleaseNotFound, match=HYBRID):
        HybridRecommender.load(tmp_path)
    (tmp_path / HYBRID).write_bytes(b"PK nonsense")
    with pytest.raises(ArtifactCorrupt, match="cannot be read"):
        HybridRecommender.load(tmp_path)


@pytest.mark.parametrize("liked", [[-1], [GAMES]])
def test_unknown_rows_are_refused(hybrid: HybridRecommender, liked: list[int]) -> None:
    """A row that the catalogue lacks is an error, not another game."""
    with pytest.raises(NotInModel, match="rows 0 to 119"):
        hybrid.fold_in(liked)


def test_answering_needs_numpy_alone(hybrid: HybridRecommender, tmp_path: Path) -> None:
    """Loading and folding in import no solver: no numba, scipy, implicit or pandas."""
    hybrid.save(tmp_path)
    code = (
        "import sys; from recsys.models.hybrid import HybridRecommender as H;"
        f"h = H.load({str(tmp_path)!r}); h.scores(h.fold_in([1]), 1);"
        "print(sorted({'numba', 'scipy', 'implicit', 'pandas', 'sklearn', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
