"""Rules at answer time as parameters of an address, declared once for all routes that answer with a list."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated

from fastapi import Query

from recsys.service import ids
from recsys.service.schema import CONDITIONS, Condition
from recsys.serving.rule_texts import RuleTexts

if TYPE_CHECKING:
    from recsys.serving import Recommender, Rules

Only = Annotated[list[str] | None, Query(description="A game that may be listed; others may not. May be repeated.")]
Exclude = Annotated[Sequence[str], Query(description="A game that may not be listed. May be repeated, without limit.")]
Boost = Annotated[
    Sequence[Condition],
    Query(
        description="A condition and, after a colon, by how many standard deviations of the scores what meets it rises:"
        " `tag=Economic:0.5`. May be repeated.",
        max_length=CONDITIONS,
    ),
]
Bury = Annotated[
    Sequence[Condition], Query(description="As `boost`, for what falls. May be repeated.", max_length=CONDITIONS)
]
Diversity = Annotated[
    float | None, Query(ge=0, le=1, description="How far the list avoids games whose texts are alike; 0: not at all.")
]
AtMost = Annotated[
    Sequence[Condition],
    Query(
        description="`tag`, a column or `edition` and, after a colon, how many games may share one: `tag:2`."
        " May be repeated.",
        max_length=CONDITIONS,
    ),
]
Pin = Annotated[Sequence[str], Query(description="A game that comes first, in the order given; counted in `k`.")]
Newcomers = Annotated[
    Sequence[int],
    Query(
        description="A place of a list for somebody, from 1, that is kept for a game which no rating speaks of. May be"
        " repeated.",
        max_length=CONDITIONS,
    ),
]
ScenarioName = Annotated[
    Condition | None, Query(description="One of the release's scenarios (`/scenarios`), whose rules hold too.")
]


def asked_rules(
    only: Only = None,
    exclude: Exclude = (),
    boost: Boost = (),
    bury: Bury = (),
    diversity: Diversity = None,
    at_most: AtMost = (),
    pin: Pin = (),
    scenario: ScenarioName = None,
    newcomers: Newcomers = (),
) -> RuleTexts:
    """Return the rules of a request."""
    return RuleTexts(only, exclude, boost, bury, diversity, at_most, pin, scenario, newcomers)


def read_rules(recommender: Recommender, texts: RuleTexts) -> Rules | None:
    """Return the rules of a request, ids read as the release spells them; None where there are none.

    Raises
    ------
    ArgumentError
        If one is none.
    """
    return texts.read(partial(ids.game_id, recommender))
