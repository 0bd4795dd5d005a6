"""Users folded in from their ratings, beside the factors that training left them: the same lists, and what one costs.

``RECSYS_REAL_DATA=FOLDER python benchmarks/folded.py [--users 5000]``

By the rule's recipe, on the gate's hold-out.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from recsys.config import CfSettings, EvaluationSettings
from recsys.evaluation.contenders import Factors
from recsys.evaluation.holdout import split
from recsys.evaluation.scores import evaluate
from recsys.marts.ratings import Ratings
from recsys.models import CollaborativeFilter
from recsys.models.confidence import like_threshold


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=5_000)
    given = parser.parse_args()
    folder = Path(os.environ["RECSYS_REAL_DATA"])
    ratings = Ratings.from_frame(pd.read_parquet(folder / "mart_user_ratings.parquet"))
    settings = EvaluationSettings(users=given.users)
    parts = split(ratings, settings, like_threshold("auto", ratings.matrix.data))
    model = CollaborativeFilter(CfSettings(tuning="off")).fit(parts.train)
    folded, took = np.zeros_like(model.user_factors), []
    with threadpool_limits(1, "blas"):
        model.folded.prepare()
        for user in parts.users.tolist():
            began = time.perf_counter()
            folded[user] = model.folded.of(user)
            took.append(1e3 * (time.perf_counter() - began))
    contenders = [Factors("as trained", model.user_factors, model.item_factors)]
    contenders.append(Factors("folded in", folded, model.item_factors))
    scored = evaluate(contenders, parts, settings)
    lists = [scored.contenders[each.name].lists[:, :10] for each in contenders]
    shared = np.mean([len({*one} & {*other}) / 10 for one, other in zip(*lists, strict=True)])
    print("| factors of users | NDCG@10 |\n| --- | --- |")
    for each in contenders:
        print(f"| {each.name} | {scored.value(each.name, 'ndcg@10'):.5f} |")
    median, late = np.percentile(took, [50, 99])
    print(f"\n{shared:.4f} of the ten games are the same; a user takes {median:.2f} ms (p99 {late:.2f}), one thread.")


if __name__ == "__main__":
    main()
