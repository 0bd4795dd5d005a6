"""Serving a release: the loader, one query in process, and many clients at once.

    python benchmarks/serving.py MODELS [--seconds 10] [--publishes 50] [--rate 300] [--every 2]

prints the tables of ``docs/serving.md``; ``--only-rate`` the last line alone, clients that ask at a bounded rate while
releases are published underneath. MODELS is a folder of releases; it is only read: publishing
underneath happens in a copy.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

CLIENTS = 100
QUERIES = 400
HEADER = f"""| {CLIENTS} clients | requests/s | p50 ms | p95 ms | p99 ms | failed | server's CPU, ms a request |
| --- | --- | --- | --- | --- | --- | --- |"""


class Swaps(NamedTuple):
    """How many releases are published underneath, at how many requests a second, and how many seconds apart."""

    publishes: int
    rate: float
    every: float


FIRST_ANSWER = """
import sys, time
started = time.perf_counter()
import recsys
served = recsys.load(sys.argv[1])
served.recommend(int(sys.argv[2]))
import resource
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
odd = {"torch", "pandas", "implicit", "snowflake", "pyspark", "scipy"} & set(sys.modules)
print(time.perf_counter() - started, time.process_time(), peak, sorted(odd))
"""


def loader(models: Path, user: int) -> None:
    """Print what a fresh process needs from its start to the first answer."""
    rows = []
    for _ in range(7):
        started = time.perf_counter()
        out = subprocess.run(
            [sys.executable, "-c", FIRST_ANSWER, str(models / "v1"), str(user)],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split(maxsplit=3)
        rows.append((time.perf_counter() - started, float(out[1]), float(out[2]), out[3].strip()))
    wall, cpu, peak = (statistics.median(row[at] for row in rows) for at in range(3))
    print(
        f"process start to first answer: median {wall:.2f} s, fastest {min(row[0] for row in rows):.2f} s "
        f"({cpu:.2f} s of CPU); peak memory {peak:.0f} MB; heavy modules {rows[0][3]}"
    )


def in_process(models: Path) -> None:
    """Print the median of one query of each kind, random games and users."""
    import recsys

    served = recsys.load(models / "v1")
    at, rng = served.snapshot, random.Random(0)
    users = at.people.users.ids(rng.sample(range(len(at.people.users)), QUERIES))
    everything = rng.sample(at.catalogue.ids, QUERIES)
    rated = [at.catalogue.ids[rng.choice(at.taste.rows)] for _ in range(QUERIES)]
    likes = [rng.sample(rated, 5) for _ in range(QUERIES)]
    few = sorted(set(rated))
    five, fifty = ([{game: rng.randint(1, 10) for game in rng.sample(few, n)} for _ in range(QUERIES)] for n in (5, 50))
    kinds: dict[str, tuple[Callable[[Any], Any], list[Any]]] = {
        "similar, blend, rated games": (served.similar, rated),
        "similar, blend, all games": (served.similar, everything),
        "similar, taste": (lambda id_: served.similar(id_, by="taste"), rated),
        "similar, content": (lambda id_: served.similar(id_, by="content"), everything),
        "similar, filtered": (lambda id_: served.similar(id_, filters=["tag=Economic"]), rated),
        "recommend": (served.recommend, users),
        "recommend, why": (lambda id_: served.recommend(id_, why=True), users),
        "recommend, blend": (lambda id_: served.recommend(id_, by="blend"), users),
        "recommend_from, 5 likes": (served.recommend_from, likes),
        "recommend_from, 5 ratings": (lambda said: served.recommend_from(ratings=said), five),
        "recommend_from, 50 ratings": (lambda said: served.recommend_from(ratings=said), fifty),
        "recommend_from, 5 likes, 5 dislikes": (
            lambda said: served.recommend_from(list(said)[:5], dislikes=list(said)[5:10]),
            fifty,
        ),
    }
    print("\n| in process, one query | median ms | fastest ms |\n| --- | --- | --- |")
    for name, (ask, asked) in kinds.items():
        ask(asked[0])
        seconds = []
        for each in asked:
            started = time.perf_counter()
            ask(each)
            seconds.append(time.perf_counter() - started)
        print(f"| {name} | {statistics.median(seconds) * 1e3:.2f} | {min(seconds) * 1e3:.2f} |")


def routes(models: Path) -> dict[str, list[str]]:
    """Return paths of the id routes, for random games and users."""
    import recsys

    at, rng = recsys.load(models / "v1").snapshot, random.Random(1)
    users = [str(at.people.users.id_of(rng.randrange(len(at.people.users)))) for _ in range(3000)]
    rated = [str(at.catalogue.ids[rng.choice(at.taste.rows)]) for _ in range(3000)]
    games = [str(id_) for id_ in rng.sample(at.catalogue.ids, 3000)]
    kinds = {
        "/recommend/user": [f"/recommend/user/{user}" for user in users],
        "/recommend/from": [f"/recommend/from?like={a}&like={b}" for a, b in zip(rated, reversed(rated), strict=True)],
        "/similar, taste": [f"/similar/{id_}?by=taste" for id_ in rated],
        "/similar, blend": [f"/similar/{id_}" for id_ in games],
    }
    return {**kinds, "all of them": [path for paths in zip(*kinds.values(), strict=True) for path in paths]}


async def client(  # noqa: PLR0913, PLR0917 - one connection's share of the measurement
    host: str, port: int, paths: list[str], until: float, seconds: list[float], failed: list[str]
) -> None:
    """Ask one question after the other over one connection, as fast as answers come."""
    reader, writer = await asyncio.open_connection(host, port)
    rng = random.Random(id(reader))
    while time.perf_counter() < until:
        path = rng.choice(paths)
        started = time.perf_counter()
        try:
            writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            await reader.readexactly(int(head.split("content-length: ")[1].split("\r\n")[0]))
            if not head.startswith("http/1.1 200"):
                failed.append(head.split("\r\n")[0])
        except (OSError, asyncio.IncompleteReadError) as error:
            failed.append(repr(error))
            reader, writer = await asyncio.open_connection(host, port)
        seconds.append(time.perf_counter() - started)
    writer.close()


def load(address: str, paths: list[str], lasting: float) -> tuple[list[float], list[str]]:
    """Let all clients ask for so many seconds; return each request's seconds, and what failed."""
    host, port = address.removeprefix("http://").split(":")
    seconds: list[float] = []
    failed: list[str] = []

    async def everybody() -> None:
        until = time.perf_counter() + lasting
        await asyncio.gather(*(client(host, int(port), paths, until, seconds, failed) for _ in range(CLIENTS)))

    asyncio.run(everybody())
    return seconds, failed


async def paced(  # noqa: PLR0913, PLR0917 - one connection's share of the measurement
    host: str,
    port: int,
    paths: list[str],
    apart: float,
    phase: float,
    ended: threading.Event,
    seconds: list[float],
    failed: list[str],
) -> None:
    """Ask one question every so many seconds; each is timed from when it was due, however late the one before was."""
    reader, writer = await asyncio.open_connection(host, port)
    rng = random.Random(phase)
    due = time.perf_counter() + phase
    while not ended.is_set():
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        try:
            writer.write(f"GET {rng.choice(paths)} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            await reader.readexactly(int(head.split("content-length: ")[1].split("\r\n")[0]))
            if not head.startswith("http/1.1 200"):
                failed.append(head.split("\r\n")[0])
        except (OSError, asyncio.IncompleteReadError) as error:
            failed.append(repr(error))
            reader, writer = await asyncio.open_connection(host, port)
        seconds.append(time.perf_counter() - due)
        due += apart
    writer.close()


def at_a_rate(root: Path, address: str, paths: list[str], swaps: Swaps) -> None:
    """Print latencies at a bounded rate, quiet and while releases are published underneath."""
    publishes, rate, every = swaps
    host, port = address.removeprefix("http://").split(":")
    for count in (0, publishes):
        seconds: list[float] = []
        failed: list[str] = []
        ended = threading.Event()
        # In a process of its own: its work must not slow down the clients' clock.
        command = [
            sys.executable,
            __file__,
            str(root),
            "--publish-to",
            address,
            "--publishes",
            str(count),
            "--every",
            str(every),
        ]
        publisher = subprocess.Popen(command) if count else subprocess.Popen(["sleep", "10"])

        async def everybody() -> None:
            apart = CLIENTS / rate
            clients = [
                paced(host, int(port), paths, apart, place * apart / CLIENTS, ended, seconds, failed)  # noqa: B023
                for place in range(CLIENTS)
            ]
            waiting = asyncio.to_thread(lambda: (publisher.wait(), ended.set()))  # noqa: B023
            await asyncio.gather(waiting, *clients)

        started = time.perf_counter()
        asyncio.run(everybody())
        took = time.perf_counter() - started
        assert publisher.returncode == 0
        name = f"{rate:g} requests/s, " + (
            f"{count} releases published underneath in {took:.0f} s" if count else "quiet"
        )
        print(line(name, seconds, failed, took), flush=True)


def cpu_seconds(process: int) -> float:
    """Return the CPU time of a process so far (Linux): what it costs however busy the machine is."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def line(name: str, seconds: list[float], failed: list[str], lasting: float) -> str:
    """Return one row of the table."""
    cuts = statistics.quantiles(seconds, n=100)
    return (
        f"| {name} | {len(seconds) / lasting:,.0f} | {cuts[49] * 1e3:.0f} | {cuts[94] * 1e3:.0f} | "
        f"{cuts[98] * 1e3:.0f} | {len(failed)} |"
    )


def over_http(models: Path, lasting: float, swaps: Swaps) -> None:
    """Print latencies under load, quiet and with releases published underneath."""
    asked = routes(models)
    with tempfile.TemporaryDirectory(dir=models.parent) as folder:
        root = Path(folder) / "models"
        shutil.copytree(models, root, symlinks=True)
        command = [sys.executable, "-m", "recsys", "serve", "--models", str(root), "--port", "0", "--poll", "0.2"]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert server.stdout is not None
        address = server.stdout.readline().strip()
        try:
            wait_until_quiet(server.pid)
            load(address, asked["all of them"], 2)
            if not lasting:
                print(HEADER)
                at_a_rate(root, address, asked["all of them"], swaps)
                return
            print(f"\n{HEADER}")
            for name, paths in asked.items():
                before = cpu_seconds(server.pid)
                seconds, failed = load(address, paths, lasting)
                used = (cpu_seconds(server.pid) - before) / len(seconds) * 1e3
                print(f"{line(name, seconds, failed, lasting)} {used:.2f} |")
            underneath(root, address, asked["all of them"], swaps.publishes)
            at_a_rate(root, address, asked["all of them"], swaps)
        finally:
            server.terminate()
            server.wait()


def wait_until_quiet(process: int) -> None:
    """Wait until the server has filled its table of neighbours."""
    started = time.perf_counter()
    used, before = cpu_seconds(process), -1.0
    while used - before > 0.1:
        time.sleep(2)
        before, used = used, cpu_seconds(process)
    print(f"\nneighbours of all games after {time.perf_counter() - started:.0f} s, {used:.0f} s of CPU in all")


def underneath(root: Path, address: str, paths: list[str], publishes: int) -> None:
    """Print latencies and failures while releases are published, each served before the next."""
    seconds: list[float] = []
    failed: list[str] = []
    publisher = threading.Thread(target=publish_all, args=(root, address, publishes))
    started = time.perf_counter()
    publisher.start()
    while publisher.is_alive():
        more = load(address, paths, 2)
        seconds += more[0]
        failed += more[1]
    took = time.perf_counter() - started
    print(line(f"all of them, {publishes} releases published underneath in {took:.0f} s", seconds, failed, took))


def publish_all(root: Path, address: str, publishes: int, every: float = 0.0) -> None:
    """Publish the current release again and again under new names; wait until each is served, and at least a while."""
    from recsys.release.staging import RunFacts
    from recsys.release.store import ReleaseStore

    store = ReleaseStore(root, keep=3, check=lambda *_: None)
    current, manifest = store.path(), store.manifest()
    files = {name: (current / name).read_bytes() for name in manifest.files}
    facts = RunFacts(manifest.content, manifest.cf, manifest.golden)
    for number in range(publishes):
        began, name = time.monotonic(), f"published-{os.getpid()}-{number}"
        with store.staging(name) as staging:
            for file, data in files.items():
                staging.write(file, data)
            staging.publish(facts)
        while True:
            with urllib.request.urlopen(f"{address}/health") as answer:
                if json.load(answer)["release"] == name:
                    break
            time.sleep(0.05)
        time.sleep(max(0.0, began + every - time.monotonic()))


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", type=Path)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--publishes", type=int, default=50)
    parser.add_argument("--rate", type=float, default=300)
    parser.add_argument("--every", type=float, default=2)
    parser.add_argument("--only-rate", action="store_true")
    parser.add_argument("--publish-to", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.publish_to:
        publish_all(chosen.models, chosen.publish_to, chosen.publishes, chosen.every)
        return
    if chosen.only_rate:
        over_http(chosen.models, 0, Swaps(chosen.publishes, chosen.rate, chosen.every))
        return
    import recsys

    user = recsys.load(chosen.models / "v1").snapshot.people.users.id_of(0)
    loader(chosen.models, int(user))
    in_process(chosen.models)
    if chosen.seconds:
        over_http(chosen.models, chosen.seconds, Swaps(chosen.publishes, chosen.rate, chosen.every))


if __name__ == "__main__":
    main()
