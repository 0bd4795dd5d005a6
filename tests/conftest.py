"""What every test may ask for: tools of the system and the folder of real data.

A test that needs something a machine may lack asks for it here. Where it is missing the test is
skipped and says why; with ``CI=true`` it fails, so that CI never passes on tests it did not run.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from recsys.embedding.plan import is_installed

if TYPE_CHECKING:
    from collections.abc import Callable

    from recsys.embedding.plan import Engine


def pytest_configure(config: pytest.Config) -> None:
    """Give the run a cache of its own: texts are encoded once, and nobody's cache is touched.

    Set here, before workers and subprocesses start, so that they all have it.
    """
    if not hasattr(config, "workerinput"):
        folder = tempfile.TemporaryDirectory(prefix="recsys-tests-")
        config.add_cleanup(folder.cleanup)
        os.environ["XDG_CACHE_HOME"] = folder.name
        # Several workers share the cores: numerical libraries that each take all of them wait for each other.
        os.environ.setdefault("OMP_NUM_THREADS", "1")


def require(present: object, what: str, remedy: str) -> None:
    """Go on when ``present``; otherwise skip the test, or fail it in CI.

    Parameters
    ----------
    present
        Anything truthy when the test can run.
    what
        Names what is missing.
    remedy
        Says how to get it.
    """
    if present:
        return
    message = f"{what} is missing; {remedy}"
    if os.environ.get("CI") == "true":
        pytest.fail(f"{message} (CI=true: nothing is skipped)", pytrace=False)
    pytest.skip(message)


@pytest.fixture(scope="session")
def needs_tool() -> Callable[[str], Path]:
    """Return a function that finds a program on the PATH: ``strace = needs_tool("strace")``."""

    def find(name: str) -> Path:
        program = shutil.which(name)
        require(program, f"the program {name}", "install it with the system's package manager")
        return Path(str(program))

    return find


def require_engine(engine: Engine) -> None:
    """Go on where an engine is installed that runs the embedding model; torch is the independent oracle, too."""
    extra = "train" if engine == "openvino" else engine
    require(
        is_installed(engine),
        f"the extra {extra}",
        f"make test EXTRAS={extra}, or pip install 'recsys-releases[{extra}]'",
    )


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Return the folder of BoardGameGeek marts that ``RECSYS_REAL_DATA`` names."""
    named = os.environ.get("RECSYS_REAL_DATA", "")
    folder = Path(named)
    games = folder / "mart_games.parquet"
    require(
        named and games.is_file(),
        f"real data ({games if named else 'RECSYS_REAL_DATA is not set'})",
        "set RECSYS_REAL_DATA to a folder with mart_games.parquet and mart_user_ratings.parquet",
    )
    return folder
