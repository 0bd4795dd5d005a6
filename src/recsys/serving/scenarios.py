"""Scenarios on a catalogue: whether each can be answered there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recsys.errors import ArgumentError, NotInModel
from recsys.serving.shelf import RuleBook

if TYPE_CHECKING:
    from collections.abc import Mapping

    from recsys.serving.catalogue import Catalogue
    from recsys.serving.rules import Rules


def check_rules(catalogue: Catalogue, scenarios: Mapping[str, Rules]) -> dict[str, tuple[str, ...]]:
    """Return what is to be said of each scenario on a catalogue.

    Raises
    ------
    ArgumentError
        If one cannot be answered there: the message names it.
    """
    book, notes = RuleBook(catalogue), {}
    for name, rules in scenarios.items():
        try:
            notes[name] = book.read(rules).notes
        except (ArgumentError, NotInModel) as error:
            raise ArgumentError(f"scenario.{name}: {error}; mend or take out what it asks for") from error
    return notes
