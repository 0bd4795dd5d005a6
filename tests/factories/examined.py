"""What ``recsys doctor`` finds, and what a test looks at beside it."""

from __future__ import annotations

import json
import socket
from contextlib import closing
from typing import TYPE_CHECKING, Any

from recsys.cli import run

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from recsys import errors

    Capture = pytest.CaptureFixture[str]

PATIENT = ("--limit", "300", "--json")
"""A loaded machine is given time."""


def tree(folder: Path) -> dict[str, int]:
    """Return everything below a folder, with the time of its last change."""
    return {str(path): path.lstat().st_mtime_ns for path in sorted(folder.rglob("*"))}


def examined(capsys: Capture, *arguments: str) -> tuple[int, dict[str, dict[str, Any]]]:
    """Return the exit code, and what each check found."""
    code = run(["doctor", *arguments, *PATIENT])
    answer = json.loads(capsys.readouterr().out)
    assert answer["exit_code"] == code
    assert answer["status"] == ("failed" if code else "sound")
    return code, {row["check"]: row for row in answer["checks"]}


def only_failure(found: dict[str, dict[str, Any]], check: str, kind: type[errors.RecsysError], words: str) -> None:
    """Assert that one check failed, how, and that what needs it was skipped."""
    (failed,) = [row for row in found.values() if row["state"] == "failed"]
    assert (failed["check"], failed["error"], failed["exit_code"]) == (check, kind.__name__, kind.exit_code)
    assert words in failed["text"]
    for row in found.values():
        assert row["state"] != "skipped" or row["text"].startswith("not looked at: it needs ")


def closed_port() -> int:
    """Return a port of this machine where nobody listens."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        return int(listener.getsockname()[1])
