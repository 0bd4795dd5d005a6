"""Errors from one process to another: by the name of their kind, and their message."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recsys import errors

if TYPE_CHECKING:
    from recsys.errors import RecsysError


def told(error: RecsysError) -> tuple[str, str]:
    """Return the nearest kind of the error tree that is made of a message alone, and the message."""
    kinds = (kind for kind in type(error).__mro__ if kind.__module__ == errors.__name__)
    return next(kind.__name__ for kind in kinds if "__init__" not in vars(kind)), str(error)


def retold(kind: str, message: str) -> RecsysError:
    """Return the error that :func:`told` told."""
    error: RecsysError = getattr(errors, kind)(message)
    return error
