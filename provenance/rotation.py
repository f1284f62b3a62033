"""Changes of keys: made in the key file, said in the log, and carried over by the log's own key.

The file is changed first, by one replacement; then the log is brought up to what the file says. A
crash in between leaves a change that the log has yet to say, and the next call says it: recovery
runs the normal path. An entry never holds a secret.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from provenance.database import snapshot, transaction
from provenance.keyring import Keyring, change, load
from provenance.keys import Key, KeyState, Purpose, log_signer
from provenance.ledger.anchor import read_anchor, sign_checkpoint
from provenance.ledger.errors import UnknownKey
from provenance.ledger.log import (
    Draft,
    append,
    find_entries,
    latest_checkpoint,
    lock_log,
    read_record,
)
from provenance.ledger.note import Signer, open_note
from provenance.ledger.record import KeyRotation

ENTRIES = {
    KeyState.PENDING: 0,
    KeyState.ACTIVE: 0,
    KeyState.RETIRING: 1,  # its successor is active
    KeyState.RETIRED: 2,  # and the overlap has ended
    KeyState.COMPROMISED: 1,  # with the time since when
}
"""How often the log says that a key has ended; a first key needs no entry to begin."""


def change_keys(
    keys: Path,
    engine: Engine,
    anchor: Path,
    step: Callable[[Keyring], Keyring],
    *,
    now: datetime,
) -> Keyring:
    """The keys after a step, with an entry and a checkpoint that say so.

    Raises KeyringError where the step is not allowed; then no key has changed.
    """
    record_keys(load(keys), engine, anchor, now=now)
    changed = change(keys, step)
    record_keys(changed, engine, anchor, now=now)
    return changed


def record_keys(keyring: Keyring, engine: Engine, anchor: Path, *, now: datetime) -> None:
    """Brings the log up to what the key file says, then signs a checkpoint over it."""
    at = now.astimezone(UTC).replace(microsecond=0)
    with transaction(engine) as session:
        lock_log(session)
        drafts = [Draft(one) for key in keyring.keys for one in _unsaid(session, keyring, key, at)]
        if drafts:
            append(session, drafts)
    sign_checkpoint(engine, _signers(keyring, engine, anchor), anchor)


def _unsaid(session: Session, keyring: Keyring, key: Key, at: datetime) -> list[KeyRotation]:
    """The entries about a key that its state asks for and the log lacks."""
    said = [
        record.compromised
        for index in find_entries(session, "key", key.key_id.encode())
        if isinstance(record := read_record(session, index), KeyRotation)
        and record.retired == key.key_id
    ]
    lacking = ENTRIES[key.state] - said.count(key.compromised)
    if lacking < 1:
        return []
    successor = keyring.active(key.purpose, key.owner).key_id
    one = KeyRotation(at, key.purpose.value, key.key_id, successor, key.compromised)
    return [one] * lacking


def _signers(keyring: Keyring, engine: Engine, anchor: Path) -> list[Signer]:
    """The log's signers, with the key that signed last where none of them did.

    So a compromised key signs once more, for the handover to its successor: this shows the log to
    be the same, and nothing about what others did with the key (see drill).
    """
    signers = list(keyring.log_signers())
    with snapshot(engine) as session:
        last = [note for note in (read_anchor(anchor), latest_checkpoint(session)) if note]
    before = [log_signer(k) for k in keyring.keys if k.purpose is Purpose.LOG and k.activated]
    for note in last:
        if not any(_signed(note, one) for one in signers):
            signers += [one for one in before if _signed(note, one)]
    return list(dict.fromkeys(signers))


def _signed(note: bytes, signer: Signer) -> bool:
    """Whether the note has a signature line of this key that holds."""
    try:
        open_note(note, [signer.verifier])
    except UnknownKey:
        return False
    return True
