"""Exported lists are those of ``recommend`` and ``similar``: the same games, bits of scores, ways and first reasons."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import recsys
from factories.served import catalogue, publish_marts
from factories.tables import ratings
from recsys.errors import ArgumentError
from recsys.export import Options, export, open_target, table_of
from recsys.serving import ListOptions

if TYPE_CHECKING:
    from pathlib import Path

    from recsys.serving import Answer, Recommender
    from recsys.serving.answers import Way

DISLIKER, OUTSIDER = 500, 501
"""A user none of whose ratings counts, and one who has rated a game that the catalogue lacks."""
UNLISTED = 999
RULES = {"boost": {"tag=Trains": 0.7}, "exclude": [100], "pin": [101], "at_most": {"tag": 2}, "diversity": 0.3}


def marts() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the small marts with two odd users."""
    more = pd.DataFrame(
        {"USER_ID": [DISLIKER, DISLIKER, OUTSIDER], "GAME_ID": [100, 101, UNLISTED], "RATING": [2.0, 1.0, 9.0]}
    )
    return catalogue(), pd.concat([ratings(), more], ignore_index=True)


@pytest.fixture(scope="module", params=["both halves", "factors alone"])
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Recommender:
    """Return what serves a release of these marts."""
    weight = 0.4 if request.param == "both halves" else 0.0
    folder = tmp_path_factory.mktemp("lists")
    publish_marts(folder, *marts(), confidence="liked", item_weight=weight)
    return recsys.load(folder / "v1")


def rows_of(served: Recommender, what: Any, options: Options) -> pa.Table:
    """Return a whole table."""
    table = table_of(served, what, options)
    return pa.Table.from_batches(list(table.batches), schema=table.schema)


def expected(key: Any, answer: Answer, *, why: bool) -> list[tuple[Any, ...]]:
    """Return the rows that an answer should be, with the bits of its scores."""
    rows = []
    for rank, game in enumerate(answer, 1):
        reason = [game.because[0].game_id if game.because else None] if why else []
        bits = int(np.float32(game.score).view(np.int32))
        rows.append((key, rank, game.game_id, bits, *reason, answer.by))
    return rows


def written(table: pa.Table) -> list[tuple[Any, ...]]:
    """Return the rows of a table but for where they come from, with the bits of the scores."""
    bits = table["SCORE"].to_numpy().view(np.int32).tolist()
    columns = [bits if name == "SCORE" else table[name].to_pylist() for name in table.column_names[:-2]]
    return list(zip(*columns, strict=True))


@pytest.mark.parametrize("by", ["taste", "content", "blend"])
@pytest.mark.parametrize(
    "options",
    [
        {"k": 7},
        {"k": 60},
        {"k": 3, "why": True},
        {"k": 5, "filters": ["tag=Trains"]},
        {"k": 5, "collapse": True},
        {"k": 5, "rules": RULES},
    ],
    ids=str,
)
def test_recommendations_are_those_of_recommend(served: Recommender, by: Way, options: dict[str, Any]) -> None:
    """For every user, also those without a taste, who get what ``recommend`` gives them."""
    expected_rows = []
    users = served.snapshot.people.users.ids()
    for user in users:
        expected_rows += expected(user, served.recommend(user, by=by, **options), why=options.get("why", False))
    lists = ListOptions(**options)
    assert written(rows_of(served, "recommendations", Options(by, lists))) == expected_rows
    assert {DISLIKER, OUTSIDER} <= set(users)


def test_who_has_no_taste_is_told_apart(served: Recommender) -> None:
    """Their list is the most rated games, and says so: such scores are numbers of ratings."""
    table = table_of(served, "recommendations", Options())
    rows = pa.Table.from_batches(list(table.batches)).to_pandas()
    assert set(rows[rows["USER_ID"] == DISLIKER]["RANKED_BY"]) == {"popularity"}
    assert set(rows[rows["USER_ID"] != DISLIKER]["RANKED_BY"]) == {"taste"}
    assert table.lists is not None
    assert table.lists.ranked_by == {"taste": rows["USER_ID"].nunique() - 1, "popularity": 1}


@pytest.mark.parametrize("by", ["taste", "content", "blend"])
def test_similar_games_are_those_of_similar(served: Recommender, by: Way) -> None:
    """For every game; by taste, games that have none have no rows."""
    at = served.snapshot
    asked = [id_ for row, id_ in enumerate(at.catalogue.ids) if by != "taste" or at.taste.has(row)]
    for rules in (None, {"bury": {"tag=Trains": 0.7}, "exclude": [100]}):
        rows = [row for id_ in asked for row in expected(id_, served.similar(id_, 6, by=by, rules=rules), why=False)]
        assert written(rows_of(served, "similar", Options(by, ListOptions(6, rules=rules)))) == rows
    assert len(asked) < len(at.catalogue) or by != "taste"


def test_some_users_are_asked_for_in_their_order(served: Recommender) -> None:
    """Each once; somebody unknown gets the most rated games, as ``recommend`` answers."""
    rows = rows_of(served, "recommendations", Options(users=[7, 123_456, 3, 7], lists=ListOptions(2)))
    expected_rows = [row for user in (7, 123_456, 3) for row in expected(user, served.recommend(user, 2), why=False)]
    assert written(rows) == expected_rows


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_no_number_of_threads_changes_a_row(served: Recommender, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where many parts are on their way at once."""
    monkeypatch.setattr("recsys.export.lists.AT_ONCE", 5)
    monkeypatch.setattr("recsys.export.lists.ROWS", 40)
    lists = ListOptions(9, why=True)
    alone = rows_of(served, "recommendations", Options(lists=lists, threads=1))
    assert rows_of(served, "recommendations", Options(lists=lists, threads=threads)).equals(alone)


def test_rules_that_leave_nothing_or_name_nothing_are_told(served: Recommender, tmp_path: Path) -> None:
    """An empty table takes nobody's place; what names nothing is a note; lists that are shorter are counted."""
    target = open_target(str(tmp_path / "lists.parquet"), "RECOMMENDATIONS")
    done = export(table_of(served, "recommendations", Options(lists=ListOptions(3, rules={"exclude": [-7]}))), target)
    assert (done.short, len(done.notes)) == (0, 1)
    assert "-7" in done.notes[0]
    before = (tmp_path / "lists.parquet").read_bytes()
    with pytest.raises(ArgumentError, match=r"the table would be empty: .*only.*nothing was written"):
        export(table_of(served, "recommendations", Options(lists=ListOptions(3, rules={"only": [-7]}))), target)
    assert (tmp_path / "lists.parquet").read_bytes() == before
    done = export(table_of(served, "recommendations", Options(lists=ListOptions(3, rules={"only": [100]}))), target)
    assert done.short == done.of


def test_a_wrong_question_is_refused_before_any_list(served: Recommender) -> None:
    """A filter that is none, a way that is none, and reasons where there are none."""
    for what, options in (
        ("recommendations", Options(lists=ListOptions(3, filters=["NO_COLUMN=3"]))),
        ("recommendations", Options(by="popularity")),  # type: ignore[arg-type]
        ("similar", Options(lists=ListOptions(3, why=True))),
    ):
        with pytest.raises(ArgumentError):
            table_of(served, what, options)  # type: ignore[arg-type]
