"""``recsys tune``: the long search for settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from recsys.cli.options import (
    Config,
    Json,
    Log,
    LogFormat,
    Models,
    Overrides,
    Source,
    Verbose,
    is_finite,
    overrides,
)
from recsys.cli.state import begin
from recsys.system import streams


def tune(
    context: typer.Context,
    *,
    study: Annotated[Path, typer.Option(help="File of the study: begun, or continued if it exists.", metavar="FILE")],
    minutes: Annotated[
        float | None,
        typer.Option(
            min=0,
            callback=is_finite,
            help="End after so long.",
            show_default="30, if --trials is not given",
        ),
    ] = None,
    trials: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="End when the study has so many trials, those of earlier runs among them.",
            show_default="no end",
        ),
    ] = None,
    source: Source = None,
    models: Models = None,
    config: Config = None,
    set_: Overrides = None,
    json: Json = False,
    log_format: Log = LogFormat.human,
    verbose: Verbose = False,
) -> None:
    """Search the settings of the collaborative filter for long, and print the best as a piece of recsys.toml.

    Settings that are given are not searched, and what the current release remembers is tried first. Nothing
    is published, and no rating that the gate holds out is looked at but for the scale they are on. Needs the
    extra tune.
    """
    begin(context, json=json, verbose=verbose, log_format=log_format)
    from recsys.config import load_settings
    from recsys.release.store import ReleaseStore
    from recsys.trainer import Trainer
    from recsys.tuning.study import check, session
    from recsys.tuning.study import tune as search

    trainer = Trainer(models_output_dir=models, settings=load_settings(config, overrides(set_, source)))
    check(trainer.settings, study)
    budget = session.budget(minutes, trials)
    remembered = session.remembered(ReleaseStore(trainer.models_output_dir), trainer.settings)
    tuned = search(trainer.checked_ratings(), trainer.settings, study, budget, remembered=remembered)
    streams.tell(streams.as_json(tuned.as_json()) if json else tuned.as_toml(), end="\n" if json else "")
