"""`python -m api [--host HOST] [--port PORT]`: serve the API of the installation."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

import platformdirs
import uvicorn

from api import logs
from api.app import create_app
from provenance import tracing
from provenance.settings import read_settings


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m api", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    options = parser.parse_args(arguments)
    named = os.environ.get("COUNTERMARK_DATA")
    data = Path(named) if named else platformdirs.user_data_path("countermark")
    logs.configure()
    tracing.configure(os.environ, "api")
    reached = {"COUNTERMARK_PUBLIC_URL": address(options.host, options.port)}
    uvicorn.run(
        create_app(read_settings(reached | os.environ, data)),
        host=options.host,
        port=options.port,
        log_config=None,
        access_log=False,
        server_header=False,
        h11_max_incomplete_event_size=64 * 1024,
        timeout_graceful_shutdown=10,
    )


def address(host: str, port: int) -> str:
    """How a caller on this machine reaches a server that listens there."""
    if host in ("0.0.0.0", "::"):  # noqa: S104 - every address, so this machine's own is one
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


if __name__ == "__main__":
    main()
