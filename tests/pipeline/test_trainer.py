"""The story of a run: what it reads, trains, writes, and how it ends when something is wrong."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import faiss
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from factories.tables import GAMES, RECIPE, USERS, TableSource, WordEncoder, games, ratings, write_marts
from recsys import Trainer
from recsys.config import Settings
from recsys.errors import DataContractError, EmptyResult, TruncatedResult
from recsys.models import CollaborativeFilter, RAGRecommender
from recsys.release.check import check_here
from recsys.release.store import ReleaseStore

if TYPE_CHECKING:
    from pathlib import Path

QUERIES = [
    "SELECT GAME_ID, NAME, DESCRIPTION, CATEGORIES, MECHANICS FROM ANALYTICS.MART_GAMES",
    "SELECT USER_ID, GAME_ID, RATING FROM ANALYTICS.MART_USER_RATINGS",
]


def tables(*, announced: int | None = None) -> TableSource:
    """Return a source over the small marts."""
    marts = (pa.Table.from_pandas(frame, preserve_index=False) for frame in (games(), ratings()))
    return TableSource(*marts, announced=announced)


def trainer(output: Path, source: TableSource | str | None = None) -> Trainer:
    """Return a trainer that encodes in microseconds."""
    return Trainer(
        models_output_dir=output,
        source=source or tables(),
        settings=Settings.model_validate({"cf": RECIPE}),
        embedding_model=WordEncoder(),
    )


def test_a_trainer_needs_no_arguments(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Credentials come from the environment, the output folder has a default."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SNOWFLAKE_ACCOUNT", "acme")
    made = Trainer()
    assert made.snowflake_creds["SNOWFLAKE_ACCOUNT"] == "acme"
    assert str(made.models_output_dir) == "models"


def test_a_run_lets_go_of_the_embedding_model(tmp_path: Path) -> None:
    """Once every text is a vector the run has no further use for it; a search by text loads it again."""
    settings = Settings.model_validate({"content": {"cache_dir": str(tmp_path / "cache")}})
    model = Trainer({}, tmp_path, source=tables(), settings=settings).train_rag_model(publish=False)
    assert "_engine" not in vars(model.embedding_model)
    assert len(model.search("trains", 1)) == 1
    assert "_engine" in vars(model.embedding_model)


def test_the_two_queries_are_the_contracts(tmp_path: Path) -> None:
    """Word for word."""
    source = tables()
    trainer(tmp_path, source).check()
    assert source.queries == QUERIES


def test_a_run_leaves_the_contracts_files(tmp_path: Path) -> None:
    """Four files under v1, ids ascending, one vector and one row of factors each."""
    result = trainer(tmp_path).run_pipeline()
    current = tmp_path / "v1"
    assert result.status == "published"
    assert result.path == current.resolve()
    assert str(current.readlink()) == f"releases/{result.run_id}"
    ids = json.loads((current / "metadata.json").read_text())["ids"]
    assert ids == sorted(games()["GAME_ID"])
    assert faiss.read_index(str(current / "rag_index.faiss")).ntotal == len(ids) == GAMES
    mappings = json.loads((current / "cf_mappings.json").read_text())
    assert len(mappings["user_id_to_idx"]) == USERS
    assert CollaborativeFilter.load(current).user_factors.shape[0] == USERS
    assert result.rows["ratings"] == len(ratings())


def test_both_models_recover_the_shelves(tmp_path: Path) -> None:
    """Neighbours by text and by taste, and recommendations, come from the right shelf."""
    trainer(tmp_path).run_pipeline()
    content = RAGRecommender.load(tmp_path / "v1", embedding_model=WordEncoder())
    taste = CollaborativeFilter.load(tmp_path / "v1")
    same = [near.game_id % 4 == id_ % 4 for id_ in content.game_ids for near in content.similar(id_, 9)]
    assert all(same)
    liked = [game.game_id % 4 == user % 4 for user in range(USERS) for game in taste.recommend(user, 4)]
    assert np.mean(liked) > 0.9


def test_a_second_run_works_as_well_as_the_first(tmp_path: Path) -> None:
    """New ratings publish a new release; the first one stays beside it."""
    first = trainer(tmp_path).run_pipeline()
    marts = (pa.Table.from_pandas(frame, preserve_index=False) for frame in (games(), ratings(seed=1)))
    second = trainer(tmp_path, TableSource(*marts)).run_pipeline()
    assert (tmp_path / "v1").resolve() == second.path
    assert first.path is not None
    assert first.path.is_dir()


def test_a_trainer_forgets_the_run_before(tmp_path: Path) -> None:
    """Seconds, counts and queries are those of one run, whichever method it began with."""
    twice = trainer(tmp_path)
    first = twice.run_pipeline()
    again = twice.check()
    assert {"embed", "train_cf", "publish"} <= set(first.seconds)
    assert set(again.seconds) == {"fetch_games", "fetch_ratings", "check", "fingerprint"}
    assert "vectors" in first.rows
    assert "vectors" not in again.rows
    twice.train_rag_model(publish=False)
    assert set(twice.steps.seconds) == {"fetch_games", "embed"}


def test_the_path_is_the_stores(tmp_path: Path) -> None:
    """A store that is passed in says where releases lie, whatever the folder of the models is called."""
    marts = (pa.Table.from_pandas(frame, preserve_index=False) for frame in (games(), ratings()))
    store = ReleaseStore(tmp_path / "elsewhere", check=check_here)
    settings = Settings.model_validate({"cf": RECIPE, "evaluation": {"newcomers": False}})
    injected = Trainer(
        {}, tmp_path / "models", source=TableSource(*marts), settings=settings, embedding_model=WordEncoder(),
        store=store,
    )  # fmt: skip
    result = injected.run_pipeline()
    assert result.path == store.path(result.run_id)
    assert result.path.is_dir()


def test_row_order_does_not_matter(tmp_path: Path) -> None:
    """A warehouse promises no order: shuffled marts give the same ids, vectors and factors."""
    shuffled = (
        pa.Table.from_pandas(frame.sample(frac=1, random_state=2), preserve_index=False)
        for frame in (games(), ratings())
    )
    trainer(tmp_path / "a").run_pipeline()
    trainer(tmp_path / "b", TableSource(*shuffled)).run_pipeline()
    for name in ("rag_index.faiss", "metadata.json", "cf_mappings.json", "cf_factors.npz"):
        assert (tmp_path / "a" / "v1" / name).read_bytes() == (tmp_path / "b" / "v1" / name).read_bytes()


def test_each_half_can_be_trained_alone(tmp_path: Path) -> None:
    """Each fetches one mart, saves its files under v1, and returns its model."""
    source = tables()
    content = trainer(tmp_path, source).train_rag_model()
    taste = trainer(tmp_path, source).train_cf_model()
    assert source.queries == QUERIES
    assert content.faiss_index.ntotal == GAMES
    assert taste.als_model.user_factors.shape[0] == USERS
    written = {path.name for path in (tmp_path / "v1").iterdir()}
    assert {"rag_index.faiss", "metadata.json", "cf_model.pkl", "cf_mappings.json"} <= written


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    """It counts and checks, and leaves the output folder as it was."""
    result = trainer(tmp_path / "models").check()
    assert result.status == "checked"
    assert result.rows["games"] == GAMES
    assert list(tmp_path.iterdir()) == []


def test_orphans_are_counted(tmp_path: Path) -> None:
    """Rated games that the catalogue lacks train, are counted, and never recommended."""
    fewer = games()[lambda frame: frame["GAME_ID"] != 104]
    source = TableSource(*(pa.Table.from_pandas(frame, preserve_index=False) for frame in (fewer, ratings())))
    result = trainer(tmp_path, source).run_pipeline()
    assert result.rows["orphan_games"] == 1
    assert result.rows["orphan_ratings"] == (ratings()["GAME_ID"] == 104).sum()
    taste = CollaborativeFilter.load(tmp_path / "v1")
    assert taste.items.code_of(104) is not None
    assert all(game.game_id != 104 for user in range(USERS) for game in taste.recommend(user, GAMES))


def test_fewer_rows_than_announced_is_an_error(tmp_path: Path) -> None:
    """A truncated result never trains."""
    with pytest.raises(TruncatedResult, match="announced 41 rows and sent 40") as caught:
        trainer(tmp_path / "models", tables(announced=41)).run_pipeline()
    assert isinstance(caught.value, ConnectionError)
    assert not (tmp_path / "models" / "v1").exists()


def test_an_empty_answer_is_an_error(tmp_path: Path) -> None:
    """It is a ValueError that says which query answered nothing."""
    source = tables()
    source.tables["ANALYTICS.MART_GAMES"] = source.tables["ANALYTICS.MART_GAMES"].slice(0, 0)
    with pytest.raises(EmptyResult, match="answered no rows to: SELECT GAME_ID"):
        trainer(tmp_path, source).run_pipeline()


def test_broken_rules_of_both_marts_are_told_together(tmp_path: Path) -> None:
    """One message, both tables by their names."""
    bad = (games().assign(GAME_ID=7), ratings().assign(RATING=11.0))
    source = TableSource(*(pa.Table.from_pandas(frame, preserve_index=False) for frame in bad))
    with pytest.raises(
        DataContractError, match=r"ANALYTICS.MART_GAMES: 1 dup.*ANALYTICS.MART_USER_RATINGS: 720 ratings out"
    ):
        trainer(tmp_path, source).run_pipeline()


def test_missing_columns_of_both_marts_are_told_together(tmp_path: Path) -> None:
    """A source that refuses a query for a column is asked the other one too, before the run ends."""
    folder = write_marts(tmp_path / "marts", games().drop(columns="MECHANICS"), ratings().drop(columns="RATING"))
    reason = r"MART_GAMES lacks MECHANICS; .*; and .*MART_USER_RATINGS lacks RATING; "
    with pytest.raises(DataContractError, match=reason):
        trainer(tmp_path / "models", str(folder)).run_pipeline()
    write_marts(folder, games().drop(columns="MECHANICS"))
    with pytest.raises(DataContractError, match="MART_GAMES lacks MECHANICS") as caught:
        trainer(tmp_path / "models", str(folder)).check()
    assert "MART_USER_RATINGS" not in str(caught.value)


def test_a_plain_frame_from_fetch_data_will_do(tmp_path: Path) -> None:
    """Whoever overrides ``_fetch_data`` may return ordinary columns."""

    class Framed(Trainer):
        def _fetch_data(self, query: str) -> pd.DataFrame:
            return games() if "MART_GAMES" in query else ratings()

    framed = Framed(models_output_dir=tmp_path, settings=Settings(), embedding_model=WordEncoder(), source=tables())
    assert framed.train_rag_model().game_ids == sorted(games()["GAME_ID"])
    assert len(framed.train_cf_model().users) == USERS


def test_fetch_data_gives_coded_ids(tmp_path: Path) -> None:
    """Ids of ratings are categorical, so that a row costs its codes; the values are the mart's."""
    frame = trainer(tmp_path)._fetch_data(QUERIES[1])
    assert [str(kind) for kind in frame.dtypes] == ["category", "category", "float32"]
    pd.testing.assert_frame_equal(frame.astype({"USER_ID": int, "GAME_ID": int, "RATING": float}), ratings())


def test_marts_are_read_from_a_folder(tmp_path: Path) -> None:
    """The text of ``--source`` opens the folder; the run closes it."""
    folder = write_marts(tmp_path / "marts")
    assert trainer(tmp_path / "models", str(folder)).run_pipeline().rows["games"] == GAMES


def test_a_source_that_is_named_is_the_settings_source(tmp_path: Path) -> None:
    """Named in Python or by the settings, it is the same run: the second has nothing new to train on."""
    marts = str(write_marts(tmp_path / "marts"))
    settings = Settings.model_validate({"cf": RECIPE})
    named = Trainer({}, tmp_path / "models", source=marts, settings=settings, embedding_model=WordEncoder())
    assert named.run_pipeline().status == "published"
    settings = Settings.model_validate({"cf": RECIPE, "source": {"url": marts}})
    again = Trainer({}, tmp_path / "models", settings=settings, embedding_model=WordEncoder())
    assert again.run_pipeline().status == "nothing new"


def with_dates(folder: Path, column: str, days: list[str] | pd.Series) -> Path:
    """Return a folder of marts whose ratings have one column more."""
    frame = ratings()
    return write_marts(
        folder, games(), frame.assign(**{column: pd.Series(days).repeat(len(frame))[: len(frame)].array})
    )


@pytest.mark.parametrize(
    ("column", "values"), [("WHEN_GIVEN", pd.Series(pd.to_datetime(["2024-05-01"]))), ("rated_at", ["2024-05-01"])]
)
def test_dates_that_are_not_read_are_named(
    column: str, values: list[str] | pd.Series, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One line says that the ratings have dates, by their type or their name, and which setting reads them."""
    caplog.set_level("INFO")
    source = with_dates(tmp_path / "marts", column, values)
    reading = trainer(tmp_path / "models", str(source))
    reading.run_pipeline()
    said = [record for record in caplog.records if "dates that are not read" in record.message]
    assert [vars(record)["recsys_keys"]["setting"] for record in said] == [f"source.time_column={column}"]


def test_marts_without_dates_are_not_talked_about(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is said of ratings whose further columns are of other kinds, or of a source that tells no columns."""
    caplog.set_level("INFO")
    trainer(tmp_path / "one", str(with_dates(tmp_path / "marts", "SHELF", ["a"]))).run_pipeline()
    trainer(tmp_path / "two").run_pipeline()
    assert "dates that are not read" not in caplog.text
