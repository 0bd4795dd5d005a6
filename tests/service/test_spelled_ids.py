"""Every id that a release holds can be asked for over HTTP, whatever signs it is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

import httpx
import pytest

from factories.served import EXTRA, catalogue, publish_marts
from factories.tables import FIRST_GAME, ratings
from standins.server import running

if TYPE_CHECKING:
    from collections.abc import Iterator

ODD = [
    "L" * 5000, "a/b", "/first", "last/", "a//b", "50%", "%2F", "100%25", "q?k=2", "#1", "a b", " x", "Zoë 日本", "+",
    "a&b=c", '"', "a/../b", "user", "from", "a;b", "\\", "2/3/4",
]  # fmt: skip
ONLY_PARAMETERS = [".", "..", "line\nbreak"]
"""Ids that no path can hold: clients shorten it, and frameworks end it."""


def game(id_: str) -> str:
    """Return an id as a part of an address."""
    return quote(id_, safe="")


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """Return a client of a server over a release whose games and users have odd ids."""
    models = tmp_path_factory.mktemp("models")
    ids = dict(enumerate([*ODD, *ONLY_PARAMETERS]))
    games, rated = catalogue(), ratings()
    games["GAME_ID"] = games["GAME_ID"].map(lambda id_: ids.get(id_ - FIRST_GAME, str(id_)))
    rated["GAME_ID"] = rated["GAME_ID"].map(lambda id_: ids.get(id_ - FIRST_GAME, str(id_)))
    rated["USER_ID"] = rated["USER_ID"].map(lambda id_: ids.get(id_, str(id_)))
    assert set(games.columns) == set(EXTRA.columns)
    publish_marts(models, games, rated)
    with (
        running("-m", "recsys", "serve", "--models", models, "--port", "0", log=models / "log") as (_, address),
        httpx.Client(base_url=address, timeout=30) as client,
    ):
        yield client


@pytest.mark.parametrize("id_", [*ODD, *ONLY_PARAMETERS], ids=ascii)
def test_every_id_is_asked_for_by_parameters(client: httpx.Client, id_: str) -> None:
    """A game, a user, a like, and both at once."""
    assert client.get("/similar", params={"game": id_, "by": "content"}).json()["games"]
    assert client.get("/recommend/user", params={"user": id_}).json()["by"] == "taste"
    assert client.get("/recommend/from", params={"like": [id_, "130"]}).json()["by"] == "blend"
    assert client.get("/explain", params={"user": id_, "game": id_}).json()["game_id"] == id_


@pytest.mark.parametrize("id_", ODD, ids=ascii)
def test_an_id_is_a_part_of_a_path(client: httpx.Client, id_: str) -> None:
    """Encoded, as every client's library does it; the answers are those by parameters."""
    by_parameters = client.get("/similar", params={"game": id_}).json()
    assert client.get(f"/similar/{game(id_)}").json() == by_parameters
    assert client.get(f"/recommend/user/{game(id_)}").json()["by"] == "taste"


@pytest.mark.parametrize("id_", [id_ for id_ in ODD if not id_.startswith("/")], ids=ascii)
def test_two_ids_in_one_path_are_told_apart(client: httpx.Client, id_: str) -> None:
    """A slash of the user's id is ``%2F``; one of the game's may be plain."""
    assert client.get(f"/explain/{game(id_)}/{game(id_)}").json()["game_id"] == id_
    assert client.get(f"/explain/{game(id_)}/2/3/4").json()["game_id"] == "2/3/4"


@pytest.mark.parametrize("route", ["/similar", "/recommend/user", "/explain", "/explain?user=a"])
def test_a_parameter_that_is_missing_is_named(client: httpx.Client, route: str) -> None:
    """422, with its name."""
    response = client.get(route)
    assert response.status_code == 422
    assert ": Field required" in response.json()["message"]


def test_the_routes_are_documented(client: httpx.Client) -> None:
    """In OpenAPI, each beside the one whose path holds the ids."""
    paths = client.get("/openapi.json").json()["paths"]
    for one, names in {"/similar": ["game"], "/recommend/user": ["user"], "/explain": ["user", "game"]}.items():
        required = [each["name"] for each in paths[one]["get"]["parameters"] if each["required"]]
        assert required == names
    assert {"/similar/{game_id}", "/recommend/user/{user_id}", "/explain/{user_id}/{game_id}"} <= set(paths)
