"""``recsys train``: one run of the pipeline."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from recsys.cli.state import State
from recsys.system.streams import tell


class LogFormat(StrEnum):
    """How events are written to stderr."""

    human = "human"
    json = "json"


def _reason(text: str | None) -> str | None:
    if text is not None and not text.strip():
        raise typer.BadParameter("say why: the reason is recorded with the release")
    return text


def train(  # noqa: PLR0913 - each parameter is an option
    context: typer.Context,
    *,
    source: Annotated[
        str | None,
        typer.Option(
            help="snowflake, sample, duckdb:FILE, or a folder of mart files. [default: source.url of the settings]",
            metavar="SOURCE",
        ),
    ] = None,
    output: Annotated[Path, typer.Option(help="Folder of the releases.", metavar="DIR")] = Path("models"),
    config: Annotated[
        Path | None, typer.Option(help="Settings file. [default: recsys.toml, if there is one]", metavar="FILE")
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Set one setting; may be repeated.", metavar="SECTION.KEY=VALUE")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Fetch and check the marts; write nothing.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Train and publish even if nothing is new since the current release.")
    ] = False,
    publish_anyway: Annotated[
        str | None,
        typer.Option(
            help="Publish even if the gate refuses; the reason is recorded.", metavar="REASON", callback=_reason
        ),
    ] = None,
    accept_drift: Annotated[
        str | None,
        typer.Option(
            help="Train even if the data drifted; the reason is recorded.", metavar="REASON", callback=_reason
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="End stdout with one JSON object.")] = False,
    log_format: Annotated[LogFormat, typer.Option(help="How events are written to stderr.")] = LogFormat.human,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show debug events, and tracebacks.")] = False,
) -> None:
    """Fetch the marts, train both models, and publish them as one release."""
    state = context.ensure_object(State)
    state.verbose, state.json = verbose, json
    from recsys.config import load_settings
    from recsys.pipeline.github import GitHubSummary
    from recsys.pipeline.observers import JsonLine
    from recsys.pipeline.outcome import Overrides
    from recsys.system.log import set_up
    from recsys.trainer import Trainer

    set_up(log_format.value, verbose=verbose)
    overrides = [*(set_ or []), *([f"source.url={source}"] if source is not None else [])]
    observers = [GitHubSummary(), *([JsonLine()] if json else [])]
    trainer = Trainer(models_output_dir=output, settings=load_settings(config, overrides), observers=observers)
    allowed = Overrides(publish_anyway=publish_anyway, accept_drift=accept_drift)
    state.observed = True
    result = trainer.check() if dry_run else trainer.run_pipeline(force=force, overrides=allowed)
    state.observed = False
    if not json:
        tell(result.headline)
