"""The scenarios of the settings: read, held against a catalogue, and compared with those of a release."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recsys.errors import ArgumentError, ConfigError
from recsys.release.formats import read_games
from recsys.release.games import games_table
from recsys.serving import Rules
from recsys.serving.catalogue import Catalogue
from recsys.serving.scenarios import check_rules
from recsys.system.log import events, keys

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from recsys.marts.ids import IdMap
    from recsys.release.manifest import Manifest
    from recsys.release.records import Json
    from recsys.scenario_settings import ScenarioSettings

log = events(__name__)


def read_scenarios(settings: Mapping[str, ScenarioSettings]) -> dict[str, Rules]:
    """Return the rules of each scenario.

    Raises
    ------
    ConfigError
        If one says what is no rule, or contradicts itself; the message names it.
    """
    read = {}
    for name, scenario in settings.items():
        try:
            read[name] = Rules.of(scenario.model_dump(exclude_unset=True))
        except ArgumentError as error:
            raise ConfigError(f"scenario.{name}: {error}") from error
    return read


def check_scenarios(
    scenarios: Mapping[str, Rules], games: pd.DataFrame, items: IdMap, indices: npt.NDArray[np.int32]
) -> None:
    """Hold scenarios against tonight's games: what is to be said of them goes to the log.

    Parameters
    ----------
    scenarios
        Rules by name.
    games
        The games mart.
    items, indices
        Ids of the rated games, and the rated game of each rating; see :func:`recsys.release.games.games_table`.

    Raises
    ------
    ConfigError
        If one asks for a tag, column or game that there is not; the message names it.
    """
    if scenarios:
        check_on(scenarios, games_table(games, items, indices))


def check_on(scenarios: Mapping[str, Rules], games: bytes) -> None:
    """Hold scenarios against the ``games.parquet`` of a release; see :func:`check_scenarios`."""
    table = read_games(games)
    try:
        notes = check_rules(Catalogue(table, table["GAME_ID"].to_pylist()), scenarios)
    except ArgumentError as error:
        raise ConfigError(str(error)) from error
    for name, said in notes.items():
        for note in said:
            log.warning("a scenario names what the games lack", extra=keys(scenario=name, note=note))


def as_json(scenarios: Mapping[str, Rules]) -> dict[str, dict[str, Json]]:
    """Return scenarios as a manifest has them."""
    return {name: rules.as_json() for name, rules in scenarios.items()}


def differ(scenarios: Mapping[str, Rules], manifest: Manifest) -> bool:
    """Say whether a release has other scenarios than these, and log which."""
    now, before = as_json(scenarios), manifest.scenarios
    changed = sorted(name for name in now.keys() | before.keys() if now.get(name) != before.get(name))
    if changed:
        log.info("other scenarios than the current release's: its models again", extra=keys(changed=", ".join(changed)))
    return bool(changed)
