"""A witness that answers over HTTP (c2sp.org/tlog-witness): one log, one key, one state file.

`POST /add-checkpoint` signs a checkpoint that extends what was signed before, and nothing else;
`GET /ORIGIN-HASH/checkpoint` shows what was signed last. Whoever asks is not asked who they are:
the log's signature is what counts. The optional `sign-subtree` is not offered.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.types import Receive, Scope, Send

from provenance.ledger.checkpoint import open_checkpoint
from provenance.ledger.errors import Broken, Malformed, NotProven, OtherSize, WrongLog
from provenance.ledger.note import Signer, Verifier
from provenance.ledger.witness import (
    ADD,
    MAX_REQUEST_BYTES,
    SIZE_TYPE,
    format_cosignature,
    parse_request,
)
from workers.witness import answer

SECONDS = 10.0  # for a whole request to come in
TEXT = "text/plain; charset=utf-8"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reply:
    """An answer as it is sent."""

    status: int
    body: bytes
    media: str = TEXT


@dataclass(frozen=True)
class WitnessDoor:
    """An ASGI application: the witness of one log, whose keys share one name."""

    log: Sequence[Verifier]
    witness: Signer
    state: Path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        reply = await self._reply(scope, receive)
        headers = [
            (b"content-type", reply.media.encode()),
            (b"content-length", str(len(reply.body)).encode()),
        ]
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": reply.body})

    async def _reply(self, scope: Scope, receive: Receive) -> Reply:
        shown = f"/{sha256(self.log[0].name.encode()).hexdigest()}/checkpoint"
        match scope["method"], scope["path"]:
            case "POST", path if path == f"/{ADD}":
                try:
                    async with asyncio.timeout(SECONDS):
                        body = await _read(receive)
                except TimeoutError:
                    return Reply(408, b"the request did not come in whole\n")
                return await run_in_threadpool(self._add, body)
            case "GET", path if path == shown:
                return await run_in_threadpool(self._show)
            case _:
                return Reply(404, b"there is nothing here\n")

    def _add(self, body: bytes) -> Reply:
        """In the order of the specification, which says what is wrong first."""
        try:
            request = parse_request(body)
            new = open_checkpoint(request.checkpoint, self.log).checkpoint
        except WrongLog as e:
            return _refuse(404, e)
        except NotProven as e:
            return _refuse(403, e)
        except Malformed as e:
            return _refuse(400, e)
        if request.old_size > new.size:
            return Reply(400, b"the old size is larger than the new one\n")
        try:
            now = datetime.now(UTC)
            note = answer(body, self.state, log=self.log, witness=self.witness, now=now)
        except OtherSize as e:
            return Reply(409, f"{e.size}\n".encode(), SIZE_TYPE)
        except (NotProven, Malformed) as e:
            _log.error("not signed: %s; the request was %r", e, body)  # evidence of a fork
            return _refuse(422, e)
        except (Broken, OSError) as e:
            _log.error("nothing can be signed: %s", e)
            return Reply(500, b"the witness cannot sign\n")
        return Reply(200, format_cosignature(note, self.witness.verifier))

    def _show(self) -> Reply:
        note = self.state.read_bytes()
        return Reply(200, note) if note else Reply(404, b"nothing was signed yet\n")


async def _read(receive: Receive) -> bytes:
    """The body, or as much of it as is too long for `parse_request`."""
    body, more = b"", True
    while more and len(body) <= MAX_REQUEST_BYTES:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


def _refuse(status: int, error: Exception) -> Reply:
    return Reply(status, f"{error}\n".encode())
