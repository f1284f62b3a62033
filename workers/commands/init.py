"""`countermark init`: the data folder and its keys."""

from __future__ import annotations

import argparse
import os
from datetime import UTC, datetime

from rich.console import Console

from workers.folder import TENANT, data_folder, make


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    command = commands.add_parser("init", help="make the data folder with a secret mark key")
    command.set_defaults(run=run)


def run(options: argparse.Namespace, console: Console) -> int:
    """Make the data folder."""
    folder = data_folder(os.environ)
    key = make(folder, now=datetime.now(UTC)).active(TENANT)
    console.print(f"made {folder} with mark key {key.key_id}; keep the folder secret, back it up")
    return 0
