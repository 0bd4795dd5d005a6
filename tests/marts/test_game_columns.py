"""More columns of the games mart reach whoever is served, and no model."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import recsys
from factories.tables import FIRST_GAME, RECIPE, WordEncoder, games, write_marts
from recsys.cli import run
from recsys.config import Settings, load_settings
from recsys.errors import ConfigError, DataContractError
from recsys.marts.contract import ContractReport
from recsys.marts.extras import check_extras
from recsys.marts.frames import frame_of
from recsys.trainer import Trainer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pandas as pd

YEARS = {FIRST_GAME: 1995, FIRST_GAME + 1: None}


@pytest.fixture(scope="module")
def marts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return marts whose games have a year (one has none), a weight and a designer."""
    frame = games()
    frame["YEAR_PUBLISHED"] = [YEARS.get(id_, 2000 + id_ % 7) for id_ in frame["GAME_ID"]]
    frame["YEAR_PUBLISHED"] = frame["YEAR_PUBLISHED"].astype("Int64")
    frame["WEIGHT"] = frame["GAME_ID"] / 50  # 2.3 is exact in no binary fraction
    frame["RELEASED"] = dt.date(2015, 1, 2)
    frame["DESIGNER"] = np.where(frame["GAME_ID"] % 2, "Ann", "Bo")
    return write_marts(tmp_path_factory.mktemp("marts"), frame)


def trainer(marts: Path, models: Path, columns: str) -> Trainer:
    """Return a trainer on the marts that takes these columns along."""
    settings = {"cf": RECIPE, "source": {"game_columns": columns}}
    return Trainer(
        {}, models, source=str(marts), settings=Settings.model_validate(settings), embedding_model=WordEncoder()
    )


@pytest.fixture(scope="module")
def models(marts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a store with one release that took them along."""
    folder = tmp_path_factory.mktemp("models")
    trainer(marts, folder, "year_published, Weight,DESIGNER, RELEASED").run_pipeline()
    return folder


def test_lists_can_be_filtered_by_them(models: Path, marts: Path) -> None:
    """Numbers by order, texts by equality; a game without a value meets no comparison."""
    rows = {row["GAME_ID"]: row for row in pq.read_table(marts / "mart_games.parquet").to_pylist()}
    served = recsys.load(models / "v1")
    whole = served.similar(FIRST_GAME + 2, 40, by="content").ids
    asked: list[tuple[list[str], Callable[[dict[str, Any]], bool]]] = [
        (["YEAR_PUBLISHED>=2003"], lambda row: (row["YEAR_PUBLISHED"] or 0) >= 2003),
        (["WEIGHT<=2.5", "designer=ann"], lambda row: row["WEIGHT"] <= 2.5 and row["DESIGNER"] == "Ann"),
        (["WEIGHT>=2.3", "WEIGHT<=2.3"], lambda row: row["WEIGHT"] == 2.3),
        (["WEIGHT=2.3"], lambda row: row["WEIGHT"] == 2.3),
    ]
    for filters, met in asked:
        expected = [id_ for id_ in whole if met(rows[id_])]
        assert 0 < len(expected) < len(whole)
        assert served.similar(FIRST_GAME + 2, 40, by="content", filters=filters).ids == expected


def test_what_is_no_number_has_no_order(models: Path) -> None:
    """A date is told apart from a wrong number, with what the column holds."""
    with pytest.raises(ConfigError, match="RELEASED holds values such as 2015-01-02; >= compares numbers"):
        recsys.load(models / "v1").similar(FIRST_GAME, filters=["RELEASED>=2015"])


def test_a_year_is_shown_to_people(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In a column of its own, without a fraction."""
    assert run(["similar", str(FIRST_GAME + 4), "-k", "40", "--by", "content", "--models", str(models)]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["id", "game", "year", "score", "by", "content"] in lines
    (row,) = (line for line in lines if line[:1] == [str(FIRST_GAME)])
    assert "1995" in row


def test_they_change_a_release_and_no_model(marts: Path, models: Path, tmp_path: Path) -> None:
    """The same texts and ratings: index and factors are the same bytes; a change in them is something new."""
    plain = trainer(marts, tmp_path, "").run_pipeline().path
    assert plain is not None
    for name in ("rag_index.faiss", "cf_factors.npz", "metadata.json"):
        assert (plain / name).read_bytes() == (models / "v1" / name).read_bytes()
    assert pq.read_table(plain / "games.parquet").column_names == [
        "GAME_ID",
        "NAME",
        "CATEGORIES",
        "MECHANICS",
        "N_RATINGS",
    ]
    assert trainer(marts, tmp_path, "WEIGHT").run_pipeline().status == "published"
    assert trainer(marts, tmp_path, "WEIGHT").run_pipeline().status == "nothing new"


def test_a_half_that_is_carried_over_keeps_them(marts: Path, models: Path, tmp_path: Path) -> None:
    """A night that trains taste alone publishes the catalogue as it was."""
    trainer(marts, tmp_path, "YEAR_PUBLISHED").run_pipeline()
    before = pq.read_table(tmp_path / "v1" / "games.parquet")
    trainer(marts, tmp_path, "YEAR_PUBLISHED").train_cf_model()
    assert pq.read_table(tmp_path / "v1" / "games.parquet").equals(before)


def test_a_column_that_is_not_there_is_named(marts: Path, tmp_path: Path) -> None:
    """Before anything is trained, with the columns that there are."""
    with pytest.raises(DataContractError, match=r"lacks MIN_PLAYERS; it has .*YEAR_PUBLISHED"):
        trainer(marts, tmp_path, "MIN_PLAYERS").run_pipeline()


@pytest.mark.parametrize(
    ("given", "words"),
    [("NAME", "NAME would be there twice"), ("a, A", "A would be there twice"), ("x;y", "should match pattern")],
)
def test_a_wrong_list_of_columns_is_explained(given: Any, words: str) -> None:
    """What the release has anyway, the same one twice, and what is no column at all."""
    with pytest.raises(ConfigError, match=words):
        load_settings(overrides=[f"source.game_columns={given}"], environ={})


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (pa.array([{"a": 1}] * 3), r"its type is struct<a: int64>"),
        (pa.array([[("a", 1)]] * 3, pa.map_(pa.string(), pa.int64())), "its type is map<string, int64"),
        (pa.array([b"x"] * 3), "its type is binary"),
        (pa.array([(1, 2, 3)] * 3, pa.month_day_nano_interval()), "its type is month_day_nano_interval"),
        (pa.array([Decimal(10**30)] * 3, pa.decimal128(38, 0)), r"of type decimal128\(38, 0\) have no common type"),
    ],
)
def test_a_column_that_no_release_can_keep_is_a_broken_rule(values: pa.Array, words: str) -> None:
    """It is named with its type when the marts are checked, and not when all is trained and written."""
    report, frame = ContractReport(), extra_frame(values)
    check_extras(frame, ["X"], report, "MART_GAMES")
    with pytest.raises(DataContractError, match=rf"games whose X cannot be kept: .*{words}"):
        report.sound(frame)


@pytest.mark.parametrize(
    "values",
    [["a", None, "b"], [1.5, None, 2.0], [["a"], ["b", "c"], None], [dt.date(2020, 1, 2)] * 3, [True, None, False]],
)
def test_numbers_texts_dates_and_lists_are_kept(values: list[Any]) -> None:
    """What games.parquet holds as what it is breaks no rule."""
    report = ContractReport()
    check_extras(extra_frame(pa.array(values)), ["X"], report, "MART_GAMES")
    assert report.violations == []


def extra_frame(values: pa.Array) -> pd.DataFrame:
    """Return a column X as the trainer fetches it."""
    batch = pa.record_batch({"X": values})
    return frame_of(batch.schema, [batch], frozenset())
