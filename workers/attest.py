"""Sign a verdict and record it: like a picture, it is given out with its record or not at all.

What is signed is the statement of `provenance.verdict.statement`, in an envelope (DSSE) by the
active verdict key. The log's entry holds the statement's digest and the key's name, so that the log
alone tells nobody which file was asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from provenance.database import snapshot, transaction
from provenance.dsse import Signer, sign_envelope
from provenance.keys import Purpose, verdict_key
from provenance.ledger.anchor import sign_checkpoint
from provenance.ledger.log import Draft, append, prove
from provenance.ledger.proof import format_proof
from provenance.ledger.record import Digest, SignedVerdict
from provenance.verdict.statement import PAYLOAD_TYPE, Statement, format_statement
from workers.folder import TENANT, DataFolder
from workers.verify import Judged


@dataclass(frozen=True)
class Attested:
    """A signed verdict, and where the log has it."""

    envelope: bytes
    index: int
    proof: bytes  # a .tlog-proof file against the checkpoint that covers the record


def attest(folder: DataFolder, judged: Judged, *, now: datetime) -> Attested:
    """The verdict signed and recorded."""
    at = now.replace(microsecond=0)
    key = folder.keyring.active(Purpose.VERDICT, TENANT)
    statement = format_statement(Statement(at, judged.file, judged.pixels, judged.verdict))
    envelope = sign_envelope(PAYLOAD_TYPE, statement, [Signer(key.key_id, verdict_key(key))])
    record = SignedVerdict(at, Digest(sha256(statement).digest()), key.key_id)
    with transaction(folder.engine) as session:
        [entry] = append(session, [Draft(record)])
    sign_checkpoint(folder.engine, folder.keyring.log_signers(), folder.anchor)
    with snapshot(folder.engine) as session:
        return Attested(envelope, entry.index, format_proof(prove(session, entry.index)))
