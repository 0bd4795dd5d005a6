"""The tutorial: each command runs as it is printed, in its order, and prints the lines that stand below it."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from standins.server import running

ROOT = Path(__file__).parents[1]
TUTORIAL = (ROOT / "docs/tutorial.md").read_text(encoding="utf-8")
ANYTHING = "…"
"""Stands for what differs from run to run."""


def steps() -> list[tuple[str, list[str]]]:
    """Return the commands of the page, each with the lines below it."""
    found: list[tuple[str, list[str]]] = []
    for block in re.findall(r"```console\n(.*?)```", TUTORIAL, re.DOTALL):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            else:
                found[-1][1].append(line)
    return found


def pattern(line: str) -> str:
    """Return what a printed line must match; blanks are as many as there are, or more."""
    parts = [r"\s+".join(map(re.escape, part.split())) for part in line.split(ANYTHING)]
    return r"\s*.*?\s*".join(parts)


def said(command: str, folder: Path) -> str:
    """Run a command; return what it answered."""
    words = shlex.split(command, comments=True)
    assert words[0] == "recsys"
    done = subprocess.run(
        [sys.executable, "-m", *words],
        cwd=folder,
        env={**os.environ, "COLUMNS": "200", "RECSYS_CF__TUNING": "off", "RECSYS_CF__FACTORS": "64"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stderr}"
    return done.stdout


@pytest.mark.timeout(900)
def test_the_tutorial_says_what_happens(tmp_path: Path) -> None:
    """From the first command to the last, in one folder; the server is asked what the page asks."""
    commands = steps()
    assert len(commands) > 10
    for command, lines in commands:
        if command.startswith("recsys serve"):
            (first,) = lines
            assert first.startswith("http://")
            serve = ("-m", "recsys", "serve", "--port", "0", "--models", tmp_path / "models")
            with running(*serve, log=tmp_path / "server.log") as (_, address):
                for path in re.findall(r"curl 'http://[^/]+(/[^']*)'", TUTORIAL):
                    with urllib.request.urlopen(f"{address}{path}", timeout=30) as answer:
                        assert answer.status == 200, path
            continue
        printed = [" ".join(line.split()) for line in said(command, tmp_path).splitlines()]
        for line in lines:
            wanted = re.compile(pattern(line))
            assert any(wanted.match(each) for each in printed), f"{command}: {line!r} is not in\n" + "\n".join(printed)


def test_every_word_of_the_glossary_is_explained_once() -> None:
    """In the order of the alphabet, so that it is found."""
    rows = re.findall(
        r"^\| ([^|]+) \| ([^|]+) \|$", (ROOT / "docs/glossary.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    words = [word.lower() for word, _ in rows if word not in {"word", "---"}]
    assert len(words) > 30
    assert words == sorted(words)
