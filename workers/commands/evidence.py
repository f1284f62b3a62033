"""`countermark evidence`: lay proofs out in one ZIP, and check such a ZIP offline.

Checking imports the offline half of the ledger alone, and with --roots the reader of timestamps;
only packing opens the data folder.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from cryptography.x509 import Certificate
from rich.console import Console

from provenance.files import read_file, write_file
from provenance.ledger.archive import MAX_ARCHIVE_BYTES
from provenance.ledger.encoding import printable
from provenance.ledger.errors import LedgerError, NotProven
from provenance.ledger.evidence import Evidence, format_pack, open_pack
from provenance.ledger.note import Verifier, parse_vkey
from provenance.ledger.record import Deletion, Erasure, Record, Revocation
from workers.commands import Usage, moment

MAX_ROOTS = 1_000_000  # bytes of a PEM file
BESIDE = {"picture": "picture", "manifest": "manifest.c2pa", "report": "detector.json"}

LIMITS = "not proven: that a record is true, or that no later entry revokes it"


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    evidence = commands.add_parser("evidence", help="lay proofs out in one ZIP, or check one")
    acts = evidence.add_subparsers(dest="act", required=True)
    pack = acts.add_parser("pack", help="one entry, or all of a period, with what is about them")
    which = pack.add_mutually_exclusive_group(required=True)
    which.add_argument("--id", metavar="ID", help="of the picture's record")
    which.add_argument("--entry", type=int, metavar="N")
    which.add_argument("--since", type=moment, metavar="TIME", help="with --until: a period")
    pack.add_argument("--until", type=moment, metavar="TIME")
    for option in BESIDE:
        pack.add_argument(f"--{option}", type=Path, metavar="FILE", help="laid beside one entry")
    pack.add_argument("--out", type=Path, required=True, metavar="F.zip")
    pack.set_defaults(run=run_pack)
    check = acts.add_parser("check", help="status 0: proven; 1: not proven; 2: not readable")
    check.add_argument("file", type=Path, metavar="F.zip")
    check.add_argument("--key", required=True, metavar="VKEY", help="the log's verifier key")
    check.add_argument("--witness", action="append", default=[], metavar="VKEY")
    check.add_argument("--roots", type=Path, metavar="PEM", help="of timestamp authorities")
    check.set_defaults(run=run_check)


def run_pack(options: argparse.Namespace, console: Console) -> int:
    """Write the pack of an entry or of a period."""
    from provenance.database import snapshot
    from provenance.ledger.packing import find_period, gather_pack
    from workers.commands.log import find_entry
    from workers.folder import data_folder, open_folder

    given = {file: getattr(options, name) for name, file in BESIDE.items()}
    beside = {file: path for file, path in given.items() if path is not None}
    if (options.since is None) != (options.until is None):
        raise Usage("--since and --until go together")
    if options.since is not None and beside:
        raise Usage("a file can be laid beside one entry, not beside a period")
    attached = {file: read_file(path, MAX_ARCHIVE_BYTES) for file, path in beside.items()}
    if "picture" in attached and (store := manifest_in(attached["picture"])) is not None:
        attached.setdefault(BESIDE["manifest"], store)
    with open_folder(data_folder(os.environ)) as folder, snapshot(folder.engine) as session:
        log = folder.keyring.log_verifiers()
        if options.since is None:
            index = find_entry(session, options)
            pack = gather_pack(session, [index], log=log, attached={index: attached})
        else:
            indexes = find_period(session, options.since, options.until)
            pack = gather_pack(session, indexes, log=log, attached={})
    data = format_pack(pack)
    open_pack(data, log)
    write_file(options.out, data)
    count = len(pack.exhibits)
    said = f"wrote {count} {'entry' if count == 1 else 'entries'} to {options.out}"
    console.print(said, markup=False, highlight=False, soft_wrap=True)
    return 0


def manifest_in(picture: bytes) -> bytes | None:
    """The manifest store of a picture, None if it has none that can be found."""
    from provenance.manifest.container import scan
    from provenance.manifest.errors import ManifestError

    try:
        return scan(picture).store
    except ManifestError:  # the picture is laid into the pack as it is, whatever it is
        return None


def run_check(options: argparse.Namespace, console: Console) -> int:
    """Say what the pack proves, or why it proves nothing."""
    log, witnesses = [parse_vkey(options.key)], [parse_vkey(key) for key in options.witness]
    roots = None if options.roots is None else load_roots(options.roots)
    data = read_file(options.file, MAX_ARCHIVE_BYTES)
    try:
        found = open_pack(data, log, witnesses=witnesses, quorum=len(witnesses))
        dated = date(found, log, roots)
    except LedgerError as e:
        said = f"not proven: {printable(str(e))}"
        console.print(said, markup=False, highlight=False, soft_wrap=True)
        return 1
    print("\n".join([*describe(found), *dated, LIMITS]))  # noqa: T201
    return 0


def load_roots(path: Path) -> list[Certificate]:
    """The authorities' certificates that the reader trusts."""
    from provenance.timestamp import parse_roots

    return parse_roots(read_file(path, MAX_ROOTS))


def date(
    found: Evidence, log: Sequence[Verifier], roots: Sequence[Certificate] | None
) -> list[str]:
    """What the pack's timestamps prove to someone who trusts these roots."""
    stamps = found.pack.timestamps
    if roots is None:
        return [f"not checked: {len(stamps)} timestamps, without --roots"] if stamps else []
    from provenance.timestamp import open_timestamp

    if not stamps:
        raise NotProven("the pack has no timestamp for --roots to check")
    times = [open_timestamp(one, log, roots).at for one in stamps]
    return [f"dated: the checkpoint was signed by {at.isoformat()}" for at in times]


def describe(found: Evidence) -> list[str]:
    """What the proofs prove, for a person to read."""
    checkpoint, indexes = found.signed.checkpoint, [one.index for one in found.entries]
    whole = indexes[-1] - indexes[0] + 1 == len(indexes)
    which = f"{indexes[0]} to {indexes[-1]}, " + ("without a gap" if whole else "with gaps")
    if len(indexes) == 1:
        which = f"entry {indexes[0]}"
    lines = [
        f"proven: {len(indexes)} of {printable(checkpoint.origin)}: {which}",
        f"checkpoint: size {checkpoint.size}, root {checkpoint.root.hex()}",
    ]
    lines += [said for one in found.entries if (said := about(one.index, one.record))]
    for one, exhibit in zip(found.entries, found.pack.exhibits, strict=True):
        if "picture" in exhibit.attached:
            lines.append(f"the picture is the file that entry {one.index} names")
        if loose := sorted(set(exhibit.attached) - {"picture"}):
            lines.append(f"attached to entry {one.index}, not proven: {', '.join(loose)}")
    return lines


def about(index: int, record: Record) -> str | None:
    """What an entry says about an earlier one, None if it speaks of none."""
    match record:
        case Revocation():
            said = f"revokes entry {record.subject.index}: {record.reason}"
        case Erasure():
            said = f"erases of entry {record.subject.index}: {', '.join(record.fields)}"
        case Deletion():
            said = (
                f"says what of entry {record.subject.index} was deleted: {', '.join(record.kept)}"
            )
        case _:
            return None
    return f"entry {index} {printable(said)}"
