"""The ASGI front: login, queries and chunks, with everything that fakesnow lacks."""

from __future__ import annotations

import base64
import gzip
import json
import re
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import fakesnow.server as fake

from standins.snowflake import chunks
from standins.snowflake.faults import Fault, misbehave
from standins.snowflake.identity import Identity
from standins.snowflake.roles import Roles

_AS_OF = re.compile(r" AT\(TIMESTAMP => '([^']+)'::TIMESTAMP_TZ\)$")


@dataclass
class State:
    """What a test sets, and what it may look at.

    Attributes
    ----------
    chunks
        How many a result comes in, the inline one counted.
    as_of
        Whether reading as of a moment is allowed.
    replaced
        When each table was last replaced, by name, in ISO 8601: reading as of earlier fails.
    json_results
        Send rows as JSON, as accounts with that parameter do.
    """

    chunks: int = 1
    as_of: bool = True
    replaced: dict[str, str] = field(default_factory=dict)
    json_results: bool = False
    faults: list[Fault] = field(default_factory=list)
    roles: Roles = field(default_factory=Roles)
    identity: Identity = field(default_factory=Identity)
    statements: list[str] = field(default_factory=list)
    described: list[str] = field(default_factory=list)
    session: dict[str, Any] = field(default_factory=dict)

    def struck(self, where: str) -> Fault | None:
        """Return the fault that strikes at a place, if one does."""
        return next((fault for fault in self.faults if fault.where == where and fault.strikes()), None)


class Front:
    """The application that the server runs."""

    def __init__(self) -> None:
        self.state = State()
        self.results: dict[str, list[bytes]] = {}
        self.cache: dict[tuple[str, int], tuple[dict[str, Any], list[bytes]]] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        path = scope["path"]
        if path.startswith("/standin/chunk/"):
            await self._chunk(path, receive, send)
            return
        body = await _body(receive)
        if path.startswith("/standin/"):
            await _reply(send, self._control(path.removeprefix("/standin/"), json.loads(body or b"{}")))
        elif path == "/session/v1/login-request":
            await self._login(scope, _plain(scope, body), receive, send)
        elif path == "/queries/v1/query-request":
            await self._query(scope, _plain(scope, body), receive, send)
        elif path == "/session/token-request":
            await self._renew(_plain(scope, body), send)
        elif path == "/session" and (fault := self.state.struck("close")):
            await misbehave(fault.kind, receive, send)
        else:
            await fake.app(scope, _replay(body), send)

    def _control(self, what: str, given: dict[str, Any]) -> dict[str, Any]:
        """Change or show the state: what tests use."""
        if what == "reset":
            identity = self.state.identity
            identity.seen.clear()
            self.state = State(identity=identity)
            self.results.clear()
        elif what == "set":
            if "faults" in given:
                given["faults"] = [Fault(**fault) for fault in given["faults"]]
            for section, kind in (("roles", Roles), ("identity", Identity)):
                if section in given:
                    given[section] = kind(**given[section])
            for name, value in given.items():
                setattr(self.state, name, value)
        elif what == "duckdb":
            self.cache.clear()
            for statement in given["statements"]:
                fake.shared_fs.duck_conn.execute(statement)
        return {
            "statements": self.state.statements,
            "described": self.state.described,
            "session": self.state.session,
            "sign_ins": self.state.identity.seen,
        }

    async def _login(self, scope: Any, body: bytes, receive: Any, send: Any) -> None:
        if fault := self.state.struck("login"):
            await (
                _refuse(send, fault.code, fault.message)
                if fault.kind == "code"
                else misbehave(fault.kind, receive, send)
            )
            return
        data = json.loads(body)["data"]
        self.state.session = data.get("SESSION_PARAMETERS", {})
        if refusal := self.state.identity.refuses(data):
            await _refuse(send, *refusal)
            return
        status, reply = await _fetch(_uncompressed(scope), body)
        reply["data"]["masterToken"] = reply["data"]["token"]
        await _reply(send, reply, status)

    async def _renew(self, body: bytes, send: Any) -> None:
        """Give an expired session a new token for the same connection."""
        old = json.loads(body)["oldSessionToken"]
        if old not in fake.sessions:
            await _refuse(send, "390114", "Authentication token has expired. The user must authenticate again.")
            return
        token = f"renewed-{uuid.uuid4()}"
        fake.sessions[token] = fake.sessions[old]
        await _reply(send, {"success": True, "data": {"sessionToken": token, "masterToken": token}})

    async def _query(self, scope: Any, body: bytes, receive: Any, send: Any) -> None:
        asked = json.loads(body)
        sql = asked["sqlText"].strip()
        self.state.statements.append(sql)
        if asked.get("describeOnly"):
            self.state.described.append(sql)
        try:
            answer = self._canned(sql)
        except KeyError as missing:
            await _refuse(send, "002003", f"SQL compilation error: Object {missing} does not exist or not authorized.")
            return
        if answer is not None:
            await _reply(send, _rows(*answer))
            return
        plain = _AS_OF.sub("", sql)
        if (as_of := _AS_OF.search(sql)) and (reason := self._not_as_of(plain, as_of[1])):
            await _refuse(send, "000707", reason)
            return
        if not asked.get("describeOnly") and (fault := self.state.struck("query")):
            await self._fail(fault, receive, send)
            return
        asked["sqlText"] = plain
        await self._run(scope, asked, send)

    def _canned(self, sql: str) -> tuple[list[str], list[list[str | None]]] | None:
        if sql.startswith("SELECT TO_VARCHAR(CURRENT_TIMESTAMP()"):
            return ["NOW"], [[datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f+00:00")]]
        return self.state.roles.answer(sql)

    def _not_as_of(self, sql: str, moment: str) -> str | None:
        table = sql.rsplit(".", 1)[-1]
        if not self.state.as_of:
            return f"Time travel data is not available for table {table}."
        if moment < self.state.replaced.get(table, ""):
            return f"Time travel data is not available for table {table}. The requested time is before its creation."
        return None

    async def _fail(self, fault: Fault, receive: Any, send: Any) -> None:
        codes = {
            "expired": ("390112", "Your session has expired. Please login again."),
            "gone": ("390111", "Session no longer exists. New login required to access the service."),
            "code": (fault.code, fault.message),
        }
        if fault.kind in codes:
            await _refuse(send, *codes[fault.kind])
        else:
            await misbehave(fault.kind, receive, send)

    async def _run(self, scope: Any, asked: dict[str, Any], send: Any) -> None:
        """Let fakesnow run a query, and send the result in chunks."""
        key = (asked["sqlText"], self.state.chunks)
        if not asked["sqlText"].upper().startswith("SELECT"):  # it may change what a query answers
            self.cache.clear()
            await _reply(send, *reversed(await _fetch(_uncompressed(scope), json.dumps(asked).encode())))
            return
        if key not in self.cache or asked.get("describeOnly"):
            status, reply = await _fetch(_uncompressed(scope), json.dumps(asked).encode())
            if status != 200 or not reply.get("success") or not reply["data"].get("rowsetBase64"):
                await _reply(send, reply, status)
                return
            table = chunks.read(reply["data"].pop("rowsetBase64"))
            pieces = chunks.split(table, self.state.chunks)
            reply["data"]["counts"] = [piece.num_rows for piece in pieces]
            self.cache[key] = (reply, [chunks.write(piece) for piece in pieces])
        reply, pieces = self.cache[key]
        await _reply(send, self._announced(scope, reply, pieces))

    def _announced(self, scope: Any, reply: dict[str, Any], pieces: list[bytes]) -> dict[str, Any]:
        """Return the answer to a query: the first chunk inside, the addresses of the others."""
        name, (host, port) = uuid.uuid4().hex, scope["server"]
        self.results[name] = pieces
        data = dict(reply["data"])
        counts = data.pop("counts")
        inline = pieces[0]
        if self.state.struck("inline"):
            inline = chunks.half(inline)
        data["rowsetBase64"] = base64.b64encode(inline).decode()
        data["queryId"] = str(uuid.uuid4())
        data["chunks"] = [
            {
                "url": f"http://{host}:{port}/standin/chunk/{name}/{number}",
                "rowCount": counts[number],
                "uncompressedSize": len(piece),
                "compressedSize": len(piece),
            }
            for number, piece in enumerate(pieces)
            if number
        ]
        if self.state.json_results:
            data |= {"queryResultFormat": "json", "rowset": [["1"] * len(data["rowtype"])], "chunks": [], "total": 1}
        return {**reply, "data": data}

    async def _chunk(self, path: str, receive: Any, send: Any) -> None:
        name, _, number = path.removeprefix("/standin/chunk/").partition("/")
        pieces = self.results.get(name, [])
        where = {1: "first", len(pieces) - 1: "later"}.get(int(number))
        fault = self.state.struck(where) if where else None
        if not pieces:
            await misbehave("404", receive, send)
        elif fault and fault.kind != "short":
            await misbehave(fault.kind, receive, send)
        else:
            piece = pieces[int(number)]
            await _bytes(send, chunks.half(piece) if fault else piece)


def _rows(columns: list[str], rows: list[list[str | None]]) -> dict[str, Any]:
    """Return the answer to a statement whose rows are texts."""
    text = {"type": "text", "length": 16777216, "byteLength": 16777216, "precision": None, "scale": None}
    rowtype = [{**text, "name": name, "nullable": True} for name in columns]
    data = {"rowtype": rowtype, "rowset": rows, "total": len(rows), "queryResultFormat": "json"}
    return {"success": True, "data": {**data, "queryId": str(uuid.uuid4()), "parameters": []}}


async def _body(receive: Any) -> bytes:
    body: bytes = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return body


def _plain(scope: Any, body: bytes) -> bytes:
    return gzip.decompress(body) if dict(scope["headers"]).get(b"content-encoding") == b"gzip" else body


def _uncompressed(scope: Any) -> Any:
    dropped = {b"content-encoding", b"content-length"}
    return {**scope, "headers": [(name, value) for name, value in scope["headers"] if name not in dropped]}


def _replay(body: bytes) -> Any:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


async def _fetch(scope: Any, body: bytes) -> tuple[int, dict[str, Any]]:
    """Ask fakesnow, and return its status and answer."""
    status, received = 500, b""

    async def send(message: Any) -> None:
        nonlocal status, received
        status = message.get("status", status)
        received += message.get("body", b"")

    await fake.app(scope, _replay(body), send)
    return status, json.loads(received)


async def _refuse(send: Any, code: str, message: str) -> None:
    data = {"errorCode": code, "sqlState": "42S02" if code == "002003" else "08001", "queryId": str(uuid.uuid4())}
    await _reply(send, {"success": False, "code": code, "message": message, "data": data})


async def _reply(send: Any, answer: dict[str, Any], status: int = 200) -> None:
    await _bytes(send, json.dumps(answer).encode(), status)


async def _bytes(send: Any, body: bytes, status: int = 200) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
