"""HTTP/1.1 with bounds on what is read before a request is a request: uvicorn's parser reads on without end."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from recsys.service.exchange import request_id
from recsys.service.limits import MAX_ADDRESS, MAX_HEADERS

if TYPE_CHECKING:
    from uvicorn.config import Config
    from uvicorn.server import ServerState

_LONGEST_HEAD = 4 * (MAX_ADDRESS + MAX_HEADERS)
"""Bytes after which a head that has not ended ends the connection: what is shorter gets an answer in words."""
_PARSED = MAX_ADDRESS + 1000
"""Bytes of an address that are parsed (the parser takes 65,535): a longer one is refused by what is left of it."""


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol, which refuses a head without end, and refuses in JSON."""

    def __init__(
        self, config: Config, server_state: ServerState, app_state: dict[str, object], **given: object
    ) -> None:
        super().__init__(config, server_state, app_state, **given)  # type: ignore[arg-type]
        self._head = 0
        self._in_head = True

    def data_received(self, data: bytes) -> None:
        """Take what arrived, unless the head that it belongs to is too long."""
        if self._in_head:
            self._head += len(data)
            if self._head > _LONGEST_HEAD:
                self.send_400_response("the head of the request does not end")
                return
        super().data_received(data)

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._in_head = True

    def on_headers_complete(self) -> None:
        """End the head."""
        self._head, self._in_head = 0, False
        self.url = self.url[:_PARSED]
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """End the request; what comes next is a head again."""
        super().on_message_complete()
        self._head, self._in_head = 0, True

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no request, and end the connection."""
        content = json.dumps({"error": "NoRequest", "message": msg}).encode()
        head = (
            "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\nconnection: close\r\n"
            f"content-length: {len(content)}\r\nx-request-id: {request_id(())}\r\n\r\n"
        )
        self.transport.write(head.encode() + content)
        self.transport.close()
