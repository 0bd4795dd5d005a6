"""What a recommender answers: games with names, scores and reasons, and the release they come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias, overload

from recsys.errors import MissingExtra

if TYPE_CHECKING:
    import pandas as pd

    from recsys.marts.ids import Id

Way: TypeAlias = Literal["taste", "content", "blend"]
"""How to rank: by the factors of the ratings, by the texts, or by both."""
By: TypeAlias = Literal[Way, "popularity"]
"""How an answer was ranked: one of these, or the number of ratings."""


class Reason(NamedTuple):
    """A game that speaks for another one.

    Attributes
    ----------
    game_id, name
        A game that the user likes.
    share
        Its part of the score, in [0, 1]; the shares of all reasons, shown or not, sum to 1.
    """

    game_id: Id
    name: str
    share: float


class Suggestion(NamedTuple):
    """One game of an answer.

    Attributes
    ----------
    game_id, name
        The game; a game that the catalogue names nowhere is called by its id.
    score
        The higher the better; what it means depends on the answer's ``by``.
    because
        The games that speak for it, strongest first, where reasons were asked for.
    """

    game_id: Id
    name: str
    score: float
    because: tuple[Reason, ...] = ()


class Unused(NamedTuple):
    """A game that a visitor named, and that moved no score of an answer.

    Attributes
    ----------
    game_id, name
        The game.
    why
        Why it did not.
    """

    game_id: Id
    name: str
    why: str


class Used(NamedTuple):
    """What of a visitor an answer rests on. Games that they named are left out of the list in any case.

    Attributes
    ----------
    likes, ratings, dislikes
        How many of each moved the scores.
    unused
        The others.
    """

    likes: int
    ratings: int
    dislikes: int
    unused: tuple[Unused, ...] = ()

    def to_json(self) -> dict[str, object]:
        """Return it as JSON values."""
        return {**self._asdict(), "unused": [game._asdict() for game in self.unused]}


@dataclass(frozen=True, slots=True)
class Answer(Sequence[Suggestion]):
    """A list of games, best first, all from one release.

    Attributes
    ----------
    games
        At most as many as were asked for, never padded.
    by
        What the scores are: with ``taste`` the inner product of factors (the cosine for similar
        games), with ``content`` the cosine of the embeddings, with ``blend`` a mean of standard
        scores (see ``docs/serving.md``), with ``popularity`` the number of ratings.
    release
        Name of the release that answered.
    note
        Why the answer is not by what was asked for; empty where it is.
    used
        What it rests on, where it is for a visitor; else None.
    """

    games: tuple[Suggestion, ...]
    by: By
    release: str
    note: str = ""
    used: Used | None = None

    def __len__(self) -> int:
        return len(self.games)

    @overload
    def __getitem__(self, place: int) -> Suggestion: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Suggestion]: ...
    def __getitem__(self, place: int | slice) -> Suggestion | Sequence[Suggestion]:
        return self.games[place]

    @property
    def ids(self) -> list[Id]:
        """The games' ids, best first."""
        return [game.game_id for game in self.games]

    def to_frame(self) -> pd.DataFrame:
        """Return the answer as a table: RANK, GAME_ID, NAME, SCORE, BECAUSE, a row a game, best first.

        BECAUSE is the name of the game that speaks for it most, None where reasons were not asked for. ``attrs`` holds
        the release, ``by`` and the note.

        Raises
        ------
        MissingExtra
            If pandas is not installed: a machine that only serves needs none.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise MissingExtra("train", "Answer.to_frame()") from error
        frame = pd.DataFrame(
            {
                "RANK": range(1, len(self.games) + 1),
                "GAME_ID": self.ids,
                "NAME": [game.name for game in self.games],
                "SCORE": [game.score for game in self.games],
                "BECAUSE": [game.because[0].name if game.because else None for game in self.games],
            }
        )
        frame.attrs = {"release": self.release, "by": self.by, "note": self.note}
        return frame

    def to_json(self) -> dict[str, object]:
        """Return the answer as JSON values."""
        games = [{**game._asdict(), "because": [reason._asdict() for reason in game.because]} for game in self.games]
        answer: dict[str, object] = {"release": self.release, "by": self.by, "note": self.note, "games": games}
        return answer if self.used is None else {**answer, "used": self.used.to_json()}


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a game suits somebody.

    Attributes
    ----------
    game_id, name
        The game.
    score
        By taste the inner product of factors, by content the cosine with their mean liked game.
    by
        Whether taste or content explains it.
    release
        Name of the release that answered.
    because
        All liked games that speak for it, strongest first; empty when none does.
    rated
        Whether they have rated or named it already: then it is on none of their lists.
    """

    game_id: Id
    name: str
    score: float
    by: By
    release: str
    because: tuple[Reason, ...]
    rated: bool = False

    def to_json(self) -> dict[str, object]:
        """Return the explanation as JSON values."""
        return {**asdict(self), "because": [reason._asdict() for reason in self.because]}
