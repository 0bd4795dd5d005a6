"""Options that several commands have, each declared once."""

from __future__ import annotations

import math
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from recsys.system.paths import releases_place

if TYPE_CHECKING:
    from recsys.config import Settings

CURRENT = "current"
"""What the current release is called."""


_OF_SETTINGS = "release.output of the settings"
_RELEASES = "Folder of the releases, or s3://BUCKET/FOLDER."


class LogFormat(StrEnum):
    """How events are written to stderr."""

    human = "human"
    json = "json"


Models: TypeAlias = Annotated[
    str | None,
    typer.Option("--models", help=_RELEASES, show_default=_OF_SETTINGS, metavar="DIR"),
]
Output: TypeAlias = Annotated[
    str | None,
    typer.Option("--output", help=_RELEASES, show_default=_OF_SETTINGS, metavar="DIR"),
]
Release: TypeAlias = Annotated[
    str, typer.Option("--release", help="A release: its run id, or current.", metavar="NAME")
]
Source: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--source",
        help="snowflake, sample, duckdb:FILE, or a folder of mart files.",
        show_default="source.url of the settings",
        metavar="SOURCE",
    ),
]
Config: TypeAlias = Annotated[
    Path | None,
    typer.Option("--config", help="Settings file.", show_default="recsys.toml, if there is one", metavar="FILE"),
]
Overrides: TypeAlias = Annotated[
    list[str] | None, typer.Option("--set", help="Set one setting; may be repeated.", metavar="SECTION.KEY=VALUE")
]
Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]
Log: TypeAlias = Annotated[LogFormat, typer.Option("--log-format", help="How events are written to stderr.")]
Verbose: TypeAlias = Annotated[bool, typer.Option("--verbose", "-v", help="Show debug events, and tracebacks.")]


def is_finite(value: float | None) -> float | None:
    """Refuse what is a number for Python and no length of time for anybody."""
    if value is not None and not math.isfinite(value):
        raise typer.BadParameter(f"{value} is no length of time; give a finite number")
    return value


def overrides(set_: list[str] | None, source: str | None = None) -> list[str]:
    """Return what ``--set`` and ``--source`` change in the settings, as ``section.key=value`` texts."""
    return [*(set_ or []), *([] if source is None else [f"source.url={source}"])]


def releases_folder(given: str | None, settings: Settings | None = None) -> Path | str:
    """Return the folder of the releases, or its address: the given one, else that of the settings.

    Parameters
    ----------
    given
        What ``--models`` names; no settings are looked for then.
    settings
        Those of a command that takes ``--config``; where there are none, ``recsys.toml`` and the environment are read.
    """
    if given is not None:
        return releases_place(given)
    from recsys.config import load_settings

    return releases_place((settings or load_settings()).release.output)
