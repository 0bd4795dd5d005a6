"""What each scenario costs: its lists beside those without rules, from the code that serves them."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from recsys.evaluation.bootstrap import interval, paired_difference, resampled_means
from recsys.evaluation.holdout import sampled
from recsys.evaluation.result import plain
from recsys.evaluation.scores import score_lists
from recsys.ranking import metrics
from recsys.serving.candidate import Candidate
from recsys.system.log import events, keys
from recsys.system.pulse import progress

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from recsys.config import EvaluationSettings
    from recsys.evaluation.bootstrap import Interval
    from recsys.evaluation.holdout import Split
    from recsys.evaluation.result import ContenderScores
    from recsys.marts.catalogue import Catalogue
    from recsys.models.cf import CollaborativeFilter
    from recsys.serving import Rules

log = events(__name__)

SCENARIOS = "scenarios"
"""Key of ``metrics.json``, and name of the step."""
NO_SCENARIO = "The settings name no scenario."
"""Why nothing is measured where there is none."""
USERS = 5_000
"""Users who are asked for at most: each list by rules takes some milliseconds."""


def measure_scenarios(
    candidate: CollaborativeFilter,
    catalogue: Catalogue,
    scenarios: Mapping[str, Rules],
    split: Split,
    settings: EvaluationSettings,
) -> dict[str, object]:
    """Return what the lists by each scenario score, and its price, ready for JSON.

    Parameters
    ----------
    candidate
        Trained on ``split.train`` alone.
    catalogue
        The games, with the table of the mart.
    scenarios
        Rules by name.
    split
        The hold-out, and who is scored.
    settings
        ``k``, ``resamples`` and ``seed`` are used.
    """
    started = time.perf_counter()
    serving = candidate.restricted_to(catalogue.ids)
    split = replace(split, users=sampled(split.users, split.train, USERS, settings.seed))
    lists = score_scenarios(serving, catalogue, scenarios, split, settings)
    base = lists[None]
    found = {
        "k": settings.k,
        "users": len(split.users),
        "base": _figures(base, settings),
        "named": {
            name: {
                "rules": rules.as_json(),
                "scores": _figures(lists[name], settings),
                "price": _price(lists[name], base, settings),
            }
            for name, rules in scenarios.items()
        },
    }
    log.info("scenarios scored", extra=keys(scenarios=len(scenarios), seconds=time.perf_counter() - started))
    return found


def score_scenarios(
    candidate: CollaborativeFilter,
    catalogue: Catalogue,
    scenarios: Mapping[str, Rules],
    split: Split,
    settings: EvaluationSettings,
) -> dict[str | None, ContenderScores]:
    """Score the lists by each scenario, and without one (None), as a release of the candidate would serve them.

    Parameters are those of :func:`measure_scenarios`; the candidate recommends games of the catalogue alone.
    """
    users = candidate.users.ids(split.users.tolist())
    with progress("making lists by scenarios", len(users)) as advance:
        lists = Candidate(candidate, catalogue, scenarios).lists(users, settings.k, [None, *scenarios], advance)
    code_of_row = np.append(candidate.items.codes_of(list(catalogue.game_ids)), -1)  # the last one answers the padding
    embeddings = catalogue.rows_for(candidate.items)
    return {
        name: score_lists(
            name or "", code_of_row[rows].astype(np.int32), split, settings.k, embeddings, candidate.recommendable
        )
        for name, rows in lists.items()
    }


def _figures(scores: ContenderScores, settings: EvaluationSettings) -> dict[str, object]:
    """Return each metric's mean to the last digit, with its interval, and the coverage."""
    names = list(scores.per_user)
    columns: npt.NDArray[np.float64] = np.column_stack([scores.per_user[name] for name in names])
    resampled = resampled_means(columns, settings.resamples, settings.seed)
    means = [metrics.mean(scores.per_user[name]) for name in names]
    figures = {
        name: _exactly(interval(mean, drawn)) for name, mean, drawn in zip(names, means, resampled.T, strict=True)
    }
    return {**figures, "coverage": float(scores.coverage)}


def _price(scores: ContenderScores, base: ContenderScores, settings: EvaluationSettings) -> dict[str, object]:
    """Return what the rules change: NDCG as a share of that without them, shares by difference."""

    def change(metric: str, *, relative: bool) -> dict[str, float | None]:
        pair = scores.per_user[metric], base.per_user[metric]
        return _exactly(paired_difference(*pair, settings.resamples, settings.seed, relative=relative))

    ndcg = f"ndcg@{settings.k}"
    return {
        ndcg: change(ndcg, relative=True),
        "popular_share": change("popular_share", relative=False),
        "coverage": float(scores.coverage - base.coverage),
    }


def _exactly(estimate: Interval) -> dict[str, float | None]:
    rounded = plain(estimate)
    return rounded if rounded["value"] is None else {**rounded, "value": float(estimate.value)}
