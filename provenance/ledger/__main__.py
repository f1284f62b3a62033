"""`python -m provenance.ledger`: check proofs and exported logs, with no database and no network.

Exit status 0: proven. 1: not proven, or not readable; one line says why. 2: wrong usage.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from provenance.ledger.encoding import printable
from provenance.ledger.errors import LedgerError
from provenance.ledger.note import parse_vkey
from provenance.ledger.proof import Proven, open_proof_file
from provenance.ledger.record import VERSION_LINE, format_record
from provenance.ledger.tiles import check_tiles, open_tiles


def main(arguments: Sequence[str] | None = None) -> int:
    given = _parser().parse_args(arguments)
    try:
        if given.command == "check-proof":
            said = describe(open_proof_file(given.file, given.key))
        else:
            log = [parse_vkey(given.key)]
            check_tiles(given.folder, log)
            checkpoint = open_tiles(given.folder, log)
            said = f"whole: {checkpoint.size} entries of {checkpoint.origin}"
    except (LedgerError, OSError) as e:
        sys.stderr.write(f"not proven: {printable(str(e))}\n")
        return 1
    sys.stdout.write(f"{said}\n")
    return 0


def describe(proven: Proven) -> str:
    """What was proven, and what was not, for a person to read."""
    checkpoint = proven.signed.checkpoint
    text = format_record(proven.record).removeprefix(VERSION_LINE).decode().rstrip("\n")
    return "\n".join(
        (
            f"proven: entry {proven.index} of {printable(checkpoint.origin)}",
            f"record: {printable(text)}",
            f"leaf: {proven.leaf.hex()}",
            f"checkpoint: size {checkpoint.size}, root {checkpoint.root.hex()}",
            "not proven: that the record is true, or that no later entry revokes it",
        )
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m provenance.ledger", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    proof = commands.add_parser("check-proof", help="check a .tlog-proof file")
    proof.add_argument("file", type=Path)
    tiles = commands.add_parser("check-export", help="check a folder of an exported log")
    tiles.add_argument("folder", type=Path)
    for command in (proof, tiles):
        command.add_argument("--key", required=True, help="the log's verifier key: name+id+key")
    return parser


if __name__ == "__main__":
    sys.exit(main())
