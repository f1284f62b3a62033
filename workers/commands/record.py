"""`countermark record`: what is said about an entry, or about a detector, after it was made.

Each command appends one entry and signs a checkpoint over it. None changes what is there already:
only `erase` deletes, and of the log nothing but the values behind commitments; with a prompt it
deletes the copy that the job of the picture holds.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from datetime import UTC, datetime

from rich.console import Console
from sqlalchemy.orm import Session

from provenance.database import snapshot, transaction
from provenance.forgetting import erase
from provenance.ledger.anchor import sign_checkpoint
from provenance.ledger.encoding import printable
from provenance.ledger.log import (
    Draft,
    Entry,
    append,
    find_statements_about,
    read_record,
    read_subject,
)
from provenance.ledger.record import (
    VERSION_LINE,
    Deletion,
    Number,
    Revocation,
    ThresholdChange,
    format_record,
)
from workers.commands.log import add_entry, find_entry
from workers.folder import data_folder, open_folder


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    record = commands.add_parser("record", help="show, revoke and erase what was recorded")
    acts = record.add_subparsers(dest="act", required=True)
    show = acts.add_parser("show", help="an entry, and what later ones say about it")
    show.set_defaults(run=run_show)
    revoke = acts.add_parser("revoke", help="what the entry says no longer stands")
    revoke.set_defaults(run=run_revoke)
    wipe = acts.add_parser("erase", help="delete the values behind an entry's commitments")
    wipe.add_argument("--field", action="append", required=True, metavar="NAME", help="prompt")
    wipe.set_defaults(run=run_erase)
    gone = acts.add_parser("deleted", help="say that what was kept of it elsewhere was deleted")
    gone.add_argument("--kept", action="append", required=True, metavar="WHAT", help="file ...")
    gone.set_defaults(run=run_deleted)
    change = acts.add_parser("threshold", help="say that a detector decides differently from now")
    change.add_argument("--detector", required=True, metavar="NAME")
    change.add_argument("--version", required=True, metavar="V")
    for side in ("old", "new"):
        change.add_argument(f"--{side}", required=True, metavar="N", help="decimal, e.g. 1e-6")
    change.set_defaults(run=run_threshold)
    for command in (show, revoke, wipe, gone):
        add_entry(command)
    for command in (revoke, wipe, gone, change):
        command.add_argument("--reason", required=True, metavar="TEXT", help="public for ever")


def run_show(options: argparse.Namespace, console: Console) -> int:
    """Print the entry and all that later entries say about it."""
    with open_folder(data_folder(os.environ)) as folder, snapshot(folder.engine) as session:
        index = find_entry(session, options)
        found = [index, *find_statements_about(session, [index])]
        shown = [(one, read_record(session, one)) for one in found]
    for one, record in shown:
        text = format_record(record).removeprefix(VERSION_LINE).decode().rstrip("\n")
        print(f"entry {one}: {printable(text)}")  # noqa: T201
    return 0


def run_revoke(options: argparse.Namespace, console: Console) -> int:
    """Append a revocation."""

    def act(session: Session, at: datetime) -> Entry:
        subject = read_subject(session, find_entry(session, options))
        return append(session, [Draft(Revocation(at, subject, options.reason))])[0]

    return _record(act, console)


def run_erase(options: argparse.Namespace, console: Console) -> int:
    """Delete openings and the job's copy of the prompt, and append an erasure."""

    def act(session: Session, at: datetime) -> Entry:
        subject = read_subject(session, find_entry(session, options))
        return erase(session, subject, options.field, reason=options.reason, at=at)

    return _record(act, console)


def run_deleted(options: argparse.Namespace, console: Console) -> int:
    """Append a deletion, which this command does not do: it says that it was done."""

    def act(session: Session, at: datetime) -> Entry:
        subject = read_subject(session, find_entry(session, options))
        kept = tuple(sorted(set(options.kept)))
        return append(session, [Draft(Deletion(at, subject, kept, options.reason))])[0]

    return _record(act, console)


def run_threshold(options: argparse.Namespace, console: Console) -> int:
    """Append a change of threshold."""
    old, new = Number(options.old), Number(options.new)

    def act(session: Session, at: datetime) -> Entry:
        change = ThresholdChange(at, options.detector, options.version, old, new, options.reason)
        return append(session, [Draft(change)])[0]

    return _record(act, console)


def _record(act: Callable[[Session, datetime], Entry], console: Console) -> int:
    """Do it in one transaction, under a new checkpoint."""
    now = datetime.now(UTC).replace(microsecond=0)
    with open_folder(data_folder(os.environ)) as folder:
        with transaction(folder.engine) as session:
            entry = act(session, now)
        sign_checkpoint(folder.engine, folder.keyring.log_signers(), folder.anchor)
    console.print(f"recorded as entry {entry.index}", markup=False, highlight=False)
    return 0
