"""Golden queries: questions whose right answers the training process wrote down.

Their answers stand in the manifest. A staged release is published only after a fresh process has
loaded it and given the same answers; ``recsys verify`` asks them again at any time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from recsys.errors import ArtifactCorrupt, QualityGateFailed
from recsys.release.manifest import GoldenAnswer
from recsys.serving import questions
from recsys.serving.options import ListOptions
from recsys.serving.snapshot import Snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from recsys.marts.ids import Id, IdMap
    from recsys.release.loading import LoadedRelease

TOLERANCE = 1e-4
"""How far a score may differ: matrix products round differently with other threads and processors."""


class Content(Protocol):
    """The content model, as far as golden queries go."""

    game_ids: list[Id]

    def similar(self, game_id: Id, k: int = ...) -> Sequence[tuple[Id, float]]:
        """Return neighbours and their squared distances, nearest first."""
        ...


class Taste(Protocol):
    """The collaborative filter, as far as golden queries go."""

    users: IdMap

    def recommend(self, user_id: Id, k: int = ...) -> Sequence[tuple[Id, float]]:
        """Return games not yet rated and their scores, best first."""
        ...


def neighbours_of(model: Content, queries: int = 5, k: int = 10) -> list[GoldenAnswer]:
    """Ask the content model for the neighbours of known games, spread over the catalogue.

    Returns
    -------
    list of GoldenAnswer
        Games asked for, their neighbours and squared distances; no list of games is empty.

    Raises
    ------
    QualityGateFailed
        If no game has a neighbour.
    """
    answers = _answered(model.game_ids, queries, lambda game: model.similar(game, k))
    if not answers:
        raise QualityGateFailed(f"no game of the {len(model.game_ids):,} in the catalogue has a neighbour")
    return answers


def recommendations_of(model: Taste, queries: int = 5, k: int = 10) -> list[GoldenAnswer]:
    """Ask the collaborative filter for recommendations to known users, spread over all.

    Returns
    -------
    list of GoldenAnswer
        Users asked for, their games and scores; no list of games is empty.

    Raises
    ------
    QualityGateFailed
        If nobody gets a recommendation.
    """
    answers = _answered(model.users.ids(), queries, lambda user: model.recommend(user, k))
    if not answers:
        raise QualityGateFailed(
            f"the model recommends nothing to any of its {len(model.users):,} users: they have rated every game that it"
            " may recommend, none of their ratings counts, or the catalogue lacks the games that they rated"
        )
    return answers


def _answered(ids: Sequence[Id], queries: int, ask: Callable[[Id], Sequence[tuple[Id, float]]]) -> list[GoldenAnswer]:
    """Ask for some of ``ids``, spread over all; in place of one without an answer, for the next that has one."""
    answers: dict[int, GoldenAnswer] = {}
    silent: set[int] = set()
    for place in _spread(len(ids), queries):
        for number in [*range(place, len(ids)), *range(place)]:
            if number in answers:
                break
            if number in silent:
                continue
            if answer := ask(ids[number]):
                answers[number] = _answer(ids[number], answer)
                break
            silent.add(number)
    return [answers[number] for number in sorted(answers)]


def _spread(count: int, queries: int) -> list[int]:
    return sorted({place * (count - 1) // max(1, queries - 1) for place in range(queries)}) if count else []


def _answer(asked: Id, answer: Sequence[tuple[Id, float]]) -> GoldenAnswer:
    games, values = tuple(game for game, _ in answer), tuple(float(value) for _, value in answer)
    return GoldenAnswer(asked=asked, games=games, values=values)


def replay(release: LoadedRelease) -> int:
    """Repeat the golden queries of a loaded release's manifest on the code that serves it.

    Returns
    -------
    int
        The number of queries that were answered as the training process answered them.

    Raises
    ------
    ArtifactCorrupt
        If an answer differs by more than :data:`TOLERANCE`, or if a half has no query.
    """
    golden = release.manifest.golden
    for half in ("content", "cf"):
        if not any(answer.games for answer in golden.get(half, ())):
            raise ArtifactCorrupt(
                f"{release.path} holds no golden query with an answer for its {half} half: it cannot prove that it"
                " answers anybody"
            )
    at = Snapshot(release)
    for answer in golden["content"]:
        if not _same_neighbours(at, answer):
            raise _differs(f"neighbours of game {answer.asked!r}", answer)
    for number, answer in enumerate(golden["cf"], 1):
        if not _same_recommendations(at, answer):
            raise _differs(f"recommendations to the user of golden query {number}", answer)
    return len(golden["content"]) + len(golden["cf"])


def _same_neighbours(at: Snapshot, answer: GoldenAnswer) -> bool:
    row = at.catalogue.find(answer.asked)
    if row is None:
        raise ArtifactCorrupt(f"{at.path} does not know the game {answer.asked!r} of a golden query")
    rows = at.catalogue.find_all(answer.games)
    if (rows < 0).any() or row in rows:
        return False
    served = questions.similar(at, answer.asked, "content", ListOptions(max(len(rows), 1)))
    given = at.content.cosines(at.content.vectors[row], rows)
    # Of unit vectors: the squared distance is 2 - 2 cos.
    return _agrees(answer, given=2 - 2 * given, best=2 - 2 * np.array([game.score for game in served]))


def _same_recommendations(at: Snapshot, answer: GoldenAnswer) -> bool:
    profile = at.people.user(answer.asked)
    if profile is None:
        raise ArtifactCorrupt(f"{at.path} does not know the user of a golden query")
    rows = at.catalogue.find_all(answer.games)
    options = ListOptions(max(len(rows), 1))
    served = questions.recommend(at, profile, "taste", options, unknown="")
    if (
        (rows < 0).any()
        or served.by != "taste"
        or not at.shelf.allowed(at.shelf.ruled(options), profile.seen)[rows].all()
    ):
        return False
    # Factors alone also list games without factors, at 0; no list that is served holds them.
    unlisted = np.zeros(np.count_nonzero(~at.taste.has(rows)) if profile.line.added is None else 0)
    scores = np.append([game.score for game in served], unlisted)
    best = -np.sort(-scores)[: len(rows)]
    return _agrees(answer, given=at.taste.scores(profile.factors, rows, profile.line), best=best)


def _agrees(answer: GoldenAnswer, *, given: npt.NDArray[Any], best: npt.NDArray[Any]) -> bool:
    """Compare an answer with what is served: ties may break either way, values may not differ.

    Parameters
    ----------
    answer
        A golden query.
    given
        The values of its games now.
    best
        The values of as many games as are served now, best first.
    """
    expected = np.array(answer.values, dtype=np.float64)
    limit = TOLERANCE * max(1.0, float(np.abs(expected).max(initial=0.0)))
    return len(set(answer.games)) == len(answer.games) == len(expected) == len(best) and bool(
        np.all(np.abs(given - expected) <= limit) and np.all(np.abs(best - expected) <= limit)
    )


def _differs(what: str, answer: GoldenAnswer) -> ArtifactCorrupt:
    values = [round(value, 4) for value in answer.values[:3]]
    return ArtifactCorrupt(
        "the release answers a golden query otherwise than the training process did: "
        f"{what} were {list(answer.games[:3])}… at {values}…"
    )
