"""Publishes prepared parts again and again, each time in a process of its own: what fault tests make fail.

Started as ``python publish_parts.py PARTS``, it imports everything once. Each line on stdin,
``MODELS RUN_ID KEEP [CHECK ...]``, makes it fork a publisher, which waits on a pipe until it is told
to go, so that a tracer can attach in between. ``CHECK`` is put in front of the command of the fresh
process that checks the staged release; ``here`` checks in the publisher itself; ``rollback`` goes back to the release
``RUN_ID`` instead, and holds.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
import traceback
import warnings
from pathlib import Path

from recsys.errors import RecsysError
from recsys.release.check import FreshProcess, check_here
from recsys.release.loading import load_release
from recsys.release.manifest import GoldenAnswer, Provenance
from recsys.release.staging import RunFacts
from recsys.release.store import ReleaseStore


def read_parts(folder: Path) -> tuple[dict[str, bytes], RunFacts]:
    """Return the files and facts that ``small_release.Parts.save`` wrote."""
    files = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
    facts = json.loads(files.pop("facts.json"))
    golden = {half: [GoldenAnswer(**answer) for answer in answers] for half, answers in facts["golden"].items()}
    return files, RunFacts(Provenance(**facts["content"]), Provenance(**facts["cf"]), golden)


def publish(files: dict[str, bytes], facts: RunFacts, models: str, run_id: str, keep: str, *check: str) -> int:
    """Publish once; return what the command line would exit with."""
    try:
        if check == ("rollback",):
            ReleaseStore(models).rollback(run_id, reason="worse")
            return 0
        how = check_here if check == ("here",) else FreshProcess(check)
        with ReleaseStore(models, keep=int(keep), check=how).staging(run_id) as staging:
            for name, data in files.items():
                staging.write(name, data)
            staging.publish(facts)
    except RecsysError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return error.exit_code
    except BaseException:  # noqa: BLE001 - a bug: the test shows it
        traceback.print_exc()
        return 70
    return 0


def _let_anybody_trace() -> None:
    """Allow a tracer that is not our parent, where the kernel (Yama) asks for that."""
    set_ptracer, anybody = 0x59616D61, -1
    ctypes.CDLL(None).prctl(set_ptracer, ctypes.c_ulong(anybody), 0, 0, 0)


def serve(files: dict[str, bytes], facts: RunFacts) -> None:
    """Fork a publisher for every line; write its process id, and its exit code when it has ended."""
    # From Python 3.12 on a fork beside threads warns; those that libraries have started here are idle, and a child does
    # nothing that waits for them.
    warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
    for line in sys.stdin:
        go, signal = os.pipe()
        pid = os.fork()
        if not pid:
            os.close(signal)
            _let_anybody_trace()
            os.read(go, 1)
            os._exit(publish(files, facts, *line.rstrip("\n").split("\t")))
        os.close(go)
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()
        sys.stdin.readline()
        os.write(signal, b"\n")
        _, status = os.waitpid(pid, 0)
        os.close(signal)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    parts = Path(sys.argv[1])
    # Loading the release that is there imports all that a publish will need.
    load_release(parts.parent / "warm" / "v1")
    serve(*read_parts(parts))
