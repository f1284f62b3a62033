"""`countermark init`: the data folder with its keys and its empty log."""

from __future__ import annotations

import argparse
import os
from datetime import UTC, datetime

from rich.console import Console

from provenance.ledger.note import format_vkey
from provenance.pki import TEST_ORGANIZATION
from provenance.settings import read_settings, sqlite_url
from workers.access import admin_key
from workers.folder import KEYS, TENANT, data_folder, make, open_folder


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    command = commands.add_parser("init", help="make the data folder: secret keys, an empty log")
    command.add_argument("--log", metavar="NAME", help="the log's name for ever, e.g. a.org/log")
    command.add_argument(
        "--keep", action="store_true", help="bring one that is there already up to date"
    )
    command.set_defaults(run=run)


def run(options: argparse.Namespace, console: Console) -> int:
    """Make the data folder."""
    folder = data_folder(os.environ)
    settings = read_settings(os.environ, folder)
    if options.keep and (folder / KEYS).exists():
        with open_folder(folder, database=settings.database):
            console.print(f"{folder} is there, and up to date", markup=False, highlight=False)
        return 0
    elsewhere = None if settings.database == sqlite_url(folder) else settings.database
    made = make(folder, origin=options.log, now=datetime.now(UTC), database=elsewhere)
    key = made.marks().active(TENANT)
    (log,) = made.log_verifiers()
    console.print(
        f"made {folder} with mark key {key.key_id}; keep the folder secret, back it up\n"
        f"manifests are signed by a certificate of a test ({TEST_ORGANIZATION}), which nobody else "
        f"trusts; every picture and its record will say so\n"
        f"whoever checks a proof needs this key of the log: {format_vkey(log)}\n"
        f"{admin_key(folder)}",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
    return 0
