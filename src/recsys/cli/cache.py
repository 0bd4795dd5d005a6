"""``recsys cache``: the vectors of texts that were encoded before."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import typer

from recsys.cli.options import Config, Json, Overrides, Verbose, overrides
from recsys.cli.state import begin
from recsys.system import streams

if TYPE_CHECKING:
    from pathlib import Path

    from recsys.embedding.cache import CacheInfo, VectorCache

app = typer.Typer(name="cache", help="Look at, or empty, the cache of text embeddings.", no_args_is_help=True)


@app.command("info")
def info(
    context: typer.Context,
    *,
    config: Config = None,
    set_: Overrides = None,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Say where the cache lies, how many vectors it holds, and how near it is to its bound."""
    begin(context, json=json, verbose=verbose, quiet=True)
    state = _cache(config, set_).info()
    streams.answer(streams.as_json(_entries(state)) if json else _sentence(state))


@app.command("clear")
def clear(
    context: typer.Context,
    *,
    config: Config = None,
    set_: Overrides = None,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Remove every vector; the next run encodes every text."""
    begin(context, json=json, verbose=verbose, quiet=True)
    removed = _cache(config, set_).clear()
    size = (removed.size + removed.damaged) / 1e6
    sentence = f"removed {removed.vectors:,} vectors ({size:.1f} MB): {removed.path}"
    streams.tell(streams.as_json(_entries(removed)) if json else sentence)


def _cache(config: Path | None, set_: list[str] | None) -> VectorCache:
    from recsys.config import load_settings
    from recsys.embedding.cache import VectorCache
    from recsys.system.paths import cache_folder

    settings = load_settings(config, overrides(set_)).content
    return VectorCache(cache_folder(settings.cache_dir), settings.cache_mb * 1_000_000)


def _entries(state: CacheInfo) -> dict[str, str | int | None]:
    return {
        "path": str(state.path),
        "vectors": state.vectors,
        "bytes": state.size,
        "limit_bytes": state.limit,
        "oldest_use": state.oldest,
        "damaged_bytes": state.damaged,
    }


def _sentence(state: CacheInfo) -> str:
    oldest = "never" if state.oldest is None else time.strftime("%Y-%m-%d %H:%M", time.localtime(state.oldest))
    bound = f"of {state.limit / 1e6:,.0f} MB" if state.limit else "and is turned off (content.cache_mb = 0)"
    sentence = (
        f"{state.path}: {state.vectors:,} vectors, {state.size / 1e6:.1f} MB {bound}; least recently used: {oldest}"
    )
    return sentence + (f"; a damaged file of {state.damaged / 1e6:.1f} MB is kept beside it" if state.damaged else "")
