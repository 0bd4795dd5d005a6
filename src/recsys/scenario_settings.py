"""The settings of one scenario; :mod:`recsys.config` has them by name."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import Field, StrictInt, StrictStr

from recsys.settings_table import Documented

GameId: TypeAlias = StrictInt | StrictStr
"""An id as the marts have it."""
SCENARIO_NAME = r"^[a-z][a-z0-9_-]{0,39}$"
MOST_SCENARIOS = 10
"""Each is scored every night."""


class ScenarioSettings(Documented):
    """Rules at answer time under a name, such as ``[scenario.homepage]``: ten of them at most.

    They travel in the release's manifest, and are asked for by name. A night scores them on the candidate; editing
    one is no new model. See docs/serving.md.
    """

    filters: tuple[str, ...] = ()
    """Conditions that every game meets, such as ``tag=Economic`` or ``N_RATINGS>=100``."""
    only: tuple[GameId, ...] | None = None
    """Ids of the games that may be listed; left out: any."""
    exclude: tuple[GameId, ...] = ()
    """Ids of games that may not be listed."""
    boost: dict[str, float] = Field(default={})
    """By condition: how many standard deviations of the scores what meets it rises, above 0 and up to 100."""
    bury: dict[str, float] = Field(default={})
    """By condition: how many standard deviations it falls."""
    diversity: Annotated[float, Field(ge=0, le=1)] | None = None
    """How far a list avoids games whose texts are alike."""
    at_most: dict[str, StrictInt] = Field(default={})
    """By ``tag``, a column or ``edition``: how many games of a list may share one."""
    pin: tuple[GameId, ...] = ()
    """Ids of the games that come first, in their order."""
    newcomers: tuple[StrictInt, ...] = ()
    """Places of a list for somebody, from 1, that are kept for games which no rating speaks of."""
