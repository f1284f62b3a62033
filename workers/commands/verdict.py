"""`countermark verdict check`: a signed verdict and public keys, and nothing else.

It imports the standard library, `cryptography`, the verdict's table and the offline half of the
ledger: no database, no data folder, no network, no model, no decoder of pictures.
"""

from __future__ import annotations

import argparse
from hashlib import sha256
from pathlib import Path

from rich.console import Console

from provenance.dsse import MAX_ENVELOPE_BYTES, open_envelope
from provenance.errors import ProvenanceError
from provenance.files import read_file
from provenance.keys import parse_verdict_key
from provenance.ledger.encoding import printable
from provenance.ledger.errors import NotProven
from provenance.ledger.note import parse_vkey
from provenance.ledger.proof import MAX_PROOF_BYTES, open_proof
from provenance.ledger.record import SignedVerdict
from provenance.verdict.page import MEANING
from provenance.verdict.statement import PAYLOAD_TYPE, Statement, parse_statement
from workers.commands import Usage

MAX_PICTURE = 64 * 2**20  # bytes, as verifying reads


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    verdict = commands.add_parser("verdict", help="check a signed verdict, offline")
    acts = verdict.add_subparsers(dest="act", required=True)
    check = acts.add_parser("check", help="status 0: it holds; 1: it does not; 2: not readable")
    check.add_argument("file", type=Path, metavar="F.verdict")
    check.add_argument("--key", required=True, metavar="KEY", help="of verdicts, by `keys list`")
    check.add_argument("--picture", type=Path, metavar="FILE", help="that it must be about")
    check.add_argument("--proof", type=Path, metavar="F.tlog-proof", help="that the log has it")
    check.add_argument("--log", metavar="VKEY", help="the log's verifier key, for --proof")
    check.set_defaults(run=run)


def run(options: argparse.Namespace, console: Console) -> int:
    """Say what was decided and by whom, or why the file is worth nothing."""
    if (options.proof is None) != (options.log is None):
        raise Usage("--proof and --log go together")
    name, key = parse_verdict_key(options.key)
    log = None if options.log is None else parse_vkey(options.log)
    envelope = read_file(options.file, MAX_ENVELOPE_BYTES)
    picture = None if options.picture is None else read_file(options.picture, MAX_PICTURE)
    proof = None if options.proof is None else read_file(options.proof, MAX_PROOF_BYTES)
    try:
        payload = open_envelope(envelope, PAYLOAD_TYPE, [key])
        statement = parse_statement(payload)
        said = [*describe(statement, name), about(statement, picture)]
        if log is None or proof is None:
            said.append("not checked: whether the log has it, without --proof and --log")
        else:
            proven = open_proof(proof, [log])
            check_record(proven.record, payload, name)
            origin = printable(proven.signed.checkpoint.origin)
            said.append(f"recorded: entry {proven.index} of {origin}")
    except ProvenanceError as e:
        said_why = f"not proven: {printable(str(e))}"
        console.print(said_why, markup=False, highlight=False, soft_wrap=True)
        return 1
    print("\n".join([*said, "not proven: the findings; to check them the picture is needed"]))  # noqa: T201
    return 0


def about(statement: Statement, picture: bytes | None) -> str:
    """Whether it is about this file; raises NotProven if it is about another."""
    if picture is None:
        return "not compared with any file, without --picture"
    if sha256(picture).digest() != statement.file:
        raise NotProven("the verdict is about another file than the one given")
    return "about: the very file given"


def check_record(record: object, payload: bytes, name: str) -> None:
    """Raises NotProven unless the record is of this statement and key."""
    if not isinstance(record, SignedVerdict) or record.statement != sha256(payload).digest():
        raise NotProven("the proof is of another entry than that of this verdict")
    if record.key != name:
        raise NotProven(f"the log says that key {record.key} signed it, not {name}")


def describe(statement: Statement, name: str) -> list[str]:
    """The verdict and its findings, for a person to read."""
    verdict = statement.verdict
    meaning, every = MEANING[verdict.outcome], verdict.findings
    lines = [
        f"signed: by key {name}, at {statement.at:%Y-%m-%dT%H:%M:%SZ} by its own clock",
        f"file: {statement.file.hex()}",
        f"verdict: {verdict.outcome}: {meaning.says} ({verdict.table}, row {verdict.row})",
        f"it leaves open: {meaning.leaves_open}",
    ]
    kinds = ("record", "manifest", "mark", "fingerprint", "revocation", "origin", "classifier")
    for kind, finding in ((kind, getattr(every, kind)) for kind in kinds):
        if finding is not None:
            check = finding.check
            limit = f" (threshold {check.threshold})" if check.threshold is not None else ""
            number = f"{check.quantity}: {check.value}{limit}"
            lines.append(f"{kind}: {finding.state}; {number}; {check.version}; {check.caveat}")
    return lines
