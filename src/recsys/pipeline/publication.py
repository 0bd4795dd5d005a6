"""From two trained halves to a release: what is saved, what is carried over, what is recorded."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from recsys.errors import ArtifactWriteError, DataContractError, ReleaseNotFound
from recsys.marts.catalogue import Catalogue
from recsys.marts.join import Meeting
from recsys.models.cf import CollaborativeFilter
from recsys.pipeline.provenance import counted, git_commit
from recsys.pipeline.scenarios import as_json, check_on
from recsys.release.formats import read_game_ids, read_games, read_vectors
from recsys.release.games import games_table
from recsys.release.layout import (
    CF_FILES,
    CF_MORE,
    CONTENT_FILES,
    GAMES,
    INDEX,
    METADATA,
    METRICS,
    MODEL,
    REPORT,
    USER_SCORES,
)
from recsys.release.manifest import GoldenAnswer, Provenance, Step
from recsys.release.pointer import LINK
from recsys.release.staging import RunFacts
from recsys.release.verify import read_manifest, verify
from recsys.serving.golden import neighbours_of, recommendations_of
from recsys.system.log import events, keys

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from recsys.evaluation.proof import Proof
    from recsys.marts.ids import Id, IdMap
    from recsys.models.content import RAGRecommender
    from recsys.models.hybrid import HybridRecommender
    from recsys.release.facts import Facts
    from recsys.release.manifest import Manifest
    from recsys.release.staging import Staging
    from recsys.serving import Rules
    from recsys.system.steps import Steps

log = events(__name__)

MANY_USERS = 5_000_000
"""From so many on, a run says what their factors take."""


@dataclass(frozen=True)
class ContentHalf:
    """The content half of a release.

    Attributes
    ----------
    catalogue
        The games, in the order of the index.
    provenance
        Where it comes from.
    golden
        Golden queries and their answers.
    model
        The content model; None where its files were carried over, and are in the staging folder.
    """

    catalogue: Catalogue
    provenance: Provenance
    golden: Sequence[GoldenAnswer]
    model: RAGRecommender | None = None

    @classmethod
    def trained(cls, model: RAGRecommender, catalogue: Catalogue, provenance: Provenance) -> ContentHalf:
        """Return the half of a model that this run trained."""
        return cls(catalogue, counted(provenance, model.embedding_model), neighbours_of(model), model)

    @classmethod
    def carried(cls, staging: Staging) -> ContentHalf:
        """Take the half of the current release, its bytes unchanged.

        Raises
        ------
        ArtifactCorrupt
            If the current release fails its checksums.
        ArtifactWriteError
            If a file cannot be written whole.
        """
        before = staging.carry_over([*CONTENT_FILES, GAMES])
        table = read_games((staging.folder / GAMES).read_bytes())
        vectors = read_vectors((staging.folder / INDEX).read_bytes())
        return cls(Catalogue.of(table, vectors), before.content, before.golden["content"])


@dataclass(frozen=True)
class CfHalf:
    """The collaborative half of a release.

    Attributes
    ----------
    model
        The collaborative filter.
    provenance
        Where it comes from.
    scores
        What its recipe scored on held-out ratings, by metric.
    facts
        What its trial recorded for the manifest.
    """

    model: CollaborativeFilter
    provenance: Provenance
    scores: Mapping[str, float]
    facts: Facts

    @classmethod
    def trained(
        cls, model: CollaborativeFilter, provenance: Provenance, proof: Proof, read_at: str | None = None
    ) -> CfHalf:
        """Return the half of a model that this run trained, by the recipe that was proved.

        Parameters
        ----------
        model, provenance, proof
            What was trained, on what, and why it may be published.
        read_at
            The moment as of which both marts were read; None where there is none.
        """
        facts = proof.record()
        if read_at is not None:
            facts = facts.model_copy(update={"read_at": read_at})
        return cls(model, provenance, proof.headline(), facts)

    @classmethod
    def carried(cls, staging: Staging, known: IdMap, max_unknown: float) -> CfHalf:
        """Take the half of the current release for another catalogue: what left it is recommended no longer.

        Parameters
        ----------
        staging
            The release in the making.
        known
            Ids of the new catalogue.
        max_unknown
            Share of its ratings that may be of games which the new catalogue lacks.

        Raises
        ------
        DataContractError
            If more are.
        ArtifactCorrupt
            If the current release fails its checksums.
        ArtifactWriteError
            If a file cannot be written whole.
        """
        assert staging.current is not None
        before = staging.carry_over([*CF_FILES, *CF_MORE, METRICS, USER_SCORES])
        model = CollaborativeFilter.load(staging.folder)
        meeting = Meeting.of(model.items, model.ratings.indices, known)
        if meeting.share > max_unknown:
            rule = meeting.rule(max_unknown, "the games mart")
            raise DataContractError(
                f"the current release: {meeting.lost_ratings:,} {rule}. Nothing was published: `recsys train` trains"
                " both halves"
            )
        return cls(model.restricted_to(known), before.cf, before.scores, before.facts)


@dataclass(frozen=True)
class Presentation:
    """What a release gets beside its models.

    Attributes
    ----------
    steps
        The clock of the run.
    scenarios
        Rules at answer time by name.
    page
        Draws ``report.html`` from the files and facts of the release; without it there is none.
    user_factors
        Whether it holds the factors of its users.
    """

    steps: Steps
    scenarios: Mapping[str, Rules]
    page: Callable[[Staging, RunFacts], bytes] | None
    user_factors: bool = True

    def publish(self, staging: Staging, facts: RunFacts) -> Manifest:
        """Add to the facts of a release what is here, draw its page, and publish it.

        Raises
        ------
        ConfigError
            If a scenario asks for what the games of the release lack.
        """
        check_on(self.scenarios, (staging.folder / GAMES).read_bytes())
        seconds, peak_mb = self.steps.seconds, self.steps.peak_mb
        facts = replace(
            facts,
            steps={name: Step(seconds=seconds[name], peak_memory_mb=peak_mb[name]) for name in seconds},
            commit=git_commit(),
            scenarios=as_json(self.scenarios),
        )
        if self.page is not None:
            staging.write(REPORT, self.page(staging, facts))
        return staging.publish(facts)


def publish(
    staging: Staging, halves: tuple[ContentHalf, CfHalf], hybrid: HybridRecommender, presentation: Presentation
) -> Manifest:
    """Save both halves and what joins them, and publish them as one release.

    Parameters
    ----------
    staging
        The release in the making. Files that a run has written into it already are part of it.
    halves
        Content and CF, each of this run or carried over.
    hybrid
        Factors for every game of the catalogue.
    presentation
        What it gets beside them.

    Raises
    ------
    QualityGateFailed
        If the release would answer nobody.
    ArtifactWriteError
        If anything cannot be written or verified; the current release stays.
    """
    content, cf = halves
    if content.model is not None:
        content.model.save(staging.folder)
    _save(cf.model, staging.folder, user_factors=presentation.user_factors)
    assert content.catalogue.table is not None
    staging.write(GAMES, games_table(content.catalogue.table, cf.model.items, cf.model.ratings.indices))
    hybrid.save(staging.folder)
    golden = {"content": list(content.golden), "cf": recommendations_of(cf.model)}
    facts = RunFacts(content.provenance, cf.provenance, golden, scores=dict(cf.scores), more=cf.facts)
    return presentation.publish(staging, facts)


def _save(model: CollaborativeFilter, folder: Path, *, user_factors: bool) -> None:
    """Save the CF half; where that takes much for what no answer needs, say so."""
    model.save(folder, user_factors=user_factors)
    if user_factors and len(model.users) >= MANY_USERS:
        size = (folder / MODEL).stat().st_size + model.user_factors.nbytes
        log.info("release.user_factors = false would save", extra=keys(gb=size / 1e9, users=len(model.users)))


def publish_again(staging: Staging, presentation: Presentation) -> Manifest:
    """Publish the models of the current release, their bytes unchanged, with other scenarios.

    Raises
    ------
    ArtifactCorrupt
        If the current release fails its checksums.
    ArtifactWriteError
        If anything cannot be written or verified; the current release stays.
    """
    assert staging.current is not None
    names = read_manifest(staging.current, staging.keys).files.keys() - {REPORT}
    before = staging.carry_over(sorted(names))
    facts = RunFacts(before.content, before.cf, before.golden, scores=before.scores, more=before.facts)
    return presentation.publish(staging, facts)


def save_alone(place: Path | str, model: RAGRecommender | CollaborativeFilter) -> None:
    """Save a half where there is no release yet to take the other from: to a plain folder ``v1``, which is none.

    Raises
    ------
    ReleaseNotFound
        If releases are kept in an object store: a half alone has no place there.
    ArtifactWriteError
        If a file cannot be written whole.
    """
    if isinstance(place, str):
        raise ReleaseNotFound(
            f"there is no release in {place} to take the other half from: `recsys train` trains both, and"
            " publish=False writes nothing"
        )
    folder = place / LINK
    try:
        model.save(folder)
    except ArtifactWriteError:
        with suppress(OSError):  # where it holds nothing, nothing says to the next run what it is
            folder.rmdir()
        raise


def current_catalogue(staging: Staging) -> list[Id]:
    """Return the ids of the games in the current release.

    Raises
    ------
    ArtifactCorrupt
        If the current release fails its checksums.
    """
    assert staging.current is not None
    contents = verify(staging.current, keep=[METADATA], keys=staging.keys).contents
    return read_game_ids(contents[METADATA])
