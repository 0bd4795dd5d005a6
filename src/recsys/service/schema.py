"""What the routes answer, for the OpenAPI document."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints

from recsys.serving.answers import By

Id = int | str


LONGEST = 1000
"""Games that one answer may have."""
CONDITIONS = 20
"""Conditions, boosts and the like that one question may have of each kind."""
# What all of them may be at most is an address that servers still take. Ids have no limit: they may be of any length.
Condition: TypeAlias = Annotated[str, StringConstraints(max_length=500)]


class _Answered(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class Reason(_Answered):
    """A liked game that speaks for a suggestion."""

    game_id: Id
    name: str
    share: float = Field(ge=0, le=1)
    """Its part of the score."""


class Suggestion(_Answered):
    """One game of an answer."""

    game_id: Id
    name: str
    score: float
    """The higher the better; what it means depends on ``by``."""
    because: list[Reason]
    """The liked games that speak for it, where ``why`` was asked for."""


class Unused(_Answered):
    """A game that a visitor named, and that moved no score."""

    game_id: Id
    name: str
    why: str
    """Why it did not."""


class Used(_Answered):
    """What of a visitor an answer rests on: how many of each moved the scores."""

    likes: int
    ratings: int
    dislikes: int
    unused: list[Unused]
    """The others, which are left out of the list all the same."""


class Answer(_Answered):
    """A list of games, best first, all from one release."""

    release: str
    by: By
    note: str
    """Why the answer is not by what was asked for; empty where it is."""
    games: list[Suggestion]
    used: Used | None = None
    """What it rests on; of a visitor's list alone."""


class Explanation(_Answered):
    """Which of the games that a user likes speak for a game."""

    release: str
    by: By
    game_id: Id
    name: str
    score: float
    because: list[Reason]
    rated: bool
    """Whether they have rated or named it already: then it is on none of their lists."""


class Named(_Answered):
    """A game by its name."""

    game_id: Id
    name: str
    likeness: float = Field(gt=0, le=1)
    """1 for the same name but for case, accents and punctuation."""
    n_ratings: int
    tags: list[str]


class Names(_Answered):
    """Games whose names resemble what was asked, most alike first."""

    release: str
    games: list[Named]


class Health(_Answered):
    """What is being served."""

    status: Literal["ok", "degraded"]
    """``degraded``: the current release cannot be served; the one before answers."""
    problem: str | None
    """Why it cannot be."""
    release: str
    created: str
    """When the release was published: UTC, ISO 8601."""
    games: int
    users: int


class Scenarios(_Answered):
    """Rules at answer time that have names."""

    release: str
    scenarios: dict[str, dict[str, JsonValue]]
    """By name: what each asks, as in ``recsys.toml``."""


class Problem(_Answered):
    """Why there is no answer."""

    error: str
    """The kind of error, as on the command line."""
    message: str
    """What failed, and what to do next."""


class State(_Answered):
    """What a probe asks."""

    status: Literal["live", "ready"]
