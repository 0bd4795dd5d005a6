"""One run: its name, its clock, and the steps that the stories of :mod:`recsys.trainer` are made of."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from recsys.errors import ArtifactWriteError, DataDrifted, Diverged, LockHeld, PublishingHeld, StoreError
from recsys.pipeline.observers import Audience
from recsys.pipeline.outcome import NO_OVERRIDES, Failure, Overrides, RunResult, Status, new_run_id
from recsys.system.log import events, keys
from recsys.system.pulse import progress, working

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    import pandas as pd

    from recsys.config import CfSettings, Settings
    from recsys.embedding import Encoder
    from recsys.evaluation.current import CurrentRelease
    from recsys.evaluation.drift import DataCheck
    from recsys.evaluation.proof import Proof
    from recsys.marts.catalogue import Catalogue
    from recsys.marts.check import Marts
    from recsys.marts.ids import Id, IdMap
    from recsys.marts.ratings import Ratings
    from recsys.models.cf import CollaborativeFilter
    from recsys.models.content import RAGRecommender
    from recsys.pipeline.observers import RunObserver
    from recsys.pipeline.outcome import Outlook
    from recsys.pipeline.publication import CfHalf, ContentHalf
    from recsys.pipeline.reader import MartReader
    from recsys.release.manifest import Provenance
    from recsys.release.staging import RunFacts, Staging
    from recsys.release.standing import Standing
    from recsys.release.store import ReleaseStore
    from recsys.serving import Rules
    from recsys.system.steps import Steps

log = events(__name__)


@dataclass
class Run:
    """One run of a trainer; nothing of it outlives it but what it returns.

    Attributes
    ----------
    settings
        Settings of the run.
    reader
        Reads the marts, by the run's clock.
    store
        Where releases are published.
    encoder
        Turns texts into vectors; None for the one of the settings.
    overrides
        Rules that are set aside for this run.
    observers
        The observers of the run.
    run_id
        The run's name, and its release's if it publishes one.
    """

    settings: Settings
    reader: MartReader
    store: ReleaseStore
    encoder: Encoder | None = None
    overrides: Overrides = NO_OVERRIDES
    observers: Sequence[RunObserver] = ()
    run_id: str = field(default_factory=new_run_id)

    def __post_init__(self) -> None:
        self._audience = Audience(self.observers, self.settings.observers.limit_s)
        self.steps.ended = self._audience.step

    @cached_property
    def scenarios(self) -> dict[str, Rules]:
        """The scenarios of the settings, read."""
        from recsys.pipeline.scenarios import read_scenarios

        return read_scenarios(self.settings.scenario)

    @property
    def steps(self) -> Steps:
        """The clock of the run."""
        return self.reader.steps

    @contextmanager
    def observed(self) -> Iterator[None]:
        """Let observers hear that the run begins, and of a failure that ends it."""
        self._audience.began(self.run_id, self.store.place)
        try:
            yield
        except Exception as error:
            self._audience.failed(Failure.of(error))
            raise

    def require_set_up(self) -> None:
        """Look at what can be known before anything is written: what contradicts itself, or is missing, ends the run.

        Raises
        ------
        ConfigError, AuthenticationFailed
            Of the scenarios, or of what signs in to Snowflake.
        """
        _ = self.scenarios
        self.reader.warehouse.require_identity()

    @contextmanager
    def staging(self) -> Iterator[Staging]:
        """Yield a release in the making; the run is watched while it lasts."""
        self.require_set_up()
        log.info("run begins", extra=keys(run_id=self.run_id, output=self.store.address))
        try:
            with working("run", self.steps.quiet_s), self.store.staging(self.run_id) as staging:
                yield staging
        except (DataDrifted, Diverged, PublishingHeld) as error:
            self._note_refusal(str(error).partition("; nothing")[0].partition(". Nothing")[0])
            raise

    def open_encoder(self, standing: Standing | None = None) -> Encoder:
        """Return this run's encoder. Called before the fetch: settings that cannot be met end the run at once.

        Parameters
        ----------
        standing
            The release that the run may replace; None where it replaces none.
        """
        from recsys.pipeline.encoding import open_encoder

        if self.encoder is not None:
            return self.encoder
        return open_encoder(self.settings.content, standing)

    def read_marts(self) -> Marts:
        """Fetch and check both marts."""
        with working("fetch", self.steps.quiet_s):
            return self.reader.both()

    def check_scenarios(self, marts: Marts) -> None:
        """Hold the scenarios against tonight's games, before anything is trained.

        Raises
        ------
        ConfigError
            If one asks for what the games lack.
        """
        from recsys.pipeline.scenarios import check_scenarios

        check_scenarios(self.scenarios, marts.games, marts.ratings.items, marts.ratings.matrix.indices)

    def content_provenance(self, games: pd.DataFrame, encoder: Encoder) -> Provenance:
        """Record where tonight's content model comes from."""
        from recsys.pipeline.provenance import content_provenance

        query_id = self.reader.warehouse.query_ids.get(self.reader.games_query)
        with self.steps.step("fingerprint"):
            return content_provenance(self.run_id, games, self.settings, encoder, query_id)

    def cf_provenance(self, ratings: Ratings) -> Provenance:
        """Record where tonight's collaborative filter comes from."""
        from recsys.pipeline.provenance import cf_provenance

        query_id = self.reader.warehouse.query_ids.get(self.reader.ratings_query)
        with self.steps.step("fingerprint"):
            return cf_provenance(self.run_id, ratings, self.settings, query_id)

    def check_data(self, ratings: Ratings, known: IdMap, current: CurrentRelease | None) -> DataCheck:
        """Hold the data against those of the current release; see :func:`recsys.pipeline.proving.check_data`."""
        from recsys.pipeline.proving import check_data

        return check_data(ratings, known, self.settings, current, self.overrides.accept_drift)

    def train_content(self, games: pd.DataFrame, encoder: Encoder) -> RAGRecommender:
        """Embed the texts of the games, and index the vectors."""
        from recsys.embedding.encoder import TextEncoder
        from recsys.marts.text import joined_fields
        from recsys.models.content import EMBEDDING_TEXT, RAGRecommender

        with self.steps.step("embed"):
            model = RAGRecommender(self.settings.content, encoder)
            model.fit(games.assign(**{EMBEDDING_TEXT: joined_fields(games)}))
            if isinstance(encoder, TextEncoder) and encoder is not self.encoder:
                encoder.unload()  # the run has no further use for hundreds of megabytes
        self.reader.rows["vectors"] = len(model.game_ids)
        log.info("embedded", extra=keys(games=len(model.game_ids), seconds=self.steps.seconds["embed"]))
        return model

    def prove(
        self,
        ratings: Ratings,
        known: IdMap,
        current: CurrentRelease | None,
        data: DataCheck,
        catalogue: Catalogue | None = None,
    ) -> Proof:
        """Let a candidate be scored on held-out ratings, and judged; see :class:`recsys.pipeline.proving.Trial`."""
        from recsys.pipeline.proving import Trial

        because = self.overrides.publish_anyway
        trial = Trial(self.settings, current, self.steps, catalogue, known, data, because, self.scenarios)
        proof = trial.hold(ratings)
        self._audience.judged(proof.as_json())
        return proof

    def admit(self, staging: Staging, proof: Proof, current: CurrentRelease | None) -> None:
        """Go on with a candidate that may be published.

        Raises
        ------
        QualityGateFailed
            If the candidate is refused, and nobody overrides it. What is known about it was kept
            under ``refused``, as far as that could be written.
        """
        from recsys.pipeline.admission import refusal

        verdict = proof.verdict
        if not verdict.published:
            keep = self.settings.gate.keep_refused
            self._note_refusal(verdict.reason)
            raise refusal(
                proof,
                current,
                lambda files: self.store.storage.keep_refused(self.run_id, files, keep),
                self._refused_page(staging),
            )
        if verdict.override is not None:
            log.warning("refused, published anyway", extra=keys(refused=verdict.reason, because=verdict.override))

    def _note_refusal(self, reason: str) -> None:
        try:
            self.store.journal.add("refused", self.run_id, why=reason)
        except (ArtifactWriteError, LockHeld, StoreError) as error:  # the refusal is the message
            log.warning("the refusal could not be added to the log of the releases", extra=keys(reason=error))

    def train_cf(
        self, ratings: Ratings, catalogue: Iterable[Id] | None = None, recipe: CfSettings | None = None
    ) -> CollaborativeFilter:
        """Train the collaborative filter on all the ratings, by a recipe or by the settings."""
        from recsys.models.cf import CollaborativeFilter

        with self.steps.step("train_cf"):
            return CollaborativeFilter(recipe or self.settings.cf).fit(ratings, catalogue)

    def publish(self, staging: Staging, content: ContentHalf, cf: CfHalf, proof: Proof | None = None) -> Proof | None:
        """Map texts and tags into the taste of both halves, whichever of them is new, and publish the release.

        Parameters
        ----------
        staging, content, cf
            The release in the making, and its halves.
        proof
            What proves the CF half; None where that was carried over, with what proved it.

        Returns
        -------
        Proof or None
            It, with what became of people's lists.
        """
        from recsys.models.hybrid import HybridRecommender
        from recsys.pipeline.admission import overlap, proof_files
        from recsys.pipeline.publication import Presentation, publish

        with self.steps.step("hybrid"):
            catalogue = content.catalogue
            codes = cf.model.items.codes_of(list(catalogue.game_ids))
            hybrid = HybridRecommender().fit(cf.model, codes, catalogue.vectors, catalogue.tags)
        if proof is not None:
            with self.steps.step("overlap"):
                proof = replace(proof, overlap=overlap(staging, (content, cf), hybrid, self.settings.evaluation))
            for name, data in proof_files(proof).items():
                staging.write(name, data)
        with self.steps.step("publish"):
            kept = self.settings.release.user_factors
            publish(staging, (content, cf), hybrid, Presentation(self.steps, self.scenarios, self._page(), kept))
        return proof

    def publish_again(self, staging: Staging) -> bool:
        """Publish the current release's models with tonight's scenarios, if these are others; return whether."""
        from recsys.pipeline.publication import Presentation, publish_again
        from recsys.pipeline.scenarios import differ
        from recsys.release.verify import read_manifest

        assert staging.current is not None
        if not differ(self.scenarios, read_manifest(staging.current, staging.keys)):
            return False
        with self.steps.step("publish"):
            publish_again(staging, Presentation(self.steps, self.scenarios, self._page()))
        return True

    def done(
        self, status: Status, path: Path | None, proof: Proof | None = None, outlook: Outlook | None = None
    ) -> RunResult:
        """Let observers hear what the run did, and return it."""
        steps, reader = self.steps, self.reader
        counts = dict(reader.rows), dict(reader.repairs), dict(steps.seconds), dict(steps.peak_mb)
        trial = None if proof is None else proof.as_json()
        return self._audience.done(
            RunResult(
                status, self.run_id, path, *counts, trial, outlook=outlook, dbt=reader.dbt, address=self._address(path)
            )
        )

    def _address(self, path: Path | None) -> str | None:
        if path is None or not isinstance(self.store.place, str):
            return None
        from recsys.release.place import address_of

        return address_of(self.store.place, path.name)

    def _page(self) -> Callable[[Staging, RunFacts], bytes] | None:
        """Return what draws the page; None where that is not installed, which is said."""
        from recsys.report import can_render, staged_page

        if not can_render():
            log.warning(
                "the release has no page: what draws it is not installed",
                extra=keys(missing="report.html", install="the extra report"),
            )
            return None

        def draw(staging: Staging, facts: RunFacts) -> bytes:
            with progress("drawing the page", bar=False):
                return staged_page(staging, facts)

        return draw

    def _refused_page(self, staging: Staging) -> Callable[[bytes], bytes] | None:
        from recsys.release.layout import METRICS
        from recsys.report import can_render, refused_page

        def draw(metrics: bytes) -> bytes:
            staging.write(METRICS, metrics)  # the page is drawn from it
            return refused_page(staging, self.steps)

        return draw if can_render() else None
