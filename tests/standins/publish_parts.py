"""Publishes prepared parts again and again, each time in a process of its own: what fault tests make fail.

Started as ``python -m standins.publish_parts PARTS``, it imports everything once. Each line on stdin is
``MODELS RUN_ID KEEP [CHECK ...]``; see :func:`standins.forking.serve`. ``CHECK`` is put in front of the command of the
fresh process that checks the staged release; ``here`` checks in the publisher itself; ``rollback`` goes back to the
release ``RUN_ID`` instead, and holds.
"""

from __future__ import annotations

import json
import sys
import traceback
from functools import partial
from pathlib import Path

from recsys.errors import RecsysError
from recsys.release.check import FreshProcess, check_here
from recsys.release.loading import load_release
from recsys.release.manifest import GoldenAnswer, Provenance
from recsys.release.staging import RunFacts
from recsys.release.store import ReleaseStore
from standins.forking import serve


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


if __name__ == "__main__":
    parts = Path(sys.argv[1])
    # Loading the release that is there imports all that a publish will need.
    load_release(parts.parent / "warm" / "v1")
    files, facts = read_parts(parts)
    serve(partial(publish, files, facts))
