"""``recsys export`` writes what it says, and says what it wrote."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import recsys
from factories.served import catalogue, publish, publish_marts
from factories.tables import FIRST_GAME, ratings
from recsys.cli import run

if TYPE_CHECKING:
    from pathlib import Path

    from recsys.serving import Recommender


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a store with two releases; the second is current."""
    folder = tmp_path_factory.mktemp("exported")
    publish(folder)
    publish(folder, seed=1, item_weight=0.4)
    return folder


@pytest.fixture(scope="module")
def served(models: Path) -> Recommender:
    """Return the current one in this process."""
    return recsys.load(models / "v1")


@pytest.fixture
def ask(models: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run an export from the store; return what it printed to stdout and stderr."""

    def ask(*arguments: object, code: int = 0) -> tuple[str, str]:
        assert run(["export", *map(str, arguments), "--models", str(models)]) == code
        printed = capsys.readouterr()
        return printed.out, printed.err

    return ask


def test_recommendations_say_where_they_come_from(ask: Any, served: Recommender, tmp_path: Path) -> None:
    """20 games for each user, in long form; the release, and when it was published; one line says it all."""
    out, _ = ask("recommendations", tmp_path / "lists.parquet")
    table = pq.read_table(tmp_path / "lists.parquet")
    assert table.schema.names == ["USER_ID", "RANK", "GAME_ID", "SCORE", "RANKED_BY", "RELEASE", "MADE_AT"]
    kinds = [pa.int64(), pa.int32(), pa.int64(), pa.float32(), pa.string(), pa.string(), pa.timestamp("us")]
    assert table.schema.types == kinds
    assert set(table["RELEASE"].to_pylist()) == {served.release}
    published = datetime.fromisoformat(served.snapshot.manifest.created)
    assert {time.replace(tzinfo=UTC) for time in table["MADE_AT"].to_pylist()} == {published}
    assert table["RANK"].to_pylist() == list(range(1, 21)) * 80
    assert out.startswith(
        f"exported 1,600 rows of release {served.release} to {tmp_path / 'lists.parquet'}: lists 80 by "
    )


def test_a_second_export_is_the_same_bytes(ask: Any, tmp_path: Path) -> None:
    """Also with another number of threads: nothing but the release and the options decides a byte."""
    for name, threads in (("one", 1), ("two", 3)):
        ask("recommendations", tmp_path / f"{name}.parquet", "--why", "--set", f"cf.threads={threads}")
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "two.parquet").read_bytes()


def test_options_of_lists_are_those_of_recommend(ask: Any, served: Recommender, models: Path, tmp_path: Path) -> None:
    """Length, way, filters, collapsing, reasons, some users, and an older release."""
    (tmp_path / "users.txt").write_text("7\n\n3\n", encoding="utf-8-sig")
    options = ("--k", 4, "--by", "blend", "--filter", "tag=Trains", "--collapse", "--why")
    out, _ = ask("recommendations", tmp_path / "some.parquet", *options, "--users", tmp_path / "users.txt", "--json")
    rows = pq.read_table(tmp_path / "some.parquet").to_pylist()
    answers = [
        (user, served.recommend(user, 4, by="blend", filters="tag=Trains", collapse=True, why=True)) for user in (7, 3)
    ]
    assert [(row["USER_ID"], row["GAME_ID"], row["SCORE"], row["BECAUSE"]) for row in rows] == [
        (user, game.game_id, game.score, game.because[0].game_id if game.because else None)
        for user, answer in answers
        for game in answer
    ]
    told = json.loads(out)
    assert told["status"] == "exported"
    assert (told["rows"], told["of"], told["ranked_by"]) == (len(rows), 2, {"blend": 2})
    first = min(path.name for path in (models / "releases").iterdir() if not path.name.startswith("."))
    ask("recommendations", tmp_path / "older.parquet", "--release", first)
    assert set(pq.read_table(tmp_path / "older.parquet")["RELEASE"].to_pylist()) == {first}


def test_similar_factors_and_embeddings(ask: Any, served: Recommender, tmp_path: Path) -> None:
    """Each as its own table: the arrays are the release's, bit for bit."""
    at = served.snapshot
    ask("similar", tmp_path / "similar.parquet", "-k", 3, "--by", "content")
    similar = pq.read_table(tmp_path / "similar.parquet").to_pylist()
    assert [(row["SIMILAR_GAME_ID"], row["SCORE"]) for row in similar] == [
        (game.game_id, game.score) for id_ in at.catalogue.ids for game in served.similar(id_, 3, by="content")
    ]
    ask("embeddings", tmp_path / "embeddings.parquet")
    ask("factors", tmp_path / "users.parquet")
    ask("factors", tmp_path / "games.parquet", "--of", "games")
    for name, key, column, ids, vectors in (
        ("embeddings", "GAME_ID", "EMBEDDING", at.catalogue.ids, at.content.vectors),
        ("users", "USER_ID", "FACTORS", at.people.users.ids(), at.people.factors.many(np.arange(len(at.people.users)))),
        ("games", "GAME_ID", "FACTORS", [at.catalogue.ids[row] for row in at.taste.rows], at.taste.factors),
    ):
        table = pq.read_table(tmp_path / f"{name}.parquet")
        assert table.schema.field(column).type.value_type == pa.float32()
        assert table[key].to_pylist() == ids
        np.testing.assert_array_equal(np.array(table[column].to_pylist(), dtype=np.float32), vectors)


def test_ids_keep_their_types(tmp_path: Path) -> None:
    """Texts stay texts, also where they are numbers."""
    rated, games = ratings(), catalogue()
    rated["USER_ID"] = "user " + rated["USER_ID"].astype(str)
    for frame in (rated, games):
        frame["GAME_ID"] = "0" + frame["GAME_ID"].astype(str)
    models = str(tmp_path / "models")
    publish_marts(tmp_path / "models", games, rated)
    assert run(["export", "recommendations", str(tmp_path / "x.parquet"), "--why", "--models", models]) == 0
    table = pq.read_table(tmp_path / "x.parquet")
    assert {table.schema.field(name).type for name in ("USER_ID", "GAME_ID", "BECAUSE")} == {pa.string()}
    assert table["GAME_ID"][0].as_py().startswith("01")


def test_what_is_asked_wrongly_is_told(ask: Any, tmp_path: Path) -> None:
    """One line that names the value, and an exit code; nothing is written."""
    (tmp_path / "empty.txt").write_text("\n")
    (tmp_path / "wrong.txt").write_text("7\nseven\n")
    for arguments, message in (
        (("--users", tmp_path / "none.txt"), "cannot be read: No such file"),
        (("--users", tmp_path / "empty.txt"), "names nobody"),
        (("--users", tmp_path / "wrong.txt"), "line 2: 'seven' is no user id"),
        (("--filter", "NOTHING=1"), "NOTHING"),
        (("--table", "no table"), "--table 'no table' is no name"),
    ):
        _, err = ask("recommendations", tmp_path / "x.parquet", *arguments, code=78)
        assert message in err
    assert not (tmp_path / "x.parquet").exists()


def test_lists_follow_the_rules_of_the_command(models: Path, tmp_path: Path) -> None:
    """A game that is excluded is in no list, and one that is pinned begins each."""
    for what, column in (("recommendations", "USER_ID"), ("similar", "GAME_ID")):
        path = tmp_path / f"{what}.parquet"
        rules = ["--exclude", str(FIRST_GAME + 1), "--pin", str(FIRST_GAME + 2), "--k", "3"]
        assert run(["export", what, str(path), *rules, "--models", str(models)]) == 0
        rows = pq.read_table(path).to_pandas()
        listed = "GAME_ID" if what == "recommendations" else "SIMILAR_GAME_ID"
        assert FIRST_GAME + 1 not in set(rows[listed])
        first = rows[(rows["RANK"] == 1) & (rows[column] != FIRST_GAME + 2)]
        assert set(first[listed]) == {FIRST_GAME + 2}
