"""What the two tables are: columns, ids, contract, ratings, and the texts and tags in their cells.

Other packages import from here alone. Names are looked up on first use: what serves takes the ids and
must not wait for what checks a catalogue.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recsys.marts.cells import DECLARED_TYPE
    from recsys.marts.check import Marts, check_games, check_join, check_marts, check_ratings
    from recsys.marts.counts import column_counts, column_sums, row_counts
    from recsys.marts.frames import frame_of
    from recsys.marts.ids import WHOLE_NUMBER, Id, IdMap, NotAnId, encode, id_array, id_array_of, python_ids
    from recsys.marts.join import Meeting
    from recsys.marts.query import MartQuery
    from recsys.marts.ratings import Ratings
    from recsys.marts.schema import (
        CATEGORIES,
        DESCRIPTION,
        ENCODED,
        GAME_COLUMNS,
        GAME_ID,
        GAMES_TABLE,
        MECHANICS,
        NAME,
        RATING,
        RATING_COLUMNS,
        RATINGS_TABLE,
        USER_ID,
    )
    from recsys.marts.tags import game_tags, split_tags
    from recsys.marts.text import embedding_text, given_texts, joined_fields
    from recsys.marts.times import read_times

__all__ = [
    "CATEGORIES",
    "DECLARED_TYPE",
    "DESCRIPTION",
    "ENCODED",
    "GAMES_TABLE",
    "GAME_COLUMNS",
    "GAME_ID",
    "MECHANICS",
    "NAME",
    "RATING",
    "RATINGS_TABLE",
    "RATING_COLUMNS",
    "USER_ID",
    "WHOLE_NUMBER",
    "Id",
    "IdMap",
    "MartQuery",
    "Marts",
    "Meeting",
    "NotAnId",
    "Ratings",
    "check_games",
    "check_join",
    "check_marts",
    "check_ratings",
    "column_counts",
    "column_sums",
    "embedding_text",
    "encode",
    "frame_of",
    "game_tags",
    "given_texts",
    "id_array",
    "id_array_of",
    "joined_fields",
    "python_ids",
    "read_times",
    "row_counts",
    "split_tags",
]

_HOMES = {
    "cells": {"DECLARED_TYPE"},
    "check": {"Marts", "check_games", "check_join", "check_marts", "check_ratings"},
    "counts": {"column_counts", "column_sums", "row_counts"},
    "frames": {"frame_of"},
    "ids": {"WHOLE_NUMBER", "Id", "IdMap", "NotAnId", "encode", "id_array", "id_array_of", "python_ids"},
    "join": {"Meeting"},
    "query": {"MartQuery"},
    "ratings": {"Ratings"},
    "tags": {"game_tags", "split_tags"},
    "text": {"embedding_text", "given_texts", "joined_fields"},
    "times": {"read_times"},
}
"""Module of each name that does not stand in ``schema``."""


def __getattr__(name: str) -> Any:
    """Import a name of the face when it is first asked for."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = next((module for module, names in _HOMES.items() if name in names), "schema")
    return getattr(import_module(f"{__name__}.{home}"), name)
