"""The lists of many people at once, the same as each gets alone: what an export writes.

Plain lists by taste are ranked in batches by the one scorer; every other list is the answer to its own question
(:mod:`recsys.serving.questions`).
"""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from recsys.serving import questions

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from recsys.serving.answers import Answer, Way
    from recsys.serving.options import ListOptions
    from recsys.serving.profiles import Profile
    from recsys.serving.snapshot import Snapshot

    Places = npt.NDArray[np.intp]
    Rows = npt.NDArray[np.int32]
    Floats = npt.NDArray[np.float32]


class Batch(NamedTuple):
    """Some lists, one a row; where one is shorter than ``k``, it ends with -1.

    Attributes
    ----------
    rows
        int32, (lists, k): rows of the catalogue, best first.
    scores
        float32, (lists, k).
    by
        How each list is ranked; empty for a question that has no answer.
    because
        int32, (lists, k): the row of the game that speaks most for each; -1 for none.
    """

    rows: Rows
    scores: Floats
    by: list[str]
    because: Rows

    @classmethod
    def empty(cls, lists: int, k: int) -> Batch:
        """Return lists to be filled in."""
        rows = np.full((lists, k), -1, dtype=np.int32)
        return cls(rows, np.zeros((lists, k), dtype=np.float32), [""] * lists, rows.copy())


class ManyLists:
    """Answers one question for many people, or for many games; any number of threads may ask at once.

    Parameters
    ----------
    at
        The release.
    by, options
        What every list is like, as in :mod:`recsys.serving.questions`.

    Attributes
    ----------
    notes
        What there is to be said of the rules, whoever a list is for.

    Raises
    ------
    ArgumentError
        If ``by`` or a filter is none, or rules are that the release cannot follow.
    """

    def __init__(self, at: Snapshot, by: Way, options: ListOptions) -> None:
        questions.check_way(by)
        self.at, self.by, self.options = copy(at), by, options
        self.at.people = at.people.compiled()
        ruled = at.shelf.ruled(options)
        self._allowed, self.notes = at.shelf.allowed(ruled, questions.NOBODY), ruled.notes
        # What is built when it is first needed would be built by every thread that needs it first.
        at.taste.prepare()
        at.hybrid.prepare()
        _ = at.content.moments

    @property
    def is_batched(self) -> bool:
        """Whether lists for people are ranked in batches: such as have no part that looks at a whole list."""
        return self.by == "taste" and not self.options.collapse and not self.options.is_ruled

    def for_people(self, codes: npt.NDArray[np.integer]) -> Batch:
        """Return what :func:`recsys.serving.questions.recommend` answers to some people.

        Parameters
        ----------
        codes
            int, (people,): codes of users; -1 for somebody whom the release does not know.
        """
        batch = Batch.empty(len(codes), self.options.k)
        known, factors = codes >= 0, np.zeros((len(codes), self.at.taste.factors.shape[1]), dtype=np.float32)
        factors[known] = self.at.people.factors.many(codes[known])
        batched = self.is_batched & factors.any(axis=1)
        for place in np.flatnonzero(~batched).tolist():
            profile = self.at.people.at(int(codes[place]), factors[place]) if known[place] else None
            answer = questions.recommend(self.at, profile, self.by, self.options, unknown="nobody of this release")
            self._take(batch, place, answer)
        if batched.any():
            self._rank(batch, np.flatnonzero(batched), codes, factors)
        return batch

    def similar_to(self, rows: npt.NDArray[np.integer]) -> Batch:
        """Return what :func:`recsys.serving.questions.similar` answers to some games.

        By taste, the list of a game without one is empty, and so is its ``by``.

        Parameters
        ----------
        rows
            int, (games,): their rows of the catalogue.
        """
        batch = Batch.empty(len(rows), self.options.k)
        for place, row in enumerate(rows):
            if self.by == "taste" and not self.at.taste.has(int(row)):
                continue
            id_ = self.at.catalogue.ids[row]
            self._take(batch, place, questions.similar(self.at, id_, self.by, self.options))
        return batch

    def _rank(self, batch: Batch, places: Places, codes: npt.NDArray[np.integer], factors: Floats) -> None:
        """Fill in the lists by taste of some people, by the scorer's batches."""
        kept: list[Profile] = []

        def profiles() -> Iterator[Profile]:
            for place in places.tolist():
                profile = self.at.people.at(int(codes[place]), factors[place])
                if self.options.why:  # reasons come later, and need no number for each game
                    kept.append(profile.slim())
                yield profile

        lists = self.at.taste.lists(factors[places], profiles(), self._allowed, self.options.k)
        batch.rows[places], batch.scores[places] = lists.columns, lists.scores
        for place in places.tolist():
            batch.by[place] = "taste"
        for place, profile in zip(places.tolist(), kept, strict=False):
            rows = batch.rows[place][batch.rows[place] >= 0].astype(np.intp)
            shares = questions.shares_of(self.at, profile, rows, "taste")
            batch.because[place, : len(rows)] = _strongest(profile.liked, shares)

    def _take(self, batch: Batch, place: int, answer: Answer) -> None:
        """Fill in the list that an answer holds."""
        count, find = len(answer), self.at.catalogue.find_all
        batch.rows[place, :count] = find(answer.ids)
        batch.scores[place, :count] = [game.score for game in answer]
        batch.because[place, :count] = [find([game.because[0].game_id])[0] if game.because else -1 for game in answer]
        batch.by[place] = answer.by


def _strongest(liked: npt.NDArray[np.intp], shares: npt.NDArray[np.float64]) -> npt.NDArray[np.intp]:
    """Return the row of the game with the largest share in each score; -1 where none has any."""
    if not len(liked):
        return np.full(len(shares), -1, dtype=np.intp)
    best = shares.argmax(axis=1)
    return np.where(shares[np.arange(len(shares)), best] > 0, liked[best], -1)
