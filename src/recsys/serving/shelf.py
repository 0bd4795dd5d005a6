"""The games of a release as rules see them: which may be listed, what moves their scores, and the list that is left."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import chain, islice
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from recsys.errors import ArgumentError
from recsys.serving.editions import Editions
from recsys.serving.filters import Filters
from recsys.serving.lift import Lift
from recsys.serving.limits import Labels, Limits
from recsys.serving.newcomers import in_places
from recsys.serving.rules import EDITION, Rules
from recsys.serving.variety import by_marginal_relevance

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import numpy.typing as npt

    from recsys.marts.ids import Id
    from recsys.ranking.scorer import Floats, Ranked, Ranking
    from recsys.serving.catalogue import Catalogue
    from recsys.serving.newcomers import Fresh
    from recsys.serving.options import ListOptions

    Mask = npt.NDArray[np.bool_]
    Rows = npt.NDArray[np.intp]

POOL = 10
"""Diversity looks at so many times the games that are asked for."""
_REMEMBERED = 32
"""Rules kept as masks: the same few are asked for again and again."""


class Scoring(NamedTuple):
    """How one question scores games.

    Attributes
    ----------
    ranking
        From the games that may be listed, bool (games,), and what is added to their scores, if anything, to their
        ranking.
    scores
        From rows to their scores, float32, nothing added.
    spread
        Returns the standard deviation of the scores of all games.
    """

    ranking: Callable[[Mask, Lift | None], Ranking]
    scores: Callable[[Rows], Floats]
    spread: Callable[[], float]


class Listing(NamedTuple):
    """Rows and scores of a list, first to last, and what is to be said of it."""

    rows: Rows
    scores: Floats
    notes: tuple[str, ...]

    @property
    def ranked(self) -> Ranked:
        """Rows and scores."""
        return self.rows, self.scores


@dataclass(frozen=True, eq=False)
class Ruled:
    """Rules as they apply to one catalogue.

    Attributes
    ----------
    rules
        What is asked: the question's own with those of its scenario.
    mask
        bool, (games,), read-only: games that may be listed after the pinned ones; None where all may.
    strengths
        Standard deviations that are added to each score; None for nothing.
    pins
        Rows that come first.
    notes
        What is to be said of the rules themselves.
    """

    rules: Rules
    mask: Mask | None
    strengths: Lift | None
    pins: Rows
    notes: tuple[str, ...]


class RuleBook:
    """Reads rules for one catalogue, and remembers what was read last.

    Parameters
    ----------
    catalogue
        The games.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self.filters, self.labels = Filters(catalogue), Labels(catalogue)
        self._ruled: dict[Rules, Ruled] = {}

    def read(self, rules: Rules) -> Ruled:
        """Return what rules mean for the catalogue.

        Raises
        ------
        ArgumentError
            If they name a column that there is not, ask for or boost a tag that no game has, name an id in another
            spelling, or pin a game that they do not let be listed.
        NotInModel
            If a pinned game is not in the catalogue.
        """
        ruled = self._ruled.get(rules)
        if ruled is None:
            ruled = self._read(rules)
            if len(self._ruled) >= _REMEMBERED:
                self._ruled = {}
            self._ruled[rules] = ruled
        return ruled

    def _read(self, rules: Rules) -> Ruled:
        notes = [self.filters.unknown(each) for each in rules.conditions if each.operator == "!="]
        mask = self.filters.mask(rules.conditions)
        if rules.allowed is not None:
            listed = np.zeros(len(self._catalogue), dtype=bool)
            listed[self._known("only", rules.allowed, notes)] = True
            mask = listed if mask is None else mask & listed
        excluded = self._known("exclude", rules.excluded, notes)
        pins = np.array([self._catalogue.row(id_) for id_ in rules.pinned], dtype=np.intp)
        if mask is not None and not mask[pins].all():
            id_ = self._catalogue.ids[pins[~mask[pins]][0]]
            raise ArgumentError(f"{id_!r} is pinned and does not meet the filters; take the pin or the filter out")
        if len(excluded) or len(pins):
            mask = np.ones(len(self._catalogue), dtype=bool) if mask is None else mask.copy()
            mask[excluded], mask[pins] = False, False
        strengths = self._strengths(rules, notes)
        self.labels.check(rules)
        return Ruled(rules, mask, strengths, pins, tuple(dict.fromkeys(note for note in notes if note)))

    def _strengths(self, rules: Rules, notes: list[str]) -> Lift | None:
        if not rules.lifts:
            return None
        strengths = np.zeros(len(self._catalogue))
        for condition, strength in rules.lifts:
            negative = strength < 0 or condition.operator == "!="
            if negative:
                notes.append(self.filters.unknown(condition))
            strengths[self.filters.met(condition, tag_may_be_unknown=negative)] += strength
        return Lift.of(strengths)

    def _known(self, rule: str, ids: tuple[Id, ...], notes: list[str]) -> list[int]:
        """Return the rows of ids; those that the catalogue lacks are noted, but one in another spelling is refused."""
        rows = self._catalogue.find_all(ids)
        missing = [ids[place] for place in np.flatnonzero(rows < 0)]
        if missing:
            whole = self._catalogue.has_whole_ids
            spelled = (self._catalogue.hint(id_) for id_ in missing if not (whole and isinstance(id_, int)))
            if hint := next(filter(None, spelled), ""):
                raise ArgumentError(f"{rule}: an id is not among the games of this release{hint}")
            some = ", ".join(repr(id_) for id_ in missing[:3]) + ("…" if len(missing) > 3 else "")
            notes.append(
                f"{rule}: {len(missing):,} of {len(ids):,} ids are not among the games of this release ({some})"
            )
        known: list[int] = rows[rows >= 0].tolist()
        return known


class Shelf:
    """Makes lists of a release's games by rules.

    Parameters
    ----------
    catalogue
        The games.
    vectors
        float32, (games, dimension): their embeddings, unit rows.
    scenarios
        Rules by name, as the manifest has them.
    """

    def __init__(
        self, catalogue: Catalogue, vectors: Floats, scenarios: Mapping[str, Mapping[str, object]] | None = None
    ) -> None:
        self._catalogue, self._vectors = catalogue, vectors
        self.scenarios = scenarios or {}
        self.book = RuleBook(catalogue)
        self._editions = Editions(catalogue.names, vectors)

    def ruled(self, options: ListOptions) -> Ruled:
        """Return the rules of a question with those of its scenario, read.

        Raises
        ------
        ArgumentError
            If there is no such scenario, or as :meth:`RuleBook.read` has it.
        """
        rules = options.own
        if options.scenario is not None:
            rules = rules.over(self._scenario(options.scenario))
        if options.collapse and dict(rules.limits).get(EDITION) != 1:
            rules = Rules(at_most={EDITION: 1}).over(rules)
        return self.book.read(rules)

    def allowed(self, ruled: Ruled, without: Rows) -> Mask:
        """Return which games may be listed after the pinned ones, bool (games,), without some."""
        allowed = np.ones(len(self._catalogue), dtype=bool) if ruled.mask is None else ruled.mask.copy()
        allowed[without] = False
        return allowed

    def listing(self, scoring: Scoring, options: ListOptions, without: Rows, fresh: Fresh | None = None) -> Listing:
        """Return the list that rules leave of a ranking.

        Parameters
        ----------
        scoring
            Scores the games.
        options
            Length and rules.
        without
            Rows that are not listed unless they are pinned, nor their editions where these are limited.
        fresh
            The games that take the places for newcomers; None where nothing says which.
        """
        ruled = self.ruled(options)
        lift = None if ruled.strengths is None else ruled.strengths.times(scoring.spread())
        pins = ruled.pins[: options.k]
        rows, scores = self._chosen(scoring, options.k, ruled, lift, without)
        if fresh is not None and (
            places := [place - 1 - len(pins) for place in ruled.rules.places if place <= options.k]
        ):
            new = self._newcomers(fresh, len(places), ruled, without, rows)
            rows, scores = in_places(places, new, (rows, scores), options.k - len(pins))
        if len(pins):
            own = scoring.scores(pins)
            first = own if lift is None else lift.added(own, pins)
            rows, scores = np.append(pins, rows), np.append(first, scores)
        notes = self._notes(options, ruled, len(rows), without)
        if ruled.rules.places and fresh is None:
            notes = (*notes, "newcomers: no place was kept, as nothing here says which of them to take")
        return Listing(rows, scores, notes)

    def prepare(self) -> None:
        """Build what the first question would build."""
        self.book.filters.prepare()
        self._editions.prepare()

    def _chosen(self, scoring: Scoring, k: int, ruled: Ruled, lift: Lift | None, without: Rows) -> Ranked:
        """Return what follows the pinned games."""
        rules, allowed = ruled.rules, self.allowed(ruled, without)
        room = k - len(ruled.pins[:k])
        rank = scoring.ranking(allowed, lift)
        if not rules.diversity and not rules.limits:
            return rank(room)
        limits = Limits(rules, self.book.labels, self._editions, ruled.pins[:k].tolist(), without.tolist())
        pool = POOL * k if rules.diversity else 0
        # Of tags, a long list has soon enough: it is cheaper to look further down than to rank anew.
        first = 2 * room + 20 if {name for name, _ in rules.limits} <= {EDITION} else POOL * k
        length, chosen, values = max(pool, first), np.zeros(0, dtype=np.intp), np.zeros(0, dtype=np.float32)
        while True:
            rows, scores = rank(length)
            order = self._ordered(rows, scores, rules.diversity or 0.0, pool)
            kept = list(islice((place for place in order if limits.takes(int(rows[place]))), room - len(chosen)))
            chosen, values = np.append(chosen, rows[kept]), np.append(values, scores[kept])
            if len(chosen) == room or len(rows) < length:
                return chosen, values
            # What was passed over stays so, and so does all that has what there is enough of.
            allowed = allowed.copy()
            allowed[rows] = False
            limits.close(allowed)
            rank, length, pool = scoring.ranking(allowed, lift), 4 * length, 0

    def _newcomers(self, fresh: Fresh, number: int, ruled: Ruled, without: Rows, listed: Rows) -> Ranked:
        """Return the best newcomers that the rules let be listed, at most so many; none that is listed already."""
        allowed = self.allowed(ruled, without) & fresh.rows
        allowed[listed] = False
        lift = None if ruled.strengths is None else ruled.strengths.times(fresh.scoring.spread())
        rank = fresh.scoring.ranking(allowed, lift)
        if not ruled.rules.limits:
            return rank(number)
        length = 2 * number + 20
        while True:
            # What they push out of the list counts too: what is left keeps the limits in any case.
            taken = [*ruled.pins.tolist(), *listed.tolist()]
            limits = Limits(ruled.rules, self.book.labels, self._editions, taken, without.tolist())
            rows, scores = rank(length)
            kept = list(islice((place for place, row in enumerate(rows.tolist()) if limits.takes(row)), number))
            if len(kept) == number or len(rows) < length:
                return rows[kept], scores[kept]
            length *= 4

    def _ordered(self, rows: Rows, scores: Floats, diversity: float, pool: int) -> Iterable[int]:
        """Return the places of a ranking in the order in which they are taken."""
        if not diversity or not pool:
            return range(len(rows))
        first = by_marginal_relevance(scores[:pool], self._vectors[rows[:pool]], diversity)
        return chain(first, range(min(pool, len(rows)), len(rows)))

    def _scenario(self, name: str) -> Rules:
        if name not in self.scenarios:
            known = f"it has {', '.join(self.scenarios)}" if self.scenarios else "it has none"
            raise ArgumentError(f"this release has no scenario {name!r}; {known}")
        return self._scenarios[name]

    @cached_property
    def _scenarios(self) -> dict[str, Rules]:
        return {name: Rules.of(rules) for name, rules in self.scenarios.items()}

    def _notes(self, options: ListOptions, ruled: Ruled, length: int, without: Rows) -> tuple[str, ...]:
        notes = list(ruled.notes)
        if len(ruled.pins) > options.k:
            notes.append(f"of {len(ruled.pins):,} pinned games the first {options.k:,} fit")
        if seen := [self._catalogue.ids[row] for row in ruled.pins[: options.k].tolist() if row in without]:
            some = ", ".join(map(str, seen[:3])) + ("…" if len(seen) > 3 else "")
            notes.append(f"pinned although this question leaves it out otherwise: {some}")
        if length < options.k and options.is_ruled:
            notes.append(f"{length:,} of {options.k:,} games: the rules leave no more")
        return tuple(notes)
