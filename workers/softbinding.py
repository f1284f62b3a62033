"""Soft bindings: the values by which a manifest, and a mark in pixels, can be looked up.

A mark that carries a number names one record: scheme, key and number. A mark without one says no
more than scheme, key and list, which many pictures share, so their manifests also bind by the
fingerprint. Neither proves anything: whoever stole a list can write any number, and a likeness can
be made.
"""

from __future__ import annotations

import secrets

from sqlalchemy.orm import Session

from provenance.fingerprint import VERSION, Fingerprint
from provenance.ledger.log import find_number, read_record
from provenance.ledger.record import GivenOut, Mark, MarkNumber
from provenance.manifest.finding import Binding
from workers.marking import NUMBER_BITS


def algorithm(scheme: str) -> str:
    """The name of a mark's scheme: lexical/1 is countermark.lexical.1."""
    return f"countermark.{scheme.replace('/', '.')}"


def bind_mark(mark: Mark, list_index: int, number: int | None) -> Binding:
    """What the mark reads: whose key, and the number of the record or else the list."""
    what = f"list-{list_index}" if number is None else shown(number)
    return Binding(algorithm(mark.scheme), f"{mark.key}:{what}".encode())


def bind_looks(looks: Fingerprint) -> Binding:
    """What the picture looks like: the 32 bytes of its fingerprint."""
    return Binding(f"countermark.{VERSION}", looks.hash)


def shown(number: int) -> str:
    """A number as people and manifests are given it, ten hexadecimal digits."""
    return f"{number:0{NUMBER_BITS // 4}x}"


def find_marked(session: Session, mark: Mark, number: int) -> int | None:
    """The index of the entry that a number under this mark names; None if there is none."""
    entry = find_number(session, MarkNumber(number))
    if entry is None:
        return None
    record = read_record(session, entry)
    assert isinstance(record, GivenOut), "only files that were given out have a number"
    return entry if record.mark == mark else None


def fresh_number(session: Session) -> MarkNumber:
    """A random number that no record has; appending refuses it if another took it meanwhile."""
    while True:
        number = MarkNumber(1 + secrets.randbelow(2**NUMBER_BITS - 1))
        if find_number(session, number) is None:
            return number
