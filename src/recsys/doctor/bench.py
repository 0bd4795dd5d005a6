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
    """
    from recsys.embedding.bench import best, measure
    from recsys.marts import embedding_text
    from recsys.sources.sample import sample_warehouse

    some = embedding_text(sample_warehouse().games.slice(0, texts).to_pandas())
    ways = list(measure(case.settings.content, list(some)))
    chosen = best(ways, case.encoder.plan)
    rows = [
        {"engine": way.plan.engine, "precision": way.plan.precision, "device": way.plan.device}
        | {"per_second": round(way.per_second, 1)}
        for way in ways
    ]
    return {"ways": rows, "pin": chosen.settings, "as_planned": chosen.plan == case.encoder.plan}
