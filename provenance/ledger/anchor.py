"""Signing checkpoints, held to the last one by a file outside the database.

The anchor is that file: the last checkpoint signed, as a note. A database restored from a backup is
behind it, and a rewritten one contradicts it; either way `sign_checkpoint` refuses, so the log
stops where it would have forked. The anchor is written and synced before the checkpoint is handed
out, and it belongs on another disk than the database, in another backup.
"""

from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import Engine, func, insert, select
from sqlalchemy.orm import Session

from provenance.database import transaction
from provenance.files import locked, write_file
from provenance.ledger.checkpoint import (
    Checkpoint,
    format_checkpoint,
    open_checkpoint,
)
from provenance.ledger.errors import Broken, LedgerError, NotProven, Refused
from provenance.ledger.log import latest_checkpoint, lock_log, log_size, prove_growth, read_nodes
from provenance.ledger.merkle import check_consistency, tree_root
from provenance.ledger.note import (
    Note,
    Signer,
    Verifier,
    format_note,
    keep_signature,
    parse_note,
    sign_note,
)
from provenance.tables import CheckpointRow


def sign_checkpoint(engine: Engine, signers: Sequence[Signer], anchor: Path) -> bytes:
    """A note over all that is committed now, kept in the anchor and in the database.

    `signers` share one name, the log's origin; while a key rotates there are two. Raises Refused if
    the log is smaller than, or does not extend, what was signed before, or if the anchor is
    missing.
    """
    keys = [signer.verifier for signer in signers]
    with locked(anchor), transaction(engine) as session:
        lock_log(session)
        kept, latest = read_anchor(anchor), latest_checkpoint(session)
        if kept is None and latest is not None:
            raise Refused(f"the log has signed before, but its anchor {anchor} is missing")
        new = current_checkpoint(session, signers[0].name)
        for before in (kept, latest):
            if before is not None:
                _check_extends(session, _open_own(before, keys), new)
        note = sign_note(format_checkpoint(new), signers)
        _open_own(note, keys)
        if not _holds(kept, note):
            write_file(anchor, note)
        if latest is not None and _holds(latest, note):
            return latest
        _store(session, new.size, note)
    return note


def add_cosignatures(
    engine: Engine, note: bytes, log: Sequence[Verifier], witnesses: Sequence[Verifier]
) -> None:
    """Keeps the signatures of `witnesses` under a checkpoint of this log; others are ignored.

    Raises NotProven unless it is the latest checkpoint, signed by at least one of `witnesses`. Of
    one that signed before, the earlier time stays.
    """
    signed = open_checkpoint(note, log, witnesses=witnesses, quorum=1)
    with transaction(engine) as session:
        lock_log(session)
        latest = latest_checkpoint(session)
        if latest is None or parse_note(latest).text != parse_note(note).text:
            raise NotProven("the witnesses signed another checkpoint than the latest of this log")
        known = open_checkpoint(latest, log, witnesses=witnesses).witnessed
        new = [witness for witness in signed.witnessed if witness not in known]
        if new:
            ours = parse_note(latest)
            added = [parse_note(keep_signature(note, one)).signatures[0] for one in new]
            merged = format_note(Note(ours.text, (*ours.signatures, *added)))
            _store(session, signed.checkpoint.size, merged)


def current_checkpoint(session: Session, origin: str) -> Checkpoint:
    size = log_size(session)
    return Checkpoint(origin, size, tree_root(size, lambda nodes: read_nodes(session, nodes)))


def read_anchor(anchor: Path) -> bytes | None:
    try:
        return anchor.read_bytes()
    except FileNotFoundError:
        return None


def _open_own(note: bytes, keys: Sequence[Verifier]) -> Checkpoint:
    try:
        return open_checkpoint(note, keys).checkpoint
    except LedgerError as e:
        raise Refused(f"not a checkpoint of this log and its keys: {e}") from e


def _check_extends(session: Session, old: Checkpoint, new: Checkpoint) -> None:
    """Raises Refused unless the log now only adds to what it signed."""
    if new.size < old.size:
        raise Refused(
            f"the log has {new.size} entries, and signed for {old.size} before: "
            "its database is an older copy"
        )
    if old.size == 0:
        return
    try:
        proof = prove_growth(session, old.size, new.size)
        check_consistency(
            proof, old_size=old.size, new_size=new.size, old_root=old.root, new_root=new.root
        )
    except (NotProven, Broken) as e:
        raise Refused(f"the log contradicts the checkpoint it signed at {old.size}: {e}") from e


def _holds(have: bytes | None, note: bytes) -> bool:
    """Whether `have` says all that `note` says: its text and every one of its signatures."""
    if have is None:
        return False
    old, new = parse_note(have), parse_note(note)
    return old.text == new.text and set(new.signatures) <= set(old.signatures)


def _store(session: Session, size: int, note: bytes) -> None:
    last = session.scalar(select(func.max(CheckpointRow.number)))
    number = 0 if last is None else last + 1
    session.execute(insert(CheckpointRow), [{"number": number, "size": size, "note": note}])
