"""``recsys cache``: the vectors of texts that were encoded before."""

from __future__ import annotations

import json as json_
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recsys.cli.state import State
from recsys.system.streams import answer, tell

if TYPE_CHECKING:
    from recsys.embedding.cache import CacheInfo, VectorCache

app = typer.Typer(name="cache", help="Look at, or empty, the cache of text embeddings.", no_args_is_help=True)

Config = Annotated[
    Path | None, typer.Option(help="Settings file. [default: recsys.toml, if there is one]", metavar="FILE")
]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", help="Set one setting; may be repeated.", metavar="SECTION.KEY=VALUE")
]
Json = Annotated[bool, typer.Option("--json", help="End stdout with one JSON object.")]


@app.command("info")
def info(context: typer.Context, *, config: Config = None, set_: Overrides = None, json: Json = False) -> None:
    """Say where the cache lies, how many vectors it holds, and how near it is to its bound."""
    context.ensure_object(State).json = json
    found = _cache(config, set_).info()
    answer(json_.dumps(_entries(found)) if json else _told(found))


@app.command("clear")
def clear(context: typer.Context, *, config: Config = None, set_: Overrides = None, json: Json = False) -> None:
    """Remove every vector; the next run encodes every text."""
    context.ensure_object(State).json = json
    removed = _cache(config, set_).clear()
    size = (removed.size + removed.damaged) / 1e6
    told = f"removed {removed.vectors:,} vectors ({size:.1f} MB): {removed.path}"
    tell(json_.dumps(_entries(removed)) if json else told)


def _cache(config: Path | None, overrides: list[str] | None) -> VectorCache:
    from recsys.config import load_settings
    from recsys.embedding.cache import VectorCache, cache_folder

    settings = load_settings(config, overrides or []).content
    return VectorCache(cache_folder(settings.cache_dir), settings.cache_mb * 1_000_000)


def _entries(found: CacheInfo) -> dict[str, str | int | None]:
    return {
        "path": str(found.path),
        "vectors": found.vectors,
        "bytes": found.size,
        "limit_bytes": found.limit,
        "oldest_use": found.oldest,
        "damaged_bytes": found.damaged,
    }


def _told(found: CacheInfo) -> str:
    oldest = "never" if found.oldest is None else time.strftime("%Y-%m-%d %H:%M", time.localtime(found.oldest))
    bound = f"of {found.limit / 1e6:,.0f} MB" if found.limit else "and is turned off (content.cache_mb = 0)"
    told = f"{found.path}: {found.vectors:,} vectors, {found.size / 1e6:.1f} MB {bound}; least recently used: {oldest}"
    return told + (f"; a damaged file of {found.damaged / 1e6:.1f} MB is kept beside it" if found.damaged else "")
