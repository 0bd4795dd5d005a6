"""A small but real release: a FAISS index, implicit's ALS, and everything beside them."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from recsys.config import CfSettings, ContentSettings
from recsys.models.cf import CollaborativeFilter
from recsys.models.content import RAGRecommender, build_index
from recsys.models.hybrid import HybridRecommender
from recsys.release.games import games_table
from recsys.release.layout import DIGEST, MANIFEST
from recsys.release.manifest import Manifest, Provenance, digest_file
from recsys.release.staging import RunFacts
from recsys.serving.golden import neighbours_of, recommendations_of

if TYPE_CHECKING:
    from pathlib import Path

    from recsys.release.store import ReleaseStore

GAMES, USERS, DIMENSION = 40, 30, 8


class NoEncoder:
    """Stands where a release needs no encoder."""

    dimension = DIMENSION
    recipe: dict[str, str] = {}  # noqa: RUF012 - the protocol asks for a plain attribute
    runs_on: dict[str, str] = {}  # noqa: RUF012 - the same

    def encode(self, texts: Any) -> Any:
        """Refuse: nothing is embedded here."""
        raise AssertionError(f"nobody embeds {texts!r}")


@dataclass(frozen=True)
class Parts:
    """The files of a release without its manifest, and the facts for the manifest."""

    files: dict[str, bytes]
    facts: RunFacts

    def publish(self, store: ReleaseStore, run_id: str) -> Manifest:
        """Publish these parts as a release."""
        with store.staging(run_id) as staging:
            for name, data in self.files.items():
                staging.write(name, data)
            return staging.publish(self.facts)

    def save(self, folder: Path) -> None:
        """Write the parts to a plain folder, with the facts beside them as JSON, for a script to publish."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in self.files.items():
            (folder / name).write_bytes(data)
        facts = {
            "content": self.facts.content.model_dump(),
            "cf": self.facts.cf.model_dump(),
            "golden": {
                half: [answer.model_dump() for answer in answers] for half, answers in self.facts.golden.items()
            },
        }
        (folder / "facts.json").write_text(json.dumps(facts))


def content_model(seed: int, games: int = GAMES) -> RAGRecommender:
    """Return a content model over random unit vectors; no text was embedded."""
    vectors = np.random.default_rng(seed).normal(size=(games, DIMENSION)).astype(np.float32)
    model = RAGRecommender(ContentSettings(), NoEncoder())
    model.faiss_index = build_index(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
    model.game_ids = list(range(100, 100 + games))
    return model


def cf_model(seed: int, games: int = GAMES, users: int = USERS) -> CollaborativeFilter:
    """Return implicit's ALS, trained on random ratings."""
    rng = np.random.default_rng(seed)
    user, game = np.nonzero(rng.random((users, games)) < 0.4)
    ratings = pd.DataFrame(
        {"USER_ID": user, "GAME_ID": 100 + game, "RATING": rng.integers(1, 11, len(user)).astype(float)}
    )
    return CollaborativeFilter(CfSettings(factors=8, iterations=2, threads=1, tuning="off")).fit(ratings)


def half(seed: int, **rows: int) -> Provenance:
    """Return where a half came from: another seed is other data."""
    return Provenance(
        trained_by=f"run-{seed}",
        rows=rows,
        fingerprint=f"fingerprint-{seed}",
        settings={"seed": seed},
        code="code",
        libraries={"numpy": np.__version__},
    )


def make_parts(folder: Path, seed: int = 0, *, games: int = GAMES) -> Parts:
    """Make the parts of a release; the same seed gives the same bytes.

    Parameters
    ----------
    folder
        Where the models are saved in between.
    seed
        Of vectors and ratings.
    games
        Size of the catalogue.
    """
    content, taste = content_model(seed, games), cf_model(seed, games)
    content.save(folder)
    taste.save(folder)
    files = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
    catalogue = pd.DataFrame(
        {
            "GAME_ID": content.game_ids,
            "NAME": [f"Game {id_}" for id_ in content.game_ids],
            "CATEGORIES": "Economic",
            "MECHANICS": "Deck, Bag, and Pool Building",
        }
    )
    tags = [["Economic", "Deck, Bag, and Pool Building"]] * games
    vectors = content.vectors
    HybridRecommender().fit(taste, taste.items.codes_of(content.game_ids), vectors, tags).save(folder)
    files["hybrid.npz"] = (folder / "hybrid.npz").read_bytes()
    files["games.parquet"] = games_table(catalogue, taste.items, taste.ratings.indices)
    golden = {"content": neighbours_of(content), "cf": recommendations_of(taste)}
    facts = RunFacts(half(seed, games=games), half(seed, ratings=taste.ratings.nnz, users=USERS), golden)
    return Parts(files, facts)


def backdate(folder: Path, days: float) -> None:
    """Let a release say that it was published so many days ago, and seal it anew."""
    manifest = json.loads((folder / MANIFEST).read_bytes())
    manifest["created"] = (datetime.now(UTC) - timedelta(days=days)).isoformat(timespec="milliseconds")
    sealed = json.dumps(manifest).encode()
    (folder / MANIFEST).write_bytes(sealed)
    (folder / DIGEST).write_bytes(digest_file(sealed, None))


def npz(**arrays: Any) -> bytes:
    """Return arrays as the bytes of an ``.npz`` file, pickles allowed."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()
