"""``similar``, ``search`` and ``recommend`` answer people with tables and programs with JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

import recsys
from factories.served import CAFE, REPRINT, UNRATED, publish
from factories.tables import FIRST_GAME, WordEncoder
from recsys.cli import run
from recsys.cli.state import State

if TYPE_CHECKING:
    from pathlib import Path

    from recsys.serving import Answer, Recommender


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a store with two releases; the second is current."""
    folder = tmp_path_factory.mktemp("asked")
    publish(folder)
    publish(folder, seed=1)
    return folder


@pytest.fixture(scope="module")
def served(models: Path) -> Recommender:
    """Return the current one in this process."""
    return recsys.load(models / "v1")


@pytest.fixture
def ask(models: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run a command over the store; returns what it printed to stdout and stderr."""

    def ask(*arguments: object, code: int = 0) -> tuple[str, str]:
        # The releases of these tests were embedded by words, which no settings name.
        state = State(encoder=WordEncoder())
        assert run([*map(str, arguments), "--models", str(models)], state) == code
        printed = capsys.readouterr()
        return printed.out, printed.err

    return ask


def answered(printed: tuple[str, str], answer: Answer) -> dict[str, Any]:
    """Check that a command printed an answer as one JSON object, and return what was asked."""
    shown: dict[str, Any] = json.loads(printed[0])
    asked: dict[str, Any] = shown.pop("asked")
    assert shown == answer.to_json()
    return asked


def test_similar_takes_an_id_or_a_name(ask: Any, served: Recommender) -> None:
    """The JSON is the recommender's answer, and says which game was asked about."""
    expected = served.similar(UNRATED, 3, by="content", filters=["tag=Trains"], collapse=True)
    options = ("-k", 3, "--by", "content", "--filter", "tag=Trains", "--collapse", "--json")
    for game in (UNRATED, "night mail"):
        assert answered(ask("similar", game, *options), expected) == {"game_id": UNRATED, "name": "Night Mail"}


def test_a_slip_in_a_name_is_forgiven_and_said(ask: Any) -> None:
    """On stderr, so that what programs read stays clean."""
    out, err = ask("similar", "Cafe Zurch", "--json")
    assert json.loads(out)["asked"]["game_id"] == CAFE
    assert err == f"taking 'Cafe Zurch' for Café Zürich ({CAFE})\n"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("economic game", "the nearest names are The Economic Game"),
        ("nig", "the nearest names are Night Mail (201)"),
        ("qqq", "no game is called anything like 'qqq'; try another part of the name, or describe it: recsys search"),
        ("999999", "no game has the id 999999"),
    ],
)
def test_a_name_in_doubt_is_asked_back(ask: Any, name: str, words: str) -> None:
    """Nothing is guessed: exit 65 and the names that may be meant, with their ids."""
    out, err = ask("similar", name, code=65)
    assert out == ""
    assert words in err


def test_one_name_of_several_games_is_the_most_rated_and_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The other games of that name are named with their ids."""
    publish(tmp_path, names={UNRATED: "The Trains Game 102"})
    assert run(["similar", "the trains game 102", "--models", str(tmp_path), "--json"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["asked"]["game_id"] == FIRST_GAME + 2
    assert f"also: The Trains Game 102 ({UNRATED})" in printed.err


def test_recommend_answers_for_a_user_with_reasons(ask: Any, served: Recommender) -> None:
    """By taste, unless another way is asked for."""
    assert answered(ask("recommend", 3, "--json"), served.recommend(3, why=True)) == {"user_id": 3}
    blend = served.recommend(3, 5, by="blend", why=True)
    assert answered(ask("recommend", 3, "--by", "blend", "-k", 5, "--json"), blend) == {"user_id": 3}


def test_recommend_answers_from_likes(ask: Any, served: Recommender) -> None:
    """Names and ids may be mixed; by blend, unless another way is asked for."""
    asked = answered(
        ask("recommend", "--like", "Night Mail", "--like", FIRST_GAME, "--json"),
        served.recommend_from([UNRATED, FIRST_GAME], why=True),
    )
    assert [game["game_id"] for game in asked["liked"]] == [UNRATED, FIRST_GAME]


def test_recommend_answers_from_ratings_and_dislikes(ask: Any, served: Recommender) -> None:
    """Beside likes or alone; a name may hold an equals sign, what follows the last one is the rating."""
    asked = answered(
        ask("recommend", "--like", "Night Mail", "--rate", f"{FIRST_GAME}=2.5", "--dislike", FIRST_GAME + 1, "--json"),
        served.recommend_from([UNRATED], ratings={FIRST_GAME: 2.5}, dislikes=[FIRST_GAME + 1], why=True),
    )
    assert [game["game_id"] for game in asked["liked"]] == [UNRATED]
    assert [(game["game_id"], game["rating"]) for game in asked["rated"]] == [(FIRST_GAME, 2.5)]
    assert [game["game_id"] for game in asked["disliked"]] == [FIRST_GAME + 1]
    out, _ = ask("recommend", "--rate", f"{FIRST_GAME}=9", "--dislike", FIRST_GAME + 1, "--by", "content")
    assert f"for somebody who rates The Economic Game {FIRST_GAME} 9; dislikes The Fantasy Game 101" in out
    assert "did not count: The Fantasy Game 101 (only texts of liked games count)" in " ".join(out.split())


@pytest.mark.parametrize(
    ("rated", "code", "words"),
    [
        (["Night Mail"], 2, "a game and a number are expected, such as Catan=9"),
        (["Night Mail=nine"], 2, "a game and a number are expected"),
        (["=9"], 2, "a game and a number are expected"),
        (["Night Mail=9", f"{UNRATED}=8"], 2, "Night Mail was rated 9 before"),
        (["Night Mail=11"], 78, "a number from 1 to 10 is expected"),
        (["Night Mail=nan"], 78, "a number from 1 to 10 is expected"),
        (["No Such Game=9"], 65, "No Such Game"),
    ],
)
def test_a_wrong_rating_is_told(ask: Any, rated: list[str], code: int, words: str) -> None:
    """What is no rating is a wrong command line; one outside the scale is a wrong question."""
    _, err = ask("recommend", *(part for text in rated for part in ("--rate", text)), code=code)
    assert words in " ".join(err.replace("│", " ").split())


def test_a_table_for_people(ask: Any, served: Recommender) -> None:
    """Names, scores and reasons, in the order of the answer, and the release that they come from."""
    out, _ = ask("recommend", 3, "-k", 4)
    lines = [" ".join(line.split()) for line in out.splitlines() if line.strip()]
    assert lines[0] == "id game score by taste because of"
    rows = [line for line in lines if line[0].isdigit()]
    for line, game in zip(rows, served.recommend(3, 4, why=True), strict=False):
        reason = game.because[0]
        assert line.startswith(f"{game.game_id} {game.name} {game.score:.3f} {reason.name} {reason.share:.0%}")
    assert rows[4:] == [f"4 games from release {served.release}"]


def test_an_unknown_user_is_told_what_the_list_is(ask: Any, served: Recommender) -> None:
    """The most rated games, with their numbers of ratings, and why."""
    out, _ = ask("recommend", 999_999, "-k", 2)
    assert "user 999999 is not among the 80 users" in out
    assert "ratings" in out
    best = served.recommend(999_999, 1)[0]
    assert f"{best.score:,.0f}" in out


@pytest.mark.parametrize("arguments", [(), (3, "--like", "Night Mail")])
def test_somebody_is_a_user_or_has_likes(ask: Any, arguments: tuple[object, ...]) -> None:
    """Neither, or both, is a wrong command line."""
    _, err = ask("recommend", *arguments, code=2)
    assert "name either a user or" in err


def test_a_user_id_that_can_be_none_is_said(ask: Any) -> None:
    """Ids of this release are whole numbers: a name is a mistake, and no unknown user."""
    assert "'jo' is no user id" in ask("recommend", "jo", code=78)[1]


def test_an_id_in_another_spelling_is_named(ask: Any) -> None:
    """For a game and for a user, as in Python and over HTTP: the id that may be meant is said, and not taken."""
    assert f"did you mean {FIRST_GAME}?" in ask("similar", f"{FIRST_GAME}.0", code=65)[1]
    assert "did you mean 1?" in ask("recommend", "1.0", code=78)[1]


def test_a_release_that_is_not_current_can_be_asked(ask: Any, models: Path) -> None:
    """Before it is promoted, or long after; one that is not there is an error."""
    older = min(path.name for path in (models / "releases").iterdir())
    out, _ = ask("similar", FIRST_GAME, "--release", older, "--json")
    assert json.loads(out)["release"] == older
    assert "there is no release" in ask("similar", FIRST_GAME, "--release", "none", code=76)[1]


def test_a_wrong_filter_is_explained(ask: Any) -> None:
    """Exit 78, with the tag that may be meant."""
    assert "did you mean Economic" in ask("similar", REPRINT, "--filter", "tag=Econmic", code=78)[1]


def test_rules_are_options_of_every_list(ask: Any, served: Recommender) -> None:
    """As in Python: the same list and the same notes."""
    options = ["--boost", "tag=Trains:0.5", "--exclude", 100, "--at-most", "tag:3", "--diversity", 0.2, "--pin", 201]
    rules = {"boost": {"tag=Trains": 0.5}, "exclude": [100], "at_most": {"tag": 3}, "diversity": 0.2, "pin": [201]}
    answered(ask("recommend", 3, "--json", *options), served.recommend(3, rules=rules, why=True))
    answered(ask("recommend", "--like", 104, "--json", *options), served.recommend_from([104], rules=rules, why=True))
    answered(ask("similar", 104, "--json", *options), served.similar(104, rules=rules))
    few: dict[str, Any] = {"only": [101, 105], "bury": {"tag=Nothing": 1}}
    printed = ask("similar", 104, "--json", "--only", 101, "--only", 105, "--bury", "tag=Nothing:1")
    answered(printed, served.similar(104, rules=few))


@pytest.mark.parametrize(
    ("option", "words"),
    [
        (("--boost", "tag=Trains"), "not of the form CONDITION:STRENGTH"),
        (("--at-most", "tag:none"), "not of the form NAME:NUMBER"),
        (("--pin", "catan"), "'catan' is no game id"),
        (("--diversity", "nan"), "from 0 (off) to 1"),
        (("--scenario", "homepage"), "no scenario 'homepage'"),
    ],
)
def test_a_wrong_rule_ends_with_78(ask: Any, option: tuple[str, str], words: str) -> None:
    """As every wrong argument of a question does."""
    assert words in ask("recommend", 3, *option, code=78)[1]


def test_search_goes_by_description(ask: Any, models: Path) -> None:
    """The same answer as the recommender's."""
    expected = recsys.load(models / "v1", encoder=WordEncoder()).search("all about trains", 4)
    asked = answered(ask("search", "all about trains", "-k", 4, "--json"), expected)
    assert asked == {"text": "all about trains"}
