"""`countermark serve`: the service on this machine, with nothing else to install."""

from __future__ import annotations

import argparse
import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from provenance.settings import read_settings
from workers.access import admin_key
from workers.commands import Usage
from workers.folder import KEYS, data_folder, make, open_folder
from workers.serve import serve

LOCK = "serve.lock"


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    command = commands.add_parser("serve", help="the HTTP service, with its workers beside it")
    command.add_argument("--host", default="127.0.0.1")
    command.add_argument("--port", type=int, default=8000)
    command.set_defaults(run=run)


def run(options: argparse.Namespace, console: Console) -> int:
    """Make sure of the data folder, then serve until told to stop."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s serve %(message)s")
    place = data_folder(os.environ)
    settings = read_settings(os.environ, place)
    if settings.broker is not None:
        raise Usage("COUNTERMARK_BROKER is set: `serve` is for one machine without a broker")
    if not (place / KEYS).exists():
        make(place, now=datetime.now(UTC))
        console.print(f"made {place}", markup=False, highlight=False, soft_wrap=True)
        console.print(admin_key(place), markup=False, highlight=False, soft_wrap=True)
    with open_folder(place, database=settings.database):
        pass  # whole, and its tables are up to date, before the first child asks
    with alone(place):
        address = f"http://{options.host}:{options.port}"
        console.print(f"the page: {address}/  the API: {address}/openapi.json", markup=False)
        serve(options.host, options.port, os.environ)
    return 0


@contextmanager
def alone(place: Path) -> Iterator[None]:
    """No other `serve` on this folder meanwhile; raises Usage."""
    with (place / LOCK).open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as e:
            raise Usage(f"another `countermark serve` runs on {place}") from e
        yield
