"""How models say what they are, and how their settings are given."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from recsys.config import CfSettings, ContentSettings
from recsys.errors import ArgumentTypeError
from recsys.models.cf import CollaborativeFilter
from recsys.models.content import RAGRecommender

FILTER: Any = CollaborativeFilter
CONTENT: Any = RAGRecommender
"""Without their types, which refuse before a test could."""
FRAME = pd.DataFrame({"USER_ID": [1, 1, 2, 2], "GAME_ID": [7, 8, 7, 9], "RATING": [9.0, 8.0, 7.0, 6.0]})


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: FILTER(factors=16), r"write CollaborativeFilter\(CfSettings\(factors=16\)\)$"),
        (lambda: FILTER(factor=16), r"there is no setting 'factor': factors, solver, "),
        (lambda: FILTER({"factors": 16}), r"takes CfSettings\(…\), and was given dict \{'factors': 16\}"),
        (lambda: FILTER(16), "was given int 16"),
        (lambda: CONTENT(engine="torch"), r"write RAGRecommender\(ContentSettings\(engine='torch'\)\)"),
    ],
)
def test_settings_that_are_given_otherwise_say_how(make: Any, said: str) -> None:
    """As one object: an unknown keyword alone would not say where it goes."""
    with pytest.raises(ArgumentTypeError, match=said):
        make()


def test_a_model_says_how_large_it_is() -> None:
    """In a notebook, without asking for its attributes."""
    model = CollaborativeFilter(CfSettings(factors=4, iterations=1, tuning="off"))
    assert repr(model) == "CollaborativeFilter(not trained)"
    assert repr(model.fit(FRAME)) == "CollaborativeFilter(2 users, 3 games, 4 ratings, 4 factors)"


def test_a_content_model_says_how_large_it_is() -> None:
    """Its vectors are its size."""

    class Words:
        dimension = 3

        def encode(self, texts: list[str]) -> Any:
            import numpy as np

            return np.eye(3, dtype=np.float32)[[len(text) % 3 for text in texts]]

    model = RAGRecommender(ContentSettings(), Words())  # type: ignore[arg-type]
    assert repr(model) == "RAGRecommender(not trained)"
    games = pd.DataFrame({"GAME_ID": [1, 2], "embedding_text": ["a", "bb"]})
    assert repr(model.fit(games)) == "RAGRecommender(2 games, vectors of 3)"
