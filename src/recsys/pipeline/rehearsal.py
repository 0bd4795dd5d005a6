"""A dry run: what a run would end with now, found out without writing anything that stays."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from recsys.errors import RecsysError
from recsys.pipeline.proving import current_release
from recsys.pipeline.scenarios import differ
from recsys.release.standing import Standing
from recsys.release.verify import read_manifest
from recsys.system.log import events, keys

if TYPE_CHECKING:
    from collections.abc import Iterator

    from recsys.pipeline.outcome import Outlook
    from recsys.pipeline.run import Run

log = events(__name__)


def rehearse(run: Run, *, force: bool = False) -> Outlook:
    """Look at everything that a run looks at before it trains, in the same order.

    Whatever would end the run before its fetch, both marts are still read: who wants to lift a hold asks whether they
    are mended.

    Parameters
    ----------
    run
        A run that has not begun.
    force
        Whether the run would train also where nothing is new.

    Raises
    ------
    RecsysError
        The first that the run would end with; the others are warnings of the log.
    """
    run.require_set_up()
    store, standing, outlook = run.store, Standing(None, None), None
    ahead: list[RecsysError] = []
    with _noted(ahead):
        store.storage.prove()
    with _noted(ahead):
        store.storage.refuse_publisher()
    with _noted(ahead):
        store.holds.refuse("a run would publish nothing")
    with _noted(ahead):
        store.keys.for_publishing()
    with _noted(ahead):
        standing = Standing.of(store)
    with _noted(ahead):
        outlook = _foreseen(run, standing, force=force)
    for error in ahead[1:]:
        log.warning("that mended, a run would end here", extra=keys(exit_code=error.exit_code, reason=error))
    if ahead:
        raise ahead[0]
    assert outlook is not None
    return outlook


def _foreseen(run: Run, standing: Standing, *, force: bool) -> Outlook:
    encoder = run.open_encoder(standing)
    marts = run.read_marts()
    run.check_scenarios(marts)
    new = force or standing.current is None
    if not new:
        new = not standing.would_repeat(run.content_provenance(marts.games, encoder), run.cf_provenance(marts.ratings))
    if new or standing.current is None:
        run.check_data(marts.ratings, marts.known, current_release(standing))
        return "train"
    return "publish again" if differ(run.scenarios, read_manifest(standing.current, standing.keys)) else "nothing new"


@contextmanager
def _noted(ahead: list[RecsysError]) -> Iterator[None]:
    """Note what would end the run, and go on."""
    try:
        yield
    except RecsysError as error:
        ahead.append(error)
