"""The check of a release: by what serves it, in this process or in a fresh one.

What a process has in memory proves nothing about what is on the disk. So a staged release is
loaded by a process that has never seen it, which verifies every byte and answers the golden queries.
What answers stands above this package, and is known here by its name alone.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

from recsys.errors import ArtifactWriteError
from recsys.release.keys import PUBLIC, SIGNING, UNLOCKING, PublicKeys

Check: TypeAlias = Callable[[Path, PublicKeys | None], None]
"""Takes a release's folder and the public keys; raises if the release is not sound."""

CHECKER = "recsys.serving.check"
"""The module that checks: ``python -m recsys.serving.check FOLDER``, or its function ``check``."""
LIMIT_S = 900
"""A check that takes longer is given up."""


def check_here(folder: Path, keys: PublicKeys | None = None) -> None:
    """Verify and load a release in this process, and repeat its golden queries.

    Raises
    ------
    ArtifactCorrupt, IncompatibleArtifact, ReleaseNotFound
        If it is not sound.
    """
    check: Check = importlib.import_module(CHECKER).check
    check(folder, keys)


class FreshProcess:
    """Does the same in a process of its own.

    Parameters
    ----------
    prefix
        Put in front of the command, such as ``["nice"]``.
    """

    def __init__(self, prefix: Sequence[str] = ()) -> None:
        self._prefix = prefix

    def __call__(self, folder: Path, keys: PublicKeys | None = None) -> None:
        """Check a folder.

        Raises
        ------
        ArtifactWriteError
            If the release is not sound, or the process could not do its work.
        """
        # -P: nothing is imported from the working directory.
        command = [*self._prefix, sys.executable, "-P", "-m", CHECKER, str(folder)]
        try:
            done = subprocess.run(
                command,
                env=_environment(keys),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                timeout=LIMIT_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ArtifactWriteError(
                f"the staged release could not be checked in a fresh process: {error}; the current release stays"
            ) from error
        if done.returncode:
            said = done.stderr.strip().splitlines() or [f"it ended with exit code {done.returncode}"]
            raise ArtifactWriteError(
                f"the staged release failed its check in a fresh process: {said[-1]}; the current release stays"
            )


def _environment(keys: PublicKeys | None) -> dict[str, str]:
    """Return an environment that imports this very package, and knows no secrets of a warehouse or a store."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("SNOWFLAKE_", "AWS_"))}
    package = str(Path(__file__).resolve().parents[2])
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [package, environment.get("PYTHONPATH")]))
    # One matrix product per query: threads would only cost their start.
    environment |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONIOENCODING": "utf-8"}
    for name in (SIGNING, UNLOCKING, PUBLIC):
        environment.pop(name, None)
    return environment if keys is None else environment | keys.environment()
