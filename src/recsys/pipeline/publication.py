"""From two trained halves to a release: what is saved, what is carried over, what is recorded."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from recsys.errors import ArtifactWriteError, DataContractError
from recsys.evaluation.proof import METRICS
from recsys.marts.contract import CATEGORIES, GAME_ID, MECHANICS
from recsys.marts.ids import IdMap
from recsys.marts.join import Meeting
from recsys.models.cf import CollaborativeFilter
from recsys.pipeline.versions import CF_LIBRARIES, CONTENT_LIBRARIES, code_digest, git_commit, versions
from recsys.release.fingerprint import games_fingerprint, ratings_fingerprint
from recsys.release.games import games_table
from recsys.release.golden import neighbours_of, recommendations_of
from recsys.release.loading import CF_FILES, CONTENT_FILES, GAMES, INDEX, METADATA, REPORT
from recsys.release.manifest import Provenance, Step
from recsys.release.pointer import LINK
from recsys.release.staging import RunFacts
from recsys.release.verify import read_manifest, verify
from recsys.system.pulse import progress

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pandas as pd
    import pyarrow as pa

    from recsys.config import Settings
    from recsys.embedding import Encoder
    from recsys.evaluation.proof import Proof
    from recsys.marts.contract import Ratings
    from recsys.marts.ids import Id
    from recsys.models.content import RAGRecommender
    from recsys.release.manifest import Manifest
    from recsys.release.staging import Staging
    from recsys.system.steps import Steps


def content_half(
    run_id: str, games: pd.DataFrame, settings: Settings, encoder: Encoder, query_id: str | None
) -> Provenance:
    """Record where a content model comes from.

    Parameters
    ----------
    run_id
        The run that trains it.
    games
        The catalogue, checked and cleaned.
    settings
        Of the run; the section ``cf`` has no part in this half.
    encoder
        Its recipe is part of the settings.
    query_id
        Of the query that fetched the games.
    """
    return Provenance(
        trained_by=run_id,
        rows={"games": len(games)},
        fingerprint=games_fingerprint([games[column] for column in games.columns]),
        settings={**settings.model_dump(mode="json", exclude={"cf"}), "recipe": dict(encoder.recipe)},
        code=code_digest(),
        libraries=versions(CONTENT_LIBRARIES),
        query_id=query_id,
        computed_on=dict(encoder.runs_on),
    )


def cf_half(run_id: str, ratings: Ratings, settings: Settings, query_id: str | None) -> Provenance:
    """Record where a collaborative filter comes from; ``content`` has no part in this half."""
    return Provenance(
        trained_by=run_id,
        rows={"ratings": ratings.matrix.nnz, "users": len(ratings.users), "games": len(ratings.items)},
        fingerprint=ratings_fingerprint(ratings.users, ratings.items, ratings.matrix, ratings.rated_at),
        settings=settings.model_dump(mode="json", exclude={"content"}),
        code=code_digest(),
        libraries=versions(CF_LIBRARIES),
        query_id=query_id,
    )


@dataclass(frozen=True)
class Content:
    """A trained content half.

    Attributes
    ----------
    model
        The content model.
    games
        The catalogue that it was trained on, in its order.
    origin
        Where it comes from.
    max_unknown
        Share of the ratings of a CF half that is carried over which may be of games that the catalogue lacks.
    """

    model: RAGRecommender
    games: pd.DataFrame
    origin: Provenance
    max_unknown: float = 1.0


@dataclass(frozen=True)
class Taste:
    """A trained CF half.

    Attributes
    ----------
    model
        The collaborative filter.
    origin
        Where it comes from.
    trial
        What its recipe scored on held-out ratings.
    """

    model: CollaborativeFilter
    origin: Provenance
    trial: Proof


def publish(
    staging: Staging,
    content: Content | None,
    taste: Taste | None,
    steps: Steps,
    page: Callable[[Staging, RunFacts], bytes] | None = None,
) -> Manifest:
    """Save what was trained, take what was not from the current release, and publish both.

    Parameters
    ----------
    staging
        The release in the making. Files that a run has written into it already are part of it.
    content, taste
        The halves of this run; None for the one that is carried over.
    steps
        The clock of the run.
    page
        Renders ``report.html`` from the files and facts of the release; without it there is none.

    Raises
    ------
    DataContractError
        If too many ratings of a CF half that is carried over are of games that the new catalogue lacks.
    QualityGateFailed
        If the release would answer nobody.
    ArtifactCorrupt
        If a half is to be carried over, and the current release fails its checksums.
    ArtifactWriteError
        If anything cannot be written or verified; the current release stays.
    """
    games, content_origin, neighbours = _save_content(staging, content)
    model, cf_origin, scores, proof = _save_taste(staging, taste, content)
    staging.write(GAMES, games_table(games, model.items, model.ratings.indices))
    with steps.step("hybrid"):
        _save_hybrid(staging, games, model)
    facts = RunFacts(
        content=content_origin,
        cf=cf_origin,
        golden={"content": neighbours, "cf": recommendations_of(model)},
        steps={name: Step(seconds, steps.peak_mb[name]) for name, seconds in steps.seconds.items()},
        scores=scores,
        commit=git_commit(),
        more=proof,
    )
    if page is not None:
        with progress("drawing the page", bar=False):
            drawn = page(staging, facts)
        staging.write(REPORT, drawn)
    return staging.publish(facts)


def save_alone(root: Path, model: RAGRecommender | CollaborativeFilter) -> None:
    """Save a half where there is no release yet to take the other from: to a plain folder ``v1``, which is none.

    Raises
    ------
    ArtifactWriteError
        If a file cannot be written whole.
    """
    folder = root / LINK
    try:
        model.save(folder)
    except ArtifactWriteError:
        with suppress(OSError):  # where it holds nothing, nothing says to the next run what it is
            folder.rmdir()
        raise


def _save_hybrid(staging: Staging, games: pd.DataFrame | pa.Table, model: CollaborativeFilter) -> None:
    """Map texts and tags into the taste of both halves, whichever of them is new."""
    import faiss
    import numpy as np

    from recsys.marts.tags import game_tags
    from recsys.models.hybrid import HybridRecommender

    index = faiss.deserialize_index(np.frombuffer((staging.folder / INDEX).read_bytes(), dtype=np.uint8))
    tags = game_tags(_column(games, CATEGORIES), _column(games, MECHANICS))
    codes = model.items.codes_of(_column(games, GAME_ID))
    HybridRecommender().fit(model, codes, index.reconstruct_n(0, index.ntotal), tags).save(staging.folder)


def _column(table: pd.DataFrame | pa.Table, name: str) -> list[Any]:
    values = table[name]
    return values.to_pylist() if hasattr(values, "to_pylist") else values.tolist()


def catalogue_of(staging: Staging) -> list[Id]:
    """Return the ids of the games in the current release.

    Raises
    ------
    ArtifactCorrupt
        If the current release fails its checksums.
    """
    assert staging.current is not None
    contents = verify(staging.current, keep=[METADATA], key=staging.key).contents
    ids: list[Id] = json.loads(contents[METADATA])["ids"]
    return ids


def _save_content(
    staging: Staging, content: Content | None
) -> tuple[pd.DataFrame | pa.Table, Provenance, list[dict[str, Any]]]:
    if content is not None:
        content.model.save(staging.folder)
        return content.games, content.origin, neighbours_of(content.model)
    import pyarrow.parquet as pq

    before = staging.carry_over([*CONTENT_FILES, GAMES])
    return pq.read_table(staging.folder / GAMES), before.content, before.golden["content"]


def _save_taste(
    staging: Staging, taste: Taste | None, content: Content | None
) -> tuple[CollaborativeFilter, Provenance, dict[str, float], dict[str, Any]]:
    """Save or carry over the CF half; return its model, its origin, its scores and what its trial recorded."""
    if taste is not None:
        taste.model.save(staging.folder)
        return taste.model, taste.origin, taste.trial.headline(), taste.trial.record()
    assert staging.current is not None
    proved = METRICS in read_manifest(staging.current, staging.key).files
    before = staging.carry_over([*CF_FILES, METRICS] if proved else CF_FILES)
    model = CollaborativeFilter.load(staging.folder)
    # The catalogue is new: a game that left it must not be recommended any longer.
    assert content is not None
    known = IdMap.of(content.games[GAME_ID].tolist())
    meeting = Meeting.of(model.items, model.ratings.indices, known)
    if meeting.share > content.max_unknown:
        rule = meeting.rule(content.max_unknown, "the games mart")
        raise DataContractError(
            f"the current release: {meeting.lost_ratings:,} {rule}. Nothing was published: `recsys train` trains both"
            " halves"
        )
    model.recommendable = known.locate(model.items) >= 0
    model.save(staging.folder)
    return model, before.cf, before.scores, before.facts
