"""The long search for settings: ``recsys tune``.

It tries recipes as training's own search does (:mod:`recsys.tuning.scorer`), on inner hold-outs
of the training part alone, but more settings, for as long as it is given, and goes on where it was
stopped. Optuna proposes what to try next.
"""

from recsys.tuning.study.search import Budget, check, tune
from recsys.tuning.study.tuned import Tuned

__all__ = ["Budget", "Tuned", "check", "tune"]
