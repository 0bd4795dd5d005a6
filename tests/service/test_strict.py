"""A server that takes what it declares, and says of each answer what it is: parameters, ids, probes, ETags, limits."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import httpx
import pytest

from factories.served import publish
from factories.tables import FIRST_GAME
from standins.server import running, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROUTES = [
    "/", "/docs", "/docs/swagger-ui.css", "/docs/swagger-ui-bundle.js", "/openapi.json", "/live", "/ready", "/health",
    "/metrics", f"/similar/{FIRST_GAME}", f"/similar?game={FIRST_GAME}", "/games?name=night", "/search?text=trains",
    "/recommend/user/3", "/recommend/user?user=3", f"/recommend/from?like={FIRST_GAME}",
    f"/explain/3/{FIRST_GAME}", f"/explain?user=3&game={FIRST_GAME}",
]  # fmt: skip
ANSWERS = [route for route in ROUTES if route.startswith(("/similar", "/games", "/search", "/recommend", "/explain"))]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a store with one release."""
    folder = tmp_path_factory.mktemp("models")
    publish(folder)
    return folder


@pytest.fixture(scope="module")
def address(models: Path) -> Iterator[str]:
    """Return the address of a server over the store."""
    with running("-m", "standins.word_server", models, log=models / "server.log") as (_, address):
        yield address


@pytest.fixture(scope="module")
def client(address: str) -> Iterator[httpx.Client]:
    """Return a client of the server."""
    with httpx.Client(base_url=address, timeout=30) as client:
        yield client


@pytest.mark.parametrize("route", ROUTES)
def test_an_unknown_parameter_is_refused(client: httpx.Client, route: str) -> None:
    """422 on every route, with its name; what is known to the route is known as ever."""
    assert client.get(route).status_code == 200
    refused = client.get(f"{route}{'&' if '?' in route else '?'}colour=red")
    assert refused.status_code == 422
    assert refused.json()["message"].startswith("colour: unknown parameter; this route takes")


def test_a_slip_is_named(client: httpx.Client) -> None:
    """The parameter that was meant stands in the message, and what the route takes."""
    refused = client.get(f"/similar/{FIRST_GAME}?filtr=tag%3DTrains")
    told = "filtr: unknown parameter; did you mean filter? this route takes k, by, filter, collapse, only, exclude"
    assert refused.json()["message"].startswith(told)


def test_what_is_not_allowed_names_what_is(client: httpx.Client) -> None:
    """All methods of a path, whichever route has them."""
    assert client.delete("/recommend/from").headers["allow"] == "GET, POST, HEAD"
    assert client.post("/similar?game=1").headers["allow"] == "GET, HEAD"


def test_a_parameter_is_given_once_unless_it_is_a_list(client: httpx.Client) -> None:
    """Of two lengths one would be passed over in silence; filters and likes are lists."""
    assert "k: given twice" in client.get(f"/similar/{FIRST_GAME}?k=2&k=3").json()["message"]
    assert client.get(f"/similar/{FIRST_GAME}?filter=tag%3DTrains&filter=N_RATINGS%3E%3D0").status_code == 200


@pytest.mark.parametrize("route", ROUTES)
def test_head_says_what_get_says_without_the_body(client: httpx.Client, route: str) -> None:
    """The same status and headers, of the same length."""
    full, bare = client.get(route), client.head(route)
    assert bare.status_code == full.status_code
    assert bare.content == b""
    if route != "/metrics":  # which counts the requests in between
        assert bare.headers["content-length"] == full.headers["content-length"]
    assert bare.headers["content-type"] == full.headers["content-type"]
    assert bare.headers.get("etag") == full.headers.get("etag")


@pytest.mark.parametrize("route", [*ROUTES, "/nowhere", "/similar/999999", "/similar/1?k=x"])
def test_every_answer_has_an_id(client: httpx.Client, route: str) -> None:
    """The request's own, or one that is made; each another."""
    assert client.get(route, headers={"X-Request-ID": "shop-7f3a:12"}).headers["x-request-id"] == "shop-7f3a:12"
    made = {client.get(route).headers["x-request-id"] for _ in range(2)}
    assert len(made) == 2
    assert all(len(each) == 32 for each in made)


@pytest.mark.parametrize("given", [b"two words", b"x" * 129, b"", b'quote"', "é".encode()])
def test_an_id_that_is_no_id_is_not_taken_over(client: httpx.Client, given: bytes) -> None:
    """It would stand in logs and headers as it is."""
    made = client.get("/live", headers=[(b"X-Request-ID", given)]).headers["x-request-id"]
    assert len(made) == 32


def test_what_is_no_request_gets_an_id_too(address: str) -> None:
    """The parser's own refusal is JSON as every other, and has an id."""
    host, port = address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(b"this is no HTTP\r\n\r\n")
        said = connection.makefile("rb").read().decode()
    assert said.startswith("HTTP/1.1 400 ")
    assert "x-request-id: " in said
    assert '"error": "NoRequest"' in said


@pytest.mark.parametrize("route", ANSWERS)
def test_an_answer_that_is_known_is_not_made_again(client: httpx.Client, route: str) -> None:
    """The release is a weak ETag; another address, or a refusal, has another or none."""
    answer = client.get(route)
    tag = answer.headers["etag"]
    assert tag.startswith(f'W/"{answer.json()["release"]}-')
    again = client.get(route, headers={"If-None-Match": f'"other", {tag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert client.get(route, headers={"If-None-Match": '"other"'}).status_code == 200
    longer = f"{route}{'&' if '?' in route else '?'}k=3"
    if not route.startswith("/explain"):
        assert client.get(longer, headers={"If-None-Match": tag}).status_code == 200
    assert "etag" not in client.get("/similar/999999").headers


def test_the_tag_changes_with_the_release(tmp_path: Path) -> None:
    """A client that has the answer of the release before gets the new one."""
    publish(tmp_path)
    with (
        running("-m", "standins.word_server", tmp_path, log=tmp_path / "log") as (_, address),
        httpx.Client(base_url=address, timeout=30) as client,
    ):
        before = client.get("/recommend/user/3")
        asked = {"If-None-Match": before.headers["etag"]}
        assert client.get("/recommend/user/3", headers=asked).status_code == 304
        publish(tmp_path, seed=1)
        until(lambda: client.get("/health").json()["release"] != before.json()["release"])
        after = client.get("/recommend/user/3", headers=asked)
        assert after.status_code == 200
        assert after.headers["etag"] != before.headers["etag"]


def test_what_is_too_large_is_refused(client: httpx.Client) -> None:
    """Address, headers and body, each with its status; a body that does not say its length too."""
    assert client.get("/games?name=" + "x" * 64_000).status_code == 414
    assert client.get("/live", headers={"X-Long": "x" * 65_000}).status_code == 431
    assert client.request("GET", "/live", content=b"x" * (1 << 20)).status_code == 200
    refused = client.request("GET", "/live", content=b"x" * ((1 << 20) + 1))
    assert (refused.status_code, refused.json()["error"]) == (413, "RequestTooLarge")
    assert len(refused.headers["x-request-id"]) == 32


def test_an_address_that_no_parser_takes_is_too_long_too(address: str) -> None:
    """The parser's own limit is 65,535 bytes; whoever sends more is told as much."""
    host, port = address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(b"GET /games?name=" + b"x" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 414 ")


def test_a_head_without_end_ends_the_connection(address: str) -> None:
    """A client that sends header after header does not fill the server's memory."""
    host, port = address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        try:
            connection.sendall(b"GET /live HTTP/1.1\r\n" + b"X-More: and more\r\n" * 200_000)
            said = connection.recv(100)
        except ConnectionError:
            said = b"HTTP/1.1 400 "  # closed before all of it was sent
    assert said.startswith(b"HTTP/1.1 400 ")


def test_the_routes_document_what_they_refuse(client: httpx.Client) -> None:
    """401, 413, 422 and 503 on each but for the probes, which need no token; 304 where a release answers."""
    paths = client.get("/openapi.json").json()["paths"]
    for path, operations in paths.items():
        documented = set(operations["get"]["responses"])
        assert documented >= {"200", "413", "414", "422", "431", "503"}
        assert ("401" in documented) == (path not in {"/live", "/ready"})
        assert ("304" in documented) == path.startswith(("/similar", "/games", "/search", "/recommend", "/explain"))
    for path in ("/similar/{game_id}", "/recommend/from", "/explain"):
        assert "404" in paths[path]["get"]["responses"]


def test_the_docs_need_no_other_site(client: httpx.Client) -> None:
    """Neither the page nor its policy names one."""
    page = client.get("/docs")
    assert "//" not in page.text.replace("<!doctype", "")
    assert "http" not in page.headers["content-security-policy"]
    for asset, kind in (("swagger-ui-bundle.js", "text/javascript"), ("swagger-ui.css", "text/css")):
        assert f'"docs/{asset}"' in page.text
        answer = client.get(f"/docs/{asset}")
        assert answer.headers["content-type"].startswith(kind)
        assert len(answer.content) > 100_000
