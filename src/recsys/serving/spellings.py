"""Ids that are asked for in another spelling: named, and never taken for the id.

An id is what the release has: the whole number 13 or the text ``"13"``, and not the other one, nor 13.0, nor
True. Addresses and command lines are texts: where ids are whole numbers, a text is read as the number that is
written so (``13``, not ``13.0``, ``013`` or one with blanks), elsewhere it is the id.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np

from recsys.marts.ids import meaning

if TYPE_CHECKING:
    from collections.abc import Callable

    from recsys.marts.ids import Id


def did_you_mean(asked: object, known: Callable[[Id], bool]) -> str:
    """Return the end of a message about an unknown id that is a known one, spelled in another way; else nothing.

    Parameters
    ----------
    asked
        What was asked for.
    known
        Whether the release has an id.
    """
    for id_ in _spellings(asked):
        if known(id_):
            kind = "whole numbers" if isinstance(id_, int) else "texts"
            return f"; did you mean {id_!r}? Its ids are {kind}, and {asked!r} is another spelling"
    return ""


def _spellings(asked: object) -> list[Id]:
    if isinstance(asked, float | np.floating | Decimal) and np.isfinite(float(asked)) and asked == int(asked):
        asked = int(asked)
    if isinstance(asked, bool) or not isinstance(asked, str | int | np.integer):
        return []
    means = meaning(asked if isinstance(asked, str) else int(asked))
    return [means, str(means)] if isinstance(means, int) else [means]
