"""The service as its clients meet it: a real server in a process of its own, over real releases."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

import recsys
from factories.served import CAFE, UNRATED, publish
from factories.tables import FIRST_GAME, WordEncoder
from recsys.release.store import ReleaseStore
from standins.server import running, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from recsys.serving import Recommender


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a store with two releases; the second is current."""
    folder = tmp_path_factory.mktemp("models")
    publish(folder)
    publish(folder, seed=1)
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


@pytest.fixture(scope="module")
def served(models: Path) -> Recommender:
    """Return the same release in this process."""
    return recsys.load(models / "v1", encoder=WordEncoder())


@pytest.mark.parametrize(
    ("route", "ask"),
    [
        ("/similar/100", lambda it: it.similar(100)),
        ("/similar/100?k=3&by=taste", lambda it: it.similar(100, 3, by="taste")),
        ("/similar/201?by=content&collapse=true", lambda it: it.similar(201, by="content", collapse=True)),
        (
            "/similar/100?filter=tag%3DTrains%7CBluffing&filter=N_RATINGS%3C%3D9",
            lambda it: it.similar(100, filters=["tag=Trains|Bluffing", "N_RATINGS<=9"]),
        ),
        ("/recommend/user/3?k=5&why=true", lambda it: it.recommend(3, 5, why=True)),
        ("/recommend/user/999999", lambda it: it.recommend(999999)),
        ("/recommend/from?like=100&like=104&k=4", lambda it: it.recommend_from([100, 104], 4)),
        ("/recommend/from?like=201&by=blend&why=true", lambda it: it.recommend_from([201], by="blend", why=True)),
        (
            "/recommend/user/3?k=5&newcomers=4&newcomers=2",
            lambda it: it.recommend(3, 5, rules={"newcomers": [2, 4]}),
        ),
        ("/explain/3/100", lambda it: it.explain(3, 100)),
        ("/search?text=trains&k=4", lambda it: it.search("trains", 4)),
        (
            "/recommend/user/3?k=4&boost=tag%3DTrains:0.5&bury=N_RATINGS%3E%3D20:0.25&exclude=100&pin=201",
            lambda it: it.recommend(
                3,
                4,
                rules={
                    "boost": {"tag=Trains": 0.5},
                    "bury": {"N_RATINGS>=20": 0.25},
                    "exclude": [100, 101],
                    "pin": [201],
                },
            ),
        ),
        (
            "/similar?game=100&diversity=0.4&at_most=tag:2&at_most=edition:1",
            lambda it: it.similar(100, rules={"diversity": 0.4, "at_most": {"tag": 2, "edition": 1}}),
        ),
        ("/search?text=trains&only=100&only=104", lambda it: it.search("trains", rules={"only": [100, 104]})),
        (
            "/recommend/from?like=100&bury=tag%3DNone:1",
            lambda it: it.recommend_from([100], rules={"bury": {"tag=None": 1}}),
        ),
        (
            "/recommend/user?user=3&" + "&".join(f"exclude={id_}" for id_ in range(100, 700)),
            lambda it: it.recommend(3, rules={"exclude": range(100, 700)}),
        ),
    ],
)
def test_a_route_answers_as_the_recommender_does(
    client: httpx.Client, served: Recommender, route: str, ask: Any
) -> None:
    """Over HTTP as in process, to the last digit."""
    response = client.get(route)
    assert response.status_code == 200
    assert response.json() == ask(served).to_json()


def test_names_are_found_over_http(client: httpx.Client) -> None:
    """With what a person needs to choose: likeness, number of ratings and tags."""
    (game,) = client.get("/games", params={"name": "cafe zurich", "k": 1}).json()["games"]
    assert game == {
        "game_id": CAFE,
        "name": "Café Zürich",
        "likeness": 1.0,
        "n_ratings": 0,
        "tags": ["Bluffing", "Deck, Bag, and Pool Building"],
    }


def test_health_says_what_is_served(client: httpx.Client, served: Recommender) -> None:
    """The release, when it was published, and its size."""
    assert client.get("/health").json() == {
        "status": "ok",
        "problem": None,
        "release": served.release,
        "created": served.snapshot.manifest.created,
        "games": 43,
        "users": 80,
    }


@pytest.mark.parametrize(
    ("route", "status", "words"),
    [
        ("/similar/999999", 404, "game 999999 is not among the 43 games"),
        ("/similar/201?by=taste", 404, "ask by content or blend"),
        ("/similar/catan", 422, "'catan' is no game id"),
        ("/similar/1e2", 422, "is no game id"),
        ("/similar/0100", 422, "is no game id"),
        ("/similar/100.0", 422, "did you mean 100? Its ids are whole numbers"),
        ("/similar?game=%20100", 422, "did you mean 100?"),
        ("/recommend/user/1.0", 422, "did you mean 1?"),
        ("/similar/%00", 422, "is no game id"),
        ("/similar/" + "9" * 400, 422, "is no game id"),
        ("/similar/-100", 404, "game -100 is not among"),
        ("/recommend/user/jo", 422, "'jo' is no user id"),
        ("/recommend/user/1%2F2", 422, "'1/2' is no user id"),
        ("/similar/a%2Fb", 422, "'a/b' is no game id"),
        ("/nowhere", 404, "GET /nowhere: Not Found"),
        ("/similar/100?filter=" + "x" * 501, 422, "filter: String should have at most 500 characters"),
        ("/recommend/from?like=100&like=5", 404, "game 5 is not among"),
        ("/recommend/from", 422, "like: Field required"),
        ("/explain/999999/100", 404, "user 999999 is not among the 80 users"),
        ("/similar/100?k=0", 422, "k: Input should be greater than or equal to 1"),
        ("/similar/100?k=1000000000000", 422, "k: Input should be less than or equal to 1000"),
        ("/similar/100?k=ten", 422, "k: Input should be a valid integer"),
        ("/similar/100?by=price", 422, "by: Input should be 'taste', 'content' or 'blend'"),
        ("/similar/100?filter=tag%3DEconmic", 422, "did you mean Economic"),
        ("/search?text=%20", 422, "is empty"),
        ("/similar/100?boost=tag%3DEconomic", 422, "not of the form CONDITION:STRENGTH"),
        ("/similar/100?boost=tag%3DEconomic:-1", 422, "bury does the opposite"),
        ("/similar/100?boost=tag%3DEconomic:nan", 422, "no number above 0"),
        ("/similar/100?boost=tag%3DEconomic:1&bury=tag%3DEconomic:1", 422, "boosted and buried"),
        ("/similar/100?boost=tag%3DEconomic:1&boost=tag%3DEconomic:2", 422, "twice"),
        ("/similar/100?diversity=nan", 422, "diversity"),
        ("/similar/100?diversity=1.5", 422, "diversity: Input should be less than or equal to 1"),
        ("/similar/100?at_most=tag:0", 422, "from 1 up"),
        ("/similar/100?at_most=tag:1.5", 422, "no whole number"),
        ("/similar/100?exclude=catan", 422, "'catan' is no game id"),
        ("/similar/100?pin=104&exclude=104", 422, "pinned and excluded"),
        ("/similar/100?pin=104&pin=104", 422, "twice"),
        ("/recommend/user/3?newcomers=0", 422, "0 is no place of a list"),
        ("/recommend/user/3?pin=999999", 404, "game 999999 is not among"),
        ("/search?text=trains&pin=999999", 404, "game 999999 is not among"),
        ("/recommend/user/3?scenario=homepage", 422, "this release has no scenario 'homepage'; it has none"),
    ],
)
def test_a_wrong_question_says_why(client: httpx.Client, route: str, status: int, words: str) -> None:
    """Unknown ids are 404, malformed ones and arguments out of bounds 422, each with a message for people."""
    response = client.get(route)
    assert response.status_code == status
    assert set(response.json()) == {"error", "message"}
    assert words in response.json()["message"]


def test_a_search_without_the_model_says_what_to_install(models: Path, tmp_path: Path) -> None:
    """501, and the extra; everything else is answered."""
    code = (
        "import importlib.util as u, sys; find = u.find_spec;"
        "u.find_spec = lambda name, *a: None if name in ('sentence_transformers', 'openvino') else find(name, *a);"
        "from recsys.cli import main; main(['serve', '--models', sys.argv[1], '--port', '0'])"
    )
    with running("-c", code, models, log=tmp_path / "log") as (_, address):
        refused = httpx.get(f"{address}/search?text=trains", timeout=30)
        assert refused.status_code == 501
        assert "recsys-releases[train]" in refused.json()["message"]
        assert httpx.get(f"{address}/similar/{FIRST_GAME}", timeout=30).status_code == 200


def test_long_lists_are_the_recommenders_too(client: httpx.Client, served: Recommender) -> None:
    """What takes a thread of its own answers the same: every game, collapsed and filtered."""
    answer = client.get("/recommend/user/3?k=1000&collapse=true&why=true&filter=tag!=Trains").json()
    assert answer == served.recommend(3, 1000, collapse=True, why=True, filters=["tag!=Trains"]).to_json()


def test_every_list_takes_every_rule(client: httpx.Client) -> None:
    """One declaration: what one route takes, the others take, spelled and explained alike."""
    paths = client.get("/openapi.json").json()["paths"]
    names = {"only", "exclude", "boost", "bury", "diversity", "at_most", "pin", "newcomers", "scenario"}
    taken = {}
    for path, methods in paths.items():
        declared = {each["name"]: each for each in methods["get"].get("parameters", [])}
        if "filter" in declared:
            taken[path] = [declared[name] for name in sorted(names)]
    assert len(taken) == 6
    assert all(rules == taken["/search"] for rules in taken.values())


def test_a_list_is_asked_for_with_get(client: httpx.Client) -> None:
    """Another method is refused in the words of every other refusal, and the header says which is meant."""
    refused = client.post("/similar/100")
    assert refused.status_code == 405
    assert refused.json()["message"].startswith("POST /similar/100: Method Not Allowed")
    assert refused.headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize("hooks", ["", "standins.unknown_parameter"])
def test_the_openapi_document_holds_for_whatever_is_sent(address: str, hooks: str) -> None:
    """Schemathesis finds no request that ends in a 500, or in an answer that the document does not describe.

    With a parameter too many on each of them, too. That a request which the document allows is refused is no fault:
    which ids and conditions there are, the release says.
    """
    command = [Path(sys.executable).parent / "schemathesis", "run", f"{address}/openapi.json", "--max-examples=15"]
    options = ["--exclude-checks=positive_data_acceptance", "--seed=1", "--mode=all"]
    options += ["--phases=examples,coverage,fuzzing"]
    known = {"PYTHONPATH": str(Path(__file__).parents[1])} | ({"SCHEMATHESIS_HOOKS": hooks} if hooks else {})
    done = subprocess.run(
        [*map(str, command), *options],
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
        env=os.environ | known,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    if hooks:
        counted = httpx.get(f"{address}/metrics", timeout=30).text
        assert float(re.findall(r'requests_total\{method="GET",route="/live",status="422"\} (\S+)', counted)[0]) >= 3


def test_no_request_fails_while_releases_change_underneath(models: Path, tmp_path: Path) -> None:
    """Under load, across publishes and rollbacks, every answer is 200 and what its release answers alone."""
    store = ReleaseStore(models)
    before = store.names()[:2]
    asked = [f"/recommend/user/{user}?k=5&why=true" for user in range(8)] + [
        f"/similar/{FIRST_GAME + n}" for n in range(8)
    ]
    one_at_a_time, ended = threading.Lock(), threading.Event()

    @cache
    def alone(release: str) -> list[dict[str, Any]]:
        it = recsys.load(store.path(release))
        return [it.recommend(user, 5, why=True).to_json() for user in range(8)] + [
            it.similar(FIRST_GAME + n).to_json() for n in range(8)
        ]

    def load(client: httpx.Client) -> tuple[set[str], int]:
        seen, count = set(), 0
        while not ended.is_set():
            response = client.get(asked[count % len(asked)])
            assert response.status_code == 200
            answer = response.json()
            with one_at_a_time:
                expected = alone(answer["release"])
            assert answer == expected[count % len(asked)]
            seen.add(answer["release"])
            count += 1
        return seen, count

    # A number is the seed of a release to publish, a name that of one to go back to.
    changes: list[int | str] = [before[0], 2, before[1], 3, before[0], before[1]]
    with (
        running("-m", "standins.word_server", models, log=tmp_path / "log") as (_, address),
        httpx.Client(base_url=address, timeout=30) as client,
        ThreadPoolExecutor(4) as pool,
    ):
        clients = [pool.submit(load, client) for _ in range(4)]
        try:
            published = set()
            for change in changes:
                name = (
                    publish(models, seed=change).name
                    if isinstance(change, int)
                    else store.rollback(change, hold=False).release
                )
                until(lambda name=name: client.get("/health").json()["release"] == name)  # type: ignore[misc]
                published.add(name)
        finally:
            ended.set()
        seen_by_client = [each.result() for each in clients]
    assert len(published) == 4
    assert set().union(*(seen for seen, _ in seen_by_client)) == published
    assert sum(count for _, count in seen_by_client) > 50


def test_a_corrupt_release_leaves_the_old_one_serving(tmp_path: Path) -> None:
    """``/health`` says which release is broken and why, answers stay as they were, and the next one is taken."""
    models = tmp_path / "models"
    good = publish(models).name
    with (
        running("-m", "standins.word_server", models, log=tmp_path / "log") as (_, address),
        httpx.Client(base_url=address, timeout=30) as client,
    ):
        before = client.get("/recommend/user/1").json()
        link = models / "v1"
        broken = models / "releases" / "broken"
        broken.mkdir()
        for file in link.resolve().iterdir():
            (broken / file.name).write_bytes(file.read_bytes()[: -1 if file.name == "cf_factors.npz" else None])
        (models / "next").symlink_to("releases/broken")
        (models / "next").replace(link)
        health = until(lambda: (state := client.get("/health").json())["status"] == "degraded" and state)
        assert health["release"] == good
        assert health["problem"].startswith("broken is current and cannot be served: ")
        assert "cf_factors.npz has" in health["problem"]
        assert client.get("/recommend/user/1").json() == before
        ReleaseStore(models).rollback(good, hold=False)
        assert until(lambda: client.get("/health").json()["status"] == "ok")
    assert (tmp_path / "log").read_text().count("a release cannot be served") == 1


def test_the_command_serves_this_machine_alone(models: Path, tmp_path: Path) -> None:
    """``recsys serve`` prints a loopback address, and SIGTERM ends it with 143, in order."""
    with running("-m", "recsys", "serve", "--models", models, "--port", "0", log=tmp_path / "log") as (
        process,
        address,
    ):
        assert address.startswith("http://127.0.0.1:")
        assert httpx.get(f"{address}/similar/{UNRATED}", timeout=30).json()["by"] == "content"
        assert httpx.get(f"{address}/docs", timeout=30).status_code == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 143
    said = (tmp_path / "log").read_text()
    assert "serving address=http://127.0.0.1:" in said
    assert "anybody who reaches this address" not in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--models", "nowhere"], 76, "there is no release at nowhere/v1"),
        (["--port", "{taken}"], 78, "cannot listen on"),
    ],
)
def test_what_cannot_be_served_ends_the_command(models: Path, arguments: list[str], code: int, words: str) -> None:
    """One line that says why, and the exit code of its kind."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        filled = [each.format(taken=other.getsockname()[1]) for each in arguments]
        folder = [] if "--models" in filled else ["--models", str(models)]
        done = subprocess.run(
            [sys.executable, "-m", "recsys", "serve", *filled, *folder],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == code
    assert words in done.stderr
    assert "Traceback" not in done.stderr
