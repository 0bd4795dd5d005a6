"""The gate on real ratings: what careful settings earn, and what the textbook's do not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import pytest

from recsys.config import CfSettings, EvaluationSettings, GateSettings
from recsys.evaluation.contenders import CF, CURRENT, Factors, Popularity
from recsys.evaluation.current import CurrentRelease
from recsys.evaluation.gate import judge
from recsys.evaluation.holdout import split
from recsys.evaluation.scores import evaluate
from recsys.marts.ratings import Ratings
from recsys.models.cf import CollaborativeFilter

if TYPE_CHECKING:
    from pathlib import Path

    from recsys.evaluation.result import Evaluation

USERS = 10_000
TEXTBOOK = CfSettings(solver="implicit", tuning="off", confidence="rating", alpha=1.0, factors=64, regularization=0.01)
CAREFUL = CfSettings(tuning="off")


@pytest.fixture(scope="module")
def evaluation(real_data: Path) -> Evaluation:
    """Both recipes and popularity on the first 10,000 users of the real ratings."""
    frame = pd.read_parquet(real_data / "mart_user_ratings.parquet")
    frame = frame[frame["USER_ID"] < frame["USER_ID"].drop_duplicates().sort_values().iloc[USERS]]
    settings = EvaluationSettings()
    parts = split(Ratings.from_frame(frame), settings, 7.0)
    contenders: list[Popularity | Factors] = [Popularity.of(parts.train)]
    for name, recipe in {CF: TEXTBOOK, CURRENT: CAREFUL}.items():
        model = CollaborativeFilter(recipe).fit(parts.train)
        contenders.append(Factors(name, model.user_factors, model.item_factors))
    return evaluate(contenders, parts, settings)


def test_the_textbook_recipe_is_refused(evaluation: Evaluation) -> None:
    """It ranks below plain popularity, and far below the careful recipe."""
    judged = judge(evaluation, GateSettings(), CurrentRelease("careful"))
    assert {check.rule for check in judged.checks if not check.passed} == {"popularity", "current recipe"}
    assert evaluation.difference(CF, "popularity", "ndcg@10").high < 0


def test_a_careful_recipe_passes(evaluation: Evaluation) -> None:
    """It is surely better than popularity, by a quarter and more."""
    judged = judge(evaluation, GateSettings(contender=CURRENT), None)
    assert judged.passed, judged.reason
    assert evaluation.difference(CURRENT, "popularity", "ndcg@10", relative=True).low > 0.25
