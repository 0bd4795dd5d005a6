"""``recsys init``: what a project of one's own begins with."""

from __future__ import annotations

import json
import re
import textwrap
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recsys.cli.options import Verbose
from recsys.cli.state import begin
from recsys.system import streams

if TYPE_CHECKING:
    from collections.abc import Iterator

TEMPLATES = {
    ".env.example": "env.example",
    "models/marts/mart_games.sql": "mart_games.sql",
    "models/marts/mart_user_ratings.sql": "mart_user_ratings.sql",
    "models/marts/schema.yml": "schema.yml",
    "tests/generic/in_range.sql": "in_range.sql",
}
"""What is copied, by where it goes."""

SETTINGS = "recsys.toml"
CHANGED = {
    "source": ("url", "games_table", "ratings_table", "time_column", "game_columns"),
    "dbt": ("target",),
    "snowflake": ("deadline_s", "query_tag", "require_read_only"),
    "data": ("rating_min", "rating_max", "max_unknown"),
    "content": ("model", "cache_dir"),
    "cf": ("like_threshold", "threads", "tuning_work", "tuning_every"),
    "evaluation": ("k", "users"),
    "gate": ("max_drop", "floor", "require_current"),
    "release": ("keep",),
}
"""The settings that people change, by section."""

_HEAD = """\
# Settings of recsys, each with its default: take away the # of a line to change it. docs/settings.md has all of them.
# The environment (RECSYS_CF__THREADS=4) and --set cf.threads=4 win over this file. It holds no secret.
"""
_OUTPUT = """\
# Folder of the releases. By default it is models, where dbt has its models.
output = "recommender"
"""
_NEXT = """\
Next: let the two marts read from your own models, run `dbt build`, then `recsys train --dry-run`, which only checks.
Releases go to the folder recommender, as recsys.toml says.\
"""


def init(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="Where; made if it is not there.", metavar="FOLDER")] = Path(),
    *,
    verbose: Verbose = False,
) -> None:
    """Write what a project begins with: settings, the names of Snowflake's variables, and both marts as dbt models.

    Nothing is overwritten: where one of the files is there already, none is written.
    """
    begin(context, verbose=verbose, quiet=True)
    from recsys.errors import ArtifactWriteError
    from recsys.release.durable import make_folder, write_bytes
    from recsys.system.paths import local_path

    folder = local_path(folder, "FOLDER")
    texts = {SETTINGS: _settings()}
    texts |= {name: (files("recsys.cli") / "templates" / kept).read_text("utf-8") for name, kept in TEMPLATES.items()}
    if there := [str(folder / name) for name in texts if (folder / name).exists() or (folder / name).is_symlink()]:
        raise ArtifactWriteError(
            f"nothing was written: {', '.join(there)} {'is' if len(there) == 1 else 'are'} there already, and nothing"
            " is overwritten; name another folder, and copy from there what you need"
        )
    for name, text in texts.items():
        make_folder((folder / name).parent)
        write_bytes(folder / name, text.encode())
    written = "".join(f"\n  {folder / name}" for name in texts)
    streams.tell(f"wrote{written}\n{_NEXT}")


def _settings() -> str:
    """Return ``recsys.toml``: sections of settings, each with its description and its default."""
    return _HEAD + "".join(
        f"\n[{section}]\n{_OUTPUT if section == 'release' else ''}{''.join(_lines(section, keys))}"
        for section, keys in CHANGED.items()
    )


def _lines(section: str, keys: tuple[str, ...]) -> Iterator[str]:
    from recsys.config import Settings

    table = Settings.model_fields[section].default
    for key in keys:
        field = type(table).model_fields[key]
        about = re.sub(r"\s+", " ", (field.description or "").replace("``", ""))
        yield textwrap.fill(about, 118, initial_indent="# ", subsequent_indent="# ") + "\n"
        yield f"#{key} = {json.dumps(getattr(table, key))}\n"
