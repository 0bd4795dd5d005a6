"""Somebody as a request's body tells of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypeAlias

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    StrictInt,
    StrictStr,
    Tag,
    ValidationError,
    ValidatorFunctionWrapHandler,
    field_validator,
)
from pydantic_core import PydanticCustomError

from recsys.errors import ArgumentError
from recsys.service import ids
from recsys.service.schema import CONDITIONS, LONGEST, Condition
from recsys.serving.answers import Way
from recsys.serving.rules import Rules
from recsys.serving.visitors import Visitor

if TYPE_CHECKING:
    from recsys.marts.ids import Id as GameId
    from recsys.serving import Recommender

MOST = 10_000
"""Games that somebody may name in each list."""

Id: TypeAlias = StrictInt | StrictStr
Rating: TypeAlias = Annotated[float, Field(strict=True)]
Games: TypeAlias = Annotated[list[Id], Field(max_length=MOST)]
Strengths: TypeAlias = Annotated[dict[Condition, Annotated[float, Field(strict=True)]], Field(max_length=CONDITIONS)]


_RULES = {"only", "exclude", "boost", "bury", "diversity", "at_most", "pin", "newcomers"}


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class Rated(_Body):
    """A game and its rating."""

    game_id: Id
    rating: Rating


def _form(given: object) -> str:
    return "list" if isinstance(given, list) else "object"


Ratings: TypeAlias = Annotated[
    Annotated[dict[str, Rating], Tag("object"), Field(max_length=MOST)]
    | Annotated[list[Rated], Tag("list"), Field(max_length=MOST)],
    Discriminator(_form),
]


class VisitorBody(_Body):
    """What somebody likes, has rated and dislikes, and what the list should be like.

    An id is a number or a text, as the release has it; a text is read as one in an address is.
    """

    likes: Games = []
    """Ids of games that they like."""
    ratings: Ratings = {}
    """From ids of games to their ratings, such as `{"13": 9}`, on the scale of the release's ratings; or a list of
    `{"game_id": 13, "rating": 9}`."""
    dislikes: Games = []
    """Ids of games that they do not like."""
    k: Annotated[int, Field(strict=True, ge=1, le=LONGEST)] = 10
    """Games at most."""
    by: Way = "blend"
    """What the answer goes by."""
    filters: Annotated[list[Condition], Field(max_length=CONDITIONS)] = []
    """Conditions such as `tag=Economic` or `N_RATINGS>=100`; every game meets all of them."""
    collapse: Annotated[bool, Field(strict=True)] = False
    """Show one edition of a game only."""
    why: Annotated[bool, Field(strict=True)] = False
    """Name the liked games that speak for each."""
    only: Games | None = None
    """The games that may be listed; others may not."""
    exclude: Games = []
    """Games that may not be listed."""
    boost: Strengths = {}
    """From conditions to how far what meets them rises, in standard deviations of scores: `{"tag=Economic": 0.5}`."""
    bury: Strengths = {}
    """As `boost`, for what falls."""
    diversity: Annotated[float | None, Field(strict=True, ge=0, le=1)] = None
    """How far the list avoids games whose texts are alike; 0: not at all."""
    at_most: Annotated[dict[Condition, StrictInt], Field(max_length=CONDITIONS)] = {}
    """From `tag`, a column or `edition` to how many games may share one: `{"tag": 2}`."""
    pin: Games = []
    """Games that come first, in this order; counted in `k`."""
    newcomers: Annotated[list[StrictInt], Field(max_length=CONDITIONS)] = []
    """Places of the list, from 1, that are kept for games which no rating speaks of."""
    scenario: Condition | None = None
    """One of the release's scenarios (`/scenarios`), whose rules hold too."""

    @field_validator("likes", "ratings", "dislikes", mode="wrap")
    @classmethod
    def _told_once(cls, given: object, read: ValidatorFunctionWrapHandler) -> object:
        """Tell the first fault with the value seen: by itself each of several forms would tell one."""
        try:
            return read(given)
        except ValidationError as error:
            fault = error.errors()[0]
            told = {"seen": repr(fault["input"])[:60], "fault": fault["msg"]}
            raise PydanticCustomError("visitor", "{seen}: {fault}", told) from error

    @property
    def named(self) -> int:
        """How many games are named."""
        return len(self.likes) + len(self.ratings) + len(self.dislikes)

    def visitor(self, recommender: Recommender) -> Visitor:
        """Return who is meant.

        Raises
        ------
        ArgumentError
            If a text spells no id of the release, or a game is rated twice.
        """
        pairs = (
            [(each.game_id, each.rating) for each in self.ratings]
            if isinstance(self.ratings, list)
            else list(self.ratings.items())
        )
        ratings: dict[GameId, float] = {}
        for given, rating in pairs:
            id_ = _read(recommender, given)
            if id_ in ratings:
                raise ArgumentError(f"game {id_!r} is rated {ratings[id_]:g} and {rating:g}: one rating is expected")
            ratings[id_] = rating
        likes, dislikes = ([_read(recommender, id_) for id_ in named] for named in (self.likes, self.dislikes))
        return Visitor(likes, ratings, dislikes)

    def rules(self, recommender: Recommender) -> Rules | None:
        """Return the rules that are asked for, but for those of a scenario; None where there are none.

        Raises
        ------
        ArgumentError
            If one is none, or a text spells no id of the release.
        """
        if not self.model_fields_set & _RULES:
            return None
        only, exclude, pin = (
            None if named is None else [_read(recommender, id_) for id_ in named]
            for named in (self.only, self.exclude, self.pin)
        )
        return Rules(
            only=only,
            exclude=exclude or (),
            boost=self.boost,
            bury=self.bury,
            diversity=self.diversity,
            at_most=self.at_most,
            pin=pin or (),
            newcomers=self.newcomers,
        )


def _read(recommender: Recommender, given: Id) -> GameId:
    return ids.game_id(recommender, given) if isinstance(given, str) else given
