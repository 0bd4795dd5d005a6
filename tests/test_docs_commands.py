"""Commands, settings and programs that the pages print: each can be run as it stands there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.main import get_command

from recsys.cli import app
from recsys.config import load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/*.md")), *sorted(ROOT.glob("examples/*/*.md"))]
SHELL = {"", "sh", "bash", "console"}
ENDS = {"|", "||", "&&", ";", ">", ">>", "2>", "&", ";;"}


def blocks(page: Path) -> Iterator[tuple[str, str]]:
    """Yield the language and the text of each fenced block."""
    yield from re.findall(r"^```(\w*)\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def printed(page: Path) -> Iterator[str]:
    """Yield each call of ``recsys`` in the blocks of a page that are for a shell."""
    text = "\n".join(text for language, text in blocks(page) if language in SHELL).replace("\\\n", " ")
    for line in text.split("\n"):
        yield from re.findall(r"(?:^|[\s$(;])recsys (-?[a-z].*)", line)


def named(page: Path) -> Iterator[str]:
    """Yield each call that a sentence names; one may lack what it must be given."""
    prose = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    yield from re.findall(r"`recsys (-?[a-z][^`]*)`", " ".join(prose.split()))


def arguments(call: str) -> list[str]:
    """Return what a shell hands over of a call, up to its comment or the next command."""
    words = []
    for word in shlex.split(call, comments=True):
        if word in ENDS or word.startswith((">", "2>")):
            break
        words.append(word.removesuffix(";"))
        if word.endswith(";"):
            break
    return [word for word in words if word not in {"…", "..."}]


def found(call: str) -> tuple[str, Any, list[str]]:
    """Return the name and the object of the command that is called, and what it is given."""
    name, command, words = "recsys", get_command(app), arguments(call)
    while words and words[0] in getattr(command, "commands", {}):
        name, command = words[0], command.commands[words.pop(0)]  # type: ignore[attr-defined]
    return name, command, words


PRINTED = sorted({(page.name, call) for page in PAGES for call in printed(page)})
NAMED = sorted({(page.name, call) for page in PAGES for call in named(page)})


@pytest.mark.parametrize(("page", "call"), PRINTED, ids=[f"{page}: {call[:60]}" for page, call in PRINTED])
def test_commands_on_the_pages_can_be_run(
    page: str, call: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The command is there, and takes these options, arguments and settings."""
    monkeypatch.chdir(tmp_path)
    name, command, words = found(call)
    context = command.make_context(name, words)
    load_settings(None, context.params.get("set_") or [])


@pytest.mark.parametrize(("page", "call"), NAMED, ids=[f"{page}: {call[:60]}" for page, call in NAMED])
def test_commands_in_sentences_are_there(page: str, call: str) -> None:
    """The command, and each option that the sentence names with it."""
    _, command, words = found(call)
    options = {flag for parameter in command.params for flag in parameter.opts} | {"--help", "-h"}
    assert not [word for word in words if word.startswith("-") and word.partition("=")[0] not in options], call
    assert not words or command.params, f"{call}: no such command"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_settings_and_programs_on_the_pages_are_right(
    page: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A piece of ``recsys.toml`` is read, a program compiles, and a variable is one of a setting."""
    monkeypatch.chdir(tmp_path)
    for language, text in blocks(page):
        if language == "toml":
            (tmp_path / "recsys.toml").write_text(text, encoding="utf-8")
            load_settings(tmp_path / "recsys.toml")
        if language == "python":
            compile(text, page.name, "exec")
    for name, value in re.findall(r"\b(RECSYS_[A-Z]+__[A-Z_]+)=([^\s`)]+)", page.read_text(encoding="utf-8")):
        if name != "RECSYS_SECTION__KEY":
            load_settings(None, [], {name: value})
