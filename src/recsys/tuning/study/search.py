"""The long search itself: what is tried next, for how long, and what was best."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np

from recsys.errors import ConfigError, DataContractError, MissingExtra
from recsys.evaluation.bootstrap import interval, paired_difference, resampled_means
from recsys.evaluation.holdout import split
from recsys.models.confidence import like_threshold
from recsys.models.solvers import SOLVERS
from recsys.release.fingerprint import ratings_fingerprint
from recsys.system.log import events, keys
from recsys.system.paths import local_path
from recsys.system.pulse import progress, working
from recsys.tuning.scorer import DRAWS, RecipeScorer
from recsys.tuning.space import RANGES, Space, left_open
from recsys.tuning.study.file import check_file, open_study
from recsys.tuning.study.trials import Trials, finished, importances, whole
from recsys.tuning.study.tuned import Tuned

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from optuna.trial import FrozenTrial

    from recsys.config import Settings
    from recsys.marts.ratings import Ratings
    from recsys.models.recipe import CfRecipe

log = events(__name__)


def require_extra(find: Callable[[str], object] = find_spec) -> None:
    """Say at once, before data are fetched, that nothing could be searched.

    Parameters
    ----------
    find
        Returns None for a package that is not installed.

    Raises
    ------
    MissingExtra
        If Optuna is not installed.
    """
    if find("optuna") is None:
        raise MissingExtra("tune", "the long search for settings")


def check(settings: Settings, file: Path) -> None:
    """Say at once, before data are fetched, what would end the search.

    Raises
    ------
    MissingExtra, ConfigError, ArtifactWriteError
        Where :func:`tune` would raise them.
    """
    require_extra()
    file = local_path(file, "--study")
    if not SOLVERS[settings.cf.solver].searchable:
        known = ", ".join(name for name, solver in SOLVERS.items() if solver.searchable)
        raise ConfigError(
            f"recsys tune searches settings of cf.solver = {known}, not {settings.cf.solver}; leave it out"
        )
    if not left_open(settings.cf, RANGES):
        raise ConfigError(
            "every setting of [cf] that could be searched is given, by recsys.toml, the environment or --set; leave "
            "one of them out (the settings that a study was begun with can be named by --config)"
        )
    check_file(file)


@dataclass(frozen=True)
class Budget:
    """When a run of the search ends; a trial that has begun is finished.

    Attributes
    ----------
    minutes
        After so long; None for no limit.
    trials
        When the study has so many finished trials, those of earlier runs among them; None for no
        limit.
    """

    minutes: float | None = None
    trials: int | None = None

    def spent(self, seconds: float, trials: int) -> bool:
        """Whether no other trial may begin."""
        late = self.minutes is not None and seconds >= 60 * self.minutes
        return late or (self.trials is not None and trials >= self.trials)

    def rest(self, trials: int) -> tuple[int | None, float | None]:
        """Return how many trials and how many seconds there are at most; None for no limit."""
        left = None if self.trials is None else max(self.trials - trials, 0)
        return left, None if self.minutes is None else 60 * self.minutes


def tune(  # noqa: PLR0913 - the last two have defaults
    ratings: Ratings,
    settings: Settings,
    file: Path,
    budget: Budget,
    *,
    remembered: CfRecipe | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Tuned:
    """Search settings of the collaborative filter, in a study that can be continued.

    What the gate holds out is held out first, and never looked at. Trials depend on the training
    part, the settings and the trials before them, not on when a run was stopped.

    Parameters
    ----------
    ratings
        All of them.
    settings
        ``cf`` says what is given, ``evaluation`` what is held out.
    file
        File of the study; begun if it does not exist.
    budget
        When to end.
    remembered
        Another recipe than the rule to start from.
    clock
        Seconds, for the budget.

    Raises
    ------
    ConfigError
        If there is nothing to search, the file is no study of these data and settings, or the
        budget allows no trial.
    DataContractError
        If nobody could be scored.
    MissingExtra
        If Optuna is not installed.
    ArtifactWriteError, LockHeld
        If the study cannot be written, or another process searches into it.
    """
    check(settings, file)
    file = local_path(file, "--study")
    started = clock()
    with working("tune"):
        search = _Search.on(ratings, settings)
        trials = search.trials(remembered)
        with open_study(file, search.identity) as study:
            done = finished(study)
            log.info("searching", extra=keys(study=file, finished=len(done), settings=",".join(search.space.free)))
            with progress("trying settings", *budget.rest(len(done)), bar=False) as advance:
                while not budget.spent(clock() - started, len(done)):
                    trials.run(study)
                    done = finished(study)
                    advance(1)
            tuned = search.outcome(done, str(file))
    return replace(tuned, seconds=clock() - started)


@dataclass(frozen=True)
class _Search:
    """Runs the trials of one study.

    Attributes
    ----------
    settings
        Settings of the run.
    space
        What is searched.
    scorer, other
        Where trials are scored, and where the best of them is held against the rule.
    identity
        What distinguishes the study; see :func:`recsys.tuning.study.file.open_study`.
    given
        Settings that were given and that no search varies.
    """

    settings: Settings
    space: Space
    scorer: RecipeScorer
    other: RecipeScorer
    identity: dict[str, object]
    given: dict[str, object]

    @classmethod
    def on(cls, ratings: Ratings, settings: Settings) -> _Search:
        """Hold out what the gate does, and search on the rest."""
        # Which games are liked is the measure itself, and read off the scale of all ratings, as in a trial.
        liked = like_threshold(settings.cf.like_threshold, ratings.matrix.data)
        parts = split(ratings, settings.evaluation, liked)
        train, cf = parts.train, settings.cf.model_copy(update={"like_threshold": liked})
        space = Space.of(cf, train.matrix.data)
        first, other = (RecipeScorer(train.matrix, cf, liked, draw) for draw in (0, DRAWS))
        if not (first.users and other.users):
            raise DataContractError(
                f"nobody has both a rating to learn from and one of {liked:g} or more to look for: no settings can "
                "be compared; is cf.like_threshold right?"
            )
        identity = {
            "ratings": ratings_fingerprint(train.users, train.items, train.matrix, train.rated_at),
            "hold-out": parts.kind,
            "evaluation.fraction": settings.evaluation.fraction,
            "evaluation.seed": settings.evaluation.seed,
            "cf.seed": cf.seed,
            "cf.like_threshold": liked,
            "users scored by a trial": first.users,  # an earlier version scored others
            **{f"cf.{name}": value for name, value in space.description().items()},
        }
        names = settings.cf.model_fields_set & {"like_threshold", "seed"}
        given = {name: value for name in sorted(names) if (value := getattr(settings.cf, name)) != "auto"}
        return cls(settings, space, first, other, identity, given)

    def trials(self, remembered: CfRecipe | None) -> Trials:
        """Begin with the rule, and with what is remembered."""
        if remembered is not None and self.space.values(remembered) is None:
            log.info("the remembered settings are outside of what is searched", extra=keys(remembered=remembered))
        starts = [recipe for recipe in (self.space.rule, remembered) if recipe is not None]
        return Trials(self.scorer, self.space, starts, self.settings.cf.seed)

    def outcome(self, done: list[FrozenTrial], study: str) -> Tuned:
        """Hold the best trial against the rule, on a hold-out drawn anew; how long all took is not known here."""
        if not (complete := whole(done)):
            raise ConfigError("the study has no finished trial yet; give it more --minutes or --trials")
        best = self.space.recipe(max(complete, key=lambda trial: (trial.value, -trial.number)).params)
        recipes = (best, self.space.rule)
        ours, rule = (self.other.score(recipe, recipe.iterations, keep=False) for recipe in recipes)
        draws = self.settings.evaluation.resamples, self.settings.evaluation.seed
        resampled = resampled_means(np.column_stack((ours, rule)), *draws)
        return Tuned(
            settings={**{name: getattr(best, name) for name in self.space.description()}, **self.given},
            score=interval(float(ours.mean()), resampled[:, 0]),
            rule=interval(float(rule.mean()), resampled[:, 1]),
            difference=paired_difference(ours, rule, *draws),
            users=len(ours),
            trials=len(done),
            stopped=len(done) - len(complete),
            importances=importances(done),
            study=study,
            seconds=0.0,
        )
