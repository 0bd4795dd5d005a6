"""``recsys serve``: a release over HTTP."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from recsys.cli.query import Models, Release  # noqa: TC001 - typer reads the annotations
from recsys.cli.train import LogFormat
from recsys.system.pulse import working
from recsys.system.streams import tell


def serve(  # noqa: PLR0913 - each parameter is an option
    *,
    host: Annotated[
        str, typer.Option(help="Address to listen on; the default is for this machine alone.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0: any that is free.")] = 8000,
    poll: Annotated[float, typer.Option(min=0.05, help="Seconds between two looks for a new release.")] = 1.0,
    models: Models = Path("models"),
    release: Release = "current",
    log_format: Annotated[LogFormat, typer.Option(help="How events are written to stderr.")] = LogFormat.human,
) -> int:
    """Serve a release over HTTP, with a page to try it; with current, also every release that is published later."""
    # Many small requests share the cores: a matrix product that takes them all only waits for the others.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from recsys.cli.query import path_of
    from recsys.service.server import serve as run
    from recsys.serving import load
    from recsys.system.log import set_up

    set_up(log_format.value)
    with working("load"):
        loaded = load(path_of(models, release), eager=True)
    return run(loaded, host, port, every=poll, ready=tell)
