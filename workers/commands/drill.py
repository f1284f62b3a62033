"""`countermark drill key-compromise`: what still stands if others have had a key since some time.

It changes nothing, so it can be tried with any key at any time: better before than after.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator, Sequence
from datetime import UTC
from pathlib import Path

from cryptography.x509 import Certificate
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from sqlalchemy import select
from sqlalchemy.orm import Session

from provenance.database import snapshot
from provenance.ledger.audit import check_log
from provenance.ledger.checkpoint import Checkpoint, open_checkpoint
from provenance.ledger.dating import all_timestamps
from provenance.ledger.drill import Judged, Sight, Status, judge, sights_of, use_of
from provenance.ledger.errors import Broken, NotProven
from provenance.ledger.log import find_entries, log_size, read_nodes, read_record
from provenance.ledger.merkle import tree_root
from provenance.ledger.note import MAX_NOTE_BYTES, Verifier, parse_vkey
from provenance.ledger.record import GivenOut, KeyRotation, Record, parse_record
from provenance.tables import CheckpointRow, EntryRow
from provenance.timestamp import open_timestamp, parse_roots
from workers.commands import moment
from workers.folder import DataFolder, data_folder, open_folder

AUTHORITY = "timestamp authority"
CHUNK = 1_000  # entries in memory at a time


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    drill = commands.add_parser("drill", help="try out what a loss would leave standing")
    acts = drill.add_subparsers(dest="act", required=True)
    lost = acts.add_parser(
        "key-compromise", help="status 0: all records stand; 1: some do not; 2: cannot tell"
    )
    lost.add_argument("--key", required=True, metavar="ID")
    lost.add_argument("--since", type=moment, required=True, metavar="TIME")
    lost.add_argument(
        "--witness",
        action="append",
        default=[],
        metavar="VKEY",
        help="whose clock is trusted; without any clock, nothing is dated",
    )
    lost.add_argument(
        "--authority",
        type=Path,
        metavar="PEM",
        help="roots of timestamp authorities whose clocks are trusted (RFC 3161)",
    )
    lost.add_argument(
        "--checkpoint",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="a cosigned checkpoint kept elsewhere, beside those in the database",
    )
    lost.add_argument("--json", action="store_true", help="one object a record")
    lost.set_defaults(run=run)


def run(options: argparse.Namespace, console: Console) -> int:
    """Judge every record made with the key."""
    witnesses = [parse_vkey(text) for text in options.witness]
    roots = parse_roots(options.authority.read_bytes()) if options.authority else []
    notes = [read_note(path) for path in options.checkpoint]
    with open_folder(data_folder(os.environ)) as folder, snapshot(folder.engine) as session:
        check_log(session, folder.keyring.log_verifiers(), folder.anchor)
        sights = read_sights(session, folder, notes, witnesses, roots)
        purpose = folder.keyring.get(options.key).purpose
        use = use_of(purpose, options.key, rotations(session, options.key))
        judged = list(judge(entries(session), sights, use=use, since=options.since))
    if options.json:
        for one in judged:
            print(json.dumps(as_json(one)))  # noqa: T201
    else:
        Console().print(table(judged))
    undated = sum(one.status is Status.UNDATED for one in judged)
    console.print(
        f"{len(judged)} records were made with key {options.key}. If others have had it since "
        f"{options.since.isoformat()}, {len(judged) - undated} are trusted and {undated} undated.",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
    return 1 if undated else 0


def read_note(path: Path) -> bytes:
    """A checkpoint's bytes, and not much more than one may have."""
    with path.open("rb") as file:
        return file.read(MAX_NOTE_BYTES + 1)


def read_sights(
    session: Session,
    folder: DataFolder,
    notes: Sequence[bytes],
    witnesses: Sequence[Verifier],
    roots: Sequence[Certificate],
) -> list[Sight]:
    """What trusted clocks saw of this log; one of `notes` without a trusted witness is an error."""
    log, sights = folder.keyring.log_verifiers(), []
    stored = session.scalars(select(CheckpointRow.note).order_by(CheckpointRow.number))
    for quorum, note in [*((0, note) for note in stored), *((1, note) for note in notes)]:
        signed = open_checkpoint(note, log, witnesses=witnesses, quorum=quorum)
        check_ours(session, signed.checkpoint)
        sights += sights_of(signed)
    for timestamp in all_timestamps(session) if roots else []:
        try:
            dated = open_timestamp(timestamp, log, roots)
        except NotProven:  # by an authority that is not one of the trusted
            continue
        check_ours(session, dated.checkpoint)
        sights.append(Sight(dated.checkpoint.size, dated.at.astimezone(UTC), AUTHORITY))
    return sights


def check_ours(session: Session, checkpoint: Checkpoint) -> None:
    """Raises Broken unless the checkpoint is over the very records of this log."""
    size = checkpoint.size
    if size > log_size(session):
        raise Broken(f"a checkpoint of size {size} was signed, and the log is smaller")
    if tree_root(size, lambda nodes: read_nodes(session, nodes)) != checkpoint.root:
        raise Broken(f"a checkpoint of size {size} was signed over other records than these")


def rotations(session: Session, key: str) -> list[tuple[int, KeyRotation]]:
    """The entries that name the key as one that took over or ended."""
    found = ((i, read_record(session, i)) for i in find_entries(session, "key", key.encode()))
    return [(index, record) for index, record in found if isinstance(record, KeyRotation)]


def entries(session: Session) -> Iterator[tuple[int, Record]]:
    """Every entry of the log in order."""
    columns = select(EntryRow.index, EntryRow.record).order_by(EntryRow.index)
    for index, data in session.execute(columns, execution_options={"yield_per": CHUNK}):
        yield index, parse_record(data)


def as_json(one: Judged) -> dict[str, int | str | None]:
    """A record's status with plain values."""
    return {
        "entry": one.index,
        "kind": one.record.kind,
        "id": one.record.id if isinstance(one.record, GivenOut) else None,
        "status": one.status.value,
        "seen": one.sight.at.isoformat() if one.sight else None,
        "clock": one.sight.clock if one.sight else None,
    }


def table(judged: Sequence[Judged]) -> Table:
    """All records in one table."""
    out = Table()
    for column in ("entry", "record", "status", "first seen outside"):
        out.add_column(column, overflow="fold")
    for one in judged:
        name = one.record.id if isinstance(one.record, GivenOut) else one.record.kind
        seen = f"{one.sight.at.isoformat()} by {one.sight.clock}" if one.sight else "never"
        out.add_row(str(one.index), escape(name), one.status.value, escape(seen))
    return out
