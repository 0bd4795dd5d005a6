"""The check of a release by what serves it: ``python -m recsys.serving.check FOLDER``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from recsys.errors import RecsysError
from recsys.release.loading import load_release
from recsys.serving.golden import replay

if TYPE_CHECKING:
    from recsys.release.keys import PublicKeys


def check(folder: Path, keys: PublicKeys | None = None) -> None:
    """Verify and load a release, and repeat its golden queries on the code that serves it.

    Raises
    ------
    ArtifactCorrupt, IncompatibleArtifact, ReleaseNotFound
        If it is not sound.
    """
    replay(load_release(folder, keys=keys))


def main(arguments: list[str]) -> int:
    """Check one folder; the last line on stderr says what is wrong."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m recsys.serving.check FOLDER\n")
        return 2
    try:
        check(Path(arguments[0]))
    except RecsysError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    exit_code = main(sys.argv[1:])
    sys.stderr.flush()
    # Not sys.exit: thread pools of C++ libraries sometimes abort while they are torn down, and the
    # result must not depend on that.
    os._exit(exit_code)
