"""The gatekeeper of one run: stops it on drifted data, and refuses a candidate that is not good enough."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from recsys.errors import DataContractError, QualityGateFailed, ReleaseError
from recsys.evaluation.drift import DataProfile, Drift, measure_drift
from recsys.evaluation.incumbent import Incumbent
from recsys.evaluation.proof import METRICS, Proof, hold_trial
from recsys.marts.ids import IdMap
from recsys.release.loading import REPORT
from recsys.release.refused import keep_refused
from recsys.release.verify import read_manifest
from recsys.system.log import events, keys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from recsys.config import Settings
    from recsys.evaluation.embedded import Embedded
    from recsys.marts.contract import Ratings
    from recsys.marts.ids import Id
    from recsys.pipeline.run import Overrides
    from recsys.release.staging import Staging
    from recsys.system.steps import Steps

log = events(__name__)


class Gatekeeper:
    """Stands between a run and the release that it wants to replace.

    Parameters
    ----------
    staging
        The release in the making; its ``current`` is what it would replace.
    settings
        Of the run.
    overrides
        What somebody allowed this run, with reasons.
    steps
        The clock of the run.
    page
        Renders the page of a refused candidate from its ``metrics.json``; without it there is none.
    """

    def __init__(
        self,
        staging: Staging,
        settings: Settings,
        overrides: Overrides,
        steps: Steps,
        page: Callable[[Staging, Steps], bytes] | None = None,
    ) -> None:
        self.staging = staging
        self.settings = settings
        self.overrides = overrides
        self.steps = steps
        self.page = page

    @cached_property
    def incumbent(self) -> Incumbent | None:
        """The current release; None where there is none, or none that can be trusted."""
        if self.staging.current is None:
            return None
        try:
            return Incumbent.of(read_manifest(self.staging.current, self.staging.key))
        except ReleaseError as error:
            log.warning("the current release is not sound: this run is judged as a first one", extra=keys(reason=error))
            return None

    def watch_drift(self, ratings: Ratings, catalogue: Iterable[Id]) -> tuple[DataProfile, Drift | None]:
        """Describe the data, and hold them against those of the current release.

        Parameters
        ----------
        ratings
            All of them.
        catalogue
            Ids of the games mart.

        Returns
        -------
        profile
            What the next run will compare with.
        drift
            None where there is nothing to compare with.

        Raises
        ------
        DataContractError
            If the data drifted beyond the bounds, and nobody accepted it.
        """
        before = None if self.incumbent is None else self.incumbent.profile
        edges = None if before is None else before.edges
        profile = DataProfile.of(ratings, IdMap.of(list(catalogue)), self.settings.data, edges)
        if self.incumbent is None or before is None:
            return profile, None
        drift = measure_drift(before, profile, self.settings.gate, self.incumbent.name)
        if not drift.reason:
            return profile, drift
        accepted = self.overrides.accept_drift
        if accepted is None:
            raise DataContractError(
                f"the data drifted since release {drift.release}: {drift.reason}. Nothing was trained: mend the marts,"
                ' or accept it with --accept-drift "reason"'
            )
        log.warning("drift accepted", extra=keys(drift=drift.reason, because=accepted))
        return profile, replace(drift, accepted=accepted)

    def prove(
        self,
        ratings: Ratings,
        catalogue: Iterable[Id],
        content: Embedded | None,
        data: tuple[DataProfile, Drift | None],
    ) -> Proof:
        """Hold the candidate's trial, and write what it found into the release.

        Parameters
        ----------
        ratings
            All of them.
        catalogue
            Ids of the games that can be recommended.
        content
            The catalogue as the content model knows it, which competes too.
        data
            What :meth:`watch_drift` returned.

        Raises
        ------
        QualityGateFailed
            If the candidate is refused, and nobody overrides it. What is known about it was kept
            under ``refused``, as far as that could be written.
        """
        known = IdMap.of(list(catalogue)).locate(ratings.items) >= 0
        trial = hold_trial(
            ratings, self.settings, self.incumbent, content, self.steps, drift=data[1], recommendable=known
        )
        trial = replace(trial, verdict=trial.verdict.overridden(self.overrides.publish_anyway), data=data)
        told = (json.dumps(trial.as_json(), indent=1, allow_nan=False) + "\n").encode()
        if not trial.verdict.published:
            raise self._refusal(trial, told)
        self.staging.write(METRICS, told)
        verdict = trial.verdict
        if verdict.override is not None:
            log.warning("refused, published anyway", extra=keys(refused=verdict.reason, because=verdict.override))
        return trial

    def _refusal(self, trial: Proof, told: bytes) -> QualityGateFailed:
        where = self._keep(told)
        stays = "no release is current" if self.incumbent is None else f"{self.incumbent.name} stays current"
        message = (
            f'the candidate was refused: {trial.verdict.reason}; {stays};{where} --publish-anyway "reason" overrides'
        )
        return QualityGateFailed(message, trial=trial.as_json())

    def _keep(self, told: bytes) -> str:
        """Keep what is known about a refused candidate, and say where; it is refused, whether or not that succeeds."""
        files = {METRICS: told}
        try:
            self.staging.write(METRICS, told)  # the page is drawn from it
            if self.page is not None:
                files[REPORT] = self.page(self.staging, self.steps)
            root = self.staging.folder.parents[1]
            kept = keep_refused(root, self.staging.release, files, self.settings.gate.keep_refused)
        except Exception as error:  # noqa: BLE001 - the refusal is what has to be told, not what is wrong with its page
            log.warning("what is known about the refused candidate could not be kept", extra=keys(reason=error))
            return f" its metrics could not be kept ({' '.join(str(error).split())});"
        return "" if kept is None else f" its metrics are kept in {kept};"
