"""The speed of each way of encoding, on texts of the sample."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from recsys.doctor.case import Case


def measured(case: Case, texts: int = 24) -> dict[str, object]:
    """Return the ways of encoding with their speeds, and the settings that pin the best.

    Parameters
    ----------
    case
        Whose encoder was looked at, and whose model is there.
    texts
        How many texts each way encodes.

    Returns
    -------
    dict
        ``ways``, of which one is ``taken`` by a run; ``pin``, the settings that pin the best in section ``content``;
        ``as_planned``, whether that is what a run takes; ``times``, how many times as fast as that it is.
    """
    from recsys.embedding.bench import best, measure, taken
    from recsys.marts import embedding_text
    from recsys.sources.sample import sample_warehouse

    some, plan = embedding_text(sample_warehouse().games.slice(0, texts).to_pandas()), case.encoder.plan
    ways = measure(case.settings.content, list(some))
    chosen, own = best(ways, plan), taken(ways, plan)
    rows = [{**way.settings, "per_second": round(way.per_second, 1), "taken": way is own} for way in ways]
    times = round(chosen.per_second / own.per_second, 2)
    return {"ways": rows, "pin": chosen.settings, "as_planned": chosen is own, "times": times}
