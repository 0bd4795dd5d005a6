"""A server as it is operated: a token, probes, metrics, an access log, a limit of time, several workers."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import httpx
import pytest

from factories.served import publish
from factories.tables import FIRST_GAME
from recsys.errors import ConfigError, RecsysError
from recsys.release.store import ReleaseStore
from recsys.service import workers
from recsys.service.bearer import token_from_environment
from recsys.service.front import ServiceOptions
from recsys.service.server import listen
from standins.server import running, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from subprocess import Popen

TOKEN = "a-token-of-twenty-nine-signs."
BEARER = {"Authorization": f"Bearer {TOKEN}"}
DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a store with two releases; the second is current."""
    folder = tmp_path_factory.mktemp("models")
    publish(folder)
    publish(folder, seed=1)
    return folder


def serving(
    models: Path, log: Path, *options: str | Path, **more: str
) -> AbstractContextManager[tuple[Popen[str], str]]:
    """Run ``recsys serve`` on a free port."""
    command = ("-m", "recsys", "serve", "--models", models, "--port", "0", "--poll", "0.05", *options)
    return running(*command, log=log, **more)


@pytest.fixture(scope="module")
def guarded(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of a server that asks for a token."""
    log = tmp_path_factory.mktemp("guarded") / "log"
    with serving(models, log, RECSYS_SERVE_TOKEN=TOKEN) as (_, address):
        yield address
    assert TOKEN not in log.read_text()


@pytest.mark.parametrize("path", ["/", "/live", "/ready", "/docs", "/docs/swagger-ui.css", "/openapi.json"])
def test_what_holds_nothing_of_a_release_needs_no_token(guarded: str, path: str) -> None:
    """Probes and pages are open."""
    assert httpx.get(guarded + path, timeout=30).status_code == 200


@pytest.mark.parametrize("path", [f"/similar/{FIRST_GAME}", "/health", "/metrics", "/nowhere", "/recommend/user/3?x=1"])
@pytest.mark.parametrize(
    "sent", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": TOKEN}, {"Authorization": f"Basic {TOKEN}"}]
)
def test_everything_else_asks_for_the_token(guarded: str, path: str, sent: dict[str, str]) -> None:
    """401 and WWW-Authenticate, before anything else is said; with the token it is answered."""
    refused = httpx.get(guarded + path, headers=sent, timeout=30)
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"] == 'Bearer realm="recsys"'
    assert "RECSYS" not in refused.text
    assert len(refused.headers["x-request-id"]) == 32
    assert httpx.get(guarded + path, headers=BEARER, timeout=30).status_code != 401


def test_the_document_says_which_routes_ask_for_it(guarded: str) -> None:
    """A bearer token on each but for the probes."""
    document = httpx.get(f"{guarded}/openapi.json", timeout=30).json()
    assert document["components"]["securitySchemes"] == {"token": {"type": "http", "scheme": "bearer"}}
    asking = {path for path, operations in document["paths"].items() if "security" in operations["get"]}
    assert set(document["paths"]) - asking == {"/live", "/ready"}


@pytest.mark.parametrize("token", ["short", "long enough but with blanks", "long-enough-but-ümläutig"])
def test_a_token_that_is_none_is_refused(token: str) -> None:
    """At the start, without being shown."""
    with pytest.raises(ConfigError) as refused:
        token_from_environment({"RECSYS_SERVE_TOKEN": token})
    assert token not in str(refused.value)
    assert token_from_environment({"RECSYS_SERVE_TOKEN": ""}) is None


def test_a_server_may_begin_before_there_is_a_release(tmp_path: Path) -> None:
    """With ``--wait``: live, not ready, 503 until the first sound release; then as every other."""
    models = tmp_path / "models"
    with (
        serving(models, tmp_path / "log", "--wait") as (_, address),
        httpx.Client(base_url=address, timeout=30) as client,
    ):
        assert client.get("/live").status_code == 200
        for path in ("/ready", "/health", f"/similar/{FIRST_GAME}", "/recommend/user/3", "/games?name=x"):
            refused = client.get(path)
            assert refused.status_code == 503, path
            assert set(refused.json()) == {"error", "message"}
        assert client.get("/similar/1?colour=red").status_code == 422
        assert metric(client, "recsys_ready") == 0
        publish(models)
        until(lambda: client.get("/ready").status_code == 200)
        assert client.get(f"/similar/{FIRST_GAME}").status_code == 200
        assert metric(client, "recsys_ready") == 1
    assert (tmp_path / "log").read_text().count("nothing can be served yet") == 1


def test_a_damaged_release_keeps_a_server_that_waits_from_being_ready(tmp_path: Path) -> None:
    """Where nothing sound is loaded; a server that has one is degraded, and ready."""
    models = tmp_path / "models"
    good = publish(models).name
    with serving(models, tmp_path / "log") as (_, address), httpx.Client(base_url=address, timeout=30) as client:
        damaged = damage(publish(models, seed=1))
        until(lambda: client.get("/health").json()["status"] == "degraded")
        assert client.get("/ready").status_code == 200
        assert client.get(f"/similar/{FIRST_GAME}").json()["release"] == good
        assert metric(client, "recsys_degraded") == 1
    with (
        serving(models, tmp_path / "log", "--wait") as (_, address),
        httpx.Client(base_url=address, timeout=30) as client,
    ):
        until(lambda: damaged in client.get("/health").json()["message"])
        assert client.get("/ready").status_code == 503
        assert metric(client, "recsys_degraded") == 1
        ReleaseStore(models).rollback(good)
        until(lambda: client.get("/ready").status_code == 200)
        assert client.get("/health").json()["status"] == "ok"


def damage(release: Path) -> str:
    """Cut a byte off a file of a release; return the release's name."""
    file = release / "cf_factors.npz"
    file.chmod(0o600)
    file.write_bytes(file.read_bytes()[:-1])
    return release.name


def metric(client: httpx.Client, name: str) -> float:
    """Return the value of a metric, its labels as they are written."""
    text = client.get("/metrics").text
    (value,) = re.findall(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    return float(value)


def test_the_metrics_count_requests_and_tell_the_release(tmp_path: Path) -> None:
    """By route and status, with latencies; the release, its age, and each swap."""
    models = tmp_path / "models"
    first = publish(models).name
    with serving(models, tmp_path / "log") as (_, address), httpx.Client(base_url=address, timeout=30) as client:
        for user in range(5):
            client.get(f"/recommend/user/{user}")
        client.get("/recommend/user/1?k=0")
        client.get("/nowhere")
        count = 'recsys_http_requests_total{method="GET",route="/recommend/user/{user_id}",status="%s"}'
        assert metric(client, count % 200) == 5
        assert metric(client, count % 422) == 1
        assert metric(client, 'recsys_http_requests_total{method="GET",route="",status="404"}') == 1
        assert metric(client, 'recsys_http_request_duration_seconds_count{route="/recommend/user/{user_id}"}') == 6
        assert metric(client, f'recsys_release_info{{release="{first}"}}') == 1
        assert 0 <= metric(client, "recsys_release_age_seconds") < 120
        assert metric(client, "recsys_degraded") == 0
        second = publish(models, seed=1).name
        until(lambda: client.get("/health").json()["release"] == second)
        assert metric(client, f'recsys_release_info{{release="{second}"}}') == 1
        assert first not in client.get("/metrics").text
        assert metric(client, "recsys_release_swaps_total") == 1
        assert client.get("/metrics").headers["content-type"].startswith("text/plain; version=")


def lines(path: Path) -> list[dict[str, Any]]:
    """Return the lines of an access log."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_access_log_says_what_was_shown_to_whom(models: Path, tmp_path: Path) -> None:
    """One line a request; readable by its owner alone; a file that was moved away is begun anew."""
    path = tmp_path / "access.jsonl"
    with (
        serving(models, tmp_path / "log", "--access-log", path) as (_, address),
        httpx.Client(base_url=address, timeout=30) as client,
    ):
        answer = client.get("/recommend/user/3?k=4", headers={"X-Request-ID": "one"})
        client.get("/recommend/user?user=3&k=4", headers={"X-Request-ID": "two"})
        client.get("/recommend/user/3?k=4", headers={"X-Request-ID": "three", "If-None-Match": answer.headers["etag"]})
        client.get(f"/explain/3/{FIRST_GAME}", headers={"X-Request-ID": "four"})
        client.get(f"/similar/{FIRST_GAME}?scenario=homepage", headers={"X-Request-ID": "five"})
        body = {"likes": [FIRST_GAME], "scenario": "homepage"}
        client.post("/recommend/from", json=body, headers={"X-Request-ID": "six"})
        written = until(lambda: len(found := lines(path)) == 6 and found)
        path.rename(tmp_path / "access.jsonl.1")
        client.get("/live")
        until(lambda: path.exists() and [line["route"] for line in lines(path)] == ["/live"])
    one, two, three, four, five, six = written
    shown = [str(game["game_id"]) for game in answer.json()["games"]]
    assert {key: one[key] for key in ("request_id", "route", "status", "user", "release", "shown", "method")} == {
        "request_id": "one",
        "route": "/recommend/user/{user_id}",
        "status": 200,
        "user": "3",
        "release": answer.json()["release"],
        "shown": shown,
        "method": "GET",
    }
    assert one["duration_ms"] > 0
    assert (two["user"], two["shown"]) == ("3", shown)
    assert (three["status"], three["shown"], three["etag"]) == (304, [], one["etag"])
    assert (four["user"], four["shown"]) == ("3", [])
    assert (five["status"], five["scenario"], five["release"]) == (422, "homepage", None)
    assert (six["status"], six["scenario"]) == (422, "homepage")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "3" not in re.findall(r"user=(\S+)", (tmp_path / "log").read_text())


def test_the_sql_of_the_docs_joins_clicks_to_it(models: Path, tmp_path: Path) -> None:
    """Hit rate by release, over a real access log: lists that were shown, also those that a 304 showed again."""
    path = tmp_path / "access.jsonl"
    first, second = ReleaseStore(models).names()[:2]
    clicks: list[tuple[str, str]] = []
    with (
        serving(models, tmp_path / "log", "--access-log", path) as (_, address),
        httpx.Client(base_url=address, timeout=30) as client,
    ):
        for name, users in ((first, 4), (second, 5)):
            ReleaseStore(models).rollback(name)
            until(lambda name=name: client.get("/health").json()["release"] == name)  # type: ignore[misc]
            for user in range(users):
                answer = client.get(f"/recommend/user/{user}?k=3", headers={"X-Request-ID": f"{name}/{user}"})
                if user == 0:
                    clicks.append((f"{name}/0", str(answer.json()["games"][1]["game_id"])))
                    again = {"X-Request-ID": f"{name}/again", "If-None-Match": answer.headers["etag"]}
                    assert client.get("/recommend/user/0?k=3", headers=again).status_code == 304
                    clicks.append((f"{name}/again", str(answer.json()["games"][0]["game_id"])))
                    clicks.append((f"{name}/again", "no game that was shown"))
        client.head("/recommend/user/0?k=3")
        until(lambda: any(line["method"] == "HEAD" for line in lines(path)))
    page = (DOCS / "serving.md").read_text(encoding="utf-8")
    (sql,) = re.findall(r"```sql\n(.*?)```", page, re.DOTALL)
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE clicks (request_id VARCHAR, game_id VARCHAR)")
        connection.executemany("INSERT INTO clicks VALUES (?, ?)", clicks)
        found = connection.execute(sql.replace("access.jsonl", str(path))).fetchall()
    assert {row[0]: row[1:] for row in found} == {first: (5, 2, 0.4), second: (6, 2, pytest.approx(1 / 3))}


def test_an_access_log_that_cannot_be_begun_ends_the_command(models: Path, tmp_path: Path) -> None:
    """78, and the reason."""
    with pytest.raises(AssertionError, match=r"the access log .* cannot be written"):
        serving(models, tmp_path / "log", "--access-log", tmp_path / "no folder" / "log").__enter__()


def test_an_answer_that_takes_too_long_is_given_up(models: Path, tmp_path: Path) -> None:
    """503 in time, whatever its thread still does; others are answered."""
    code = (
        "import sys, time; from recsys.serving.recommender import Recommender;"
        "Recommender.search = lambda *_, **__: time.sleep(90);"
        "from recsys.cli import main; main(['serve', '--models', sys.argv[1], '--port', '0', '--timeout', '0.5'])"
    )
    with running("-c", code, models, log=tmp_path / "log") as (_, address):
        began = time.monotonic()
        refused = httpx.get(f"{address}/search?text=trains", timeout=60)
        assert (refused.status_code, refused.json()["error"]) == (503, "TooSlow")
        assert refused.headers["retry-after"] == "1"
        assert time.monotonic() - began < 60
        assert httpx.get(f"{address}/similar/{FIRST_GAME}", timeout=30).status_code == 200


def test_workers_share_the_address(models: Path, tmp_path: Path) -> None:
    """Metrics of all are one, one that dies is replaced, SIGTERM ends all of them in order."""
    with serving(models, tmp_path / "log", "--workers", "2") as (process, address):
        for user in range(40):
            assert httpx.get(f"{address}/recommend/user/{user}", timeout=30).status_code == 200
        workers = children(process.pid)
        assert len(workers) == 2
        count = 'recsys_http_requests_total{method="GET",route="/recommend/user/{user_id}",status="200"}'
        with httpx.Client(base_url=address, timeout=30) as client:
            assert metric(client, count) == 40
        os.kill(workers[0], signal.SIGKILL)
        until(lambda: len(set(children(process.pid)) - {workers[0]}) == 2)
        log = tmp_path / "log"
        until(lambda: "a worker ended and is replaced" in log.read_text())
        for _ in range(10):
            with httpx.Client(base_url=address, timeout=30) as client:
                assert metric(client, count) == 40
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 143
        until(lambda: not [pid for pid in (*workers, *children(process.pid)) if Path(f"/proc/{pid}").exists()])
    assert "Traceback" not in log.read_text()


def test_a_signal_that_comes_before_the_server_listens_for_it_ends_it(models: Path, tmp_path: Path) -> None:
    """Its address was told already: whoever reads it may ask for the end at once."""
    code = (
        "import os, signal, sys, uvicorn; run = uvicorn.Server.run;"
        "uvicorn.Server.run = lambda *a, **k: (os.kill(os.getpid(), signal.SIGTERM), run(*a, **k));"
        "from recsys.cli import main; main(['serve', '--models', sys.argv[1], '--port', '0'])"
    )
    with running("-c", code, models, log=tmp_path / "log") as (process, _):
        assert process.wait(timeout=60) == 143


def children(process: int) -> list[int]:
    """Return the workers of a server, without what Python keeps beside them."""
    path = Path(f"/proc/{process}/task/{process}/children")
    found = path.read_text().split() if path.exists() else []
    return [int(pid) for pid in found if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def test_workers_end_with_their_server(models: Path, tmp_path: Path) -> None:
    """Also where that is killed, and can tell them nothing."""
    with serving(models, tmp_path / "log", "--workers", "2") as (process, _):
        workers = until(lambda: len(found := children(process.pid)) == 2 and found)
        process.kill()
        process.wait(timeout=30)
        until(lambda: not [pid for pid in workers if Path(f"/proc/{pid}").exists()])


def test_workers_that_cannot_begin_end_the_server(tmp_path: Path) -> None:
    """With the error of one, and its exit code."""
    damage(publish(tmp_path))
    with pytest.raises(AssertionError, match=r"cf_factors\.npz has"):
        serving(tmp_path, tmp_path / "log", "--workers", "2").__enter__()


def test_a_worker_that_told_and_ended_at_once_is_heard(tmp_path: Path) -> None:
    """While the server was busy with another: its error stands, not its exit code alone."""
    damage(publish(tmp_path))
    listening, _ = listen("127.0.0.1", 0, 1.0, has_token=False)
    with workers._signals() as received:
        team = workers._Team(
            workers.WorkerTask(tmp_path / "v1", 1.0, ServiceOptions()), listening, received, lambda _: None
        )
        team._start(replacing=False)
        team.workers[0].process.join(60)
        with pytest.raises(RecsysError, match=r"cf_factors\.npz has"):
            raise workers._failure_of(team._ended()[0])
        team.end()
