"""A server on this machine that webhooks may be sent to."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Listener:
    """A server that notes what it is sent and answers with a status."""

    def __init__(self) -> None:
        self.status, self.headers = 204, dict[str, str]()
        self.got: list[tuple[dict[str, str], bytes]] = []
        outer = self

        class Noting(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                outer.got.append(({k.lower(): v for k, v in self.headers.items()}, body))
                self.send_response(outer.status)
                for name, value in outer.headers.items():
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Noting)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/hook"


@contextmanager
def listening() -> Iterator[Listener]:
    """A listener, as long as the block lasts."""
    made = Listener()
    thread = threading.Thread(target=made.server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield made
    finally:
        made.server.shutdown()
        thread.join()
        made.server.server_close()
