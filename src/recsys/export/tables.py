"""The tables that a release can be exported as: their columns, and their rows as Arrow batches."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
import pyarrow as pa

from recsys.errors import ArgumentError
from recsys.export.lists import Lists, in_order
from recsys.export.vectors import vectors_of
from recsys.marts.ids import id_array_of
from recsys.serving.lists import ManyLists
from recsys.serving.options import ListOptions

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from recsys.serving.answers import Way
    from recsys.serving.recommender import Recommender

What: TypeAlias = Literal["recommendations", "similar", "factors", "embeddings"]
Of: TypeAlias = Literal["users", "games"]

DEFAULT_NAMES = {
    "recommendations": "RECOMMENDATIONS",
    "similar": "SIMILAR_GAMES",
    "factors": "FACTORS",
    "embeddings": "GAME_EMBEDDINGS",
}
"""What a table is called in a database where it is given no name."""


@dataclass(frozen=True)
class Options:
    """What a table should hold.

    Attributes
    ----------
    by
        How lists are ranked; None for the default of each table: taste for people, a blend for similar games.
    lists
        What each list is like; reasons are one game a row.
    users
        Whose lists, in this order; everybody's, in the order of their ids, when not given.
    of
        Whose factors.
    threads
        0 means one for each core that this process may use. No number of them changes a row.
    """

    by: Way | None = None
    lists: ListOptions = field(default_factory=lambda: ListOptions(20))
    users: Sequence[object] | None = None
    of: Of = "users"
    threads: int = 0


@dataclass(frozen=True)
class Table:
    """One table, whose rows are made as they are taken.

    Attributes
    ----------
    what, release
        Which table, and the release that it comes from.
    name
        What it is called in a database where it is given no name.
    schema
        Its columns.
    batches
        Arrow record batches, to be consumed once.
    of
        How many lists or vectors it has at most.
    lists
        Once the batches are consumed: how many lists were ranked by what, and how many are shorter than asked; None
        for vectors.
    notes
        What there is to be said of the rules.
    """

    what: What
    release: str
    name: str
    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]
    of: int
    lists: Lists | None = None
    notes: tuple[str, ...] = ()


def table_of(recommender: Recommender, what: What, options: Options) -> Table:
    """Return a table of the release that a recommender answers from.

    Parameters
    ----------
    recommender
        A loaded release.
    what
        ``recommendations``: a row for each game of each user's list; ``similar``: the same for each game;
        ``factors``: a row for each user or game; ``embeddings``: a row for each game.
    options
        What it should hold.

    Raises
    ------
    ArgumentError
        If an option has a value that no question takes.
    MissingExtra
        If numba is not installed, which the lists need.
    """
    at = recommender.snapshot
    made = pa.scalar(_made_at(at.manifest.created), pa.timestamp("us"))
    origin = {"RELEASE": pa.scalar(at.name, pa.string()), "MADE_AT": made}
    games = id_array_of(at.catalogue.ids)
    if what in {"factors", "embeddings"}:
        schema, count, batches = vectors_of(at, games, options.of if what == "factors" else None, origin)
        name = DEFAULT_NAMES[what] if what == "embeddings" else f"{options.of[:-1].upper()}_{DEFAULT_NAMES[what]}"
        return Table(what, at.name, name, schema, batches, count)
    ask = ManyLists(at, options.by or ("blend" if what == "similar" else "taste"), options.lists)
    if what == "similar":
        if options.lists.why:
            raise ArgumentError("why: similar games have no reasons; recommendations do")
        asked, keys = games, np.arange(len(games), dtype=np.int64)
    else:
        asked, keys = _people(recommender, options.users)
    answers = in_order(ask.similar_to if what == "similar" else ask.for_people, keys, options.lists.k, options.threads)
    lists = Lists(what, asked, games, origin, why=options.lists.why)
    rows = lists.batches(answers)
    return Table(what, at.name, DEFAULT_NAMES[what], lists.schema, rows, len(keys), lists, ask.notes)


def _people(recommender: Recommender, users: Sequence[object] | None) -> tuple[pa.Array, npt.NDArray[np.int64]]:
    """Return the ids of the people that lists are for, and their codes; -1 for who is not in the release."""
    known = recommender.snapshot.people.users
    if users is None:
        return known.values, np.arange(len(known), dtype=np.int64)
    ids = list(dict.fromkeys(users))
    return id_array_of(ids).cast(known.values.type), known.codes_of(ids).astype(np.int64)


def _made_at(created: str) -> datetime:
    """Return when a release was published, UTC without a zone: every warehouse has a type for that."""
    return datetime.fromisoformat(created).astimezone(UTC).replace(tzinfo=None)
