"""Rules at answer time as options, each declared once for all commands that print lists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from recsys.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from recsys.marts import Id
    from recsys.serving import Recommender, Rules

Only: TypeAlias = Annotated[
    list[str] | None, typer.Option("--only", help="A game that may be listed; may be repeated.", metavar="ID")
]
Exclude: TypeAlias = Annotated[
    list[str] | None, typer.Option("--exclude", help="A game that may not be listed; may be repeated.", metavar="ID")
]
Boost: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--boost",
        help="Raise what meets a condition by so many standard deviations of the scores, such as tag=Economic:0.5; may"
        " be repeated.",
        metavar="CONDITION:STRENGTH",
    ),
]
Bury: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--bury", help="Lower it; may be repeated.", metavar="CONDITION:STRENGTH"),
]
Diversity: TypeAlias = Annotated[
    float | None,
    typer.Option(
        "--diversity",
        help="How far to avoid games whose texts are alike, from 0 to 1.",
        show_default="not at all",
        metavar="SHARE",
    ),
]
AtMost: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--at-most",
        help="How many games may share a tag, a column's value, or be one game's editions, such as tag:2; may be"
        " repeated.",
        metavar="NAME:NUMBER",
    ),
]
Pin: TypeAlias = Annotated[
    list[str] | None, typer.Option("--pin", help="A game that comes first; may be repeated.", metavar="ID")
]
Newcomers: TypeAlias = Annotated[
    list[int] | None,
    typer.Option(
        "--newcomers",
        help="A place of the list, from 1, that is kept for a game which no rating speaks of; may be repeated.",
        metavar="PLACE",
    ),
]
Scenario: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--scenario", help="One of the release's scenarios, whose rules hold too.", show_default="none", metavar="NAME"
    ),
]


def read_rules(
    recommender: Recommender,
    only: Sequence[str] | None,
    exclude: Sequence[str] | None,
    boost: Sequence[str] | None,
    bury: Sequence[str] | None,
    diversity: float | None,
    at_most: Sequence[str] | None,
    pin: Sequence[str] | None,
    newcomers: Sequence[int] | None = None,
) -> Rules | None:
    """Return the rules that options spell; None where there are none.

    Raises
    ------
    ArgumentError
        If one is none.
    """
    from recsys.serving.rule_texts import RuleTexts

    catalogue = recommender.snapshot.catalogue

    def id_of(text: str) -> Id:
        id_ = catalogue.id_from(text)
        if id_ is None:
            raise ArgumentError(
                f"{text!r} is no game id: those of this release are whole numbers; `recsys similar NAME` finds one"
            )
        return id_

    texts = RuleTexts(
        only or None,
        exclude or (),
        boost or (),
        bury or (),
        diversity,
        at_most or (),
        pin or (),
        newcomers=newcomers or (),
    )
    return texts.read(id_of)
