"""A release made once more: the recorded run again, without its search, its gate and its switch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from recsys.errors import DataContractError, ReleaseError
from recsys.evaluation.current import CurrentRelease
from recsys.evaluation.drift import DataCheck, DataProfile
from recsys.evaluation.overlap import OVERLAP
from recsys.marts.catalogue import Catalogue
from recsys.marts.text import joined_fields
from recsys.models.cf import CollaborativeFilter
from recsys.models.content import EMBEDDING_TEXT, RAGRecommender
from recsys.models.hybrid import HybridRecommender
from recsys.pipeline.admission import metrics_bytes, proof_files
from recsys.pipeline.outcome import new_run_id
from recsys.pipeline.provenance import cf_provenance, content_provenance
from recsys.pipeline.proving import Trial
from recsys.pipeline.publication import CfHalf, ContentHalf, Presentation, publish
from recsys.pipeline.reader import MartReader
from recsys.pipeline.rebuild.likeness import Likeness, likeness
from recsys.pipeline.rebuild.vectors import Cosines, Recorded
from recsys.release.keys import Keys
from recsys.release.layout import METRICS
from recsys.release.staging import Label, Staging
from recsys.serving import Rules
from recsys.system.pulse import working
from recsys.system.steps import Steps

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from recsys.config import Settings
    from recsys.embedding import Encoder
    from recsys.evaluation.proof import Proof
    from recsys.marts import Marts
    from recsys.pipeline.reader import Warehouse
    from recsys.pipeline.rebuild.recorded import RecordedRelease
    from recsys.release.facts import Facts
    from recsys.release.manifest import Manifest, Provenance


def rebuild(
    recorded: RecordedRelease,
    folder: Path,
    settings: Settings,
    warehouse: Warehouse,
    anew: Encoder | None = None,
) -> Likeness:
    """Train from the marts by the records of a release, and say what differs.

    Parameters
    ----------
    recorded
        The release.
    folder
        An empty folder, which becomes the rebuilt release: sealed, without a page, signed by nobody.
    settings
        See :meth:`RecordedRelease.settings`.
    warehouse
        Where the marts are.
    anew
        Encodes every text anew, to be compared with the recorded vectors (:func:`open_encoder`); without it none is.

    Raises
    ------
    DataContractError
        If the marts are not those of the release; both fingerprints are named.
    """
    steps = Steps()
    making = _Making(recorded, settings, steps, new_run_id())
    with working("rebuild", steps.quiet_s):
        marts = MartReader(settings, warehouse, warehouse.fetch, steps).both()
        provenances = making.provenances(marts)
        making.require_same_marts(*provenances)
        vectors = None if anew is None else making.vectors(marts, anew)
        return likeness(recorded, making.release(marts, provenances, folder), folder, vectors)


@dataclass(frozen=True)
class _Making:
    recorded: RecordedRelease
    settings: Settings
    steps: Steps
    run_id: str

    @property
    def encoder(self) -> Recorded:
        return Recorded(self.recorded.vectors, self.recorded.manifest.content)

    def provenances(self, marts: Marts) -> tuple[Provenance, Provenance]:
        with self.steps.step("fingerprint"):
            content = content_provenance(self.run_id, marts.games, self.settings, self.encoder, None)
            return content, cf_provenance(self.run_id, marts.ratings, self.settings, None)

    def require_same_marts(self, content: Provenance, cf: Provenance) -> None:
        """Go on where both marts are those that the release was trained on."""
        then = self.recorded.manifest
        pairs = (("games", then.content, content), ("ratings", then.cf, cf))
        changed = [
            f"the {mart} have the fingerprint {now.fingerprint}, and the release was made of {before.fingerprint}"
            for mart, before, now in pairs
            if now.fingerprint != before.fingerprint
        ]
        if not changed:
            return
        code = "" if cf.code == then.cf.code else "; the code is another too, and may read the same rows otherwise"
        raise DataContractError(
            f"{then.release} cannot be rebuilt from these marts: {'; '.join(changed)}{code}. Nothing was trained: name"
            " the marts as they were, such as a copy of then, with --source"
        )

    def vectors(self, marts: Marts, anew: Encoder) -> Cosines:
        """Encode the texts anew; the fingerprint of the games covers them, so that the recorded vectors are theirs."""
        with self.steps.step("embed"):
            return Cosines.of(self.recorded.vectors, anew.encode(joined_fields(marts.games).tolist()))

    def release(self, marts: Marts, provenances: tuple[Provenance, Provenance], folder: Path) -> Manifest:
        """Train by the recorded recipe, and write the release."""
        content = RAGRecommender(self.settings.content, self.encoder)
        content.fit(marts.games.assign(**{EMBEDDING_TEXT: joined_fields(marts.games)}))
        if content.game_ids != self.recorded.ids:
            raise ReleaseError(f"{self.recorded.manifest.release}: its games stand in another order than the marts'")
        catalogue = Catalogue.of(marts.games, content.vectors)
        proof = self._proof(marts, catalogue)
        with self.steps.step("train_cf"):
            model = CollaborativeFilter(self.recorded.recipe).fit(marts.ratings, catalogue.game_ids)
        with self.steps.step("hybrid"):
            codes = model.items.codes_of(list(catalogue.game_ids))
            hybrid = HybridRecommender().fit(model, codes, catalogue.vectors, catalogue.tags)
        then = self.recorded.manifest
        staging = Staging(Label(self.run_id, then.sequence or 1), folder, None, Keys(), lambda *_: None)
        for name, data in self._files(proof).items():
            staging.write(name, data)
        halves = (
            ContentHalf.trained(content, catalogue, provenances[0]),
            replace(CfHalf.trained(model, provenances[1], proof), facts=self._facts(proof)),
        )
        with self.steps.step("write"):
            scenarios = _rules(then.scenarios)
            kept = self.settings.release.user_factors
            return publish(staging, halves, hybrid, Presentation(self.steps, scenarios, None, kept))

    def _proof(self, marts: Marts, catalogue: Catalogue) -> Proof:
        """Hold the trial again, by the recipe that a search found then, beside the release that was current then."""
        recorded = self.recorded
        beside = None if recorded.judged_beside is None else CurrentRelease.of(recorded.judged_beside)
        pinned = self.settings.model_copy(update={"cf": recorded.recipe})
        verdict = recorded.manifest.facts.verdict
        named = (recorded.metrics.get("scenarios") or {}).get("named", {})
        scenarios = _rules({name: figures["rules"] for name, figures in named.items()})
        trial = Trial(
            pinned, beside, self.steps, catalogue, marts.known, override=None if verdict is None else verdict.override,
            scenarios=scenarios,
        )  # fmt: skip
        data = recorded.manifest.facts.data
        edges = None if data is None else data.edges  # those of an older release, where there was one
        profile = DataProfile.of(marts.ratings, marts.known, self.settings.data, edges)
        kept = recorded.metrics.get(OVERLAP, {})  # with a release that may be gone, whose data are not here
        return replace(trial.hold(marts.ratings), tuning=recorded.tuning, data=DataCheck(profile), overlap=kept)

    def _files(self, proof: Proof) -> dict[str, bytes]:
        """Return what tells of the trial, as far as the release has it: older ones have fewer files."""
        # Measured against a release whose data are not here, as the search was by the clock: both as recorded.
        metrics = metrics_bytes({**proof.as_json(), "drift": self.recorded.metrics.get("drift")})
        files = {**proof_files(proof), METRICS: metrics}
        return {name: data for name, data in files.items() if name in self.recorded.manifest.files}

    def _facts(self, proof: Proof) -> Facts:
        then = self.recorded.manifest.facts
        kept: dict[str, object] = {
            name: getattr(then, name) for name in ("drift", "read_at") if name in then.model_fields_set
        }
        return proof.record().model_copy(update=kept)


def _rules(scenarios: Mapping[str, Mapping[str, object]]) -> dict[str, Rules]:
    return {name: Rules.of(rules) for name, rules in scenarios.items()}
