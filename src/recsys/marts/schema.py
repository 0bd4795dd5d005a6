"""The two tables by name: what they are called, and their columns.

Code that names a column takes the name from here; the settings may name other tables, and columns that
are read beside these.
"""

from __future__ import annotations

GAMES_TABLE = "ANALYTICS.MART_GAMES"
RATINGS_TABLE = "ANALYTICS.MART_USER_RATINGS"

GAME_ID = "GAME_ID"
NAME = "NAME"
DESCRIPTION = "DESCRIPTION"
CATEGORIES = "CATEGORIES"
MECHANICS = "MECHANICS"
USER_ID = "USER_ID"
RATING = "RATING"

GAME_COLUMNS = (GAME_ID, NAME, DESCRIPTION, CATEGORIES, MECHANICS)
"""Columns of the games mart, in the order of query 1."""
RATING_COLUMNS = (USER_ID, GAME_ID, RATING)
"""Columns of the ratings mart, in the order of query 2."""
TEXT_COLUMNS = (NAME, DESCRIPTION, CATEGORIES, MECHANICS)
"""Columns of the games mart that hold text."""
TAG_COLUMNS = (CATEGORIES, MECHANICS)
"""Text columns whose cells are lists of tags."""
ENCODED = frozenset({USER_ID, GAME_ID})
"""Columns of the ratings that arrive as codes into a dictionary."""
