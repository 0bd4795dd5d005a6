"""Which answer a client has already: the release as ETag.

An answer follows from the address, the release and the code. Between two machines the last digits of its scores may
differ, so the tag is a weak one (RFC 9110, 8.8.1): equal tags say the same list, not the same bytes.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import quote
from weakref import WeakKeyDictionary

from fastapi import Response

from recsys.pipeline.provenance import code_digest
from recsys.service.responses import ONLY_THEIRS

if TYPE_CHECKING:
    from fastapi import Request

    from recsys.service.responses import Answered
    from recsys.serving import Recommender
    from recsys.serving.snapshot import Snapshot

_TAG = re.compile(r'(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")')
_identities: WeakKeyDictionary[Snapshot, bytes] = WeakKeyDictionary()


@dataclass(frozen=True)
class Known:
    """An answer that the client has.

    Attributes
    ----------
    release
        Whose answer it is.
    tag
        Its ETag.
    """

    release: str
    tag: str

    def unchanged(self) -> Response:
        """Return 304, with the headers that the answer would have."""
        return Response(status_code=304, headers={"ETag": self.tag, "Cache-Control": ONLY_THEIRS})


def matching(request: Request) -> Known | None:
    """Return the answer that a request says it has, if that is the one it would get; None where it has to be made."""
    asked = request.headers.get("if-none-match")
    recommender: Recommender = request.app.state.recommender
    if not asked or not recommender.is_loaded:
        return None
    at = recommender.snapshot
    tag = _tag(request, at)
    # `*` is met by any answer, but not by a refusal: that is known once it is made.
    return Known(at.name, tag) if tag.removeprefix("W/") in _TAG.findall(asked) else None


def put(request: Request, response: Answered) -> None:
    """Name the release of an answer in its ETag; nothing where it is not served any more."""
    recommender: Recommender = request.app.state.recommender
    if response.release == (at := recommender.snapshot).name:
        response.headers["ETag"] = _tag(request, at)


def _tag(request: Request, at: Snapshot) -> str:
    address = request.scope.get("raw_path") or request.scope["path"].encode()
    asked = b"\0".join([_identity(at), address, request.scope["query_string"]])
    return f'W/"{quote(at.name)}-{hashlib.sha256(asked).hexdigest()[:16]}"'


def _identity(at: Snapshot) -> bytes:
    """Return what tells a release from every other, and this code from another: names may come again, bytes do not."""
    if at not in _identities:
        files = sorted((name, facts.sha256) for name, facts in at.manifest.files.items())
        _identities[at] = repr((_code(), files)).encode()
    return _identities[at]


@cache
def _code() -> str:
    return code_digest()
