"""A setting, command, option or exit code that is not in the documentation fails here."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_origin

import pytest
from typer.main import get_command

from recsys import errors
from recsys.cli import app
from recsys.config import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCS = Path(__file__).parents[1] / "docs"


def settings() -> Iterator[tuple[str, Any]]:
    """Yield the full name and the field of every setting."""
    for section, model in Settings.model_fields.items():
        if get_origin(model.annotation) is dict:
            for key, field in get_args(model.annotation)[1].model_fields.items():
                yield f"{section}.NAME.{key}", field
            continue
        assert model.annotation is not None
        for key, field in model.annotation.model_fields.items():
            yield f"{section}.{key}", field


def options() -> Iterator[tuple[str, str, Any]]:
    """Yield command, flag or argument, and parameter of the whole command line, as typer built it."""
    waiting: list[tuple[str, Any]] = [("recsys", get_command(app))]
    while waiting:
        name, command = waiting.pop()
        if not command.hidden:
            waiting += [(f"{name} {sub}", member) for sub, member in getattr(command, "commands", {}).items()]
            yield name, "", command
            yield from ((name, flag, given) for given in command.params if not given.hidden for flag in given.opts)


def exit_codes() -> set[int]:
    """Return every code that a class of the error tree carries."""
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.RecsysError)]
    return {kind.exit_code for kind in kinds}


def test_the_reference_pages_are_what_the_code_says() -> None:
    """The committed pages equal what ``make docs`` writes: nobody maintains them by hand."""
    for path, text in runpy.run_path(str(DOCS / "generate.py"))["pages"]().items():
        assert path.is_file(), f"{path.name} has never been written; run make docs"
        assert path.read_text(encoding="utf-8") == text, f"{path.name} is out of date; run make docs"


@pytest.mark.parametrize(("name", "field"), list(settings()), ids=lambda value: value if isinstance(value, str) else "")
def test_every_setting_is_documented(name: str, field: Any) -> None:
    """Each field has a sentence beneath it, and ``settings.md`` has its name and default."""
    assert field.description, f"{name} has no docstring beneath it in config.py"
    rows = [line for line in (DOCS / "settings.md").read_text(encoding="utf-8").splitlines() if f"| `{name}` |" in line]
    assert len(rows) == 1, f"{name} is not in docs/settings.md; run make docs"
    default = field.get_default(call_default_factory=True)
    assert ("[]" if default == () else str(default)).lower() in rows[0].lower()


@pytest.mark.parametrize("code", sorted(exit_codes() | {0, 2, 130, 143}))
def test_every_exit_code_is_documented(code: int) -> None:
    """``cli.md`` has a row for each code that a run can end with."""
    assert re.search(rf"^\| {code} \|", (DOCS / "cli.md").read_text(encoding="utf-8"), re.MULTILINE)


def test_every_command_and_option_is_documented() -> None:
    """``cli.md`` has a section for each command, and in it each option with its help."""
    page = (DOCS / "cli.md").read_text(encoding="utf-8")
    chapters = dict(re.findall(r"^## `([^`]+)`$(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL))
    missing = [
        f"{name} {flag}".strip()
        for name, flag, part in options()
        if not part.help or (flag or name) not in (chapters.get(name, "") if flag.startswith("-") else page)
    ]
    assert not missing, f"without help, or not in docs/cli.md: {missing}"
