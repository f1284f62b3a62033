"""Re-reading the whole log: nothing lost, nothing changed, nothing signed that is not there."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from provenance.ledger.anchor import read_anchor
from provenance.ledger.checkpoint import Checkpoint, open_checkpoint
from provenance.ledger.errors import Broken, LedgerError
from provenance.ledger.log import check_subject, lookups
from provenance.ledger.merkle import Hash, Node, cover, grow, leaf_hash, tree_root
from provenance.ledger.note import Verifier
from provenance.ledger.record import (
    About,
    Erasure,
    Opening,
    Record,
    check_commitment,
    parse_record,
)
from provenance.tables import CheckpointRow, EntryRow, LookupRow, NodeRow, OpeningRow

CHUNK = 1_000  # entries in memory at a time


def check_log(session: Session, log: Sequence[Verifier], anchor: Path) -> None:
    """Raises Broken unless the stored log is whole: rebuilds every node from every record.

    `log` holds every key the log ever signed with. Checks the indexes, the canonical form of every
    record, all nodes, every checkpoint and the anchor, what entries about earlier ones name,
    the lookups, and that each opening still kept belongs to a commitment nobody erased.
    """
    checkpoints = _open_checkpoints(session, log, anchor)
    size, facts = 0, 0
    frontier: dict[Node, Hash] = {}
    erased: set[tuple[int, str]] = set()
    for data in _chunks(session):
        made = grow(size, frontier, [leaf_hash(one) for one in data])
        _check_nodes(session, made)
        known = frontier | made
        for index, one in enumerate(data, start=size):
            record = _open_record(session, index, one)
            facts += sum(_fact(name, value, index) for name, value in lookups(record))
            if isinstance(record, Erasure):
                erased |= {(record.subject.index, field) for field in record.fields}
        old_size, size = size, size + len(data)
        _check_roots([c for c in checkpoints if old_size < c.size <= size], known)
        frontier = {node: known[node] for node in cover(0, size)}
    _check_roots([c for c in checkpoints if c.size == 0], {})
    if ahead := [c.size for c in checkpoints if c.size > size]:
        raise Broken(f"the log has {size} entries, and signed for {max(ahead)}")
    _check_count(session, size)
    _check_lookups(session, facts)
    _check_openings(session, erased)


def _open_checkpoints(session: Session, log: Sequence[Verifier], anchor: Path) -> list[Checkpoint]:
    notes = list(session.scalars(select(CheckpointRow.note).order_by(CheckpointRow.number)))
    kept = read_anchor(anchor)
    if kept is not None:
        notes.append(kept)
    elif notes:
        raise Broken(f"the log has signed checkpoints, but its anchor {anchor} is missing")
    try:
        return [open_checkpoint(note, log).checkpoint for note in notes]
    except LedgerError as e:
        raise Broken(f"a stored checkpoint does not hold: {e}") from e


def _chunks(session: Session) -> Iterator[list[bytes]]:
    """The records in order, some at a time; Broken at a gap."""
    size = 0
    columns = select(EntryRow.index, EntryRow.record).order_by(EntryRow.index).limit(CHUNK)
    while rows := session.execute(columns.where(EntryRow.index >= size)).all():
        for place, (index, _) in enumerate(rows, start=size):
            if index != place:
                raise Broken(f"entry {place} is missing")
        size += len(rows)
        yield [data for _, data in rows]
    if session.scalar(select(func.count()).select_from(EntryRow)) != size:
        raise Broken("the log has an entry with an index below 0")


def _open_record(session: Session, index: int, data: bytes) -> Record:
    try:
        record = parse_record(data)
        if isinstance(record, About):
            check_subject(session, record.subject, index)
    except LedgerError as e:
        raise Broken(f"entry {index} does not hold: {e}") from e
    return record


def _check_nodes(session: Session, made: dict[Node, Hash]) -> None:
    """Raises Broken unless these nodes are stored as they were computed."""
    places = defaultdict(list)
    for level, place in made:
        places[level].append(place)
    for level, row in places.items():
        columns = select(NodeRow.place, NodeRow.hash).where(NodeRow.level == level)
        stored = session.execute(columns.where(NodeRow.place.between(min(row), max(row)))).all()
        found = {(level, place): Hash(value) for place, value in stored}
        for node in ((level, place) for place in row):
            if found.get(node) != made[node]:
                raise Broken(f"node {node[1]} of level {level} is not that of the records")


def _check_roots(checkpoints: Sequence[Checkpoint], known: dict[Node, Hash]) -> None:
    for checkpoint in checkpoints:
        if tree_root(checkpoint.size, lambda _: known) != checkpoint.root:
            raise Broken(f"the checkpoint of size {checkpoint.size} is not over these records")


def _check_count(session: Session, size: int) -> None:
    expected = sum(size >> level for level in range(size.bit_length()))
    stored = session.scalar(select(func.count()).select_from(NodeRow))
    if stored != expected:
        raise Broken(f"the log has {stored} nodes, its {size} entries make {expected}")


def _check_lookups(session: Session, facts: int) -> None:
    columns = select(LookupRow.name, LookupRow.value, LookupRow.entry)
    rows = session.execute(columns, execution_options={"yield_per": CHUNK})
    if sum(_fact(name, value, entry) for name, value, entry in rows) != facts:
        raise Broken("the lookups are not those of the records")


def _fact(name: str, value: bytes, entry: int) -> int:
    """A number for a lookup; equal sums mean equal lookups, in any order."""
    return int.from_bytes(sha256(f"{name} {value.hex()} {entry}".encode()).digest(), "big")


def _check_openings(session: Session, erased: set[tuple[int, str]]) -> None:
    columns = select(OpeningRow, EntryRow.record).join(EntryRow, EntryRow.index == OpeningRow.entry)
    for row, data in session.execute(columns, execution_options={"yield_per": CHUNK}):
        if (row.entry, row.field) in erased:
            raise Broken(f"entry {row.entry} still has the {row.field!r} that was erased")
        try:
            check_commitment(parse_record(data), Opening(row.field, row.salt, row.value))
        except LedgerError as e:
            raise Broken(f"an opening of entry {row.entry} does not hold: {e}") from e
