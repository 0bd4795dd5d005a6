"""The start of a server from a bucket beside that from a folder: the same release, side by side in one run.

    pip install 'recsys-releases[train,s3]' 'moto[server]'
    python -m benchmarks.stores models

A server of buckets (moto's) on loopback takes the current release of the folder. Then, in turns, fresh processes load
it: from the folder; from the bucket, where it was copied before; and into an empty cache, which copies it first.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.__main__ import entry
from recsys.release.objects.bucket import Bucket
from recsys.release.objects.state import StateFile
from recsys.release.path import follow

_LOAD = "import sys, time; t = time.monotonic(); import recsys; recsys.load(sys.argv[1]); print(time.monotonic() - t)"
_BUCKET = "start"


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", type=Path, help="folder of the releases")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    folder = follow(arguments.models / "v1")
    with tempfile.TemporaryDirectory() as temporary:
        server = _serve(Path(temporary) / "log")
        try:
            _measure(arguments.models, folder, Path(temporary), arguments.rounds)
        finally:
            server.terminate()
            server.wait()


def _serve(log: Path) -> subprocess.Popen[bytes]:
    port = 5077
    os.environ |= {
        "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "benchmark",
        "AWS_SECRET_ACCESS_KEY": "benchmark",
        "AWS_REGION": "us-east-1",
    }
    with log.open("wb") as output:
        server = subprocess.Popen([sys.executable, "-m", "moto.server", "-p", str(port)], stdout=output, stderr=output)
    time.sleep(5)
    return server


def _measure(models: Path, folder: Path, temporary: Path, rounds: int) -> None:
    import urllib.request

    endpoint = os.environ["AWS_ENDPOINT_URL_S3"]
    urllib.request.urlopen(urllib.request.Request(f"{endpoint}/{_BUCKET}", method="PUT", data=b"")).close()
    address = f"s3://{_BUCKET}/models"
    bucket = Bucket(address)
    for path in folder.iterdir():
        bucket.put_file(f"releases/{folder.name}/{path.name}", path)
    StateFile(bucket).change(lambda found: found.state.model_copy(update={"release": folder.name}))
    size = sum(path.stat().st_size for path in folder.iterdir())
    taken: dict[str, list[float]] = {"folder": [], "bucket, copied before": [], "bucket, empty cache": []}
    _load(address, temporary / "warm")
    for number in range(rounds):
        taken["folder"].append(_load(str(models / "v1"), temporary / "none"))
        taken["bucket, copied before"].append(_load(address, temporary / "warm"))
        taken["bucket, empty cache"].append(_load(address, temporary / f"cold{number}"))
    local = statistics.median(taken["folder"])
    print(f"{entry(Path('/proc/cpuinfo'), 'model name')}, {size / 1e6:,.0f} MB, medians of {rounds} rounds in turns")
    for name, seconds in taken.items():
        print(f"{name:<24} {statistics.median(seconds):6.2f} s  {statistics.median(seconds) / local:5.2f} ×")


def _load(path: str, cache: Path) -> float:
    done = subprocess.run(
        [sys.executable, "-c", _LOAD, path],
        env={**os.environ, "XDG_CACHE_HOME": str(cache)},
        check=True,
        capture_output=True,
        text=True,
    )
    return float(done.stdout)


if __name__ == "__main__":
    main()
