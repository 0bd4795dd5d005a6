"""A sitting of the long search: how long it lasts, and what the current release lends it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recsys.errors import ReleaseError
from recsys.evaluation.current import CurrentRelease
from recsys.system.log import events, keys
from recsys.tuning.schedule import remembered_by
from recsys.tuning.study.search import Budget

if TYPE_CHECKING:
    from recsys.config import Settings
    from recsys.models.recipe import CfRecipe
    from recsys.release.store import ReleaseStore

log = events(__name__)

MINUTES = 30.0
"""Budget where none is given."""


def budget(minutes: float | None, trials: int | None) -> Budget:
    """Return a budget of these bounds; where neither is given, one of :data:`MINUTES`."""
    return Budget(MINUTES if minutes is None and trials is None else minutes, trials)


def remembered(store: ReleaseStore, settings: Settings) -> CfRecipe | None:
    """Return the winner of the current release's own search, to be tried early.

    Parameters
    ----------
    store
        Where the releases are.
    settings
        Say which ratings are held out.

    Returns
    -------
    CfRecipe or None
        None where no release is current, it remembers none, or its search saw what is held out now. A
        release that is not sound is warned of.
    """
    if store.current() is None:
        return None
    try:
        current = CurrentRelease.of(store.manifest())
    except ReleaseError as error:
        log.warning("the current release is not sound: what it remembers is not tried", extra=keys(reason=error))
        return None
    return remembered_by(current, settings)
