"""Sources: the same two queries, word for word, on files and databases."""

from __future__ import annotations

import gzip
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from recsys.errors import ConfigError, DataContractError, QueryFailed, RecsysError, SourceUnavailable
from recsys.sources import Source, open_source

if TYPE_CHECKING:
    from pathlib import Path

GAMES_QUERY = "SELECT GAME_ID, NAME, DESCRIPTION, CATEGORIES, MECHANICS FROM ANALYTICS.MART_GAMES"
RATINGS_QUERY = "SELECT USER_ID, GAME_ID, RATING FROM ANALYTICS.MART_USER_RATINGS"

GAMES = pa.table(
    {
        "GAME_ID": pa.array([2**53 + 1, 13, 7], pa.int64()),
        "NAME": ["None", 'The "Nan", a game', "1989"],
        "DESCRIPTION": ['Two\nlines, one "quote"', "NA", None],
        "CATEGORIES": ["Economic, Negotiation", None, "Dice"],
        "MECHANICS": ["Deck, Bag, and Pool Building", "Trading", None],
    }
)
RATINGS = pa.table(
    {
        "USER_ID": pa.array(["nan", "007", "Zoë"], pa.string()),
        "GAME_ID": pa.array([13, 2**53 + 1, 7], pa.int64()),
        "RATING": pa.array([8.5, 7.0, 1.0], pa.float64()),
    }
)


def write_folder(folder: Path, ending: str, games: pa.Table = GAMES, ratings: pa.Table = RATINGS) -> Path:
    """Write both marts into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    for stem, table in (("mart_games", games), ("mart_user_ratings", ratings)):
        path = folder / f"{stem}.{ending}"
        if ending == "parquet":
            pq.write_table(table, path)
        else:
            pa_csv.write_csv(table, path.with_suffix("") if ending == "csv.gz" else path)
        if ending == "csv.gz":
            path.write_bytes(gzip.compress(path.with_suffix("").read_bytes()))
            path.with_suffix("").unlink()
    return folder


def write_database(path: Path) -> str:
    """Write both marts into a DuckDB file and return its URL."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as connection:
        quoted = str(path).replace("'", "''")
        connection.execute(f"ATTACH '{quoted}' AS made; USE made; CREATE SCHEMA ANALYTICS")
        connection.from_arrow(GAMES).create("ANALYTICS.MART_GAMES")
        connection.from_arrow(RATINGS).create("ANALYTICS.MART_USER_RATINGS")
    return f"duckdb:{path}"


def rows(source: Source, sql: str) -> list[dict[str, Any]]:
    """Return the whole answer."""
    result = source.execute(sql)
    answer: list[dict[str, Any]] = pa.Table.from_batches(result.batches, result.schema).to_pylist()
    return answer


def failure(url: str | Path, sql: str = RATINGS_QUERY) -> RecsysError:
    """Return the error that opening and asking ends with."""
    with pytest.raises(RecsysError) as caught, open_source(str(url)) as source:
        rows(source, sql)
    return caught.value


@pytest.fixture(params=["parquet", "csv", "csv.gz", "duckdb"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of the same two marts in each format, in a folder with an odd name."""
    folder = tmp_path / 'it\'s [1] "odd" folder'
    if request.param == "duckdb":
        return write_database(folder / "analytics.duckdb")
    return str(write_folder(folder, request.param))


def test_both_queries_answer_the_same_everywhere(url: str) -> None:
    """Parquet, CSV, gzipped CSV and a database give equal rows and types, in odd folders too."""
    with open_source(url) as source:
        assert rows(source, GAMES_QUERY) == GAMES.to_pylist()
        assert rows(source, RATINGS_QUERY) == RATINGS.to_pylist()
        assert source.execute(RATINGS_QUERY).schema.types == RATINGS.schema.types


def test_names_like_nan_stay_text(url: str) -> None:
    """Cells such as None, NA, nan and 1989 are names, not missing values or numbers."""
    with open_source(url) as source:
        assert [row["NAME"] for row in rows(source, GAMES_QUERY)] == ["None", 'The "Nan", a game', "1989"]


def test_folder_named_like_a_pattern_is_itself(tmp_path: Path) -> None:
    """A folder called ``m[1]`` is read, not the folder ``m1`` that the pattern matches."""
    write_folder(tmp_path / "m1", "csv", ratings=RATINGS.slice(0, 1))
    folder = write_folder(tmp_path / "m[1]", "csv")
    with open_source(str(folder)) as source:
        assert len(rows(source, RATINGS_QUERY)) == 3


def test_two_answers_are_read_in_turns(url: str) -> None:
    """A second query does not end the first one's batches."""
    with open_source(url) as source:
        first, second = source.execute(GAMES_QUERY), source.execute(RATINGS_QUERY)
        assert sum(batch.num_rows for batch in second.batches) == 3
        assert sum(batch.num_rows for batch in first.batches) == 3


def test_rows_are_announced_where_counting_is_free(tmp_path: Path) -> None:
    """Parquet and database tables announce their rows; CSV and filtered queries do not."""
    with open_source(str(write_folder(tmp_path / "p", "parquet"))) as source:
        assert source.execute(GAMES_QUERY).rows_announced == 3
        assert source.execute(GAMES_QUERY + " WHERE GAME_ID > 7").rows_announced is None
    with open_source(write_database(tmp_path / "d.duckdb")) as source:
        assert source.execute(RATINGS_QUERY + ";").rows_announced == 3
    with open_source(str(write_folder(tmp_path / "c", "csv"))) as source:
        assert source.execute(GAMES_QUERY).rows_announced is None


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["13", "9007199254740993", ""], [13, 9007199254740993, None]),
        (["13", str(10**37 + 1)], [Decimal(13), Decimal(10**37 + 1)]),
        (["13", "007"], ["13", "007"]),
        (["13", "1.0"], ["13", "1.0"]),
        (["13", "+5"], ["13", "+5"]),
        (["13", str(10**38)], ["13", str(10**38)]),
        (["13", "-0"], ["13", "-0"]),
        (["nan", "NULL"], ["nan", "NULL"]),
    ],
)
def test_csv_ids_are_exact(tmp_path: Path, cells: list[str], expected: list[Any]) -> None:
    """An id column is numeric only when every cell, the last as well, survives the way there and back."""
    folder = write_folder(tmp_path, "csv")
    body = "".join(f"{cell},13,8.0\n" for cell in ["13"] * 30_000 + cells)
    (folder / "mart_user_ratings.csv").write_text("USER_ID,GAME_ID,RATING\n" + body)
    with open_source(str(folder)) as source:
        assert [row["USER_ID"] for row in rows(source, RATINGS_QUERY)][30_000:] == expected


def test_game_id_has_one_type_in_both_csv_marts(tmp_path: Path) -> None:
    """A text id in one mart makes GAME_ID text in both, or the two would never meet."""
    folder = write_folder(tmp_path, "csv")
    (folder / "mart_user_ratings.csv").write_text("USER_ID,GAME_ID,RATING\n1,13,8\n1,x7,8\n")
    with open_source(str(folder)) as source:
        assert {row["GAME_ID"] for row in rows(source, GAMES_QUERY)} == {"13", "7", str(2**53 + 1)}
        assert [row["GAME_ID"] for row in rows(source, RATINGS_QUERY)] == ["13", "x7"]


@pytest.mark.parametrize("spelling", ["13.0", " 13", "13."])
def test_ratings_that_spell_numbers_otherwise_make_no_text_of_the_games(tmp_path: Path, spelling: str) -> None:
    """Games that are numbers stay numbers beside ratings of 13.0, which stay as they are for the join to count."""
    folder = write_folder(tmp_path, "csv")
    (folder / "mart_user_ratings.csv").write_text(f"USER_ID,GAME_ID,RATING\n1,{spelling},8\n1,7,8\n")
    with open_source(str(folder)) as source:
        assert {row["GAME_ID"] for row in rows(source, GAMES_QUERY)} == {13, 7, 2**53 + 1}
        assert [row["GAME_ID"] for row in rows(source, RATINGS_QUERY)] == [spelling, "7"]


def test_csv_game_id_follows_the_type_of_a_parquet_mart(tmp_path: Path) -> None:
    """Games in Parquet with text ids and ratings in CSV with numbers still meet."""
    text_ids = GAMES.set_column(0, "GAME_ID", GAMES["GAME_ID"].cast(pa.string()))
    folder = write_folder(tmp_path, "csv")
    (folder / "mart_games.csv").unlink()
    pq.write_table(text_ids, folder / "mart_games.parquet")
    with open_source(str(folder)) as source:
        assert [row["GAME_ID"] for row in rows(source, RATINGS_QUERY)] == ["13", str(2**53 + 1), "7"]


def test_ratings_that_are_no_numbers_reach_the_contract_as_text(tmp_path: Path) -> None:
    """A rating of "good" makes the column text instead of breaking the reader."""
    folder = write_folder(tmp_path, "csv")
    (folder / "mart_user_ratings.csv").write_text("USER_ID,GAME_ID,RATING\n1,13,8.5\n1,7,good\n2,7,\n")
    with open_source(str(folder)) as source:
        assert [row["RATING"] for row in rows(source, RATINGS_QUERY)] == ["8.5", "good", None]


def test_csv_timestamps_are_typed(tmp_path: Path) -> None:
    """A further column of the ratings is a timestamp when all of its cells are."""
    folder = write_folder(tmp_path, "csv")
    (folder / "mart_user_ratings.csv").write_text("USER_ID,GAME_ID,RATING,RATED_AT\n1,13,8.5,2024-01-31\n")
    with open_source(str(folder)) as source:
        sql = "SELECT RATED_AT FROM ANALYTICS.MART_USER_RATINGS"
        assert pa.types.is_timestamp(source.execute(sql).schema.types[0])


def test_missing_mart_names_folder_and_contents(tmp_path: Path) -> None:
    """A folder without one mart says what was looked for and what is there."""
    folder = write_folder(tmp_path / "half", "parquet")
    (folder / "mart_games.parquet").rename(folder / "games.parquet")
    error = failure(folder)
    assert isinstance(error, SourceUnavailable)
    for part in (str(folder), "mart_games.{parquet,csv,csv.gz}", "games.parquet", "mart_user_ratings.parquet"):
        assert part in str(error)


def test_mart_in_two_formats_is_refused(tmp_path: Path) -> None:
    """Nobody can tell which of two files counts."""
    write_folder(tmp_path, "csv")
    error = failure(write_folder(tmp_path, "parquet"))
    assert isinstance(error, ConfigError)
    assert "mart_games.parquet and mart_games.csv" in str(error)


@pytest.mark.parametrize("url", ["nowhere", "duckdb:nowhere.duckdb", "duckdb:."])
def test_missing_file_or_folder_is_unavailable_and_not_created(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    """Opening what is not there names it and leaves nothing behind."""
    monkeypatch.chdir(tmp_path)
    error = failure(url)
    assert isinstance(error, SourceUnavailable)
    assert str(tmp_path) in str(error)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ending", ["parquet", "csv", "csv.gz"])
def test_corrupt_file_is_named(tmp_path: Path, ending: str) -> None:
    """A file that is not what its ending says is unavailable, by name."""
    folder = write_folder(tmp_path, ending)
    broken = folder / f"mart_user_ratings.{ending}"
    broken.write_bytes(broken.read_bytes()[:40] + b'\xff\xfe"')
    error = failure(folder)
    assert isinstance(error, SourceUnavailable)
    assert broken.name in str(error)


@pytest.mark.parametrize("line", ["3\n", "3,4,5,6\n", '"3,4,5\n'])
def test_ragged_csv_is_refused(tmp_path: Path, line: str) -> None:
    """A line with too few or too many cells, or an open quote, is an error and never a lost row."""
    folder = write_folder(tmp_path, "csv")
    (folder / "mart_user_ratings.csv").write_text("USER_ID,GAME_ID,RATING\n1,13,8\n" + line)
    error = failure(folder)
    assert isinstance(error, SourceUnavailable)
    assert "mart_user_ratings.csv" in str(error)


def test_missing_column_names_it_and_those_present(url: str) -> None:
    """A mart without a column breaks the data contract."""
    error = failure(url, "SELECT USER_ID, GAME_ID, SCORE, WHEN_RATED FROM ANALYTICS.MART_USER_RATINGS")
    assert isinstance(error, DataContractError)
    assert "lacks SCORE, WHEN_RATED; it has USER_ID, GAME_ID, RATING" in str(error)


def test_missing_table_names_those_present(url: str) -> None:
    """An unknown table is a failed query that lists the tables."""
    error = failure(url, "SELECT A FROM ANALYTICS.NOWHERE")
    assert isinstance(error, QueryFailed)
    assert "ANALYTICS.MART_GAMES" in str(error)


@pytest.mark.parametrize("header", ["", "USER_ID,GAME_ID,game_id\n", "USER_ID,,RATING\n"])
def test_csv_header_must_name_every_column_once(tmp_path: Path, header: str) -> None:
    """An empty file, a column twice and a column without a name break the data contract."""
    folder = write_folder(tmp_path, "csv")
    (folder / "mart_user_ratings.csv").write_text(header)
    assert isinstance(failure(folder), DataContractError)


def test_empty_csv_mart_answers_no_rows(tmp_path: Path) -> None:
    """A header without rows is an empty answer, for the trainer to refuse."""
    folder = write_folder(tmp_path, "csv")
    (folder / "mart_user_ratings.csv").write_text("USER_ID,GAME_ID,RATING\n")
    with open_source(str(folder)) as source:
        assert rows(source, RATINGS_QUERY) == []


def test_sources_are_read_only(url: str) -> None:
    """Statements that write are refused and change nothing."""
    for sql in ("DROP TABLE ANALYTICS.MART_GAMES", "INSERT INTO ANALYTICS.MART_GAMES (GAME_ID) VALUES (1)"):
        assert isinstance(failure(url, sql), QueryFailed)
    with open_source(url) as source:
        assert len(rows(source, GAMES_QUERY)) == 3


def test_folder_reaches_no_other_file(tmp_path: Path) -> None:
    """A query on a folder cannot open a file beside the marts."""
    folder = write_folder(tmp_path, "csv")
    (folder / "secret.csv").write_text("A\n1\n")
    assert isinstance(failure(folder, f"SELECT * FROM '{folder}/secret.csv'"), QueryFailed)


def test_failure_in_mid_stream_is_translated(tmp_path: Path) -> None:
    """A row that cannot be answered after many good ones is a failed query, not a bare OSError."""
    folder = write_folder(tmp_path, "parquet", ratings=pa.table({"USER_ID": ["1"] * 400_000 + ["x"]}))
    with open_source(str(folder)) as source:
        result = source.execute("SELECT CAST(USER_ID AS INTEGER) AS U FROM ANALYTICS.MART_USER_RATINGS")
        with pytest.raises(QueryFailed, match="Could not convert"):
            list(result.batches)


def test_batches_stream(tmp_path: Path) -> None:
    """The first batch arrives without the answer being made whole: this one would fill every memory."""
    with open_source(str(write_folder(tmp_path, "parquet"))) as source:
        endless = source.execute("SELECT GAME_ID FROM ANALYTICS.MART_GAMES, range(100000000000)")
        assert 0 < next(endless.batches).num_rows <= 200_000


def test_closed_source_says_so(url: str) -> None:
    """A source may be closed twice, and then answers no more."""
    source = open_source(url)
    source.close()
    source.close()
    with pytest.raises(SourceUnavailable, match="closed"):
        source.execute(GAMES_QUERY)


@pytest.mark.parametrize("url", ["", "s3://bucket/marts", "postgres://host"])
def test_unknown_source_is_a_wrong_setting(url: str) -> None:
    """A text that names no kind of source lists the kinds."""
    error = failure(url)
    assert isinstance(error, ConfigError)
    assert "duckdb:FILE" in str(error)


@pytest.mark.parametrize("word", ["CURRENT_TIMESTAMP", '"CURRENT_TIMESTAMP"', "current_date", '"USER"', "rowid"])
def test_what_is_no_column_is_never_taken_for_a_function(tmp_path: Path, word: str) -> None:
    """DuckDB takes such a name for the time of now, or for the number of a row, also in quotes."""
    error = failure(write_database(tmp_path / "m.duckdb"), f"SELECT USER_ID, {word} FROM ANALYTICS.MART_USER_RATINGS")
    assert isinstance(error, DataContractError)
    assert f"MART_USER_RATINGS lacks {word.strip(chr(34))}; it has USER_ID" in str(error)


def write_parts(folder: Path, ending: str) -> Path:
    """Write both marts as folders of two part files, with what writers leave beside them."""
    for number, rows in enumerate((slice(0, 2), slice(2, 3))):
        part = write_folder(folder / f"x{number}", ending, GAMES[rows], RATINGS[rows])
        for stem in ("mart_games", "mart_user_ratings"):
            mart = folder / f"{stem}.{ending}"
            mart.mkdir(exist_ok=True)
            (part / f"{stem}.{ending}").rename(mart / f"part-{number}.{ending}")
            for name in ("_SUCCESS", "_committed_1", f".part-{number}.{ending}.crc"):
                (mart / name).touch()
        part.rmdir()
    return folder


@pytest.mark.parametrize("ending", ["parquet", "csv", "csv.gz"])
def test_a_folder_of_part_files_is_a_mart(tmp_path: Path, ending: str) -> None:
    """Spark and Dask write no file but a folder of them; their marks beside the parts hold no rows."""
    whole, parts = write_folder(tmp_path / "whole", ending), write_parts(tmp_path / "parts", ending)
    with open_source(str(whole)) as one, open_source(str(parts)) as many:
        for query in (GAMES_QUERY, RATINGS_QUERY):
            assert rows(many, query) == rows(one, query)


@pytest.mark.parametrize(
    ("spoil", "error", "words"),
    [
        (lambda mart: (mart / "year=2024").mkdir(), ConfigError, "year=2024: it is partitioned"),
        (lambda mart: (mart / "notes.txt").touch(), ConfigError, r"notes\.txt: .*\.parquet files alone"),
        (lambda mart: (mart / "_delta_log").mkdir(), ConfigError, "is a Delta table"),
        (lambda mart: [part.unlink() for part in mart.glob("part*")], SourceUnavailable, "holds no part file"),
        (
            lambda mart: (mart / "part-1.parquet").write_bytes(b"x"),
            SourceUnavailable,
            r"part-1\.parquet cannot be read",
        ),
        (
            lambda mart: pq.write_table(GAMES.drop_columns("MECHANICS"), mart / "part-1.parquet"),
            DataContractError,
            r"part-1\.parquet has the columns .*CATEGORIES, and part-0\.parquet",
        ),
    ],
)
def test_a_folder_that_is_more_than_its_parts_is_refused(
    tmp_path: Path, spoil: Any, error: type[Exception], words: str
) -> None:
    """Partitions, other files and parts that differ would lose rows or make up nulls."""
    spoil(write_parts(tmp_path, "parquet") / "mart_games.parquet")
    with pytest.raises(error, match=words):
        open_source(str(tmp_path))


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("4,D,d,c,m,x", "line 5 (4,D,d,c,m,x): it has 6 cells instead of 5; write it in UTF-8 with commas"),
        ("4,D", "line 5 (4,D): it has 2 cells instead of 5; write it"),
        ('4,"D"x,d,c,m', """line 5 (4,"D"x,d,c,m): Value with unterminated quote found; write it"""),
    ],
)
def test_a_fault_of_a_csv_is_told_with_its_line_and_what_can_be_done(tmp_path: Path, row: str, words: str) -> None:
    """Options of DuckDB, which nobody can set here, are no advice."""
    write_folder(tmp_path, "csv")
    rows = ["GAME_ID,NAME,DESCRIPTION,CATEGORIES,MECHANICS", *(f"{n},A,d,c,m" for n in (1, 2, 3)), row]
    (tmp_path / "mart_games.csv").write_text("\n".join(rows) + "\n")
    error = failure(tmp_path, GAMES_QUERY)
    assert words in str(error)
    assert "strict_mode" not in str(error)


def test_another_separator_is_named(tmp_path: Path) -> None:
    """Spreadsheets write semicolons in half of the world."""
    write_folder(tmp_path, "csv")
    (tmp_path / "mart_games.csv").write_text("GAME_ID;NAME;DESCRIPTION;CATEGORIES;MECHANICS\n1;A;d;c;m\n")
    assert "separates its cells by ';'; write it with commas" in str(failure(tmp_path, GAMES_QUERY))


@pytest.mark.parametrize("ending", ["csv", "csv.gz"])
def test_a_quote_that_is_never_closed_loses_no_row(tmp_path: Path, ending: str) -> None:
    """Games after it would be left out without a word; a line break inside a name is fine."""
    opener: Any = gzip.open if ending == "csv.gz" else open
    sound = 'GAME_ID,NAME,DESCRIPTION,CATEGORIES,MECHANICS\n1,"A\nB",d,c,m\n2,"C ""D""",d,c,m\n'
    for text, fails in ((sound, False), (sound + '3,"E,d,c,m\n4,F,d,c,m\n', True)):
        with opener(tmp_path / f"mart_games.{ending}", "wt") as file:
            file.write(text)
        (tmp_path / "mart_user_ratings.csv").write_text("USER_ID,GAME_ID,RATING\n1,1,7\n")
        if fails:
            with pytest.raises(DataContractError, match="never closed"):
                open_source(str(tmp_path))
        else:
            with open_source(str(tmp_path)) as source:
                assert len(pa.Table.from_batches(source.execute(GAMES_QUERY).batches)) == 2
