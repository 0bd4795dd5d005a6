"""Ranking metrics as pure functions on arrays.

The first group takes ``hits`` and ``relevant``:

hits
    bool, (users, depth): whether the game at each rank of a user's list is relevant. The lists
    hold distinct games; a list that ends early is padded with False.
relevant
    int, (users,): how many games are relevant to each user, in the list or not.

Each function answers float64, (users,), in [0, 1], higher is better. Relevance is binary. A user
to whom nothing is relevant has no score: NaN, which :func:`mean` leaves out. Ties between scores
are no matter for a metric: the order of a list settles them (see
:func:`recsys.ranking.top.best_columns`: the lower column first).

The second group describes the lists themselves. It takes ``lists``, int, (users, depth): item codes
by rank, -1 for padding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    Hits: TypeAlias = npt.NDArray[np.bool_]
    Lists: TypeAlias = npt.NDArray[np.integer]
    Counts: TypeAlias = npt.NDArray[np.integer]
    Floats: TypeAlias = npt.NDArray[np.float64]

SHORT_HEAD = 0.2
"""The share of a catalogue that counts as popular (Abdollahpouri et al. 2019)."""


def mean(values: Floats) -> float:
    """Return the mean over users that have a score; NaN if none has."""
    scored = values[~np.isnan(values)]
    return float(scored.mean()) if len(scored) else float("nan")


def ndcg(hits: Hits, relevant: Counts, k: int) -> Floats:
    """Return the normalised discounted cumulative gain of the first ``k`` ranks.

    DCG = Σ hit(r) / log2(r + 1) over ranks r = 1 … k, divided by that of the best possible list:
    ``min(k, relevant)`` hits on top (Järvelin & Kekäläinen 2002, with the logarithmic discount
    from rank 1 on that trec_eval uses).
    """
    discount = 1.0 / np.log2(np.arange(2, k + 2))
    ideal = np.concatenate(([np.nan], np.cumsum(discount)))
    top = hits[:, :k]
    gained: Floats = top @ discount[: top.shape[1]]
    return gained / ideal[np.minimum(relevant, k)]


def recall(hits: Hits, relevant: Counts, k: int) -> Floats:
    """Return the share of findable relevant games among the first ``k`` ranks.

    The denominator is ``min(k, relevant)``, so that a perfect list scores 1 even where more games
    are relevant than the list is long (also called truncated or capped recall); trec_eval divides
    by ``relevant``.
    """
    return _ratio(hits[:, :k].sum(axis=1), np.minimum(relevant, k))


def average_precision(hits: Hits, relevant: Counts, k: int) -> Floats:
    """Return the average precision of the first ``k`` ranks; its mean over users is MAP@k.

    Σ hit(r) · precision(r) over ranks r = 1 … k, divided by ``min(k, relevant)``; trec_eval
    divides by ``relevant``.
    """
    top = hits[:, :k]
    precision = np.cumsum(top, axis=1) / np.arange(1, top.shape[1] + 1)
    return _ratio((precision * top).sum(axis=1), np.minimum(relevant, k))


def reciprocal_rank(hits: Hits, relevant: Counts, k: int) -> Floats:
    """Return 1 / the rank of the first hit, 0 if there is none up to ``k``; its mean is MRR@k.

    Voorhees, "The TREC-8 question answering track report" (1999).
    """
    top = hits[:, :k]
    first = 1.0 / (np.argmax(top, axis=1) + 1.0)
    return _unscored(first * np.any(top, axis=1, keepdims=True)[:, 0], relevant)


def hit_rate(hits: Hits, relevant: Counts, k: int) -> Floats:
    """Return 1 where any of the first ``k`` ranks is a hit, else 0."""
    return _unscored(np.any(hits[:, :k], axis=1, keepdims=True)[:, 0].astype(np.float64), relevant)


ACCURACY: dict[str, Callable[[Hits, Counts, int], Floats]] = {
    "ndcg": ndcg,
    "recall": recall,
    "map": average_precision,
    "mrr": reciprocal_rank,
    "hit_rate": hit_rate,
}
"""The metrics of accuracy, as settings and ``metrics.json`` name them, before the cut-off."""


def coverage(recommended: Counts, candidates: int) -> float:
    """Return the share of a catalogue that is recommended to anybody.

    Parameters
    ----------
    recommended
        int, (items,): in how many lists each item stands.
    candidates
        How many items could have been recommended.
    """
    return float(np.count_nonzero(recommended)) / candidates if candidates else float("nan")


def gini(recommended: Counts) -> float:
    """Return how unevenly recommendations fall on the items, in [0, 1): 0 where each is shown as often as the others.

    The Gini coefficient Σ (2i − n − 1) x(i) / (n Σ x), x(i) ascending (Fleder & Hosanagar, "Blockbuster Culture's Next
    Rise or Fall", Management Science 2009); 1 − 1/n where one item has all. NaN where nothing is recommended.

    Parameters
    ----------
    recommended
        int, (items,): in how many lists each item stands.
    """
    number, total = len(recommended), float(recommended.sum())
    if not total:
        return float("nan")
    return float((2 * np.arange(1, number + 1) - number - 1) @ np.sort(recommended) / (number * total))


def novelty(lists: Lists, raters: Counts, users: int) -> Floats:
    """Return the mean self-information of each list, in bits; more is less obvious.

    Mean of −log2(p), p the share of users who rated the item (Zhou et al. 2010; Castells, Hurley &
    Vargas, "Novelty and Diversity in Recommender Systems"). An item that nobody rated counts as
    rated by one. An empty list has no score: NaN.

    Parameters
    ----------
    lists
        int, (users, depth).
    raters
        int, (items,): users who rated each item in the training part.
    users
        Users of the training part.
    """
    information = -np.log2(np.maximum(raters, 1) / max(users, 1))
    return _over_lists(information, lists)


def popular_share(lists: Lists, raters: Counts) -> Floats:
    """Return the share of each list that is of the short head, in [0, 1].

    The short head are the ``SHORT_HEAD`` of items with the most raters, ties by the lower code
    (Abdollahpouri, Burke & Mobasher, "Managing Popularity Bias", 2019; their APLT is 1 minus
    this). An empty list has no score: NaN.
    """
    head = np.zeros(len(raters))
    head[np.argsort(-raters, kind="stable")[: int(np.ceil(SHORT_HEAD * len(raters)))]] = 1.0
    return _over_lists(head, lists)


def intra_list_diversity(lists: Lists, embeddings: npt.NDArray[np.float32]) -> Floats:
    """Return the mean cosine distance between the items of each list, in [0, 2].

    The mean of 1 − cos(i, j) over the pairs of a list (Ziegler et al. 2005), from the norm of the
    sum of its vectors: Σ_{i≠j} cos(i, j) = ‖Σ e‖² − n. Items without an embedding are left out; a
    list of fewer than two others has no score: NaN.

    Parameters
    ----------
    lists
        int, (users, depth).
    embeddings
        float32, (items, dimension): unit rows, or zero rows for items without an embedding.
    """
    known = np.concatenate((embeddings.any(axis=1), [False]))
    total = np.zeros((len(lists), embeddings.shape[1]), dtype=np.float32)
    size = np.zeros(len(lists), dtype=np.int64)
    for column in lists.T:
        present = known[column]
        size += present
        total[present] += embeddings[column[present]]
    overlap = np.einsum("ij,ij->i", total, total, dtype=np.float64) - size
    pairs = (size * (size - 1)).astype(np.float64)
    return 1.0 - _ratio(overlap, pairs)


def _ratio(above: npt.NDArray[np.number], below: npt.NDArray[np.number]) -> Floats:
    """Divide; NaN where the denominator is 0."""
    ratio: Floats = np.full(len(below), np.nan)
    np.divide(above.astype(np.float64), below, out=ratio, where=below > 0)
    return ratio


def _unscored(values: Floats, relevant: Counts) -> Floats:
    return np.where(relevant > 0, values, np.nan)


def _over_lists(value: Floats, lists: Lists) -> Floats:
    """Return the mean of each list's items' values; padding is left out."""
    padded = np.concatenate((value, [0.0]))[lists]
    return _ratio(padded.sum(axis=1), (lists >= 0).sum(axis=1))
