"""What a section says when the release lacks what it would show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recsys.report.contents import Catalogue, Contents, Taste


class Missing(Exception):
    """The release does not hold what a section shows; the message is the sentence that stands there instead."""


NO_MODELS = "The models are not here: of a refused candidate only its scores are kept."


def measured(release: Contents, *path: str) -> Any:
    """Return a value of ``metrics.json``.

    Raises
    ------
    Missing
        If the release was not evaluated, or says nothing about it.
    """
    if not release.metrics:
        raise Missing("This release was published without an evaluation: it holds no metrics.json.")
    value: Any = release.metrics
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    if value is None:
        raise Missing(f"metrics.json of this release says nothing about “{' › '.join(path)}”.")
    return value


def shown(release: Contents) -> Catalogue:
    """Return the catalogue, or raise :class:`Missing`."""
    if release.catalogue is None:
        raise Missing(NO_MODELS)
    return release.catalogue


def taste(release: Contents) -> Taste:
    """Return the CF half, or raise :class:`Missing`."""
    if release.taste is None:
        raise Missing(NO_MODELS)
    return release.taste


def replaced(release: Contents, current: Contents | None) -> Contents:
    """Return the release that was current before, or raise :class:`Missing`."""
    if current is not None:
        return current
    if release.facts.replaces is None:
        raise Missing("There is nothing to compare with: no release was current before this one.")
    raise Missing(f"Release {release.facts.replaces}, which this one replaced, is no longer in the store.")
