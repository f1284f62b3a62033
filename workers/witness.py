"""A witness on a machine of its own: a key file, and a state file with what it last signed.

The state is on the disk before the signature leaves, and one process at a time reads and writes it,
so the witness never signs two histories, whatever is killed. Whoever loses the state needs a new
key: the old one may have signed more than is remembered.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from provenance.files import locked, write_file
from provenance.ledger.errors import Refused
from provenance.ledger.note import Algorithm, Signer, Verifier, format_skey, parse_skey
from provenance.ledger.witness import cosign, parse_request


def make_witness(path: Path, name: str) -> Signer:
    """A new key in a new file that only its owner can read; a file that is there is kept."""
    witness = parse_skey(format_skey(Signer(name, Algorithm.COSIGNATURE, secrets.token_bytes(32))))
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(f"{format_skey(witness)}\n")
        file.flush()
        os.fsync(file.fileno())
    return witness


def load_witness(path: Path) -> Signer:
    """The key of the file; Refused if others may read it."""
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise Refused(f"others may read {path}: chmod 600 it, or better make a new key")
    return parse_skey(path.read_text(encoding="utf-8", errors="replace").rstrip("\n"))


def answer(
    request: bytes,
    state: Path,
    *,
    log: Sequence[Verifier],
    witness: Signer,
    now: datetime,
) -> bytes:
    """The cosigned checkpoint, remembered in `state`; an empty file is a witness that is new.

    Raises what `provenance.ledger.witness.cosign` raises, and FileNotFoundError without the state.
    """
    with locked(state):
        last = state.read_bytes() or None
        note = cosign(parse_request(request), last, log=log, witness=witness, now=now)
        write_file(state, note)
    return note
