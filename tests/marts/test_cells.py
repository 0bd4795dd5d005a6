"""Text columns hold text, tag columns also lists of words and numbers; anything else is refused by name."""

from __future__ import annotations

import datetime as dt
import enum
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from factories.readers import reader
from factories.tables import GAMES, TableSource, WordEncoder, games, ratings, write_marts
from recsys.errors import DataContractError
from recsys.marts.repairs import Repair
from recsys.marts.text import clean_games, embedding_text
from recsys.models import RAGRecommender

if TYPE_CHECKING:
    from pathlib import Path

    from standins.snowflake.fixtures import Warehouse

pytest_plugins = ["standins.snowflake.fixtures"]

TEXT = "Zoë, 桂馬 🎲"
WORDS = pa.string()
STRUCT = pa.struct({"id": pa.int64(), "value": WORDS})


class Shelf(str, enum.Enum):  # noqa: UP042 - frames hold such, from before there was StrEnum
    """A tag as some code has it."""

    DICE = "Dice"


def fetched(**columns: pa.Array) -> pd.DataFrame:
    """Return the games that a run takes from a source, with columns replaced that repeat the values given."""
    table = pa.Table.from_pandas(games().sort_values("GAME_ID"), preserve_index=False)
    for name, column in columns.items():
        values = pa.concat_arrays([column] * (GAMES // len(column)))
        table = table.set_column(table.schema.get_field_index(name), name, values)
    return reader(TableSource(table, table)).games()


def one(column: str, *cells: Any) -> pd.DataFrame:
    """Return a frame of one column of Python's own values."""
    return pd.DataFrame({column: pd.Series(list(cells), dtype=object)})


@pytest.mark.parametrize(
    "column",
    [
        pa.array([TEXT], pa.large_string()),
        pa.array([TEXT], pa.string_view()),
        pa.array([TEXT.encode()], pa.binary()),
        pa.array([TEXT.encode()], pa.large_binary()),
        pa.array([TEXT]).dictionary_encode(),
        pa.array([TEXT], pa.json_(pa.string())),
    ],
    ids=lambda column: str(column.type),
)
def test_text_of_any_type_is_text(column: pa.Array) -> None:
    """Strings of every width, dictionaries of them, and UTF-8 that is declared as binary."""
    checked = fetched(NAME=column, DESCRIPTION=column, CATEGORIES=column)
    assert not checked.attrs  # what it arrived as is no property of clean text
    assert [checked[name][0] for name in ("NAME", "DESCRIPTION", "CATEGORIES")] == [TEXT] * 3


@pytest.mark.parametrize(
    ("column", "text"),
    [
        (pa.array([["Dice", None, "Math"]]), "Dice, Math"),
        (pa.array([["Dice &amp; Cards", None]]), "Dice & Cards"),
        (pa.array([["Dice", "Math"]], pa.large_list(WORDS)), "Dice, Math"),
        (pa.array([["Dice", "Math"]], pa.list_(WORDS, 2)), "Dice, Math"),
        (pa.array([["Dice"]], pa.list_(pa.dictionary(pa.int8(), WORDS))), "Dice"),
        (pa.array([["Dice"]], pa.list_(pa.string_view())), "Dice"),
        (pa.array([[b"Zo\xc3\xab"]]), "Zoë"),
        (pa.array([[7, None, 2**53 + 1]]), "7, 9007199254740993"),
        (pa.array([[7.0, 2.5, float("nan"), 1e300]]), "7, 2.5, 1e+300"),
        (pa.array([[Decimal("7.00"), Decimal("2.50")]]), "7, 2.50"),
        (pa.array([[]], pa.list_(WORDS)), ""),
    ],
)
def test_lists_of_words_and_numbers_are_tags(column: pa.Array, text: str) -> None:
    """Lists of any width: null entries are left out, a whole number has no fraction, none loses digits."""
    assert fetched(MECHANICS=column)["MECHANICS"].tolist() == [text] * GAMES


@pytest.mark.parametrize(
    ("name", "column", "kind"),
    [
        ("NAME", pa.array([5]), "int64"),
        ("NAME", pa.array([["Catan"]]), "list<string>"),
        ("DESCRIPTION", pa.array([1.5]), "double"),
        ("DESCRIPTION", pa.array([True, None]), "bool"),
        ("DESCRIPTION", pa.array([dt.date(2020, 1, 2)]), "date32[day]"),
        ("DESCRIPTION", pa.array([{"id": 1, "value": "x"}]), "struct<id: int64, value: string>"),
        ("CATEGORIES", pa.array([5, None]), "int64"),
        ("CATEGORIES", pa.array([Decimal("1.5")]), "decimal128(2, 1)"),
        ("CATEGORIES", pa.array([{"id": 1, "value": "x"}]), "struct<id: int64, value: string>"),
        ("CATEGORIES", pa.array([[("Dice", 1)]], pa.map_(WORDS, pa.int64())), "map<string, int64>"),
        ("CATEGORIES", pa.array([[]], pa.map_(WORDS, pa.int64())), "map<string, int64>"),
        ("MECHANICS", pa.array([[{"id": 1, "value": "x"}]]), "list<struct<id: int64, value: string>>"),
        ("MECHANICS", pa.array([[["Dice"]]]), "list<list<string>>"),
        ("MECHANICS", pa.array([[True]]), "list<bool>"),
        ("MECHANICS", pa.array([[dt.date(2020, 1, 2)]]), "list<date32[day]>"),
        ("MECHANICS", pa.array([[[("Dice", 1)]]], pa.list_(pa.map_(WORDS, pa.int64()))), "list<map<string, int64>>"),
    ],
)
def test_other_types_are_refused_by_name(name: str, column: pa.Array, kind: str) -> None:
    """The message has the mart, the column, Arrow's type, the number of cells, a game, and what to do."""
    remedy = "cast it to text" if name in {"NAME", "DESCRIPTION"} else "send the names alone, as lists or as text"
    count = GAMES // len(column) * (len(column) - column.null_count)
    with pytest.raises(DataContractError) as caught:
        fetched(**{name: column})
    message = str(caught.value)
    assert f"ANALYTICS.MART_GAMES: {count} games whose {name} is {kind}" in message
    assert remedy in message
    assert "(such as game 100: " in message
    assert "null or empty" not in message


def test_columns_without_any_value_may_be_of_any_type() -> None:
    """What a warehouse makes of a column of NULLs says nothing."""
    nothing = {"DESCRIPTION": pa.nulls(1, pa.float64()), "CATEGORIES": pa.nulls(1, STRUCT), "MECHANICS": pa.nulls(1)}
    checked = fetched(**nothing)
    assert set(checked[["DESCRIPTION", "CATEGORIES", "MECHANICS"]].to_numpy().ravel()) == {""}


def test_binary_that_is_not_utf8_is_refused() -> None:
    """Alone and in lists, with the game and its bytes; nothing is replaced by question marks."""
    latin, good = "Café".encode("latin-1"), b"Catan"
    with pytest.raises(DataContractError) as caught:
        fetched(NAME=pa.array([good, latin] + [good] * 38), MECHANICS=pa.array([[latin]] + [[good]] * 39))
    assert "1 game whose NAME is binary and not UTF-8" in str(caught.value)
    assert r"(such as game 101: b'Caf\xe9')" in str(caught.value)
    assert r"1 game whose MECHANICS is binary and not UTF-8" in str(caught.value)


def test_a_parquet_file_says_its_types(tmp_path: Path) -> None:
    """As the other sources do, through DuckDB."""
    frame = games().assign(MECHANICS=games()["NAME"].map(lambda name: [{"id": 1, "value": name}]))
    marts = reader(str(write_marts(tmp_path / "marts", frame)))
    with pytest.raises(DataContractError, match=r"40 games whose MECHANICS is list<struct<id: int64, value: string>>"):
        marts.both()


def test_a_type_that_pandas_lacks_is_refused_too(tmp_path: Path) -> None:
    """A union of DuckDB's: those cells that are text would do, the others are named."""
    path = tmp_path / "w.db"
    with duckdb.connect(str(path)) as made:
        made.execute("CREATE SCHEMA ANALYTICS")
        made.register("g", pa.Table.from_pandas(games(), preserve_index=False))
        made.execute(
            "CREATE TABLE ANALYTICS.MART_GAMES AS SELECT * REPLACE "
            "(CASE WHEN GAME_ID = 105 THEN 7::UNION(num INTEGER, word VARCHAR) ELSE NAME END AS NAME) FROM g"
        )
    with pytest.raises(DataContractError, match=r"1 game whose NAME is .*union<.*> *, not text.*game 105: 7"):
        reader(f"duckdb:{path}").games()


def test_mixed_columns_are_checked_cell_by_cell() -> None:
    """A frame that somebody hands over has no types: each value that is no text is counted by its own."""
    frame = one("CATEGORIES", "Dice", 7, {"id": 1}, ("Math", None, 7.0), [["x"]], None).assign(
        GAME_ID=[5, 6, 7, 8, 9, 10]
    )
    with pytest.raises(DataContractError) as caught:
        clean_games(frame)
    for part in (
        "1 game whose CATEGORIES is int, neither text nor a list",
        "(such as game 6: 7)",
        "is dict",
        "list of list",
    ):
        assert part in str(caught.value)
    good = clean_games(frame.drop(index=[1, 2, 4]))[0]
    assert good["CATEGORIES"].tolist() == ["Dice", "Math, 7", ""]


@pytest.mark.parametrize(
    ("cell", "kind"),
    [
        ({"Dice", "Math"}, "set"),
        ([True], "list of bool"),
        (np.array([False]), "list of bool"),
        (np.array(["2020"], "M8[D]"), "list of datetime64"),
        ([float("inf")], "list of infinite float"),
        (np.array([["Dice"]]), "ndarray"),
        (pd.Timestamp("2020"), "Timestamp"),
        (object, "type"),
    ],
)
def test_python_values_that_are_no_tags(cell: Any, kind: str) -> None:
    """Each is named as Python names it; a set has no order, so that its text would differ from run to run."""
    with pytest.raises(DataContractError, match=f"CATEGORIES is {kind}, neither"):
        clean_games(one("CATEGORIES", cell))


@pytest.mark.parametrize("column", ["NAME", "CATEGORIES"])
def test_python_values_that_are_text(column: str) -> None:
    """Bytes in UTF-8, numpy's strings and enums of strings are their text, not their print."""
    frame = one(column, "Zoë".encode(), bytearray(b"Go"), np.str_("Dice"), Shelf.DICE, np.nan, pd.NA)
    cleaned, repaired = clean_games(frame)
    assert cleaned[column].tolist() == ["Zoë", "Go", "Dice", "Dice", "", ""]
    assert [type(text) for text in cleaned[column]] == [str] * 6
    assert not repaired


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        (pa.array([[]], pa.map_(WORDS, pa.int64())), "map<string, int64>"),
        (pa.array([{"id": 1, "value": "x"}]), "struct"),
    ],
)
def test_frames_of_arrow_types_are_checked_by_them(column: pa.Array, kind: str) -> None:
    """As ``pandas.read_parquet(dtype_backend="pyarrow")`` makes them; lists and texts are read."""
    good = pa.table({"CATEGORIES": [["Dice", "Math"]]}).to_pandas(types_mapper=pd.ArrowDtype)
    assert clean_games(good)[0]["CATEGORIES"].tolist() == ["Dice, Math"]
    bad = pa.table({"CATEGORIES": column}).to_pandas(types_mapper=pd.ArrowDtype)
    with pytest.raises(DataContractError, match=f"CATEGORIES is {kind}"):
        clean_games(bad)


def test_fit_keeps_to_the_same_rules() -> None:
    """A frame's own columns, and texts that are given as they are."""
    model = RAGRecommender(embedding_model=WordEncoder())
    with pytest.raises(DataContractError, match="40 games whose MECHANICS is dict"):
        model.fit(games().assign(MECHANICS=games()["NAME"].map(lambda _: {"id": 1})))
    with pytest.raises(DataContractError, match="40 games whose NAME is int, not text"):
        embedding_text(games().assign(NAME=5))
    with pytest.raises(DataContractError, match="40 games whose embedding_text is int, not text"):
        model.fit(games().assign(embedding_text=5))
    with pytest.raises(DataContractError, match="40 games have a null embedding_text"):
        model.fit(games().assign(embedding_text=None))
    raw = model.fit(games().assign(embedding_text=[b"caf\xc3\xa9"] * GAMES)).faiss_index.reconstruct(0)
    assert np.array_equal(raw, WordEncoder().encode(["café"])[0])


@pytest.mark.parametrize("cell", ["\\N", " \\N "])
def test_what_an_unload_writes_for_null_is_no_text(cell: str) -> None:
    r"""``\N`` in every column, and as an entry of tags, is a missing value, and counted."""
    frame = pd.DataFrame(
        {name: [cell, "x"] for name in ("DESCRIPTION", "CATEGORIES")} | {"MECHANICS": [["\\N", "A"], '["\\\\N"]']}
    )
    cleaned, repaired = clean_games(frame)
    assert cleaned.to_dict("list") == {"DESCRIPTION": ["", "x"], "CATEGORIES": ["", "x"], "MECHANICS": ["A", ""]}
    assert repaired == {Repair.MISSING: 4, Repair.LISTS: 1}


def test_jsons_null_is_no_tag_and_may_be_a_name() -> None:
    """A VARIANT without value arrives as ``null``, one of SQL's as ``undefined``; nothing else is taken for missing."""
    words = ["null", "undefined", "None", "nan", "N/A", "-"]
    cleaned, repaired = clean_games(pd.DataFrame({"NAME": words, "DESCRIPTION": words, "CATEGORIES": words}))
    assert cleaned["NAME"].tolist() == cleaned["DESCRIPTION"].tolist() == words
    assert cleaned["CATEGORIES"].tolist() == ["", "", *words[2:]]
    assert repaired == {Repair.MISSING: 2}


def test_a_csv_with_unloaded_nulls(tmp_path: Path) -> None:
    r"""``\N`` in a description is counted, in a name it makes the game nameless."""
    frame = games().sort_values("GAME_ID", ignore_index=True)
    frame.loc[3, "DESCRIPTION"] = None
    ratings().to_csv(tmp_path / "mart_user_ratings.csv", index=False)
    frame.to_csv(tmp_path / "mart_games.csv", index=False, na_rep="\\N")
    marts = reader(str(tmp_path))
    assert marts.both().games["DESCRIPTION"][3] == ""
    assert marts.repairs == {"missing values as text": 1}
    frame.loc[7, "NAME"] = None
    frame.to_csv(tmp_path / "mart_games.csv", index=False, na_rep="\\N")
    with pytest.raises(DataContractError, match=r"1 game with a null or empty NAME \(such as 107\)"):
        reader(str(tmp_path)).both()


def test_a_name_of_which_nothing_is_left_is_empty() -> None:
    """A no-break space as an entity, a zero-width character: such a game has no name."""
    names = pa.array(["Catan", "&nbsp;", "\u200b"] + ["Go"] * 37)
    with pytest.raises(DataContractError, match=r"2 games with a null or empty NAME \(such as 101, 102\)"):
        fetched(NAME=names)


def test_snowflakes_json_types_are_told_apart(warehouse: Warehouse) -> None:
    """A VARIANT is read as tags, its strings without JSON's quotes; in a name or description it is refused."""
    rows = """
        SELECT range + 1 AS GAME_ID, 'Game ' || range AS NAME, 'Dice' AS DESCRIPTION, 'Dice' AS MECHANICS,
            CASE range % 3 WHEN 0 THEN '["Dice", "Math"]' WHEN 1 THEN '"Dice, Math"' ELSE 'null' END::JSON AS CATEGORIES
        FROM range(30)"""
    warehouse.table("MART_GAMES", rows)
    with warehouse.open() as source:
        checked = reader(source).games()
    assert checked["CATEGORIES"].tolist() == ["Dice, Math", "Dice, Math", ""] * 10
    warehouse.table("MART_GAMES", f"SELECT * REPLACE ('\"Go\"'::JSON AS NAME) FROM ({rows})")
    with warehouse.open() as source, pytest.raises(DataContractError, match="30 games whose NAME is VARIANT, not text"):
        reader(source).games()
