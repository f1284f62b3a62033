"""Timestamps kept beside the checkpoints they date; see `provenance.timestamp` for the proof."""

from collections.abc import Sequence

from cryptography.x509 import Certificate
from sqlalchemy import ColumnElement, func, insert, select, true
from sqlalchemy.orm import Session

from provenance.ledger.checkpoint import Timestamp, parse_checkpoint
from provenance.ledger.errors import NotProven
from provenance.ledger.log import lock_log
from provenance.ledger.note import Verifier, parse_note
from provenance.tables import CheckpointRow, TimestampRow
from provenance.timestamp import Dated, open_timestamp


def keep_timestamp(
    session: Session,
    timestamp: Timestamp,
    *,
    log: Sequence[Verifier],
    roots: Sequence[Certificate],
) -> Dated:
    """Stores a timestamp over a checkpoint of this log, once.

    Raises Malformed, WrongLog, UnknownKey or NotProven if it does not hold, or if this database
    never signed the checkpoint; then nothing is stored.
    """
    dated = open_timestamp(timestamp, log, roots)
    lock_log(session)
    size, text = dated.checkpoint.size, parse_note(timestamp.note).text
    signed = session.scalars(select(CheckpointRow.note).where(CheckpointRow.size == size))
    if text not in {parse_note(note).text for note in signed}:
        raise NotProven(f"this log has no checkpoint of size {size} like the one that is dated")
    if timestamp not in read_timestamps(session, timestamp.note):
        last = session.scalar(select(func.max(TimestampRow.number)))
        row = {"number": 0 if last is None else last + 1, "size": size}
        row |= {"note": timestamp.note, "response": timestamp.response}
        session.execute(insert(TimestampRow), [row])
    return dated


def read_timestamps(session: Session, note: bytes) -> list[Timestamp]:
    """The stored timestamps over the checkpoint of this note, oldest first."""
    text = parse_note(note).text
    found = _read(session, TimestampRow.size == parse_checkpoint(text).size)
    return [one for one in found if parse_note(one.note).text == text]


def all_timestamps(session: Session) -> list[Timestamp]:
    """Every stored timestamp, in the order in which they were kept."""
    return _read(session, true())


def _read(session: Session, which: ColumnElement[bool]) -> list[Timestamp]:
    columns = select(TimestampRow.note, TimestampRow.response).where(which)
    rows = session.execute(columns.order_by(TimestampRow.number))
    return [Timestamp(note, response) for note, response in rows]
