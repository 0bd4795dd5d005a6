"""The collaborative filter: who rated what, factorised into taste."""

from __future__ import annotations

from copy import copy
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Never

import numpy as np

from recsys.config import CfSettings
from recsys.errors import ArtifactCorrupt, DataContractError, NotInModel, ReleaseNotFound
from recsys.marts.ids import Id, IdMap
from recsys.marts.ratings import Ratings
from recsys.models.confidence import aligned, confidence_of, stored
from recsys.models.fading import left_by_time
from recsys.models.folding import FoldIn
from recsys.models.given import settings_given
from recsys.models.item_item import ItemItem
from recsys.models.recipe import CfRecipe
from recsys.models.solvers import Factors, solver_of
from recsys.models.solvers.implicit import filled_model
from recsys.models.taste import UNLISTED, Taste
from recsys.models.training import train
from recsys.models.users import FoldedUsers
from recsys.ranking.top import Scored, top_k
from recsys.release.arrays import (
    FactorsFile,
    InteractionsFile,
    read_factors,
    read_interactions,
    read_item_item,
    write_factors,
    write_interactions,
    write_item_item,
)
from recsys.release.durable import make_folder, write_file
from recsys.release.formats import id_kinds, read_ids, write_ids, write_mappings, write_model
from recsys.release.layout import CF_FILES, CF_MORE, FACTORS, INTERACTIONS, ITEM_ITEM, ITEMS, MAPPINGS, MODEL, USERS
from recsys.release.path import folder_at
from recsys.system.paths import local_path

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt
    import pandas as pd
    import scipy.sparse as sp
    from implicit.cpu.als import AlternatingLeastSquares

    from recsys.models.training import Watch
    from recsys.tuning import Search


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
    confidence
        float32, aligned with ``ratings.data``: the confidence of each as trained; 0 where it does not count.
    item_item
        What rated games say for others, and what is rated lately; None where the recipe has neither.
    recommendable
        bool, (items,): false for rated games that the catalogue does not have.
    recipe
        The recipe that it was trained by, with every setting filled in.
    tuning
        The search by which :meth:`fit` chose the recipe; None where there was none.
    """

    als_model: AlternatingLeastSquares
    users: IdMap
    items: IdMap
    ratings: sp.csr_matrix
    confidence: npt.NDArray[np.float32]
    item_item: ItemItem | None
    recommendable: npt.NDArray[np.bool_]
    recipe: CfRecipe
    tuning: Search | None = None

    def __init__(self, settings: CfSettings | None = None, **loose: Never) -> None:
        self.settings = settings_given("CollaborativeFilter", CfSettings, settings, loose)

    def __repr__(self) -> str:
        """Return its size; of one that was not trained, that."""
        if not hasattr(self, "als_model"):
            return "CollaborativeFilter(not trained)"
        users, items = self.ratings.shape
        factors = self.item_factors.shape[1]
        return f"CollaborativeFilter({users:,} users, {items:,} games, {self.ratings.nnz:,} ratings, {factors} factors)"

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
        *,
        recipe: CfRecipe | None = None,
        watch: Watch | None = None,
    ) -> CollaborativeFilter:
        """Train on ratings, from scratch.

        Parameters
        ----------
        ratings_df
            Columns USER_ID, GAME_ID, RATING, on any scale from 0 up (1-5, 0.5-5, 1-10 and 0-100 are recognised);
            or ratings that are already checked and coded.
        catalogue
            Ids of the games that may be recommended; all rated ones when not given.
        recipe
            What to train. When not given, settings that are ``auto`` are searched on these ratings, or set by
            rule with ``tuning = "off"``; :attr:`recipe` then says what they are.
        watch
            Is shown user and item factors after each iteration; must not change them.

        Raises
        ------
        DataContractError
            If the frame breaks the data contract: no ratings, unusable ids, ratings that are NaN, infinite or negative;
            or if no rated game is in the catalogue.
        Diverged
            If the factors became infinite: settings that were given suit no factors of these ratings.
        """
        self.__dict__.pop("folded", None)  # of an earlier fit
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
        if recipe is None:
            from recsys.tuning import find_recipe

            recipe, self.tuning = find_recipe(ratings, self.settings)
        self.recipe = recipe
        left = left_by_time(ratings.rated_at, recipe)
        values = aligned(ratings.matrix.data, recipe.confidence, recipe.like_threshold, left)
        self.confidence = np.maximum(values, 0)
        weights = stored(ratings.matrix, values)
        self.als_model = train(weights, recipe, self.settings, watch)
        self.item_item = ItemItem.fit(weights, ratings, recipe, threads=self.settings.threads)
        return self

    @property
    def taste(self) -> Taste:
        """What ranks games for the users that it was trained on."""
        weights = stored(self.ratings, self.confidence)
        return Taste.of(self.user_factors, self.item_factors, weights, self.item_item, self.recipe)

    @cached_property
    def folded(self) -> FoldedUsers:
        """Its users, folded in from their ratings: what :meth:`recommend` and whoever serves it rank by."""
        ratings, scale = self.ratings, solver_of(self.recipe).scale(self.recipe)
        return FoldedUsers(FoldIn.of(self), self.item_factors, ratings.indptr, ratings.indices, self.confidence, scale)

    def restricted_to(self, catalogue: Iterable[Id] | IdMap) -> CollaborativeFilter:
        """Return the same model for another catalogue: games that it lacks are not recommended.

        The factors are shared, not copied; this model stays as it is.
        """
        restricted = copy(self)
        known = catalogue if isinstance(catalogue, IdMap) else IdMap.of(catalogue)
        restricted.recommendable = known.locate(self.items) >= 0
        return restricted

    def recommend(self, user_id: Id, k: int = 10) -> list[Scored]:
        """Return up to ``k`` games for a user, best first, none of which the user has rated.

        The score is that of :mod:`recsys.models.taste`. A user none of whose ratings counts has no taste to
        go by and gets an empty list.

        Raises
        ------
        NotInModel
            If the user has no ratings.
        """
        self._require_fit()
        code = self.users.code_of(user_id)
        if code is None:
            raise NotInModel(
                f"user {user_id!r} is not among the {len(self.users):,} users of this model, whose ids are "
                f"{'texts' if self.users.kind == 'string' else 'whole numbers'}"
            )
        factors = self.folded.of(code)
        if not factors.any():
            return []
        scores = self.taste.settled(code, factors)
        scores[~self.recommendable | (scores == UNLISTED)] = -np.inf
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
        self._require_fit()
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

    def save(self, path: Path | str, *, user_factors: bool = True) -> None:
        """Write the model into the folder ``path``.

        ``cf_model.pkl`` and ``cf_mappings.json`` are for everybody, ``cf_factors.npz`` (the same
        factors, no pickle), ``interactions.npz`` (who rated what) and the ids in Arrow files for :meth:`load`.

        Parameters
        ----------
        path
            Made where there is none.
        user_factors
            Whether to write the users' factors; without them there is no ``cf_model.pkl``.

        Raises
        ------
        ArtifactWriteError
            If a file cannot be written whole.
        """
        folder = local_path(path, "the folder of the model")
        make_folder(folder)
        if user_factors:
            write_file(folder / MODEL, partial(write_model, model=self.als_model))
        write_file(folder / MAPPINGS, partial(write_mappings, users=self.users, items=self.items))
        write_file(folder / USERS, partial(write_ids, ids=self.users))
        write_file(folder / ITEMS, partial(write_ids, ids=self.items))
        kinds, recipe = id_kinds(self.users, self.items), self.recipe.as_json()
        users = self.user_factors if user_factors else None
        factors = FactorsFile(users, self.item_factors, self.recommendable, kinds, recipe)
        write_file(folder / FACTORS, partial(write_factors, file=factors))
        ratings = self.ratings
        rated = InteractionsFile(ratings.indptr, ratings.indices, ratings.data, self.confidence)
        write_file(folder / INTERACTIONS, partial(write_interactions, file=rated))
        if self.item_item is not None:
            write_file(folder / ITEM_ITEM, partial(write_item_item, file=self.item_item.as_file()))
        for name, written in ((MODEL, user_factors), (ITEM_ITEM, self.item_item is not None)):
            if not written:
                (folder / name).unlink(missing_ok=True)  # an earlier model's, in a folder that is written again

    @classmethod
    def load(cls, path: Path | str, settings: CfSettings | None = None) -> CollaborativeFilter:
        """Read what :meth:`save` wrote. No code in ``cf_model.pkl`` can run; without it, users are folded in.

        Raises
        ------
        ReleaseNotFound
            If a file is missing.
        ArtifactCorrupt
            If the files do not belong together, or are not what ``save`` writes.
        """
        import scipy.sparse as sp

        from recsys.release.unpickle import load_als

        folder = folder_at(local_path(path, "the folder of the model"))
        model = cls(settings)
        try:
            contents = {name: (folder / name).read_bytes() for name in CF_FILES}
            contents |= {name: (folder / name).read_bytes() for name in CF_MORE if (folder / name).is_file()}
        except FileNotFoundError as error:
            raise ReleaseNotFound(f"{folder} holds no CF model: {Path(error.filename).name} is missing") from error
        try:
            factors, rated = read_factors(contents[FACTORS]), read_interactions(contents[INTERACTIONS])
            model.users, model.items = read_ids(contents, factors.id_kinds)
            model.recommendable = factors.recommendable
            model.recipe = CfRecipe.from_json(factors.recipe)
            model.ratings = sp.csr_matrix(
                (rated.ratings, rated.indices, rated.indptr), shape=(len(model.users), len(model.items))
            )
            model.confidence = confidence_of(rated, model.recipe)
            model.item_item = ItemItem.of(read_item_item(contents[ITEM_ITEM])) if ITEM_ITEM in contents else None
            if factors.user_factors is None:
                nobody = np.empty((0, factors.item_factors.shape[1]), dtype=np.float32)
                model.als_model = filled_model(model.recipe, 0, 0, Factors(nobody, factors.item_factors))
                model.als_model.user_factors = model.folded.many(np.arange(len(model.users)))
            elif MODEL in contents:
                model.als_model = load_als(contents[MODEL])
            else:
                raise ReleaseNotFound(f"{folder} holds no CF model: {MODEL} is missing")
        except (ArtifactCorrupt, ValueError, TypeError) as error:
            raise ArtifactCorrupt(f"the CF model in {folder} is damaged: {error}") from error
        if model.item_item is None and (model.recipe.item_weight or model.recipe.trend):
            raise ArtifactCorrupt(f"the CF model in {folder} lacks {ITEM_ITEM}, which its recipe needs")
        shapes = model.user_factors.shape[0], model.item_factors.shape[0]
        if model.item_item is not None and len(model.item_item.trend) != len(model.items):
            raise ArtifactCorrupt(f"{folder / ITEM_ITEM} is of {len(model.item_item.trend)} games, not {shapes[1]}")
        if shapes != (len(model.users), len(model.items)):
            raise ArtifactCorrupt(f"{folder} has factors for {shapes} users and games, ids for {model.ratings.shape}")
        return model

    def _require_fit(self) -> None:
        if not hasattr(self, "als_model"):
            raise NotInModel("this model knows no users and no games yet: call fit first, or load a model")

    def _scored(self, scores: npt.NDArray[np.float32], k: int) -> list[Scored]:
        best = top_k(scores, k)
        return [Scored(id_, float(score)) for id_, score in zip(self.items.ids(best), scores[best], strict=True)]


def _samples(ids: IdMap) -> str:
    return ", ".join(map(repr, ids.ids(range(min(3, len(ids))))))
