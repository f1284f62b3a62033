"""`countermark production`: from now on nothing is signed under a certificate of a test."""

from __future__ import annotations

import argparse
import os
from datetime import UTC, datetime

from rich.console import Console

from workers.folder import data_folder, declare_production, open_folder


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    command = commands.add_parser(
        "production", help="declare it: a certificate of a test is refused from now on"
    )
    command.set_defaults(run=run)


def run(options: argparse.Namespace, console: Console) -> int:
    """Declare it, if the certificates are no test's."""
    with open_folder(data_folder(os.environ)) as folder:
        file = declare_production(folder, now=datetime.now(UTC))
    said = f"{file} says that this installation is for production: certificates of a test are"
    console.print(f"{said} refused", markup=False, highlight=False, soft_wrap=True)
    return 0
