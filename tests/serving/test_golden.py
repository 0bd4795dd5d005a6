"""Golden queries have answers: who has none is passed over, and a model that answers nobody is no release."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from recsys.errors import QualityGateFailed
from recsys.marts.ids import Id, IdMap
from recsys.serving.golden import neighbours_of, recommendations_of

if TYPE_CHECKING:
    from collections.abc import Sequence


class Model:
    """Answers the users and games that it is told to, with one game each."""

    def __init__(self, size: int, answered: set[int]) -> None:
        self.users = IdMap.of(range(size))
        self.game_ids: list[Id] = list(range(size))
        self.answered = answered
        self.asked: list[Id] = []

    def recommend(self, user_id: Id, k: int = 10) -> Sequence[tuple[Id, float]]:
        """Return at most one game."""
        self.asked.append(user_id)
        return [(user_id, 0.5)][:k] if user_id in self.answered else []

    similar = recommend


@pytest.mark.parametrize(
    ("answered", "asked"),
    [
        (set(range(9)), [0, 2, 4, 6, 8]),
        ({1, 2, 5, 6}, [1, 2, 5, 6]),
        ({7}, [7]),
        ({0}, [0]),
        ({3, 8}, [3, 8]),
    ],
)
def test_the_next_one_with_an_answer_is_asked(answered: set[int], asked: list[int]) -> None:
    """Queries are spread over all; in place of somebody without a list comes the next who has one, once."""
    for ask in (recommendations_of, neighbours_of):
        model = Model(9, answered)
        answers = ask(model)
        assert [query.asked for query in answers] == asked
        assert all(query.games for query in answers)
        assert len(model.asked) == len(set(model.asked)), "nobody is asked twice"


def test_a_model_that_answers_nobody_is_refused() -> None:
    """A filter without a list for anybody, or a catalogue without neighbours, is not published (exit code 3)."""
    with pytest.raises(QualityGateFailed, match="recommends nothing to any of its 9 users"):
        recommendations_of(Model(9, set()))
    with pytest.raises(QualityGateFailed, match="no game of the 9"):
        neighbours_of(Model(9, set()))
