"""A server of the Hugging Face hub's protocol, as far as fetching a repository needs it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import ClassVar

COMMIT = "c0ffee" + "0" * 34


class _Asked(BaseHTTPRequestHandler):
    answers: ClassVar[dict[str, bytes]]

    def do_GET(self) -> None:
        body = self.answers.get(self.path.split("?", 1)[0])
        self.send_response(404 if body is None else 200)
        self.send_header("X-Repo-Commit", COMMIT)
        if body is None:
            self.send_header("X-Error-Code", "RepoNotFound")
        else:
            self.send_header("ETag", f'"{sha256(body).hexdigest()}"')
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body or b"")

    do_HEAD = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def _answers(repository: str, files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Path to body."""
    tree = [
        {"type": "file", "path": name, "size": len(body), "oid": sha256(body).hexdigest()}
        for name, body in files.items()
    ]
    told = {
        "id": repository,
        "sha": COMMIT,
        "siblings": [{"rfilename": name} for name in files],
    }
    about = f"/api/models/{repository}"
    return {
        f"{about}/revision/main": json.dumps(told).encode(),
        f"{about}/tree/{COMMIT}": json.dumps(tree).encode(),
        **{f"/{repository}/resolve/{COMMIT}/{name}": body for name, body in files.items()},
    }


@contextmanager
def serving(repository: str, files: Mapping[str, bytes]) -> Iterator[str]:
    """The address of a hub that holds one repository."""
    handler = type("Asked", (_Asked,), {"answers": _answers(repository, files)})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
