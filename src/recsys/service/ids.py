"""Ids in addresses: what a request names, read as the release spells it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote

from recsys.errors import ArgumentError

if TYPE_CHECKING:
    from fastapi import Request

    from recsys.marts.ids import Id
    from recsys.serving import Recommender


def game_id(recommender: Recommender, text: str) -> Id:
    """Return the id of a game that a text spells.

    Raises
    ------
    ArgumentError
        If it spells none.
    """
    id_ = recommender.snapshot.catalogue.id_from(text)
    if id_ is None:
        raise ArgumentError(
            f"{text!r} is no game id: those of this release are whole numbers; /games finds ids by name"
            + recommender.snapshot.catalogue.hint(text)
        )
    return id_


def user_id(recommender: Recommender, text: str) -> Id:
    """Return the id of a user that a text spells; errors are those of :func:`game_id`."""
    id_ = recommender.snapshot.people.user_id(text)
    if id_ is None:
        raise ArgumentError(
            f"{text!r} is no user id: those of this release are whole numbers" + recommender.snapshot.people.hint(text)
        )
    return id_


def in_path(request: Request, cut: str) -> str:
    """Return the id at the end of an address.

    Parameters
    ----------
    request
        The request.
    cut
        The id as the framework cut the path.
    """
    ending = _ending(request, cut)
    return cut if ending is None else unquote(ending)


def both_in_path(request: Request, first: str, second: str) -> tuple[str, str]:
    """Return the two ids at the end of an address, of which the first may hold ``%2F``.

    The path is decoded before it is cut, and so the first id is cut at its own slash; the address as it was
    sent tells them apart. Where there is none, the ids are taken as they were cut.

    Parameters
    ----------
    request
        The request.
    first, second
        The ids as the framework cut the path.
    """
    one, slash, other = (_ending(request, f"{first}/{second}") or "").partition("/")
    return (unquote(one), unquote(other)) if slash else (first, second)


def _ending(request: Request, cut: str) -> str | None:
    """Return the end of the address as it was sent, still encoded; None where that is not known."""
    path, sent = request.scope["path"], request.scope.get("raw_path") or b""
    sent = sent.partition(b"?")[0].decode("latin-1")
    # Some clients that ask without a network decode the path twice.
    if path not in {decoded := unquote(sent), unquote(decoded)} or not path.endswith(cut):
        return None
    return sent.split("/", path.removesuffix(cut).count("/"))[-1]
