"""Golden queries: questions whose right answers the training process wrote down.

Their answers stand in the manifest. A staged release is published only after a fresh process has
loaded it and given the same answers; ``recsys verify`` asks them again at any time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol

from recsys.errors import ArtifactCorrupt, QualityGateFailed
from recsys.release.manifest import GoldenAnswer

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
    found = _answered(model.game_ids, queries, lambda game: model.similar(game, k))
    if not found:
        raise QualityGateFailed(f"no game of the {len(model.game_ids):,} in the catalogue has a neighbour")
    return found


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
    found = _answered(model.users.ids(), queries, lambda user: model.recommend(user, k))
    if not found:
        raise QualityGateFailed(
            f"the model recommends nothing to any of its {len(model.users):,} users: they have rated every game that it"
            " may recommend, none of their ratings counts, or the catalogue lacks the games that they rated"
        )
    return found


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
            if found := ask(ids[number]):
                answers[number] = _answer(ids[number], found)
                break
            silent.add(number)
    return [answers[number] for number in sorted(answers)]


def _spread(count: int, queries: int) -> list[int]:
    return sorted({place * (count - 1) // max(1, queries - 1) for place in range(queries)}) if count else []


def _answer(asked: Id, found: Sequence[tuple[Id, float]]) -> GoldenAnswer:
    games, values = tuple(game for game, _ in found), tuple(float(value) for _, value in found)
    return GoldenAnswer(asked=asked, games=games, values=values)


def replay(release: LoadedRelease) -> int:
    """Put the golden queries of its manifest to a loaded release.

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
    for answer in golden["content"]:
        values = _distances(release, answer.asked)
        if not _agrees(answer, release.game_ids, values, order=1):
            raise _differs(f"neighbours of game {answer.asked!r}", answer)
    for number, answer in enumerate(golden["cf"], 1):
        values = _scores(release, answer.asked)
        if not _agrees(answer, release.items.ids(), values, order=-1):
            raise _differs(f"recommendations to the user of golden query {number}", answer)
    return len(golden["content"]) + len(golden["cf"])


def _distances(release: LoadedRelease, game_id: Id) -> npt.NDArray[Any]:
    """Return each game's squared distance to one; NaN for the game itself."""
    import numpy as np

    if game_id not in release.game_ids:
        raise ArtifactCorrupt(f"{release.path} does not know the game {game_id!r} of a golden query")
    row = release.game_ids.index(game_id)
    vectors = release.index.reconstruct_n(0, release.index.ntotal)
    distances: npt.NDArray[Any] = ((vectors - vectors[row]) ** 2).sum(axis=1)
    distances[row] = np.nan
    return distances


def _scores(release: LoadedRelease, user_id: Id) -> npt.NDArray[Any]:
    """Return each game's score for a user; NaN for what may not be recommended."""
    import numpy as np

    code = release.users.code_of(user_id)
    if code is None:
        raise ArtifactCorrupt(f"{release.path} does not know the user of a golden query")
    factors = release.user_factors[code]
    scores: npt.NDArray[Any] = release.item_factors @ factors
    scores[~release.recommendable] = np.nan
    scores[release.indices[release.indptr[code] : release.indptr[code + 1]]] = np.nan
    if not factors.any():
        scores[:] = np.nan
    return scores


def _agrees(answer: GoldenAnswer, ids: Sequence[Id], values: npt.NDArray[Any], *, order: Literal[1, -1]) -> bool:
    """Compare an answer with the values of all games: ties may break either way, values may not differ.

    Parameters
    ----------
    answer
        A golden query.
    ids
        Of all games.
    values
        Theirs; NaN where a game may not be in the answer.
    order
        1 if small values are best, -1 if large ones are.
    """
    import numpy as np

    places = {game: place for place, game in enumerate(ids)}
    if len(set(answer.games)) != len(answer.games) or not places.keys() >= set(answer.games):
        return False
    given = values[[places[game] for game in answer.games]]
    best = order * np.sort(order * values[~np.isnan(values)])[: len(given)]
    expected = np.array(answer.values, dtype=np.float64)
    limit = TOLERANCE * max(1.0, float(np.abs(expected).max(initial=0.0)))
    # NaN compares as false: a game that may not be in the answer fails here.
    return len(best) == len(given) and bool(
        np.all(np.abs(given - expected) <= limit) and np.all(np.abs(best - expected) <= limit)
    )


def _differs(what: str, answer: GoldenAnswer) -> ArtifactCorrupt:
    values = [round(value, 4) for value in answer.values[:3]]
    return ArtifactCorrupt(
        "the release answers a golden query otherwise than the training process did: "
        f"{what} were {list(answer.games[:3])}… at {values}…"
    )
