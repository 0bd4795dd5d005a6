"""Somebody in the body of a request: the recommender's own answers, and what is no body is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

import recsys
from factories.served import UNRATED, catalogue, publish, publish_marts
from factories.tables import FIRST_GAME, WordEncoder, ratings
from standins.server import running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from recsys.serving import Recommender

LIKED, HIGH, LOW, DISLIKED = FIRST_GAME, FIRST_GAME + 4, FIRST_GAME + 1, FIRST_GAME + 2


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a store with one release, whose ids are whole numbers."""
    folder = tmp_path_factory.mktemp("models")
    publish(folder)
    return folder


@pytest.fixture(scope="module")
def served(models: Path) -> Recommender:
    """Return it in this process."""
    return recsys.load(models / "v1", encoder=WordEncoder())


@pytest.fixture(scope="module")
def client(models: Path) -> Iterator[httpx.Client]:
    """Return a client of a server over it."""
    with (
        running("-m", "recsys", "serve", "--models", models, "--port", "0", log=models / "log") as (_, address),
        httpx.Client(base_url=address, timeout=30) as client,
    ):
        yield client


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"likes": [LIKED, HIGH]}, {"liked_game_ids": [LIKED, HIGH]}),
        ({"likes": [str(LIKED)], "k": 3, "by": "taste"}, {"liked_game_ids": [LIKED], "k": 3, "by": "taste"}),
        (
            {"ratings": {str(HIGH): 9, str(LOW): 2.5}, "dislikes": [DISLIKED], "why": True},
            {"ratings": {HIGH: 9, LOW: 2.5}, "dislikes": [DISLIKED], "why": True},
        ),
        (
            {"likes": [LIKED], "ratings": [{"game_id": HIGH, "rating": 9}, {"game_id": str(LOW), "rating": 2}]},
            {"liked_game_ids": [LIKED], "ratings": {HIGH: 9, LOW: 2}},
        ),
        (
            {
                "likes": [LIKED],
                "exclude": [str(HIGH)],
                "pin": [LOW],
                "boost": {"tag=Trains": 0.5},
                "at_most": {"tag": 2},
            },
            {
                "liked_game_ids": [LIKED],
                "rules": {"exclude": [HIGH], "pin": [LOW], "boost": {"tag=Trains": 0.5}, "at_most": {"tag": 2}},
            },
        ),
        (
            {"likes": [LIKED], "newcomers": [3, 2], "k": 4},
            {"liked_game_ids": [LIKED], "rules": {"newcomers": [2, 3]}, "k": 4},
        ),
        (
            {"likes": [LIKED], "only": [HIGH, LOW], "bury": {"tag=Trains": 1}, "diversity": 0.25},
            {"liked_game_ids": [LIKED], "rules": {"only": [HIGH, LOW], "bury": {"tag=Trains": 1}, "diversity": 0.25}},
        ),
        (
            {"likes": [LIKED], "filters": ["tag=Trains|Bluffing"], "collapse": True, "by": "content", "k": 1000},
            {
                "liked_game_ids": [LIKED],
                "filters": ["tag=Trains|Bluffing"],
                "collapse": True,
                "by": "content",
                "k": 1000,
            },
        ),
        ({"likes": [UNRATED], "by": "taste"}, {"liked_game_ids": [UNRATED], "by": "taste"}),
        ({"dislikes": [DISLIKED]}, {"dislikes": [DISLIKED]}),
        ({}, {}),
    ],
)
def test_a_body_is_answered_as_in_python(
    client: httpx.Client, served: Recommender, body: dict[str, Any], said: dict[str, Any]
) -> None:
    """To the last digit, and with what was used."""
    response = client.post("/recommend/from", json=body)
    assert response.status_code == 200
    answer = response.json()
    assert answer == served.recommend_from(**said).to_json()
    assert set(answer["used"]) == {"likes", "ratings", "dislikes", "unused"}


def test_likes_posted_are_likes_in_the_address(client: httpx.Client) -> None:
    """Both ways to ask give one answer."""
    posted = client.post("/recommend/from", json={"likes": [LIKED, UNRATED], "k": 7, "why": True}).json()
    assert posted == client.get(f"/recommend/from?like={LIKED}&like={UNRATED}&k=7&why=true").json()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"liked": [LIKED]}, "liked: Extra inputs are not permitted"),
        ({"likes": {str(LIKED): 9}}, "likes: {'100': 9}: Input should be a valid list"),
        ({"likes": [100.0]}, "likes: 100.0: Input should be a valid integer"),
        ({"dislikes": [True]}, "dislikes: True: Input should be a valid integer"),
        ({"likes": ["catan"]}, "'catan' is no game id"),
        ({"ratings": {"1e2": 9}}, "'1e2' is no game id"),
        ({"ratings": {str(LIKED): "9"}}, "ratings: '9': Input should be a valid number"),
        ({"ratings": {str(LIKED): True}}, "ratings: True: Input should be a valid number"),
        ({"ratings": {str(LIKED): None}}, "ratings: None: Input should be a valid number"),
        ({"ratings": {str(LIKED): 11}}, "game 100 is 11.0: a number from 1 to 10 is expected"),
        ({"ratings": [{"game_id": LIKED}]}, "ratings: {'game_id': 100}: Field required"),
        ({"ratings": [{"game_id": LIKED, "rating": 9, "at": 1}]}, "ratings: 1: Extra inputs are not permitted"),
        ({"ratings": [{"game_id": LIKED, "rating": 9}, {"game_id": "100", "rating": 2}]}, "game 100 is rated 9 and 2"),
        ({"ratings": 9}, "ratings: 9: Input should be a valid dictionary"),
        ({"likes": [LIKED], "dislikes": [LIKED]}, "game 100 is named in likes and in dislikes"),
        ({"likes": [LIKED] * 10_001}, "should have at most 10000 items"),
        ({"likes": [LIKED], "pin": [HIGH], "exclude": [HIGH]}, "pin"),
        ({"likes": [LIKED], "boost": {"tag=Trains": "much"}}, "Input should be a valid number"),
        ({"likes": [LIKED], "scenario": "homepage"}, "homepage"),
        ({"k": 0}, "k: Input should be greater than or equal to 1"),
        ({"k": 1001}, "k: Input should be less than or equal to 1000"),
        ({"k": "3"}, "k: Input should be a valid integer"),
        ({"by": "price"}, "by: Input should be 'taste', 'content' or 'blend'"),
        ({"filters": ["tag=Econmic"], "likes": [LIKED]}, "did you mean Economic"),
        ([LIKED], "body: Input should be a valid dictionary"),
    ],
)
def test_a_wrong_body_says_why(client: httpx.Client, body: Any, words: str) -> None:
    """422, the name of the field and the value seen, in the words of every other refusal."""
    response = client.post("/recommend/from", json=body)
    assert response.status_code == 422
    assert set(response.json()) == {"error", "message"}
    assert response.json()["error"].startswith("Argument")
    assert words in response.json()["message"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        b"\x98",
        "[" * 100_000,
        f'{{"likes": [{"9" * 5000}]}}',
        f'{{"ratings": {{"100": {"9" * 400}}}}}',
        '{"ratings": {"100": NaN}}',
        '{"ratings": {"100": 1e999}}',
    ],
    ids=["empty", "cut", "no-utf8", "nested", "long", "large", "nan", "infinite"],
)
def test_what_is_no_json_or_no_number_is_told(client: httpx.Client, text: str | bytes) -> None:
    """422 too: NaN and what is beyond all numbers is no rating."""
    response = client.post("/recommend/from", content=text, headers={"Content-Type": "application/json"})
    assert response.status_code == 422
    assert set(response.json()) == {"error", "message"}


@pytest.mark.parametrize("text", ['{"likes": [100], "likes": [101]}', '{"ratings": {"100": 9, "100": 2}}'])
def test_a_key_that_stands_twice_is_refused(client: httpx.Client, text: str) -> None:
    """Of two a parser keeps the last, and would not say so."""
    answer = client.post("/recommend/from", content=text, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert "stands twice" in answer.json()["message"]


def test_an_unknown_game_is_404(client: httpx.Client) -> None:
    """As in an address."""
    response = client.post("/recommend/from", json={"ratings": [{"game_id": 5, "rating": 9}]})
    assert response.status_code == 404
    assert "game 5 is not among" in response.json()["message"]


def test_ten_thousand_games_can_be_named(client: httpx.Client) -> None:
    """Many more than an address holds; the same one counts once."""
    answer = client.post("/recommend/from", json={"likes": [LIKED] * 10_000}).json()
    assert answer["used"]["likes"] == 1


def test_the_body_is_documented(client: httpx.Client) -> None:
    """In OpenAPI, with both forms of ratings and what each field means."""
    document = client.get("/openapi.json").json()
    assert "requestBody" in document["paths"]["/recommend/from"]["post"]
    body = document["components"]["schemas"]["VisitorBody"]
    assert body["additionalProperties"] is False
    rules = {"only", "exclude", "boost", "bury", "diversity", "at_most", "pin", "newcomers", "scenario"}
    asked = {"likes", "ratings", "dislikes", "k", "by", "filters", "collapse", "why"}
    assert set(body["properties"]) == asked | rules
    assert all(field["description"] for field in body["properties"].values())
    assert [form["type"] for form in body["properties"]["ratings"]["oneOf"]] == ["object", "array"]


def test_ids_that_are_texts_are_posted_as_they_are(tmp_path: Path) -> None:
    """A text is the id itself, in a list and as a key; a number names no game there."""
    games, rated = catalogue(), ratings()
    games["GAME_ID"], rated["GAME_ID"] = games["GAME_ID"].astype(str), rated["GAME_ID"].astype(str)
    publish_marts(tmp_path, games, rated)
    with running("-m", "recsys", "serve", "--models", tmp_path, "--port", "0", log=tmp_path / "log") as (_, address):
        body = {"likes": [str(LIKED)], "ratings": {str(HIGH): 9, str(LOW): 2}}
        answer = httpx.post(f"{address}/recommend/from", json=body, timeout=30).json()
        assert answer["used"] == {"likes": 1, "ratings": 2, "dislikes": 0, "unused": []}
        refused = httpx.post(f"{address}/recommend/from", json={"likes": [LIKED]}, timeout=30)
        assert refused.status_code == 404
        assert "did you mean '100'?" in refused.json()["message"]
