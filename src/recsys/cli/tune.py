"""``recsys tune``: the long search for settings."""

from __future__ import annotations

import json as json_
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recsys.cli.state import State
from recsys.cli.train import LogFormat
from recsys.system.log import events, keys
from recsys.system.streams import tell

if TYPE_CHECKING:
    from recsys.config import Settings
    from recsys.models.recipe import CfRecipe

log = events(__name__)

MINUTES = 30.0
"""Budget where none is given."""


def tune(  # noqa: PLR0913 - each parameter is an option
    context: typer.Context,
    *,
    study: Annotated[
        Path, typer.Option(help="File of the study: begun, or gone on with if it exists.", metavar="FILE")
    ],
    minutes: Annotated[
        float | None,
        typer.Option(min=0, help="End after so long. [default: 30, if --trials is not given]", show_default=False),
    ] = None,
    trials: Annotated[
        int | None, typer.Option(min=1, help="End when the study has so many trials, those of earlier runs among them.")
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            help="snowflake, sample, duckdb:FILE, or a folder of mart files. [default: source.url of the settings]",
            metavar="SOURCE",
        ),
    ] = None,
    models: Annotated[
        Path, typer.Option(help="Folder of the releases: what the current one remembers is tried first.", metavar="DIR")
    ] = Path("models"),
    config: Annotated[
        Path | None, typer.Option(help="Settings file. [default: recsys.toml, if there is one]", metavar="FILE")
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Set one setting; may be repeated.", metavar="SECTION.KEY=VALUE")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of TOML.")] = False,
    log_format: Annotated[LogFormat, typer.Option(help="How events are written to stderr.")] = LogFormat.human,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show debug events, and tracebacks.")] = False,
) -> None:
    """Search the settings of the collaborative filter for long, and print the best as a piece of recsys.toml.

    Settings that are given are not searched. Nothing is published, and no rating that the gate holds
    out is looked at but for the scale they are on. Needs the extra tune.
    """
    state = context.ensure_object(State)
    state.verbose, state.json = verbose, json
    from recsys.config import load_settings
    from recsys.system.log import set_up
    from recsys.trainer import Trainer
    from recsys.tuning.study import Budget, check
    from recsys.tuning.study import tune as search

    set_up(log_format.value, verbose=verbose)
    overrides = [*(set_ or []), *([f"source.url={source}"] if source is not None else [])]
    trainer = Trainer(models_output_dir=models, settings=load_settings(config, overrides))
    check(trainer.settings, study)
    budget = Budget(MINUTES if minutes is None and trials is None else minutes, trials)
    remembered = _remembered(models, trainer.settings)
    tuned = search(trainer.checked_ratings(), trainer.settings, study, budget, remembered=remembered)
    tell(json_.dumps(tuned.as_json()) if json else tuned.as_toml(), end="\n" if json else "")


def _remembered(models: Path, settings: Settings) -> CfRecipe | None:
    """Return what the current release remembers, where there is one that is sound."""
    from recsys.errors import ReleaseError
    from recsys.evaluation.current import CurrentRelease
    from recsys.release.store import ReleaseStore
    from recsys.tuning import remembered_by

    store = ReleaseStore(models)
    if store.current() is None:
        return None
    try:
        current = CurrentRelease.of(store.manifest())
    except ReleaseError as error:
        log.warning("the current release is not sound: what it remembers is not tried", extra=keys(reason=error))
        return None
    return remembered_by(current, settings)
