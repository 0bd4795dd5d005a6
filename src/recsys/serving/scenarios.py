"""Scenarios on a catalogue: whether each can be answered there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from recsys.errors import ArgumentError, NotInModel
from recsys.serving.editions import Editions
from recsys.serving.limits import Limits
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
    # By their names alone: what texts say of editions is not known yet.
    editions = Editions(catalogue.names, np.zeros((len(catalogue), 1), dtype=np.float32))
    for name, rules in scenarios.items():
        try:
            ruled = book.read(rules)
            Limits(rules, book.labels, editions, ruled.pins.tolist(), [])
            notes[name] = ruled.notes
        except (ArgumentError, NotInModel) as error:
            raise ArgumentError(f"scenario.{name}: {error}; mend or take out what it asks for") from error
    return notes
