"""Damage: whatever is wrong with a file of a release, said in one way."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from recsys.errors import ArtifactCorrupt

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Turn whatever a parser raises in the block into damage of a file.

    Parameters
    ----------
    name
        The file's name.

    Raises
    ------
    ArtifactCorrupt
        In place of any other exception.
    """
    try:
        yield
    except ArtifactCorrupt:
        raise
    except Exception as error:
        # Parsers fail in their own ways: BadZipFile, RuntimeError, RecursionError, MemoryError, ArrowInvalid…
        raise ArtifactCorrupt(f"{name} cannot be read: {type(error).__name__}: {error}") from error


def expect(name: str, *, sound: bool, problem: str) -> None:
    """Refuse a file that is not what it must be.

    Raises
    ------
    ArtifactCorrupt
        If it is not sound; the message names the file and the problem.
    """
    if not sound:
        raise ArtifactCorrupt(f"{name} cannot be read: {problem}")
