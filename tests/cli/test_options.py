"""Options: spelled and explained alike on every command, and ``-v`` on each."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from typer.main import get_command

from recsys.cli import app, run
from recsys.cli.tables import aligned

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def commands(group: Any, name: str = "recsys") -> Iterator[tuple[str, Any]]:
    """Yield the full name and the object of each command that does something."""
    for sub, member in group.commands.items():
        if hasattr(member, "commands"):
            yield from commands(member, f"{name} {sub}")
        else:
            yield f"{name} {sub}", member


COMMANDS = dict(commands(get_command(app)))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_takes_verbose(name: str) -> None:
    """Whoever hunts a cause need not know which commands log."""
    assert {"--verbose", "-v"} <= {flag for option in COMMANDS[name].params for flag in option.opts}


@pytest.mark.parametrize("name", COMMANDS)
def test_help_says_what_holds_where_an_option_is_left_out(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each shows its default, is required, or may be repeated; a flag is off, and what it turns on is in its help."""
    assert run([*name.split()[1:], "--help"]) == 0
    shown = " ".join(re.sub(r"[│╭╮╰╯─]", " ", capsys.readouterr().out).split())
    for option in COMMANDS[name].params:
        if option.required:
            assert "[required]" in shown
        elif getattr(option, "multiple", False):
            assert "may be repeated" in option.help
        elif not getattr(option, "is_flag", False):
            default = option.show_default
            words = (
                f"({default})" if isinstance(default, str) else str(getattr(option.default, "value", option.default))
            )
            assert f"[default: {words}]" in shown, f"{name} {option.opts}"


def test_an_option_means_the_same_on_every_command() -> None:
    """One help, one default and one form for each name; ``--by``, ``--release`` and ``-k`` depend on what is asked."""
    meanings: dict[str, set[tuple[object, ...]]] = {}
    for command in COMMANDS.values():
        for option in command.params:
            if option.param_type_name == "option":
                default = (str(option.default), option.show_default)
                meaning = (option.help, *default, option.metavar, tuple(option.opts))
                meanings.setdefault(option.opts[0], set()).add(meaning)
    assert {name for name, several in meanings.items() if len(several) > 1} == {"--by", "--release", "-k"}


def test_verbose_shows_the_traceback_of_a_quiet_command(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A query says its one line, and with ``-v`` where it came from."""
    for extra in ([], ["-v"]):
        assert run(["similar", "Catan", "--models", str(tmp_path), *extra]) == 76
        assert ("Traceback" in capfd.readouterr().err) == bool(extra)


def test_plain_tables_keep_their_columns() -> None:
    """A long cell with nothing behind it widens no column; numbers stand at the right."""
    lines = [("", "name", "when", "n"), ("*", "a", "now", "1,000"), ("", "bb", "a long remark", "")]
    assert aligned(lines, numbers={3}).splitlines() == [
        "   name  when      n",
        "*  a     now   1,000",
        "   bb    a long remark",
    ]


@pytest.mark.parametrize("poll", ["inf", "nan", "-1", "0", "1e300"])
def test_looks_are_some_seconds_apart(poll: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What is no length of time is a wrong command line, and nothing is served."""
    assert run(["serve", "--models", "nowhere", "--poll", poll]) == 2
    assert "--poll" in capsys.readouterr().err


@pytest.mark.parametrize("minutes", ["inf", "nan", "-1"])
def test_a_budget_is_finite(minutes: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A search for NaN minutes would never end."""
    assert run(["tune", "--study", "s.db", "--minutes", minutes]) == 2
    assert "--minutes" in capsys.readouterr().err
