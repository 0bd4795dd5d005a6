"""Places of a list that are kept for games which no rating speaks of."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from recsys.ranking.scorer import Ranked
    from recsys.serving.answers import By
    from recsys.serving.shelf import Scoring

    Mask = npt.NDArray[np.bool_]


class Fresh(NamedTuple):
    """The newcomers of a catalogue, for somebody.

    Attributes
    ----------
    scoring
        Scores them.
    rows
        bool, (games,): games that no rating speaks of.
    by
        What the scores go by.
    """

    scoring: Scoring
    rows: Mask
    by: By


def in_places(places: Sequence[int], new: Ranked, others: Ranked, room: int) -> Ranked:
    """Return a list with newcomers in its places, the others around them in their order; as far as there are some."""
    rows, scores = (list(values) for values in others)
    for place, row, score in zip(places, *new, strict=False):
        rows.insert(place, row)
        scores.insert(place, score)
    return np.array(rows[:room], dtype=np.intp), np.array(scores[:room], dtype=np.float32)
