"""What is kept of a trial: its files, in the release of a candidate that is published, or beside a refused one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from recsys.errors import QualityGateFailed, ReleaseError
from recsys.evaluation.newcomers import not_measured
from recsys.release.layout import METRICS, REPORT, USER_SCORES
from recsys.system.log import events, keys

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from recsys.config import EvaluationSettings
    from recsys.evaluation.current import CurrentRelease
    from recsys.evaluation.proof import Proof
    from recsys.models.hybrid import HybridRecommender
    from recsys.pipeline.publication import CfHalf, ContentHalf
    from recsys.release.standing import Standing

log = events(__name__)


def proof_files(proof: Proof) -> dict[str, bytes]:
    """Return the files that tell what a trial established, by name."""
    return {METRICS: metrics_bytes(proof.as_json()), USER_SCORES: proof.people.file(proof.evaluation)}


def metrics_bytes(metrics: Mapping[str, object]) -> bytes:
    """Return what a trial established as the bytes of ``metrics.json``."""
    return (json.dumps(metrics, indent=1, allow_nan=False) + "\n").encode()


def overlap(
    standing: Standing, halves: tuple[ContentHalf, CfHalf], hybrid: HybridRecommender, settings: EvaluationSettings
) -> dict[str, object]:
    """Return how much of people's lists stays when a release of these halves takes the current one's place.

    Parameters
    ----------
    standing
        The current release, and the keys that check it.
    halves, hybrid
        Of the release in the making.
    settings
        See :func:`recsys.evaluation.overlap.measure_overlap`.

    Returns
    -------
    dict
        What was measured; or, under ``missing``, why nothing was.
    """
    from recsys.evaluation.overlap import measure_overlap
    from recsys.release.loading import load_release
    from recsys.serving.candidate import Candidate, Served

    if standing.current is None:
        return not_measured("There is nothing to compare with: no release was current before this one.")
    try:
        before = load_release(standing.current, keys=standing.keys)
    except ReleaseError as error:
        log.warning("lists are not compared: the current release is not sound", extra=keys(reason=error))
        return not_measured(f"The release that was current before is not sound: {error}.")
    content, cf = halves
    now = Candidate(cf.model, content.catalogue, {}, hybrid)
    return measure_overlap(Served(before), now, (before.users, cf.model.users), settings)


def refusal(
    proof: Proof,
    current: CurrentRelease | None,
    kept: Callable[[Mapping[str, bytes]], str | None],
    page: Callable[[bytes], bytes] | None,
) -> QualityGateFailed:
    """Keep what is known about a refused candidate, and return the error that says so.

    Parameters
    ----------
    proof
        Whose verdict refuses.
    current
        The current release, which stays; None where there is none.
    kept
        Writes files, by name, and returns how people find them.
    page
        Draws the page from ``metrics.json``; without it there is none.
    """
    where = _keep(proof, kept, page)
    stays = "no release is current" if current is None else f"{current.name} stays current"
    message = f'the candidate was refused: {proof.verdict.reason}; {stays};{where} --publish-anyway "reason" overrides'
    return QualityGateFailed(message, trial=proof.as_json())


def _keep(
    proof: Proof, kept: Callable[[Mapping[str, bytes]], str | None], page: Callable[[bytes], bytes] | None
) -> str:
    """Say where it was kept; the candidate is refused, whether or not that succeeds."""
    try:
        files = proof_files(proof)
        folder = kept(files if page is None else {**files, REPORT: page(files[METRICS])})
    except Exception as error:  # noqa: BLE001 - the refusal is the message, not what is wrong with its page
        log.warning("what is known about the refused candidate could not be kept", extra=keys(reason=error))
        return f" its metrics could not be kept ({' '.join(str(error).split())});"
    return "" if folder is None else f" its metrics are kept in {folder};"
