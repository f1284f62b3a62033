"""A client of the service, of the standard library alone, that asks again until it knows."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

PATIENCE = 0.25  # seconds until a request is made once more


class Unanswered(RuntimeError):
    """The service did not answer in time, or answered what no retry can help."""


@dataclass(frozen=True)
class Client:
    """One caller; a request is repeated with the same idempotency key until it is answered."""

    port: int
    token: str
    seconds: float = 600.0  # for one answer, retries and all

    def generate(self, prompt: str, seed: int, count: int, key: str, model: str) -> str:
        """The id of an acknowledged job of drawing."""
        wish = {"model": model, "prompt": prompt, "seed": seed, "count": count}
        body = json.dumps(wish).encode()
        headers = {"Content-Type": "application/json", "Idempotency-Key": key}
        return str(self.insist("POST", "/v1/generations", body, headers)["id"])

    def verify(self, data: bytes, key: str) -> str:
        """The id of an acknowledged job of checking."""
        headers = {"Content-Type": "application/octet-stream", "Idempotency-Key": key}
        path = "/v1/verifications?search=quick"
        return str(self.insist("POST", path, data, headers)["id"])

    def ended(self, path: str) -> Any:
        """The job at this address, once it has ended; raises Unanswered."""
        deadline = time.monotonic() + self.seconds
        while (found := self.insist("GET", path, b"", {}))["state"] in ("queued", "running"):
            if time.monotonic() > deadline:
                raise Unanswered(f"{path} is still {found['state']}")
            time.sleep(PATIENCE)
        return found

    def insist(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Any:
        """The JSON answer, however often it must be asked for; raises Unanswered."""
        deadline = time.monotonic() + self.seconds
        while True:
            try:
                status, answer = self.once(method, path, body, headers)
            except (OSError, http.client.HTTPException) as e:
                status, answer = 0, repr(e).encode()
            if 200 <= status < 300:
                return json.loads(answer)
            if 400 <= status < 500 and status not in (408, 409, 429):
                raise Unanswered(f"{method} {path}: {status} {answer[:300]!r}")
            if time.monotonic() > deadline:
                raise Unanswered(f"{method} {path}: {status} {answer[:300]!r}, and time is up")
            time.sleep(PATIENCE)

    def once(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Status and body of one request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            authorized = {"Authorization": f"Bearer {self.token}", **(headers or {})}
            connection.request(method, path, body, authorized)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()
