"""The log in the database: append, look up, prove.

`append` runs inside the caller's transaction, so a business write and its record are kept together
or not at all. One sequencer at a time: SQLite's write lock, or an advisory lock of PostgreSQL, held
until the commit, so indexes have no gap. Nothing here signs: see `anchor`.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, insert, select, text
from sqlalchemy.orm import Session

from provenance.ledger.checkpoint import parse_checkpoint
from provenance.ledger.errors import Broken, Duplicate, NotLogged, NotProven
from provenance.ledger.merkle import (
    Hash,
    Node,
    cover,
    grow,
    leaf_hash,
    prove_consistency,
    prove_inclusion,
)
from provenance.ledger.note import parse_note
from provenance.ledger.proof import Proof
from provenance.ledger.record import (
    About,
    Deletion,
    Erasure,
    KeyRotation,
    Marking,
    MarkNumber,
    Opening,
    Picture,
    Record,
    Revocation,
    SignedVerdict,
    Subject,
    ThresholdChange,
    check_commitment,
    format_record,
    parse_record,
)
from provenance.tables import CheckpointRow, EntryRow, LookupRow, NodeRow, OpeningRow

UNIQUE = {"id": "a picture", "number": "a mark of number"}  # lookups that name one entry only
_SEQUENCER = int.from_bytes(b"counterm", "big")  # the advisory lock of the log, in any database
# Constant statements over a JSON list of pairs: composing one for the pairs at hand takes longer
# than the database does, and for a list of row values SQLite would read the whole table.
_NODES = {
    "sqlite": text(
        "SELECT n.level, n.place, n.hash FROM json_each(:nodes) AS wanted CROSS JOIN nodes AS n"
        " ON n.level = json_extract(wanted.value, '$[0]')"
        " AND n.place = json_extract(wanted.value, '$[1]')"
    ),
    "postgresql": text(
        "SELECT n.level, n.place, n.hash FROM json_array_elements(CAST(:nodes AS json)) AS wanted"
        " JOIN nodes AS n ON n.level = CAST(wanted ->> 0 AS integer)"
        " AND n.place = CAST(wanted ->> 1 AS bigint)"
    ),
}


@dataclass(frozen=True)
class Draft:
    """A record to append, with the values behind its commitments."""

    record: Record
    openings: tuple[Opening, ...] = ()


@dataclass(frozen=True)
class Entry:
    index: int
    leaf: Hash


def append(session: Session, drafts: Sequence[Draft]) -> list[Entry]:
    """The entries the records become when the caller's transaction commits.

    Raises Malformed, Duplicate (an id, a number), NotLogged or NotProven (a subject, an
    opening); the transaction must then be abandoned.
    """
    data = [format_record(draft.record) for draft in drafts]
    for draft in drafts:
        for opening in draft.openings:
            check_commitment(draft.record, opening)
    lock_log(session)
    size = log_size(session)
    leaves = [leaf_hash(one) for one in data]
    _check_unique(session, [draft.record for draft in drafts])
    for draft in drafts:
        if isinstance(draft.record, About):
            check_subject(session, draft.record.subject, size)
    made = grow(size, read_nodes(session, cover(0, size)), leaves)
    _insert(session, size, drafts, data, made)
    return [Entry(index, leaf) for index, leaf in enumerate(leaves, start=size)]


def erase(
    session: Session, subject: Subject, fields: Sequence[str], *, reason: str, at: datetime
) -> Entry:
    """Deletes the openings of these fields of an entry, and says so in the log.

    What was kept of them elsewhere is deleted by `provenance.forgetting.erase`, which calls this.
    Raises NotLogged if one of them is not there to be deleted.
    """
    lock_log(session)
    erased = tuple(sorted(set(fields)))
    gone = delete(OpeningRow).where(OpeningRow.entry == subject.index, OpeningRow.field.in_(erased))
    found = session.scalars(gone.returning(OpeningRow.field)).all()
    if missing := set(erased) - set(found):
        raise NotLogged(f"entry {subject.index} has no {', '.join(sorted(missing))} to erase")
    return append(session, [Draft(Erasure(at, subject, erased, reason))])[0]


def log_size(session: Session) -> int:
    last = session.scalar(select(func.max(EntryRow.index)))
    return 0 if last is None else last + 1


def read_subject(session: Session, index: int) -> Subject:
    """An entry as a later record names it; raises NotLogged."""
    if not 0 <= index < log_size(session):
        raise NotLogged(f"the log has no entry {index}")
    return Subject(index, read_nodes(session, [(0, index)])[0, index])


def read_record(session: Session, index: int) -> Record:
    data = session.scalar(select(EntryRow.record).where(EntryRow.index == index))
    if data is None:
        raise NotLogged(f"the log has no entry {index}")
    return parse_record(data)


def find_entries(session: Session, name: str, value: bytes) -> list[int]:
    """Indexes of the entries that `lookups` lists under this name and value, oldest first."""
    found = select(LookupRow.entry).where(LookupRow.name == name, LookupRow.value == value)
    return list(session.scalars(found.order_by(LookupRow.entry)))


def find_number(session: Session, number: MarkNumber) -> int | None:
    """The index of the entry whose mark carries this number; None if no mark does."""
    found = find_entries(session, "number", _index_bytes(number))
    return found[0] if found else None


def find_statements(session: Session, index: int) -> list[Record]:
    """What later entries say about this one: revocations, erasures, deletions; oldest first."""
    about = find_entries(session, "subject", _index_bytes(index))
    return [read_record(session, one) for one in about]


def find_statements_about(session: Session, indexes: Sequence[int]) -> list[int]:
    """The indexes of all later entries about any of these, oldest first."""
    subjects = [_index_bytes(index) for index in indexes]
    named = LookupRow.name == "subject", LookupRow.value.in_(subjects)
    return list(session.scalars(select(LookupRow.entry).where(*named).order_by(LookupRow.entry)))


def prove(session: Session, index: int) -> Proof:
    """The proof of an entry against the newest checkpoint; NotLogged until one covers it."""
    latest = latest_checkpoint(session)
    if latest is None:
        raise NotLogged(f"entry {index} is not in a checkpoint: none was signed")
    return prove_under(session, index, latest)


def prove_under(session: Session, index: int, note: bytes) -> Proof:
    """The proof of an entry against a checkpoint that this log has signed."""
    size = parse_checkpoint(parse_note(note).text).size
    if not 0 <= index < size:
        raise NotLogged(f"entry {index} is not in the last checkpoint, of size {size}")
    record = session.scalar(select(EntryRow.record).where(EntryRow.index == index))
    if record is None:
        raise Broken(f"entry {index} is signed for and not there")
    path = prove_inclusion(index, size, lambda nodes: read_nodes(session, nodes))
    return Proof(record, index, path, note)


def prove_growth(session: Session, old_size: int, new_size: int) -> tuple[Hash, ...]:
    """The consistency proof between two sizes of this log."""
    if not 0 < old_size <= new_size <= log_size(session):
        raise NotLogged(f"the log never grew from size {old_size} to {new_size}")
    return prove_consistency(old_size, new_size, lambda nodes: read_nodes(session, nodes))


def latest_checkpoint(session: Session) -> bytes | None:
    """The newest signed checkpoint as a note, None before the first."""
    newest = select(CheckpointRow.note).order_by(CheckpointRow.number.desc()).limit(1)
    return session.scalar(newest)


def read_nodes(session: Session, nodes: Sequence[Node]) -> dict[Node, Hash]:
    if not nodes:
        return {}
    query = _NODES[session.get_bind().dialect.name]
    rows = session.connection().execute(query, {"nodes": json.dumps(nodes)})
    found = {(level, place): Hash(value) for level, place, value in rows}
    if len(found) != len(set(nodes)):
        missing = min(set(nodes) - found.keys())
        raise Broken(f"the log has lost node {missing[1]} of level {missing[0]}")
    return found


def lock_log(session: Session) -> None:
    """Waits until no other transaction can append; SQLite's own write lock does as much."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _SEQUENCER})


def check_subject(session: Session, subject: Subject, size: int) -> None:
    """Raises unless the subject is an entry before `size`, with this leaf."""
    if subject.index >= size:
        raise NotLogged(f"the log has no earlier entry {subject.index}")
    if read_nodes(session, [(0, subject.index)])[0, subject.index] != subject.leaf:
        raise NotProven(f"entry {subject.index} has another leaf than the record says")


def lookups(record: Record) -> Iterator[tuple[str, bytes]]:
    """What an entry can be found by, as name and value."""
    match record:
        case Picture() | Marking():
            yield "id", record.id.encode()
            yield "pixels", record.pixels
            yield "file", record.file
            yield "manifest", record.manifest.encode()
            if isinstance(record, Marking) and record.number is not None:
                yield "number", _index_bytes(record.number)
        case Revocation() | Erasure() | Deletion():
            yield "subject", _index_bytes(record.subject.index)
        case KeyRotation():
            yield from {("key", record.retired.encode()), ("key", record.active.encode())}
        case ThresholdChange():
            yield "detector", record.detector.encode()
        case SignedVerdict():
            yield "statement", record.statement


def _check_unique(session: Session, records: Sequence[Record]) -> None:
    wanted: dict[str, list[bytes]] = {name: [] for name in UNIQUE}
    for record in records:
        for name, value in lookups(record):
            if name in UNIQUE:
                wanted[name].append(value)
    for name, values in wanted.items():
        taken = {value for value in values if values.count(value) > 1}
        known = select(LookupRow.value).where(LookupRow.name == name, LookupRow.value.in_(values))
        taken |= set(session.scalars(known)) if values else set()
        if taken:
            one = min(taken)
            shown = repr(one.decode()) if name == "id" else int.from_bytes(one, "big")
            raise Duplicate(f"the log already holds {UNIQUE[name]} {shown}")


def _insert(
    session: Session,
    size: int,
    drafts: Sequence[Draft],
    data: Sequence[bytes],
    made: dict[Node, Hash],
) -> None:
    rows: dict[type[EntryRow | NodeRow | LookupRow | OpeningRow], list[dict[str, object]]] = {
        EntryRow: [{"index": i, "record": one} for i, one in enumerate(data, start=size)],
        NodeRow: [{"level": n[0], "place": n[1], "hash": made[n]} for n in made],
        LookupRow: [
            {"name": name, "value": value, "entry": index}
            for index, draft in enumerate(drafts, start=size)
            for name, value in lookups(draft.record)
        ],
        OpeningRow: [
            {"entry": index, "field": o.field, "salt": o.salt, "value": o.value}
            for index, draft in enumerate(drafts, start=size)
            for o in draft.openings
        ],
    }
    for table, values in rows.items():
        if values:
            session.execute(insert(table), values)


def _index_bytes(index: int) -> bytes:
    return index.to_bytes(8, "big")
