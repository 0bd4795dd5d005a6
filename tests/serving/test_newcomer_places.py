"""Places of a list that are kept for games which no rating speaks of."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

import recsys
from factories.served import CAFE, REPRINT, UNRATED, publish
from factories.tables import FIRST_GAME, WordEncoder
from recsys.cli import run
from recsys.errors import ArgumentError
from recsys.serving import Recommender, Rules

if TYPE_CHECKING:
    from pathlib import Path

NEW = {REPRINT, UNRATED, CAFE}


@pytest.fixture(scope="module", params=[{}, {"item_weight": 0.5}], ids=["factors", "item-item"])
def served(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Recommender:
    """Return the recommender of a release with three games that nobody has rated."""
    folder = tmp_path_factory.mktemp("newcomers")
    publish(folder, **request.param)
    return recsys.load(folder / "v1", encoder=WordEncoder())


def someone(served: Recommender) -> Any:
    """Return a user with a taste."""
    return served.snapshot.people.users.id_of(3)


def fresh(served: Recommender, **more: Any) -> list[Any]:
    """Return the newcomers in the order in which a blend ranks them for this user."""
    return [id_ for id_ in served.recommend(someone(served), 1000, by="blend", **more).ids if id_ in NEW]


def test_places_hold_the_best_newcomers_and_the_others_keep_their_order(served: Recommender) -> None:
    """By taste, which has none of them otherwise; whatever order the places are given in."""
    plain = served.recommend(someone(served), 8).ids
    assert not NEW & set(plain)
    ruled = served.recommend(someone(served), 8, rules={"newcomers": [7, 3]}).ids
    assert [ruled[2], ruled[6]] == fresh(served)[:2]
    assert [id_ for id_ in ruled if id_ not in NEW] == plain[:6]
    assert served.recommend(someone(served), 2, rules={"newcomers": [7, 3]}).ids == plain[:2]


def test_a_blend_gives_them_places_beside_those_that_they_earn(served: Recommender) -> None:
    """No game stands there twice."""
    for place in range(1, 9):
        listed = served.recommend(someone(served), 40, by="blend", rules={"newcomers": [place]}).ids
        assert len(set(listed)) == len(listed)
    short = served.recommend(someone(served), 3, by="blend").ids
    ruled = served.recommend(someone(served), 3, by="blend", rules={"newcomers": [2]}).ids
    rest = [id_ for id_ in fresh(served) if id_ not in short]
    assert ruled == [short[0], rest[0], short[1]]


def test_a_newcomer_has_reasons(served: Recommender) -> None:
    """The liked games that speak for it in a blend; the others have those by taste."""
    user = someone(served)
    answer = served.recommend(user, 4, why=True, rules={"newcomers": [2]})
    new, others = answer[1], [answer[0], *answer[2:]]
    (blended,) = [game for game in served.recommend(user, 1000, by="blend", why=True) if game.game_id == new.game_id]
    plain = served.recommend(user, 3, why=True)
    assert new.because
    for game, same in ((new, blended), *zip(others, plain, strict=True)):
        assert [reason.game_id for reason in game.because] == [reason.game_id for reason in same.because]
        assert [reason.share for reason in game.because] == pytest.approx([reason.share for reason in same.because])


def test_visitors_get_them_too(served: Recommender) -> None:
    """Of somebody of whom two likes are known."""
    listed = served.recommend_from([FIRST_GAME, FIRST_GAME + 4], 6, by="taste", rules={"newcomers": [1]}).ids
    assert listed[0] in NEW
    assert not NEW & set(listed[1:])


def test_where_there_are_fewer_the_list_goes_on(served: Recommender) -> None:
    """Five places and three newcomers; and a list that ends before its places."""
    ruled = served.recommend(someone(served), 12, rules={"newcomers": [1, 3, 5, 7, 9]}).ids
    assert len(ruled) == 12
    assert [place + 1 for place, id_ in enumerate(ruled) if id_ in NEW] == [1, 3, 5]
    some = served.recommend(someone(served), 4).ids
    only = served.recommend(someone(served), 9, rules={"only": [*some, UNRATED], "newcomers": [9]})
    assert only.ids == [*some, UNRATED]


def test_other_rules_hold_for_them(served: Recommender) -> None:
    """Filters, exclusions, boosts, limits and pins."""
    user = someone(served)
    best, second, *_ = fresh(served)
    assert served.recommend(user, 5, rules={"newcomers": [2], "exclude": [best]}).ids[1] == second
    assert served.recommend(user, 5, filters="tag=Trains", rules={"newcomers": [1]}).ids[0] == UNRATED
    boosted = served.recommend(user, 5, rules={"newcomers": [1], "boost": {"tag=Bluffing": 50}}).ids
    assert boosted[0] == CAFE
    pinned = served.recommend(user, 5, rules={"pin": [FIRST_GAME], "newcomers": [2]}).ids
    assert pinned[:2] == [FIRST_GAME, best]
    limited = served.recommend(user, 6, rules={"newcomers": [1, 2, 3], "at_most": {"MECHANICS": 4}})
    catalogue = served.snapshot.catalogue
    tags = [catalogue.tags["MECHANICS"][catalogue.row(id_)] for id_ in limited.ids]
    assert sum("Hand Management" in own for own in tags) <= 4


def test_of_nobody_no_newcomer_is_known(served: Recommender) -> None:
    """A stranger, and a question about a game: the list is as otherwise, and the answer says so."""
    for ruled, plain in (
        (served.recommend(999_999, 5, rules={"newcomers": [2]}), served.recommend(999_999, 5)),
        (served.similar(FIRST_GAME, 5, rules={"newcomers": [2]}), served.similar(FIRST_GAME, 5)),
    ):
        assert ruled.ids == plain.ids
        assert "no place was kept" in ruled.note


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ({"newcomers": [0]}, "0 is no place of a list"),
        ({"newcomers": [True]}, "True is no place"),
        ({"newcomers": [2.0]}, r"2\.0 is no place"),
        ({"newcomers": "10"}, r"'10' is no list of places such as \[10, 20\]"),
        ({"newcomers": 10}, "10 is no list of places"),
        ({"newcomers": [4, 4]}, "place 4 stands there twice"),
        ({"newcomers": [2], "pin": [100, 101]}, "place 2 is a pinned game's; give places from 3 on"),
    ],
)
def test_what_is_no_place_is_refused(rules: dict[str, Any], words: str) -> None:
    """With what was given and what would be right."""
    with pytest.raises(ArgumentError, match=words):
        Rules.of(rules)


def test_they_are_kept_in_a_scenario() -> None:
    """As JSON, and a question's own places in place of the scenario's."""
    rules = Rules(newcomers=iter([20, 10]))
    assert rules.as_json() == {"newcomers": [10, 20]}
    assert Rules.of(rules.as_json()) == rules
    assert Rules().over(rules).places == (10, 20)
    assert Rules(newcomers=[3]).over(rules).places == (3,)
    assert hash(rules) != hash(Rules())


def test_the_command_line_asks_for_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As Python does; an export has the same lists."""
    folder = publish(tmp_path).parents[1]
    served = recsys.load(folder / "v1", encoder=WordEncoder())
    user = someone(served)
    wanted = served.recommend(user, 5, rules={"newcomers": [2, 4]}).ids
    arguments = [str(user), "-k", "5", "--newcomers", "4", "--newcomers", "2", "--models", str(folder), "--json"]
    assert run(["recommend", *arguments]) == 0
    assert [game["game_id"] for game in json.loads(capsys.readouterr().out)["games"]] == wanted
    table = tmp_path / "lists.parquet"
    assert run(["export", "recommendations", str(table), "-k", "5", "--newcomers", "2", "--newcomers", "4",
                "--models", str(folder)]) == 0  # fmt: skip
    import pyarrow.parquet as pq

    rows = [row for row in pq.read_table(table).to_pylist() if row["USER_ID"] == user]
    assert [row["GAME_ID"] for row in sorted(rows, key=lambda row: row["RANK"])] == wanted
