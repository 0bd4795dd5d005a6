"""Write the reference pages from the code: ``python docs/generate.py`` (or ``make docs``).

``settings.md`` and ``cli.md`` are never edited by hand; a test compares them with what this
program makes of the settings, the error tree and the command line.
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast, get_args, get_origin

from typer.main import get_command

from recsys.cli import app
from recsys.config import Settings
from recsys.errors import RETRY, UNFORESEEN, RecsysError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import BaseModel
    from pydantic.fields import FieldInfo

HERE = Path(__file__).parent
NOTE = "<!-- Written by docs/generate.py from the code: change the code, then run `make docs`. -->\n\n"

SETTINGS_INTRO = """# Settings

A value is looked up in this order: `--set section.key=value` on the command line, the environment
(`RECSYS_SECTION__KEY=value`), the tables of `recsys.toml` (or the file that `--config` names), the default. A setting
that does not exist is an error, and so is a value outside its bounds; all of them are named at once. Names are taken in
upper and lower case, and a variable that is empty counts as unset.

In the environment `RECSYS_SECTION__KEY` is always taken for a setting, and a name that is one slip from one, such as
one underscore instead of two, is an error that says so. Other variables with `RECSYS_` are left alone:
Kubernetes makes some.

```toml
# recsys.toml
[cf]
factors = 64
```

```sh
RECSYS_CF__FACTORS=64 recsys train
recsys train --set cf.factors=64
```

Identity and secrets are no settings: they come from `SNOWFLAKE_*` in the environment alone.
"""

EXITS = {
    0: ("–", "done: published, or nothing new and said so", "–"),
    2: ("–", "the command line is wrong", "correct the command line; `--help` shows its options"),
    UNFORESEEN: ("–", "anything unforeseen: a bug", RecsysError.next_step),
    130: ("–", "interrupted (Ctrl-C); nothing half-written", "run again"),
    143: ("–", "terminated (SIGTERM); nothing half-written", "run again"),
}

EXIT_INTRO = """Only 69 and 75 are worth a retry: one, after some minutes. Whatever else ends a run would end the
next one too. 3 is no fault of the run: somebody should look at it. `recsys rebuild` ends with it where a release
differs from the one that its records make.
[production.md](production.md#the-contract-of-a-run) has that for bash, Airflow, Kubernetes and systemd.
"""

FAILURES = """
## Failures

A failure is the last line on stderr: `recsys: error:` and one message. With `--log-format json` it is one event of
level `error` instead, and the only one of a run; what led to it are warnings. With `--json` stdout ends with an object
of the same keys, and `status`.

| key | what it says |
| --- | --- |
| `event` | `failed` |
| `error` | the class of the error, as in the table above |
| `message` | what failed, the value seen, what was expected, what to do |
| `exit_code` | the command's |
| `next_step` | what to do about errors of this kind |
| `retry` | whether one more try is worth it |

JSON has no sign for NaN: a number that is not finite is `null`.
"""

STREAMS = """
## Streams

stdout carries the answer: a line, a table, or one JSON object. stderr carries events, warnings and the error line.
Reporting the outcome never decides it:

- A command that does or finds something (`train`, `tune`, `verify`, `rollback`, `hold`, `report --out FILE`,
  `cache clear`) ends with the exit code of what it did. What stdout cannot take, because it is closed, full, or read
  by nobody, is written to stderr.
- Where the answer is all that a command is for (`show`, `similar`, `--help`, ...), it exits with 0 and says nothing if
  the reader has left (`| head`) or stdout is closed; if stdout fails otherwise, such as on a full disk, it exits with
  73.
- What stderr cannot take is dropped. A failure keeps its exit code, whether or not its message can be written.
- A summary that cannot be written to `GITHUB_STEP_SUMMARY` is a warning with the reason, and so is a refused
  candidate's page under `refused/`: the exit code stays 3.
- A sign that the encoding of a stream lacks is written as an escape, such as `\\u03bb`; `--json` is JSON in every
  encoding. `report --out -` writes the bytes of the page as they are.

## What a long run says

On a terminal a bar shows how far a step is. Elsewhere, and in steps without a bar, a run that has logged nothing for 20
seconds logs an event `working` with these keys, as far as they are known:

| key | what it says |
| --- | --- |
| `step` | the step; `run` between two of them |
| `what` | what is counted, such as `encoding texts` |
| `done`, `of` | how many are done, and of how many |
| `share` | the same as a number from 0 to 1 |
| `per_second` | the rate since the count began |
| `seconds_left` | what the rest takes at that rate |
| `seconds_used`, `seconds_at_most` | of a search that ends by the clock |
| `seconds` | since the step began |
"""


def settings_page() -> str:
    """Return ``settings.md``: a table for each section, a row for each field."""
    parts = [NOTE + SETTINGS_INTRO]
    for section, model in sections():
        parts += [f"\n## `[{section}]`\n", f"{prose(inspect.getdoc(model))}\n"]
        parts += ["| setting | default | takes | what it does |", "| --- | --- | --- | --- |"]
        for key, field in model.model_fields.items():
            name = f"{section}.{key}"
            parts.append(row(f"`{name}`", f"`{default(field)}`", takes(field), described(name, field.description)))
    return "\n".join(parts) + "\n"


def sections() -> Iterator[tuple[str, type[BaseModel]]]:
    """Yield the name and the class of each section of settings."""
    for section, field in Settings.model_fields.items():
        if get_origin(field.annotation) is dict:  # as many tables as there are names
            yield f"{section}.NAME", get_args(field.annotation)[1]
        else:
            yield section, cast("type[BaseModel]", field.annotation)


def default(field: FieldInfo) -> str:
    """Return the default as it would stand in TOML."""
    value = field.get_default(call_default_factory=True)
    if isinstance(value, bool):
        return str(value).lower()
    if value is None or value == ():
        return "none" if value is None else "[]"
    return f'"{value}"' if isinstance(value, str | Path) else str(value)


LISTS = {"tuple": "list", "dict": "table of numbers"}
"""What settings of more than one value are called."""


def takes(field: FieldInfo) -> str:
    """Return the type of a setting with its choices or bounds, in words."""
    if structure := LISTS.get(str(field.annotation).partition("[")[0]):
        return structure
    kinds = [field.annotation] if get_origin(field.annotation) in {None, Literal} else list(get_args(field.annotation))
    names, rules = [], list(field.metadata)
    for member in kinds:
        kind, *more = get_args(member) if get_origin(member) is Annotated else (member,)
        rules += [rule for each in more for rule in each.metadata]
        if get_origin(kind) is Literal:
            names += [f"`{choice}`" for choice in get_args(kind)]
        elif kind is not type(None):
            names.append(
                {"str": "text", "float": "number", "int": "integer", "bool": "`true` or `false`"}.get(
                    getattr(kind, "__name__", ""), f"{kind}"
                )
            )
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    bounds = [f"{sign} {getattr(rule, key)}" for rule in rules for key, sign in signs.items() if hasattr(rule, key)]
    return ", ".join(dict.fromkeys(names + bounds))


def cli_page() -> str:
    """Return ``cli.md``: each command with its arguments and options, then exit codes, streams and events."""
    parts = [NOTE + "# Command line\n"]
    for name, command in commands(get_command(app), "recsys"):
        parts += [f"\n## `{name}`\n", f"{prose(described(name, command.help))}\n"]
        rows = [parameter(name, each) for each in command.params if not getattr(each, "hidden", False)]
        if rows:
            parts += ["| argument or option | default | what it does |", "| --- | --- | --- |", *rows]
    return "\n".join(parts) + "\n\n" + exit_codes() + FAILURES + STREAMS


def commands(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Yield the full name and the object of each visible command, groups before their members."""
    yield name, command
    for sub, member in getattr(command, "commands", {}).items():
        if not member.hidden:
            yield from commands(member, f"{name} {sub}")


def parameter(command: str, given: Any) -> str:
    """Return the row of one argument or option."""
    choices = getattr(given.type_descriptor.annotation, "__members__", None)
    value = given.metavar or ("|".join(choices) if choices else given.name.upper())
    spelling, about = value, given.help
    if given.param_type_name == "option":
        flags = ", ".join([*given.opts, *given.secondary_opts])
        spelling = flags if given.is_flag or given.count else f"{flags} {value}"
    plain = given.default is not None and not callable(given.default) and given.default not in ([], (), "", False)
    value = "required" if given.required else f"`{given.default}`" if plain else ""
    value = given.show_default if isinstance(given.show_default, str) else value
    return row(f"`{spelling}`", value, described(f"{command} {spelling}", about))


def exit_codes() -> str:
    """Return the table of exit codes: a row for each class of the error tree that a run may end with."""
    rows = [(code, *about) for code, about in EXITS.items()]
    rows += [
        (kind.exit_code, f"`{kind.__name__}`", described(kind.__name__, summary(kind.__doc__)), kind.next_step)
        for kind in tree(RecsysError)
    ]
    lines = [
        "## Exit codes\n",
        EXIT_INTRO,
        "| code | error | when | retry? | next step |",
        "| --- | --- | --- | --- | --- |",
    ]
    for code, error, when, step in sorted(rows, key=lambda each: each[0]):
        lines.append(row(str(code), error, when, "once" if code in RETRY else "no", step))
    return "\n".join(lines) + "\n"


def tree(root: type[RecsysError]) -> Iterator[type[RecsysError]]:
    """Yield every class below ``root`` that the package defines, parents first."""
    for kind in root.__subclasses__():
        if kind.__module__.startswith("recsys."):
            yield kind
        yield from tree(kind)


def described(name: str, text: str | None) -> str:
    """Return the description, and end the program where there is none."""
    if not text or not text.strip():
        raise SystemExit(f"{name} has no description: document it in the code")
    return text


def summary(text: str | None) -> str:
    """Return the first paragraph of a docstring."""
    return inspect.cleandoc(text or "").split("\n\n")[0]


def prose(text: str | None) -> str:
    """Return a docstring as Markdown: single backticks, paragraphs on one line each."""
    plain = re.sub(r":\w+:`~?([^`]+)`", r"`\1`", text or "").replace("``", "`")
    return "\n\n".join(" ".join(part.split()) for part in plain.split("\n\n"))


def row(*cells: str) -> str:
    """Return one line of a Markdown table."""
    return "| " + " | ".join(prose(cell).replace("\n\n", " ").replace("|", "\\|") for cell in cells) + " |"


def pages() -> dict[Path, str]:
    """Return the text of every generated page by its path."""
    return {HERE / "settings.md": settings_page(), HERE / "cli.md": cli_page()}


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
