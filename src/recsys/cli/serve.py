"""``recsys serve``: a release over HTTP."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from recsys.cli.options import CURRENT, Log, LogFormat, Models, Release, Verbose, is_finite, releases_folder
from recsys.cli.state import begin
from recsys.errors import ConfigError, MissingExtra
from recsys.system import streams, working


def serve(
    context: typer.Context,
    *,
    host: Annotated[
        str, typer.Option(help="Address to listen on; the default is for this machine alone.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0: any that is free.")] = 8000,
    poll: Annotated[
        float,
        typer.Option(min=0.05, max=1e9, callback=is_finite, help="Seconds between two looks for a new release."),
    ] = 1.0,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes that share the address.")] = 1,
    wait: Annotated[
        bool, typer.Option("--wait", help="Begin without a sound release: answer 503 until there is one.")
    ] = False,
    timeout: Annotated[
        float,
        typer.Option(min=0.05, max=3600, callback=is_finite, help="Seconds that an answer may take; then 503."),
    ] = 30.0,
    access_log: Annotated[
        str | None,
        typer.Option(
            help="Append a JSON line for each request, with user ids and what was shown; - for stdout.",
            show_default="none",
            metavar="FILE",
        ),
    ] = None,
    models: Models = None,
    release: Release = CURRENT,
    log_format: Log = LogFormat.human,
    verbose: Verbose = False,
) -> int:
    """Serve a release over HTTP, with a page to try it; with current, also every release that is published later."""
    # Many small requests share the cores: a matrix product that takes them all only waits for the others.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    state = begin(context, verbose=verbose, log_format=log_format)
    try:
        from recsys.service.front import ServiceOptions
        from recsys.service.server import serve as run
        from recsys.service.workers import WorkerTask, serve_many
    except ImportError as error:
        raise MissingExtra("serve", "recsys serve") from error
    from recsys.cli.query import path_of
    from recsys.config import load_settings
    from recsys.release.keys import PUBLIC
    from recsys.service.bearer import token_from_environment
    from recsys.serving import load

    def ready(address: str) -> None:
        streams.tell(address)
        # The command line's own watch would end the process at once, requests and all.
        state.hand_over_signals()

    path = path_of(releases_folder(models), release)
    age = load_settings().serving.max_age_hours
    if age and release != CURRENT:
        raise ConfigError(
            f"serving.max_age_hours is {age:g}, and asks of what is current: --release {release} is no switch"
        )
    if age and not os.environ.get(PUBLIC):
        raise ConfigError(
            f"serving.max_age_hours is {age:g}, and {PUBLIC} names no key: without one nobody can say how old what is"
            " served is; name the public key, or set it to 0"
        )
    options = ServiceOptions(token_from_environment(os.environ), access_log, timeout, max_age_hours=age)
    if workers > 1:
        task = WorkerTask(path, poll, options, wait, log_format.value, verbose)
        return serve_many(task, workers, host, port, ready=ready)
    with working("load"):
        loaded = load(path, eager=True, wait=wait, apart=True)
    return run(loaded, host, port, every=poll, ready=ready, options=options)
