"""The way in: a release's folder becomes a recommender."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recsys.serving.recommender import Recommender

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from recsys.embedding import Encoder


def load(
    path: Path | str = "models/v1",
    *,
    public_keys: Sequence[Path | str] | None = None,
    encoder: Encoder | None = None,
    eager: bool = False,
    wait: bool = False,
    apart: bool = False,
) -> Recommender:
    """Verify a release, load it, and return what answers from it.

    Parameters
    ----------
    path
        The release's folder, or the link to the current one; or an address, ``s3://bucket/models``, with ``/v1`` or
        ``/releases/NAME`` after it: then it is copied to this machine first, each digest compared.
    public_keys
        PEM files of public keys (P-256), of which one must have signed it; those that ``RECSYS_PUBLIC_KEY_FILES``
        names, if it is set, when not given.
    encoder
        Turns texts into vectors for :meth:`Recommender.search`; the release's own model, from the
        extra ``train``, when not given.
    eager
        Build at once what is otherwise built when it is first needed (the indexes of tags and
        names), so that no later question waits for it, and begin to fill a table of every game's
        nearest neighbours in the background.
    wait
        Load nothing yet: the first :meth:`Recommender.reload` does, and until one succeeds every question raises
        ``ReleaseNotFound``.
    apart
        Let a process of its own load each release after the first one, so that no question waits for that; for
        servers. On systems other than POSIX it is loaded here all the same.

    Raises
    ------
    ReleaseNotFound, ArtifactCorrupt, IncompatibleArtifact
        If there is no release, or it is not sound.
    StoreError
        If an object store cannot be asked, and nothing was ever copied from it.
    """
    return Recommender(path, public_keys=public_keys, encoder=encoder, eager=eager, wait=wait, apart=apart)
