"""What is imported when: a command answers at once, and heavy libraries wait until they are needed."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = {
    "altair",
    "duckdb",
    "faiss",
    "fastapi",
    "implicit",
    "numba",
    "openvino",
    "pandas",
    "pyarrow",
    "scipy",
    "sentence_transformers",
    "snowflake",
    "torch",
    "transformers",
}


def imported_by(code: str) -> set[str]:
    """Return the top-level modules that a fresh interpreter holds after running ``code``."""
    program = f"import json, sys\n{code}\nprint(json.dumps(sorted({{name.partition('.')[0] for name in sys.modules}})))"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    return set(json.loads(answer.stdout.splitlines()[-1]))


def test_importing_the_package_imports_nothing_heavy() -> None:
    """``import recsys`` costs next to nothing: what it exports is imported on first use."""
    assert not imported_by("import recsys") & (HEAVY | {"numpy", "pydantic", "rich", "typer"})


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["--version"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    """A command that only prints text imports no library of the data or the models."""
    code = f"from recsys.cli import run\nassert run({arguments!r}) == 0"
    assert not imported_by(code) & (HEAVY | {"numpy"})


def test_the_error_tree_stands_alone() -> None:
    """Callers can import the errors that they catch without the library's dependencies."""
    assert not imported_by("import recsys.errors") & (HEAVY | {"numpy", "pydantic", "rich", "typer"})
