"""`countermark proof check`: one proof file and a public key, and nothing else.

It imports the standard library and the offline half of the ledger alone: no database, no data
folder, no network, no model.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from provenance.ledger.__main__ import describe
from provenance.ledger.encoding import printable
from provenance.ledger.errors import LedgerError
from provenance.ledger.note import parse_vkey
from provenance.ledger.proof import MAX_PROOF_BYTES, open_proof
from workers.commands import Usage


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    proof = commands.add_parser("proof", help="check what a proof file proves, offline")
    acts = proof.add_subparsers(dest="act", required=True)
    check = acts.add_parser("check", help="status 0: proven; 1: not proven; 2: not readable")
    check.add_argument("file", type=Path, metavar="FILE", help="a .tlog-proof file")
    check.add_argument("--key", required=True, metavar="VKEY", help="the log's verifier key")
    check.add_argument("--witness", action="append", default=[], metavar="VKEY")
    check.add_argument("--quorum", type=int, metavar="N", help="default: all of --witness")
    check.set_defaults(run=run)


def run(options: argparse.Namespace, console: Console) -> int:
    """Say what the file proves, or why it proves nothing."""
    log, witnesses = [parse_vkey(options.key)], [parse_vkey(key) for key in options.witness]
    quorum = len(witnesses) if options.quorum is None else options.quorum
    if not 0 <= quorum <= len(witnesses):
        raise Usage(f"--quorum must be between 0 and {len(witnesses)}, not {quorum}")
    with options.file.open("rb") as file:
        data = file.read(MAX_PROOF_BYTES + 1)
    try:
        proven = open_proof(data, log, witnesses=witnesses, quorum=quorum)
    except LedgerError as e:
        console.print(
            f"not proven: {printable(str(e))}", markup=False, highlight=False, soft_wrap=True
        )
        return 1
    print(describe(proven))  # noqa: T201
    return 0
