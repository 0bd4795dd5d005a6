"""The collaborative filter: who rated what, factorised into taste."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from recsys.config import CfSettings
from recsys.errors import ArtifactCorrupt, DataContractError, Diverged, NotInModel, ReleaseNotFound
from recsys.marts.ids import Id, IdMap
from recsys.marts.ratings import Ratings
from recsys.models.confidence import confidence
from recsys.models.recipe import CfRecipe
from recsys.ranking.top import Scored, top_k
from recsys.release.arrays import (
    FactorsFile,
    InteractionsFile,
    factors_bytes,
    interactions_bytes,
    read_factors,
    read_interactions,
)
from recsys.release.durable import make_folder, write_bytes
from recsys.release.formats import id_kinds, mappings_bytes, model_bytes, read_mappings
from recsys.release.layout import CF_FILES, FACTORS, INTERACTIONS, MAPPINGS, MODEL
from recsys.release.path import folder_at
from recsys.system.cores import usable_cores
from recsys.system.log import events, keys
from recsys.system.pulse import progress
from recsys.system.steps import trim_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import numpy.typing as npt
    import pandas as pd
    import scipy.sparse as sp
    from implicit.cpu.als import AlternatingLeastSquares

    from recsys.tuning.nightly import Search

    Watch: TypeAlias = Callable[[npt.NDArray[np.float32], npt.NDArray[np.float32]], None]

log = events(__name__)


class CollaborativeFilter:
    """Implicit-feedback ALS over users × games.

    Parameters
    ----------
    settings
        Section ``cf`` of the settings; the defaults when not given.

    Attributes
    ----------
    als_model
        ``implicit.als.AlternatingLeastSquares`` with the factors in it.
    users, items
        Maps of user and game ids; a code is a row of the factors.
    ratings
        CSR, float32, (users, items): the ratings trained on.
    recommendable
        bool, (items,): false for rated games that the catalogue does not have.
    recipe
        What it was trained by, with every setting found.
    tuning
        The search that found the recipe; None where there was none.
    """

    als_model: AlternatingLeastSquares
    users: IdMap
    items: IdMap
    ratings: sp.csr_matrix
    recommendable: npt.NDArray[np.bool_]
    recipe: CfRecipe
    tuning: Search | None = None

    def __init__(self, settings: CfSettings | None = None) -> None:
        self.settings = settings or CfSettings()

    @property
    def pinned(self) -> CfSettings:
        """The settings with nothing ``auto`` left: they train the same without a search."""
        return self.recipe.pin(self.settings)

    @property
    def user_factors(self) -> npt.NDArray[np.float32]:
        """float32, (users, factors)."""
        return self.als_model.user_factors  # type: ignore[no-any-return]

    @property
    def item_factors(self) -> npt.NDArray[np.float32]:
        """float32, (items, factors)."""
        return self.als_model.item_factors  # type: ignore[no-any-return]

    def fit(
        self,
        ratings_df: pd.DataFrame | Ratings,
        catalogue: Iterable[Id] | None = None,
        watch: Watch | None = None,
        used: CfRecipe | None = None,
    ) -> CollaborativeFilter:
        """Train on ratings, from scratch.

        Settings that are ``auto`` are searched on these ratings, or set by rule with
        ``tuning = "off"``; :attr:`recipe` then says what they are.

        Parameters
        ----------
        ratings_df
            Columns USER_ID, GAME_ID, RATING, on any scale from 0 up (1-5, 0.5-5, 1-10 and 0-100 are told apart);
            or ratings that are already checked and coded.
        catalogue
            Ids of the games that may be recommended; all rated ones when not given.
        watch
            Is shown user and item factors after each iteration; must not change them.
        used
            A recipe that is in use: where settings are searched, they stay as it has them unless others are
            surely better.

        Raises
        ------
        DataContractError
            If the frame breaks the data contract: no ratings, unusable ids, ratings that are NaN, infinite or negative;
            or if no rated game is in the catalogue.
        Diverged
            If the factors became infinite: settings that were given suit no factors of these ratings.
        """
        ratings = ratings_df if isinstance(ratings_df, Ratings) else Ratings.from_frame(ratings_df)
        self.users, self.items, self.ratings = ratings.users, ratings.items, ratings.matrix
        known = self.items if catalogue is None else IdMap.of(catalogue)
        self.recommendable = known.locate(self.items) >= 0
        if not self.recommendable.any():
            raise DataContractError(
                f"none of the {len(self.items):,} rated games (such as {_samples(self.items)}) is in the catalogue of"
                f" {len(known):,} games (such as {_samples(known)}): nothing could be recommended; give a game the same"
                " id, of the same type, in both"
            )
        self.recipe = self._find_recipe(used)
        self.als_model = train(ratings.matrix, self.recipe, self.settings, watch)
        return self

    def _find_recipe(self, used: CfRecipe | None) -> CfRecipe:
        if self.settings.tuning == "auto":
            from recsys.tuning.nightly import search

            limit = self.settings.tuning_seconds
            with progress("searching settings", seconds_at_most=limit) as advance:
                self.tuning = search(self.ratings, self.settings, used=used, progress=lambda _: advance(1))
            trim_memory()
        return self.tuning.winner if self.tuning else CfRecipe.by_rule(self.settings, self.ratings.data)

    def recommend(self, user_id: Id, k: int = 10) -> list[Scored]:
        """Return up to ``k`` games for a user, best first, none of which the user has rated.

        The score is the inner product of the factors: about 0 for no interest, about 1 for games
        like those that the user likes. A user none of whose ratings counts has no taste to go by
        and gets an empty list.

        Raises
        ------
        NotInModel
            If the user has no ratings.
        """
        code = self.users.code_of(user_id)
        if code is None:
            raise NotInModel(
                f"user {user_id!r} is not among the {len(self.users):,} users of this model, whose ids are "
                f"{'texts' if self.users.kind == 'string' else 'whole numbers'}"
            )
        factors = self.user_factors[code]
        if not factors.any():
            return []
        scores = self.item_factors @ factors
        scores[~self.recommendable] = -np.inf
        scores[self.ratings.indices[self.ratings.indptr[code] : self.ratings.indptr[code + 1]]] = -np.inf
        return self._scored(scores, k)

    def similar(self, game_id: Id, k: int = 10) -> list[Scored]:
        """Return up to ``k`` games that the same people like, nearest first.

        The score is the cosine of the games' factors, in [-1, 1].

        Raises
        ------
        NotInModel
            If nobody has rated the game.
        """
        code = self.items.code_of(game_id)
        if code is None:
            raise NotInModel(f"game {game_id!r} is not among the {len(self.items):,} rated games of this model")
        norms = np.linalg.norm(self.item_factors, axis=1)
        if norms[code] == 0:
            return []
        scores = self.item_factors @ self.item_factors[code] / np.where(norms == 0, 1, norms) / norms[code]
        scores[~self.recommendable | (norms == 0)] = -np.inf
        scores[code] = -np.inf
        return self._scored(scores, k)

    def save(self, path: Path | str) -> None:
        """Write the model into the folder ``path``.

        ``cf_model.pkl`` and ``cf_mappings.json`` are for everybody, ``cf_factors.npz`` (the same
        factors, no pickle) and ``interactions.npz`` (who rated what) for :meth:`load`.

        Raises
        ------
        ArtifactWriteError
            If a file cannot be written whole.
        """
        folder = Path(path)
        make_folder(folder)
        write_bytes(folder / MODEL, model_bytes(self.als_model))
        write_bytes(folder / MAPPINGS, mappings_bytes(self.users, self.items))
        kinds, recipe = id_kinds(self.users, self.items), self.recipe.as_json()
        factors = FactorsFile(self.user_factors, self.item_factors, self.recommendable, kinds, recipe)
        write_bytes(folder / FACTORS, factors_bytes(factors))
        ratings = self.ratings
        stored = InteractionsFile(ratings.indptr, ratings.indices, ratings.data)
        write_bytes(folder / INTERACTIONS, interactions_bytes(stored))

    @classmethod
    def load(cls, path: Path | str, settings: CfSettings | None = None) -> CollaborativeFilter:
        """Read what :meth:`save` wrote. No code in ``cf_model.pkl`` can run.

        Raises
        ------
        ReleaseNotFound
            If a file is missing.
        ArtifactCorrupt
            If the files do not belong together, or are not what ``save`` writes.
        """
        import scipy.sparse as sp

        from recsys.release.unpickle import load_als

        folder = folder_at(Path(path))
        model = cls(settings)
        try:
            contents = {name: (folder / name).read_bytes() for name in CF_FILES}
        except FileNotFoundError as error:
            raise ReleaseNotFound(f"{folder} holds no CF model: {Path(error.filename).name} is missing") from error
        try:
            model.als_model = load_als(contents[MODEL])
            factors, stored = read_factors(contents[FACTORS]), read_interactions(contents[INTERACTIONS])
            model.users, model.items = read_mappings(contents[MAPPINGS], factors.id_kinds)
            model.recommendable = factors.recommendable
            model.recipe = CfRecipe.from_json(factors.recipe)
            model.ratings = sp.csr_matrix(
                (stored.ratings, stored.indices, stored.indptr), shape=(len(model.users), len(model.items))
            )
        except (ArtifactCorrupt, ValueError, TypeError) as error:
            raise ArtifactCorrupt(f"the CF model in {folder} is damaged: {error}") from error
        shapes = model.user_factors.shape[0], model.item_factors.shape[0]
        if shapes != (len(model.users), len(model.items)):
            raise ArtifactCorrupt(f"{folder} has factors for {shapes} users and games, ids for {model.ratings.shape}")
        return model

    def _scored(self, scores: npt.NDArray[np.float32], k: int) -> list[Scored]:
        best = top_k(scores, k)
        return [Scored(id_, float(score)) for id_, score in zip(self.items.ids(best), scores[best], strict=True)]


def _samples(ids: IdMap) -> str:
    return ", ".join(map(repr, ids.ids(range(min(3, len(ids))))))


def train(
    matrix: sp.csr_matrix, recipe: CfRecipe, settings: CfSettings, watch: Watch | None = None
) -> AlternatingLeastSquares:
    """Train on ratings by a recipe; the factors are in implicit's class, whoever found them.

    Parameters
    ----------
    matrix
        CSR, float32, users × games: ratings.
    recipe
        What to train.
    settings
        ``seed`` and ``threads`` are used.
    watch
        Is shown the factors after each iteration.
    """
    weights = confidence(matrix, recipe.confidence, recipe.like_threshold)
    started = began = time.perf_counter()
    solve = _solve_implicit if recipe.solver == "implicit" else _solve_ials
    with progress("ALS iterations", recipe.iterations) as advance:

        def after(iteration: int, users: Any, items: Any) -> None:
            nonlocal began
            advance(1)
            log.debug("ALS iteration", extra=keys(iteration=iteration, seconds=time.perf_counter() - began))
            if watch is not None:
                watch(users, items)
            began = time.perf_counter()

        model = solve(weights, recipe, _empty_model(recipe, settings), after)
    log.info(
        "trained ALS",
        extra=keys(
            solver=recipe.solver,
            users=matrix.shape[0],
            games=matrix.shape[1],
            entries=weights.nnz,
            factors=recipe.factors,
            iterations=recipe.iterations,
            seconds=time.perf_counter() - started,
        ),
    )
    return model


def _empty_model(recipe: CfRecipe, settings: CfSettings) -> AlternatingLeastSquares:
    """Return implicit's model before its fit.

    A fresh object each time, since a second ``fit`` would silently continue from the first; an
    integer seed, since a ``RandomState`` crashes it. Its maker warns of BLAS with threads of its own.
    """
    from implicit.cpu.als import AlternatingLeastSquares
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, "blas"):
        return AlternatingLeastSquares(
            factors=recipe.factors,
            regularization=recipe.regularization,
            alpha=recipe.alpha,
            iterations=recipe.iterations,
            num_threads=settings.threads,
            random_state=settings.seed,
        )


def _solve_ials(
    weights: sp.csr_matrix, recipe: CfRecipe, model: AlternatingLeastSquares, after: Callable[[int, Any, Any], None]
) -> AlternatingLeastSquares:
    """Run our own solver, and leave the factors in implicit's class.

    What implicit's ``recalculate_user`` minimizes is another objective, and does not match these
    factors: :mod:`recsys.models.folding` is what to call instead.
    """
    from recsys.models.solvers.ials import factorize, initial_factors

    model.user_factors, model.item_factors = factorize(
        weights,
        recipe.objective(weights),
        initial_factors(*weights.shape, recipe.factors, model.random_state),
        iterations=recipe.iterations,
        threads=model.num_threads,
        progress=lambda done, factors: after(done, *factors),
        overwrite_start=True,
    )
    return model


def _solve_implicit(
    weights: sp.csr_matrix, recipe: CfRecipe, model: AlternatingLeastSquares, after: Callable[[int, Any, Any], None]
) -> AlternatingLeastSquares:
    """Run implicit's ALS (Hu, Koren & Volinsky 2008).

    BLAS is held to one thread, since its threads and implicit's own get in each other's way. The
    number of this machine's cores is not left in the model: its pickle is to be the same everywhere.
    """
    from implicit.recommender_base import ModelFitError
    from threadpoolctl import threadpool_limits

    given, model.num_threads = model.num_threads, model.num_threads or usable_cores()
    with threadpool_limits(1, "blas"), suppress(ModelFitError):  # it looks for NaN alone, and names no setting
        model.fit(
            weights,
            show_progress=False,
            callback=lambda iteration, *_: after(iteration + 1, model.user_factors, model.item_factors),
        )
    model.num_threads = given
    if not (np.isfinite(model.user_factors).all() and np.isfinite(model.item_factors).all()):
        raise Diverged(
            f"the factors became infinite with cf.regularization = {recipe.regularization:g} and cf.alpha = "
            f"{recipe.alpha:g}; raise the one or lower the other"
        )
    return model
