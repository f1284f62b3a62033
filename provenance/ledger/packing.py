"""Gathering an evidence pack out of the log's tables; see `evidence` for what a pack proves."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from provenance.ledger.checkpoint import Timestamp, open_checkpoint, parse_checkpoint
from provenance.ledger.dating import all_timestamps, read_timestamps
from provenance.ledger.errors import NotLogged
from provenance.ledger.evidence import MAX_EXHIBITS, MAX_TIMESTAMPS, Exhibit, Pack
from provenance.ledger.log import find_statements_about, latest_checkpoint, prove_under
from provenance.ledger.note import Verifier, parse_note
from provenance.ledger.proof import format_proof
from provenance.ledger.record import parse_record
from provenance.tables import CheckpointRow, EntryRow

CHUNK = 1_000  # entries in memory at a time


def gather_pack(
    session: Session,
    indexes: Sequence[int],
    *,
    log: Sequence[Verifier],
    attached: Mapping[int, Mapping[str, bytes]],
) -> Pack:
    """These entries, and all that later entries state about them, each with its proof.

    They are proven under the earliest checkpoint that covers all of them and was dated by an
    authority, else under the newest. `log` holds every key the log ever signed with. Raises
    NotLogged.
    """
    _check_count(len(indexes))
    chosen = sorted({*indexes, *find_statements_about(session, indexes)})
    _check_count(len(chosen))
    note, timestamps = _checkpoint_over(session, chosen[-1])
    exhibits = tuple(
        Exhibit(format_proof(prove_under(session, index, note)), attached.get(index, {}))
        for index in chosen
    )
    key = open_checkpoint(timestamps[0].note if timestamps else note, log).signers[0]
    of_key = [one for one in timestamps if key in open_checkpoint(one.note, log).signers]
    return Pack(key, exhibits, tuple(of_key[:MAX_TIMESTAMPS]))


def find_period(session: Session, since: datetime, until: datetime) -> range:
    """From the first entry to the last whose own date is in [since, until), without a gap.

    Reads every record: dates are no index, and the makers' clocks need not agree. Raises NotLogged
    if there is no such entry.
    """
    inside = [index for index, at in _dates(session) if since <= at < until]
    if not inside:
        raise NotLogged(f"no entry is dated from {since.isoformat()} to {until.isoformat()}")
    return range(inside[0], inside[-1] + 1)


def _check_count(count: int) -> None:
    if not 0 < count <= MAX_EXHIBITS:
        raise NotLogged(f"a pack has 1 to {MAX_EXHIBITS} entries, not {count}: export the log")


def _dates(session: Session) -> Iterator[tuple[int, datetime]]:
    columns = select(EntryRow.index, EntryRow.record).order_by(EntryRow.index)
    for index, data in session.execute(columns, execution_options={"yield_per": CHUNK}):
        yield index, parse_record(data).at


def _checkpoint_over(session: Session, index: int) -> tuple[bytes, list[Timestamp]]:
    """A checkpoint that covers the entry, with its timestamps."""
    dated = [one.note for one in all_timestamps(session) if _size(one.note) > index]
    if not dated:
        latest = latest_checkpoint(session)
        if latest is None or _size(latest) <= index:
            raise NotLogged(f"entry {index} is in no checkpoint yet")
        return latest, []
    earliest = min(dated, key=_size)
    notes = session.scalars(
        select(CheckpointRow.note)
        .where(CheckpointRow.size == _size(earliest))
        .order_by(CheckpointRow.number.desc())
    )
    text = parse_note(earliest).text
    whole = next((note for note in notes if parse_note(note).text == text), earliest)
    return whole, read_timestamps(session, whole)


def _size(note: bytes) -> int:
    return parse_checkpoint(parse_note(note).text).size
