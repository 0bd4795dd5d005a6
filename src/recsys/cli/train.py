"""``recsys train``: one run of the pipeline."""

from __future__ import annotations

from typing import Annotated

import typer

from recsys.cli.options import Config, Json, Log, LogFormat, Output, Overrides, Source, Verbose, overrides
from recsys.cli.screen import show
from recsys.cli.state import begin
from recsys.system import streams


def _reason(text: str | None) -> str | None:
    if text is not None and not text.strip():
        raise typer.BadParameter("say why: the reason is recorded with the release")
    return text


def train(
    context: typer.Context,
    *,
    source: Source = None,
    output: Output = None,
    config: Config = None,
    set_: Overrides = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what a run would do, and end with its exit code; write nothing.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Train and publish even if nothing is new since the current release.")
    ] = False,
    publish_anyway: Annotated[
        str | None,
        typer.Option(
            help="Publish even if the gate refuses; the reason is recorded.",
            show_default="the gate decides",
            metavar="REASON",
            callback=_reason,
        ),
    ] = None,
    accept_drift: Annotated[
        str | None,
        typer.Option(
            help="Train even if the data drifted; the reason is recorded.",
            show_default="drift ends the run",
            metavar="REASON",
            callback=_reason,
        ),
    ] = None,
    json: Json = False,
    log_format: Log = LogFormat.human,
    verbose: Verbose = False,
) -> None:
    """Fetch the marts, train both models, and publish them as one release."""
    state = begin(context, json=json, verbose=verbose, log_format=log_format)
    from recsys.config import load_settings
    from recsys.pipeline import outcome
    from recsys.pipeline.github import GitHubSummary
    from recsys.pipeline.observers import JsonLine
    from recsys.trainer import Trainer

    settings = load_settings(config, overrides(set_, source))
    observers = [GitHubSummary(), *([JsonLine()] if json else [])]
    trainer = Trainer(models_output_dir=output, settings=settings, observers=observers)
    allowed = outcome.Overrides(publish_anyway=publish_anyway, accept_drift=accept_drift)
    state.observed = True
    result = (trainer.check if dry_run else trainer.run_pipeline)(force=force, overrides=allowed)
    state.observed = False
    if not json:
        streams.tell(result.headline)
    if not json and log_format is LogFormat.human:
        plain = output is None and config is None and not set_
        show(result, trainer.models_output_dir, () if plain else ("--models", str(trainer.models_output_dir)))
