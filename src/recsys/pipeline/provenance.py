"""Where a half of a release comes from: data, settings, code and libraries."""

from __future__ import annotations

import hashlib
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from recsys.release.fingerprint import games_fingerprint, ratings_fingerprint
from recsys.release.manifest import Provenance

if TYPE_CHECKING:
    import pandas as pd

    from recsys.config import Settings
    from recsys.embedding import Encoder
    from recsys.marts.ratings import Ratings

PACKAGE = Path(__file__).resolve().parents[1]
"""Folder of this package's source."""

CONTENT_LIBRARIES = ("numpy", "faiss-cpu", "sentence-transformers", "transformers", "tokenizers", "torch", "openvino")
"""What the content half is computed with, as far as it is installed.

Those of both engines: which of them runs is no input, and a run that takes the other one is not new.
"""
CF_LIBRARIES = ("numpy", "scipy", "implicit", "numba")
"""What the CF half is computed with, as far as it is installed."""

_LIMIT_S = 10
_NO_INPUT = {"dbt": True, "observers": True, "scenario": True, "release": True}
"""Sections that are no part of what a half is: who vouches for its data, who hears of it, where it lies and how long;
scenarios stand in the manifest by themselves."""


def content_provenance(
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
        Settings of the run; the section ``cf`` has no part in this half.
    encoder
        The encoder; its recipe is part of the settings.
    query_id
        The source's name of the query that fetched the games.
    """
    return Provenance(
        trained_by=run_id,
        rows={"games": len(games)},
        fingerprint=games_fingerprint([games[column] for column in games.columns]),
        settings={
            **settings.model_dump(mode="json", exclude={"cf": True, **_NO_INPUT}),
            "recipe": dict(encoder.recipe),
        },
        code=code_digest(),
        libraries=versions(CONTENT_LIBRARIES),
        query_id=query_id,
        computed_on=dict(encoder.runs_on),
    )


def counted(provenance: Provenance, encoder: Encoder) -> Provenance:
    """Return a content model's provenance with the precisions of its vectors, the last that the encoder returned.

    They are known once the texts are encoded; before, the inputs say whether anything is new. An encoder of somebody
    else's counts nothing.
    """
    from recsys.embedding.encoder import TextEncoder

    if not isinstance(encoder, TextEncoder):
        return provenance
    return provenance.model_copy(update={"precisions": dict(encoder.precisions)})


def cf_provenance(run_id: str, ratings: Ratings, settings: Settings, query_id: str | None) -> Provenance:
    """Record where a collaborative filter comes from; ``content`` has no part in this half."""
    return Provenance(
        trained_by=run_id,
        rows={"ratings": ratings.matrix.nnz, "users": len(ratings.users), "games": len(ratings.items)},
        fingerprint=ratings_fingerprint(ratings.users, ratings.items, ratings.matrix, ratings.rated_at),
        settings=settings.model_dump(mode="json", exclude={"content": True, **_NO_INPUT}),
        code=code_digest(),
        libraries=versions(CF_LIBRARIES),
        query_id=query_id,
    )


def code_digest(package: Path = PACKAGE) -> str:
    """Return the SHA-256 of the package's source: names and contents of all its Python files."""
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{path.relative_to(package).as_posix()} {content}\n".encode())
    return digest.hexdigest()


def versions(names: tuple[str, ...]) -> dict[str, str]:
    """Return the installed versions of distributions, and Python's; what is not installed is left out."""
    installed = {"python": platform.python_version()}
    for name in names:
        try:
            installed[name] = version(name)
        except PackageNotFoundError:
            continue
    return installed


def git_commit(package: Path = PACKAGE) -> str | None:
    """Return the commit that the source was checked out from.

    Returns
    -------
    str or None
        The commit, with ``-dirty`` where tracked files were changed since. None where the source is
        no part of a git checkout (an installed package inside somebody's project is not, either),
        or git is not installed.
    """
    if _git(package, "ls-files", "--error-unmatch", "__init__.py") is None:
        return None
    commit = _git(package, "rev-parse", "HEAD")
    if not commit:
        return None
    return f"{commit}-dirty" if _git(package, "status", "--porcelain", "--untracked-files=no", ".") else commit


def _git(folder: Path, *arguments: str) -> str | None:
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",  # a remark of git's in another encoding is no reason to end a run
            timeout=_LIMIT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
