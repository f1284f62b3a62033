"""Clients in closed loops: what they count, and that a failed request ends it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bench.serving import load
from bench.serving.running import Running


class Door(BaseHTTPRequestHandler):
    """Answers 200, and 503 below /away."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        assert self.headers["Authorization"] == "Bearer cm_x"
        self.send_response(503 if self.path.startswith("/away") else 200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield Running(tmp_path, {}, server.server_address[1], "cm_x")
    server.shutdown()
    thread.join()
    server.server_close()


def test_every_answer_counts_and_takes_its_time(running: Running) -> None:
    row = load._point(running, 4, lambda one: one.ask("GET", "/here", b"", {}), 0.5)
    assert row[0] == "4"
    assert float(row[1]) > 20
    assert 0 <= int(row[2]) <= int(row[3]) < 1000


def test_a_failed_request_ends_the_measurement(running: Running) -> None:
    with pytest.raises(RuntimeError, match="GET /away: 503 b'ok'"):
        load._point(running, 2, lambda one: one.ask("GET", "/away", b"", {}), 5.0)
