"""Taste for every game and every visitor: also for games without ratings, and people with few.

A game's factors are ``s·y + (1 - s)·m(text, tags)``: its own factors y of the collaborative filter
as far as its n ratings carry them, s = n / (n + 20), for the rest what a ridge regression, fitted on
the rated games, expects from its text embedding and its tags.

A visitor's factors are folded in from what they liked, plus half of the mean user's: with one liked
game they would otherwise be shown that game's niche alone. As ratings come in, one's own factors outgrow
the mean's. The score of a game is the inner product; where the visitor or the game has few ratings,
the cosine of its text with the texts they liked is mixed in.

Answering needs numpy alone; :meth:`HybridRecommender.load` reads no other file than
``hybrid.npz``.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from recsys.errors import ArtifactCorrupt, NotInModel, ReleaseNotFound
from recsys.marts import column_counts
from recsys.models.folding import FoldIn
from recsys.models.solvers.blocks import blocks, summed
from recsys.release.arrays import HybridFile, read_hybrid, write_hybrid
from recsys.release.durable import write_file
from recsys.release.layout import HYBRID
from recsys.system.log import events, keys
from recsys.system.paths import local_path

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

    from recsys.models.cf import CollaborativeFilter
    from recsys.models.solvers.blocks import Block, Doubles

    Floats = npt.NDArray[np.float32]

log = events(__name__)

HALF_TRUST = 20
"""With so many ratings a game's own factors weigh as much as what its text and tags say."""
MOST_TAGS = 1000
"""Tags that are features: a mart whose tags are free text has more than a dense regression can hold."""
TAG_SCALE = 0.3
"""Of a tag in the regression's features, beside an embedding of length 1."""
RIDGES = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0)
"""λ of the regression: the one with the smallest leave-one-out error is taken."""
MEAN_SHARE = 0.5
"""Of the mean user in a visitor's factors."""
CONTENT_SHARE = 0.1
"""Of content in a blended score, where the ratings say nothing."""


class HybridRecommender:
    """Factors for a whole catalogue, and for people who are not in the model.

    Attributes
    ----------
    factors
        float32, (games, factors), in the order of the catalogue.
    trust
        float32, (games,): s, in [0, 1); 0 for games without ratings.
    mean_user
        float32, (factors,).
    folding
        Folds visitors in.
    ridge
        λ of the regression.
    """

    factors: Floats
    trust: Floats
    mean_user: Floats
    folding: FoldIn
    ridge: float

    def fit(
        self, model: CollaborativeFilter, codes: npt.NDArray[np.int32], vectors: Floats, tags: Sequence[Sequence[str]]
    ) -> HybridRecommender:
        """Learn the map from text and tags to taste, and apply it to the catalogue.

        Parameters
        ----------
        model
            The trained collaborative filter.
        codes
            int32, (games,): each game's code in ``model.items``; -1 if nobody rated it.
        vectors
            float32, (games, dimension): unit embeddings.
        tags
            Tags of each game.
        """
        from threadpoolctl import threadpool_limits

        counts = column_counts(model.ratings.indices, len(model.items))
        n = np.where(codes >= 0, counts[codes], 0)
        self.trust = (n / (n + HALF_TRUST)).astype(np.float32)
        own = np.where(codes[:, None] >= 0, model.item_factors[codes], np.float32(0))
        features = content_features(vectors, tags)
        with threadpool_limits(1, "blas"):  # the same bytes on any number of cores
            predict, self.ridge = fit_ridge(features, own, np.where(own.any(axis=1), self.trust, np.float32(0)))
            mapped = predict(features)
            self.folding = model.folded.folding
        self.factors = self.trust[:, None] * own + (1 - self.trust[:, None]) * mapped
        self.mean_user = _mean_user(model.user_factors)
        return self

    def fold_in(self, liked: Sequence[int] | npt.NDArray[np.integer[Any]]) -> Floats:
        """Return factors for somebody who liked some games, without training; or for many such people.

        Parameters
        ----------
        liked
            (..., n): rows of the catalogue; also of games without ratings.

        Returns
        -------
        numpy.ndarray
            float32, (..., factors).

        Raises
        ------
        NotInModel
            If there is no such row.
        """
        rows = np.asarray(liked, dtype=np.int64)
        if rows.size and not (rows.min() >= 0 and rows.max() < len(self.factors)):
            raise NotInModel(f"liked games {rows.tolist()}: the catalogue has rows 0 to {len(self.factors) - 1}")
        return self.visitor(self.folding.user(self.factors[rows]))

    def visitor(self, user: Floats) -> Floats:
        """Return users' factors, float32 (..., factors), with half of the mean user's added."""
        visitor: Floats = user + np.float32(MEAN_SHARE) * self.mean_user
        return visitor

    def scores(
        self, user: Floats, n_ratings: int | npt.NDArray[np.integer[Any]], content: Floats | None = None
    ) -> Floats:
        """Score the catalogue for one user or many.

        Parameters
        ----------
        user
            float32, (..., factors): from :meth:`fold_in` or :meth:`visitor`.
        n_ratings
            On how many ratings they rest; one number, or (...).
        content
            float32, (..., games): cosine of each game's text with the mean text of the liked games;
            taste alone when not given.

        Returns
        -------
        numpy.ndarray
            float32, (..., games): standard scores of taste, plus content's weighted by
            ``0.1 (1 - s_user s_game)``; higher is better.
        """
        taste = _standard(user @ self.factors.T)
        if content is None:
            return taste
        n = np.asarray(n_ratings, dtype=np.float32)[..., None]
        doubt = 1 - self.trust * (n / (n + HALF_TRUST))
        blended: Floats = taste + np.float32(CONTENT_SHARE) * doubt * _standard(content)
        return blended

    def save(self, path: Path | str) -> None:
        """Write ``hybrid.npz`` into the folder ``path``.

        Raises
        ------
        ArtifactWriteError
            If it cannot be written whole.
        """
        write_file(_file(path), partial(write_hybrid, file=self.as_file()))

    def as_file(self) -> HybridFile:
        """Return what ``hybrid.npz`` holds of it."""
        numbers = self.folding.numbers()
        return HybridFile(self.factors, self.trust, self.mean_user, self.ridge, self.folding.gramian, numbers)

    @classmethod
    def load(cls, path: Path | str) -> HybridRecommender:
        """Read what :meth:`save` wrote.

        Raises
        ------
        ReleaseNotFound
            If the file is missing.
        ArtifactCorrupt
            If it is not what ``save`` writes.
        """
        file = _file(path)
        try:
            data = file.read_bytes()
        except FileNotFoundError as error:
            raise ReleaseNotFound(f"{path} holds no hybrid model: {HYBRID} is missing") from error
        except OSError as error:
            raise ArtifactCorrupt(f"{file} cannot be read: {error}") from error
        try:
            return cls.of(read_hybrid(data))
        except ArtifactCorrupt as error:
            raise ArtifactCorrupt(f"the hybrid model in {path} is damaged: {error}") from error

    @classmethod
    def of(cls, file: HybridFile) -> HybridRecommender:
        """Build the model from what ``hybrid.npz`` holds."""
        model = cls()
        model.factors, model.trust, model.mean_user = file.factors, file.trust, file.mean_user
        model.ridge = file.ridge
        model.folding = FoldIn.from_numbers(file.gramian, file.fold_in)
        return model


def content_features(vectors: Floats, tags: Sequence[Sequence[str]]) -> Floats:
    """Return embeddings beside one column a tag, 0.3 where a game has it; float32, (games, dimension + tags).

    If there are more than :data:`MOST_TAGS` tags, the most frequent count, and the log says so.
    """
    games = Counter(tag for row in tags for tag in set(row))
    chosen = sorted(games, key=lambda tag: (-games[tag], tag))[:MOST_TAGS]
    if len(chosen) < len(games):
        log.warning("rare tags are no features of the hybrid model", extra=keys(tags=len(games), taken=len(chosen)))
    vocabulary = {tag: column for column, tag in enumerate(sorted(chosen))}
    marks = np.zeros((len(vectors), len(vocabulary)), dtype=np.float32)
    for row, own in enumerate(tags):
        marks[row, [vocabulary[tag] for tag in own if tag in vocabulary]] = TAG_SCALE
    return np.hstack((vectors, marks))


def fit_ridge(features: Floats, targets: Floats, weights: Floats) -> tuple[Any, float]:
    """Fit a weighted ridge regression with an intercept; λ by leave-one-out error.

    The error of each row if it were left out follows from the fit itself, ``e / (1 - h)`` with h
    the row's leverage (Allen's PRESS; Hastie, Tibshirani and Friedman, "The Elements of Statistical
    Learning", section 7.10).

    Parameters
    ----------
    features
        float32, (rows, columns).
    targets
        float32, (rows, factors).
    weights
        float32, (rows,): 0 for a row that is left out.

    Returns
    -------
    predict
        From features, (n, columns), to targets, float32 (n, factors).
    ridge
        λ.
    """
    w = weights.astype(np.float64)
    share, root = w / max(w.sum(), 1e-12), np.sqrt(w)[:, None]
    parts, (columns, factors) = blocks(len(features)), (features.shape[1], targets.shape[1])
    middle = summed(lambda block: share[slice(*block)] @ features[slice(*block)], parts, (columns,))
    level = summed(lambda block: share[slice(*block)] @ targets[slice(*block)], parts, (factors,))

    def scaled(block: Block) -> tuple[Doubles, Doubles]:
        rows = slice(*block)
        return root[rows] * (features[rows] - middle), root[rows] * (targets[rows] - level)

    def products(block: Block) -> Doubles:
        x, y = scaled(block)
        return x.T @ np.hstack((x, y))

    sums = summed(products, parts, (columns, columns + factors))
    values, basis = np.linalg.eigh(sums[:, :columns])
    moments, values = basis.T @ sums[:, columns:], np.maximum(values, 0)

    def errors(block: Block) -> Doubles:
        x, y = scaled(block)
        rotated, own = x @ basis, share[slice(*block)]
        found = np.zeros(len(RIDGES))
        for place, ridge in enumerate(RIDGES):
            shrunk = rotated / (values + ridge)
            leverage = np.minimum(np.einsum("ij,ij->i", shrunk, rotated) + own, 0.99)
            found[place] = (((y - shrunk @ moments) / (1 - leverage)[:, None]) ** 2).sum()
        return found

    best = RIDGES[int(np.argmin(summed(errors, parts, (len(RIDGES),))))]
    coefficients = basis @ (moments / (values + best)[:, None])

    def predict(rows: Floats) -> Floats:
        predicted = np.empty((len(rows), factors), dtype=np.float32)
        for start, stop in blocks(len(rows)):
            predicted[start:stop] = (rows[start:stop] - middle) @ coefficients + level
        return predicted

    return predict, best


def _mean_user(users: Floats) -> Floats:
    """Return the mean factors of the users who have any; float32, (factors,)."""

    def part(block: Block) -> Doubles:
        rows = users[slice(*block)]
        return np.append(rows.sum(axis=0, dtype=np.float64), np.count_nonzero(rows.any(axis=1)))

    sums = summed(part, blocks(len(users)), (users.shape[1] + 1,))
    mean: Floats = (sums[:-1] / max(sums[-1], 1)).astype(np.float32)
    return mean


def _file(folder: Path | str) -> Path:
    return local_path(folder, "the folder of the model") / HYBRID


def _standard(scores: Floats) -> Floats:
    """Return standard scores along the last axis."""
    spread = np.maximum(scores.std(axis=-1, keepdims=True), np.float32(1e-9))
    standard: Floats = ((scores - scores.mean(axis=-1, keepdims=True)) / spread).astype(np.float32)
    return standard
