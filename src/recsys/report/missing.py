"""What a section says when the release lacks what it would show."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from recsys.release.records import Record

if TYPE_CHECKING:
    from recsys.release.metrics import Metrics
    from recsys.report.contents import Catalogue, Contents, Taste


class Missing(Exception):
    """The release does not hold what a section shows; the message is the sentence that stands there instead."""


NO_MODELS = "The models are not here: of a refused candidate only its scores are kept."


Found = TypeVar("Found")
AnyRecord = TypeVar("AnyRecord", bound=Record)


def evaluated(release: Contents) -> Metrics:
    """Return what ``metrics.json`` says, or raise :class:`Missing` if the release was not evaluated."""
    if release.metrics is None:
        raise Missing("This release was published without an evaluation: it holds no metrics.json.")
    return release.metrics


def said(found: Found | None, *path: str) -> Found:
    """Return a value of ``metrics.json``.

    Parameters
    ----------
    found
        The value; None, or empty, where the file does not say.
    path
        Keys that lead to it.

    Raises
    ------
    Missing
        If there is nothing.
    """
    empty = not found.model_fields_set if isinstance(found, Record) else found in ((), {})
    if found is None or empty:
        raise Missing(f"metrics.json of this release says nothing about “{' › '.join(path)}”.")
    return found


def whole(found: AnyRecord) -> AnyRecord:
    """Return a finding of which every key is there, or raise :class:`Missing` with the first that is not."""
    for name in type(found).model_fields:
        if name not in found.model_fields_set:
            raise Missing(f"This release does not say what this section shows: '{name}' is missing.")
    return found


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
