"""Drift: how far today's data are from those that the current release was made of."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from recsys.marts.join import Meeting

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from recsys.config import DataSettings, GateSettings
    from recsys.marts.ids import IdMap
    from recsys.marts.ratings import Ratings

BINS = 10
"""Bins of the ratings' histogram, of equal width over the range of the contract."""

_EMPTY_BIN = 1e-4
"""Share that an empty bin counts as: its logarithm would be infinite."""


@dataclass(frozen=True)
class DataProfile:
    """What two nights' marts are compared by; stored with every release.

    Attributes
    ----------
    ratings, users, rated_games, games
        How many there are; ``games`` are those of the catalogue.
    mean_rating
        Mean of all ratings, in rating points.
    unknown_share
        Share of the ratings that are of games which the catalogue lacks.
    edges
        float, in rating points: the edges of the histogram's bins, ascending; one more than there are
        bins. Ratings beyond them count in the outermost bins.
    histogram
        Ratings in each bin.
    """

    ratings: int
    users: int
    rated_games: int
    games: int
    mean_rating: float
    unknown_share: float
    edges: tuple[float, ...]
    histogram: tuple[int, ...]

    @classmethod
    def of(
        cls, ratings: Ratings, catalogue: IdMap, settings: DataSettings, edges: Sequence[float] | None = None
    ) -> Self:
        """Describe the marts of a run.

        Parameters
        ----------
        ratings
            All of them.
        catalogue
            Ids of the games mart.
        settings
            The range of ratings, which the bins divide.
        edges
            float, in rating points: the edges of the bins, where they must be those of an older profile.
        """
        values = ratings.matrix.data
        bins = np.asarray(edges or np.linspace(settings.rating_min, settings.rating_max, BINS + 1))
        # A bin holds its upper edge: on a scale of 1 to 10 each whole rating then has its own.
        places = np.clip(np.searchsorted(bins, values, side="left") - 1, 0, len(bins) - 2)
        return cls(
            ratings=len(values),
            users=len(ratings.users),
            rated_games=len(ratings.items),
            games=len(catalogue),
            mean_rating=round(float(values.mean(dtype=np.float64)), 6),
            unknown_share=round(Meeting.of(ratings.items, ratings.matrix.indices, catalogue).share, 6),
            edges=tuple(float(edge) for edge in bins),
            histogram=tuple(np.bincount(places, minlength=len(bins) - 1).tolist()),
        )

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """Read what :meth:`as_json` returned."""
        return cls(**{**stored, "edges": tuple(stored["edges"]), "histogram": tuple(stored["histogram"])})

    def as_json(self) -> dict[str, object]:
        """Return the profile ready for JSON."""
        return {**asdict(self), "edges": list(self.edges), "histogram": list(self.histogram)}


@dataclass(frozen=True)
class Change:
    """One figure of the data, then and now.

    Attributes
    ----------
    figure
        Its name.
    before, now
        The figure in the current release, and in this run.
    change
        What is held against the bounds: relative growth, difference, or stability index.
    low, high
        The bounds; either may be open.
    """

    figure: str
    before: float | None
    now: float | None
    change: float
    low: float | None
    high: float | None

    @property
    def within(self) -> bool:
        """Whether the change keeps its bounds."""
        return (self.low is None or self.change >= self.low) and (self.high is None or self.change <= self.high)


@dataclass(frozen=True)
class Drift:
    """How the data changed since the current release.

    Attributes
    ----------
    release
        The current release that was compared with.
    changes
        Every figure.
    accepted
        Why somebody accepted what is beyond the bounds; None if nobody did.
    """

    release: str
    changes: tuple[Change, ...] = field(default=())
    accepted: str | None = None

    @property
    def reason(self) -> str:
        """One line that names every figure beyond its bounds; empty if all are within."""
        return "; ".join(_in_words(change) for change in self.changes if not change.within)

    def as_json(self) -> dict[str, object]:
        """Return the drift ready for JSON."""
        changes = [{**asdict(change), "within": change.within} for change in self.changes]
        return {"release": self.release, "accepted": self.accepted, "reason": self.reason, "changes": changes}


@dataclass(frozen=True)
class DataCheck:
    """The check of a run's data, made before anything is trained on them.

    Attributes
    ----------
    profile
        What the next run will compare with.
    drift
        How the data changed since the current release; None where there is nothing to compare with.
    """

    profile: DataProfile
    drift: Drift | None = None

    def as_json(self) -> dict[str, object]:
        """Return both ready for JSON."""
        return {"data": self.profile.as_json(), "drift": None if self.drift is None else self.drift.as_json()}


def measure_drift(before: DataProfile, now: DataProfile, settings: GateSettings, release: str) -> Drift:
    """Hold today's data against those of the current release.

    Parameters
    ----------
    before, now
        Profiles with the same bins.
    settings
        The bounds; section ``gate``.
    release
        Name of the current release.
    """
    grown = [
        _growth(figure, getattr(before, figure), getattr(now, figure), settings)
        for figure in ("ratings", "users", "rated_games", "games")
    ]
    mean = now.mean_rating - before.mean_rating
    unknown = now.unknown_share - before.unknown_share
    stability = stability_index(np.array(before.histogram), np.array(now.histogram))
    shift = settings.max_mean_shift
    return Drift(
        release,
        (
            *grown,
            Change("mean_rating", before.mean_rating, now.mean_rating, round(mean, 6), -shift, shift),
            Change("rating_histogram", None, None, round(stability, 6), None, settings.max_psi),
            Change(
                "unknown_share",
                before.unknown_share,
                now.unknown_share,
                round(unknown, 6),
                None,
                settings.max_unknown_shift,
            ),
        ),
    )


def stability_index(before: npt.NDArray[np.integer], now: npt.NDArray[np.integer]) -> float:
    """Return the population stability index of two histograms; 0 if their shares are equal.

    Σ (p − q) · ln(p / q) over bins, p and q their shares now and before; an empty bin counts as a
    share of 0.0001. Up to 0.1 is usually read as stable, above 0.2 as a shift (Siddiqi, "Credit
    Risk Scorecards", 2006).
    """
    q, p = (np.maximum(counts / counts.sum(), _EMPTY_BIN) for counts in (before, now))
    return float(np.sum((p - q) * np.log(p / q)))


def _growth(figure: str, before: int, now: int, settings: GateSettings) -> Change:
    change = now / before - 1 if before else float(now > 0)
    return Change(figure, before, now, round(change, 6), settings.min_growth, settings.max_growth)


def _in_words(change: Change) -> str:
    figure = change.figure.replace("_", " ")
    if change.figure == "rating_histogram":
        return f"the population stability index of the {figure} is {change.change:.3f}, more than {change.high:g}"
    if change.figure == "unknown_share":
        return (
            f"the share of ratings on games that the catalogue lacks went from {change.before:.1%} to {change.now:.1%},"
            f" up by more than {change.high:.0%}"
        )
    if change.figure == "mean_rating":
        return f"the {figure} went from {change.before:.2f} to {change.now:.2f}, by more than {change.high:g}"
    bound = change.low if change.change < 0 else change.high
    return f"{figure} went from {change.before:,} to {change.now:,} ({change.change:+.0%}, bound {bound:+.0%})"
