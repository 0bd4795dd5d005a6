"""The trials of a study: what is tried next, how it is scored, when it is stopped."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from recsys.errors import Diverged
from recsys.system.log import events, keys
from recsys.system.pulse import progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from optuna import Study
    from optuna.trial import FrozenTrial, Trial

    from recsys.models.recipe import CfRecipe
    from recsys.tuning.scorer import RecipeScorer
    from recsys.tuning.space import Space

log = events(__name__)

_RUNG = 4
"""Iterations after which a trial is held against the others, again and again."""


def finished(study: Study) -> list[FrozenTrial]:
    """Return the trials that are done with, those that were stopped early among them."""
    from optuna.trial import TrialState

    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))


def whole(done: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Return those trials that were not stopped early."""
    from optuna.trial import TrialState

    return [trial for trial in done if trial.state == TrialState.COMPLETE]


@dataclass(frozen=True)
class Trials:
    """Runs trials, one after the other.

    Attributes
    ----------
    scorer
        Where recipes are scored.
    space
        What is searched.
    starts
        Recipes that are tried before Optuna proposes any.
    seed
        Seed of what Optuna proposes.
    """

    scorer: RecipeScorer
    space: Space
    starts: Sequence[CfRecipe]
    seed: int

    def run(self, study: Study) -> None:
        """Run one trial, and tell the study how it ended.

        One that is below the median of those that ran to the end, after as many iterations, is stopped; the first
        five run to the end.
        """
        from optuna.trial import TrialState

        began = time.monotonic()
        trial = self._ask(study)
        recipe = self.space.recipe(trial.params)
        try:
            score, stopped = self._score(trial, recipe)
        except Diverged as error:  # it diverged: worse than any other, and no reason to end the search
            score, stopped = float("nan"), True
            log.warning("a trial diverged", extra=keys(trial=trial.number, reason=error))
        study.tell(trial, None if stopped else score, state=TrialState.PRUNED if stopped else TrialState.COMPLETE)
        self.scorer.clear()
        best = max((float(other.value or 0) for other in whole(finished(study))), default=float("nan"))
        tried = {name: getattr(recipe, name) for name in self.space.free}
        seconds = time.monotonic() - began
        log.info(
            "tried", extra=keys(trial=trial.number, ndcg=score, best=best, stopped=stopped, seconds=seconds, **tried)
        )

    def _ask(self, study: Study) -> Trial:
        """Take what is to be tried first, then what Optuna proposes.

        Each proposal has a seed of its own: it follows from the trials before it, whichever run made them.
        """
        from optuna.pruners import MedianPruner
        from optuna.samplers import TPESampler
        from optuna.trial import TrialState

        done = finished(study)
        seeds = np.random.SeedSequence([self.seed, len(done)])
        study.sampler, study.pruner = TPESampler(seed=int(seeds.generate_state(1)[0])), MedianPruner()
        tried = [trial.params for trial in done]
        untried = [values for values in map(self.space.values, self.starts) if values and values not in tried]
        if untried and not study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
            study.enqueue_trial(untried[0])
        return study.ask(self.space.distributions())

    def _score(self, trial: Trial, recipe: CfRecipe) -> tuple[float, bool]:
        """Return the score of a recipe, and whether it was stopped early."""
        score, done = float("nan"), 0
        with progress(f"trial {trial.number}: iterations", recipe.iterations) as advance:
            for iterations in [*range(_RUNG, recipe.iterations, _RUNG), recipe.iterations]:
                last = iterations == recipe.iterations
                score = float(self.scorer.score(recipe, iterations, keep=not last).mean())
                advance(iterations - done)
                done = iterations
                trial.report(score, iterations)
                if not last and trial.should_prune():
                    return score, True
        return score, False


def importances(done: Sequence[FrozenTrial]) -> dict[str, float]:
    """Return how much each setting had to do with a trial's being among the best quarter (PED-ANOVA).

    Optuna leaves out trials that were stopped early, and with them the settings that are always bad.
    Here they count with the score that they were stopped at, which keeps them out of the best quarter.

    Watanabe, Bansal and Hutter, "PED-ANOVA: Efficiently Quantifying Hyperparameter Importance in
    Arbitrary Subspaces", IJCAI 2023, arXiv 2304.10255. Unlike fANOVA it needs no other package.

    Parameters
    ----------
    done
        Finished trials.

    Returns
    -------
    dict
        Shares that add up to 1, by setting, largest first; empty after too few trials to tell.
    """
    if len(done) < _TELLING:
        return {}
    from optuna import create_study
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
    from optuna.trial import create_trial

    study = create_study(direction="maximize")
    study.add_trials(
        create_trial(params=trial.params, distributions=trial.distributions, value=trial.value or 0.0) for trial in done
    )
    return get_param_importances(study, evaluator=PedAnovaImportanceEvaluator(target_quantile=_BEST_SHARE))


_TELLING = 20
_BEST_SHARE = 0.25
"""Five trials in the best quarter are the least that PED-ANOVA's authors advise."""
