"""What stays of people's lists: those of a release that is being made beside those of the current one."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from recsys.evaluation.bootstrap import interval, resampled_means
from recsys.evaluation.result import number, plain
from recsys.ranking.hashing import id_hashes
from recsys.system.log import events, keys
from recsys.system.pulse import progress

if TYPE_CHECKING:
    import numpy.typing as npt

    from recsys.config import EvaluationSettings
    from recsys.marts.ids import Id, IdMap
    from recsys.serving.candidate import Served

log = events(__name__)

OVERLAP = "overlap"
"""Key of ``metrics.json``, and name of the step."""
USERS = 500
"""Users whose lists are compared at most: their mean is known to about one point, and a list takes milliseconds."""


def measure_overlap(
    before: Served, now: Served, users: tuple[IdMap, IdMap], settings: EvaluationSettings
) -> dict[str, object]:
    """Return how much of the lists stays, ready for JSON; decides nothing.

    Both lists are those that people are answered with: of the current release, which has learnt from all ratings of
    its night, and of the one that takes its place, which has learnt from all of tonight's. A game that somebody has
    rated since leaves their list too.

    Parameters
    ----------
    before, now
        The current release, and the one in the making.
    users
        Ids of the users of either.
    settings
        ``k``, ``resamples`` and ``seed`` are used.

    Returns
    -------
    dict
        ``release``: the current one's name; ``k``, ``users``; ``kept``: the mean share of a list's games that stand in
        the same user's new list, with its interval; ``first``: the share of users whose first game stays first;
        ``none``: the share of users of whose list nothing stays. None where nobody has a list in both.
    """
    started, chosen = time.perf_counter(), _sampled(*users, settings.seed)
    with progress("comparing lists with the current release's", 2 * len(chosen)) as advance:
        old, new = (each.lists(chosen, settings.k, advance=advance)[None] for each in (before, now))
    listed = old >= 0
    both = listed.any(axis=1) & (new >= 0).any(axis=1)
    old, new, listed = np.append(before.rows_in(now), -1)[old][both], new[both], listed[both]
    stays = (old[:, :, None] == new[:, None, :]).any(axis=2) & (old >= 0)
    kept = stays.sum(axis=1) / listed.sum(axis=1)
    found = {
        "release": before.name,
        "k": settings.k,
        "users": len(kept),
        "kept": plain(interval(_mean(kept), resampled_means(kept[:, None], settings.resamples, settings.seed)[:, 0])),
        "first": number(_mean((old[:, 0] == new[:, 0]).astype(np.float64))),
        "none": number(_mean((kept == 0).astype(np.float64))),
    }
    log.info(
        "lists beside the current release's",
        extra=keys(
            kept=_mean(kept), users=len(kept), release=before.name, seconds=round(time.perf_counter() - started, 3)
        ),
    )
    return found


def _sampled(before: IdMap, now: IdMap, seed: int) -> list[Id]:
    """Return the ids of users of both releases: those with the lowest hashes."""
    both = np.flatnonzero(now.locate(before) >= 0)
    hashes = id_hashes(before, "compared user", seed)[both]
    return before.ids(np.sort(both[np.argsort(hashes, kind="stable")[:USERS]]).tolist())


def _mean(values: npt.NDArray[np.float64]) -> float:
    return float(values.mean()) if len(values) else float("nan")
