"""Which settings suit a table: the search of every night, when it is made, and the long search of ``recsys tune``.

The long search, which needs Optuna, is in :mod:`recsys.tuning.study`.
"""

from recsys.tuning.blend import lately_half_life
from recsys.tuning.nightly import Choice, find_recipe
from recsys.tuning.outcome import Search, SearchTrial
from recsys.tuning.schedule import Plan, plan, remembered_by

__all__ = ["Choice", "Plan", "Search", "SearchTrial", "find_recipe", "lately_half_life", "plan", "remembered_by"]
