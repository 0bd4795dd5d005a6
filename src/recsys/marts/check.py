"""The check of the marts: frames as they were fetched in, tables that keep the contract out.

Every function returns its result only if no rule is broken, and raises one error that names every
broken rule otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from recsys.marts.contract import ContractReport
from recsys.marts.games import read_games
from recsys.marts.ids import IdMap
from recsys.marts.join import join
from recsys.marts.ratings import Ratings, read_ratings
from recsys.marts.schema import GAME_ID

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from recsys.config import DataSettings, SourceSettings


@dataclass(frozen=True)
class Marts:
    """Both marts, as their contract has them.

    Attributes
    ----------
    games
        The catalogue: ``GAME_COLUMNS`` and those that the settings add, clean texts, in ascending order of
        ``GAME_ID``.
    known
        The catalogue's ids.
    ratings
        Who rated what; games spelled as the catalogue's.
    repairs
        How often each kind of repair was made, by name.
    """

    games: pd.DataFrame
    known: IdMap
    ratings: Ratings
    repairs: Mapping[str, int]


def check_marts(games: pd.DataFrame, ratings: pd.DataFrame, data: DataSettings, source: SourceSettings) -> Marts:
    """Check both marts, and where they meet.

    Parameters
    ----------
    games, ratings
        As the queries answer.
    data
        Bounds of the contract.
    source
        What messages call the tables, and which columns are read beside the contract's.

    Raises
    ------
    DataContractError
        Naming every broken rule of both marts.
    EmptyResult
        If one of them has no rows.
    """
    report = ContractReport()
    catalogue = _games(games, data, source, report)
    rated = _ratings(ratings, data, source, report)
    known = None if catalogue is None else IdMap.of(catalogue[GAME_ID].tolist())
    if known is not None and rated is not None:
        rated = _joined(rated, known, data, source, report)
    return Marts(report.sound(catalogue), report.sound(known), report.sound(rated), report.repairs)


def check_games(games: pd.DataFrame, data: DataSettings, source: SourceSettings) -> pd.DataFrame:
    """Check the games mart alone; parameters, result and errors are those of :func:`check_marts`."""
    report = ContractReport()
    return report.sound(_games(games, data, source, report))


def check_ratings(ratings: pd.DataFrame, data: DataSettings, source: SourceSettings) -> Ratings:
    """Check the ratings mart alone; parameters and errors are those of :func:`check_marts`.

    Returns
    -------
    Ratings
        Their games spelled as the ratings mart has them.
    """
    report = ContractReport()
    return report.sound(_ratings(ratings, data, source, report))


def check_join(ratings: Ratings, catalogue: IdMap, data: DataSettings, source: SourceSettings) -> Ratings:
    """Check that ratings meet a catalogue, and spell their games as it does.

    Parameters
    ----------
    ratings
        Checked.
    catalogue
        Ids of the games.
    data, source
        The arguments of :func:`check_marts`.

    Raises
    ------
    DataContractError
        If they do not meet.
    """
    report = ContractReport()
    return report.sound(_joined(ratings, catalogue, data, source, report))


def _games(
    frame: pd.DataFrame, data: DataSettings, source: SourceSettings, report: ContractReport
) -> pd.DataFrame | None:
    return read_games(frame, data, report, source.games_table, source.more_game_columns)


def _ratings(frame: pd.DataFrame, data: DataSettings, source: SourceSettings, report: ContractReport) -> Ratings | None:
    time_column = source.time_column.upper()  # as frames name columns
    return read_ratings(frame, data, report, mart=source.ratings_table, time_column=time_column)


def _joined(
    ratings: Ratings, catalogue: IdMap, data: DataSettings, source: SourceSettings, report: ContractReport
) -> Ratings | None:
    marts = source.games_table, source.ratings_table
    return join(ratings, catalogue, report, data.max_unknown, marts)
