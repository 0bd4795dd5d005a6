"""People are folded in from their ratings: no answer needs the factors that training left; a release may lack them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, get_args

import numpy as np
import pyarrow as pa
import pytest

import recsys
from factories.served import catalogue
from factories.tables import RECIPE, TableSource, WordEncoder, ratings
from recsys.config import CfSettings, Settings
from recsys.models.cf import CollaborativeFilter
from recsys.release.loading import load_release
from recsys.report.contents import read_contents
from recsys.report.users import samples
from recsys.serving.answers import Way
from recsys.trainer import Trainer

if TYPE_CHECKING:
    from pathlib import Path


def trainer(output: Path, *, user_factors: bool, **cf: object) -> Trainer:
    """Return a trainer on the small marts."""
    tables = [pa.Table.from_pandas(frame, preserve_index=False) for frame in (catalogue(), ratings())]
    settings = Settings.model_validate({"cf": RECIPE | cf, "release": {"user_factors": user_factors}})
    return Trainer(
        models_output_dir=output, source=TableSource(*tables), settings=settings, embedding_model=WordEncoder()
    )


@pytest.fixture(
    scope="module",
    params=[{}, {"item_weight": 0.4}, {"solver": "implicit", "regularization": 0.5, "unobserved": "auto"}],
    ids=str,
)
def releases(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return two releases of the same models: with the factors of the users, and without."""
    folder = tmp_path_factory.mktemp("folded")
    for name, kept in (("with", True), ("without", False)):
        trainer(folder / name, user_factors=kept, **request.param).run_pipeline()
    return folder / "with" / "v1", folder / "without" / "v1"


def test_a_release_without_users_factors_answers_the_same(releases: tuple[Path, Path]) -> None:
    """To the bit, everybody's list, its reasons, the explanations and the lists by the hybrid model."""
    full, slim = (recsys.load(path, encoder=WordEncoder()) for path in releases)
    users = full.snapshot.people.users.ids()
    for way in get_args(Way):
        for user in users:
            assert full.recommend(user, by=way).games == slim.recommend(user, by=way).games
    for mine, theirs in zip(full.recommend_batch(users), slim.recommend_batch(users), strict=True):
        assert mine.games == theirs.games
    assert full.recommend(users[3], why=True).games == slim.recommend(users[3], why=True).games
    assert replace(slim.explain(users[3], 102), release=full.release) == full.explain(users[3], 102)


def test_what_it_leaves_out(releases: tuple[Path, Path]) -> None:
    """``cf_model.pkl`` and the users' half of ``cf_factors.npz``; every other file is the same, byte for byte."""
    full, slim = (load_release(path).manifest.files for path in releases)
    assert full.keys() - slim.keys() == {"cf_model.pkl"}
    differing = {name for name in slim if full[name].sha256 != slim[name].sha256}
    assert differing <= {"cf_factors.npz", "report.html", "metrics.json"}
    assert "user_factors" in full["cf_factors.npz"].arrays
    assert "user_factors" not in slim["cf_factors.npz"].arrays


def test_the_model_is_loaded_without_them(releases: tuple[Path, Path]) -> None:
    """Its users are folded in then: near what training left, and its lists are those of the whole model."""
    full, slim = (CollaborativeFilter.load(path) for path in releases)
    users = full.users.ids()
    assert [slim.recommend(user) for user in users] == [full.recommend(user) for user in users]
    far = np.abs(slim.user_factors - full.user_factors).max() / np.abs(full.user_factors).max()
    assert far < 0.2
    np.testing.assert_array_equal(slim.user_factors, full.folded.many(np.arange(len(users))))


def test_the_page_shows_the_same_people(releases: tuple[Path, Path]) -> None:
    """What the page says that somebody gets is what they get."""
    full, slim = (samples(read_contents(path.resolve()), None) for path in releases)
    assert full == slim


def test_one_half_is_trained_beside_it(tmp_path: Path) -> None:
    """The content half is trained anew beside a CF half without users' factors, and the release stays without."""
    before = trainer(tmp_path, user_factors=False)
    before.run_pipeline()
    lists = [recsys.load(tmp_path / "v1", encoder=WordEncoder()).recommend(user).games for user in (1, 2, 3)]
    trainer(tmp_path, user_factors=False).train_rag_model()
    after = recsys.load(tmp_path / "v1", encoder=WordEncoder())
    assert "cf_model.pkl" not in after.snapshot.manifest.files
    assert [after.recommend(user).games for user in (1, 2, 3)] == lists


def test_folding_in_is_exact() -> None:
    """A user's factors minimize their row of the objective: from where they are, no direction leads down."""
    rng = np.random.default_rng(4)
    frame = ratings()
    model = CollaborativeFilter(CfSettings(factors=6, iterations=4, tuning="off")).fit(frame)
    folding, user = model.folded.folding, 5
    rated = slice(model.ratings.indptr[user], model.ratings.indptr[user + 1])
    y = model.item_factors[model.ratings.indices[rated]].astype(np.float64)
    c = model.confidence[rated].astype(np.float64)
    ridge = folding.regularization * (c.sum() + folding.floor) ** folding.exponent

    def loss(x: np.ndarray) -> float:
        return float((c * (1 - y @ x) ** 2).sum() + x @ folding.gramian @ x + ridge * x @ x)

    found = model.folded.of(user).astype(np.float64)
    assert all(loss(found + step) >= loss(found) - 1e-9 for step in rng.normal(0, 0.01, (50, 6)))
