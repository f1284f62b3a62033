"""The log's records for auditors: found, read, proven, packed as evidence, revoked.

A tenant is told of its own pictures' records, and of what later entries say about them; the
installation's own tenant of all that belong to no other.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import Path, Query, Request, Response
from pydantic import BaseModel, Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from api.admission import Asker, Asking, router
from api.answers import BINARY, Responses, file
from api.conditional import serve
from api.cursors import format_cursor, parse_cursor
from api.documents import DIGEST, LARGEST_INDEX, LINE, MOST_EXHIBITS, Taken
from api.installation import Here, Installation
from api.lists import Cursor, Limit
from api.problems import Kind, Problem, not_found
from provenance import pictures
from provenance.database import snapshot, transaction
from provenance.ledger.evidence import format_pack
from provenance.ledger.log import (
    Draft,
    append,
    find_entries,
    find_statements_about,
    prove,
    read_nodes,
    read_record,
)
from provenance.ledger.packing import gather_pack
from provenance.ledger.proof import format_proof
from provenance.ledger.record import (
    VERSION_LINE,
    About,
    Revocation,
    Subject,
    format_record,
    parse_record,
)
from provenance.manifest.container import scan
from provenance.tables import EntryRow

routes = router()

SCANNED = 2_000  # entries looked at for one page
_ZIP: Responses = {200: {"content": {"application/zip": {"schema": BINARY}}}}

RecordKind = Literal[
    "picture",
    "marking",
    "revocation",
    "key-rotation",
    "erasure",
    "deletion",
    "threshold-change",
    "verdict",
]
Index = Annotated[int, Path(ge=0, le=LARGEST_INDEX, description="The index of an entry, from 0.")]
Hex = Annotated[str | None, Query(pattern=DIGEST, description="SHA-256, 64 hexadecimal digits.")]
First = Annotated[int, Query(ge=0, le=LARGEST_INDEX, description="The index of an entry.")]
Count = Annotated[int, Query(ge=1, le=MOST_EXHIBITS, description="How many indexes.")]
NotModified: dict[int | str, dict[str, Any]] = {304: {"description": "The caller has it already."}}


class Entry(BaseModel):
    """A record of the log at its index."""

    index: Annotated[int, Field(ge=0)]
    leaf: Annotated[str, Field(pattern=DIGEST, description="The leaf's hash (RFC 6962).")]
    kind: RecordKind
    record: Annotated[dict[str, Any], Field(description="The record's canonical JSON.")]
    statements: Annotated[
        list[int], Field(description="Later entries about this one: revocations, erasures.")
    ]
    image: Annotated[str | None, Field(description="The picture's id, if the service has it.")]


class Entries(BaseModel):
    data: list[Entry]
    next: Annotated[
        str | None,
        Field(description="Cursor of the next page; null at the end. A page may be short before."),
    ]


class Reason(Taken):
    """Why a record is revoked; public for ever, so it names no person."""

    reason: Annotated[
        str,
        Field(min_length=1, max_length=512, pattern=LINE, description="1 to 512 characters."),
    ]


@dataclass(frozen=True)
class _Filter:
    """Which records are asked for, each by one of the facts that the log is indexed by."""

    kind: str | None
    facts: tuple[tuple[str, bytes], ...]

    @property
    def place(self) -> str:
        """The filter as part of a cursor's place."""
        return f"{self.kind}/" + "/".join(f"{name}={value.hex()}" for name, value in self.facts)


@routes.get("/v1/records", tags=["audit"])
def list_records(
    here: Here,
    asker: Asking,
    kind: Annotated[RecordKind | None, Query(description="Only records of this kind.")] = None,
    file_digest: Annotated[Hex, Query(alias="file")] = None,
    pixels: Hex = None,
    manifest: Annotated[
        str | None, Query(max_length=200, description="A manifest's label, urn:c2pa:…")
    ] = None,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> Entries:
    """The records that the tenant may be told of, the newest first."""
    given = {
        "file": file_digest and bytes.fromhex(file_digest),
        "pixels": pixels and bytes.fromhex(pixels),
    }
    given["manifest"] = manifest and manifest.encode()
    wanted = _Filter(kind, tuple((name, value) for name, value in given.items() if value))
    place = f"records/{asker.tenant.id}/{wanted.place}"
    before = None if cursor is None else int(parse_cursor(here.secret, place, cursor))
    with snapshot(here.engine) as session:
        indexes, last = _find(session, asker, wanted, before=before, limit=limit)
        data = [describe(session, asker, index) for index in indexes]
    after = None if last is None else format_cursor(here.secret, place, str(last))
    return Entries(data=data, next=after)


@routes.get("/v1/records/{index}", tags=["audit"])
def read_entry(index: Index, here: Here, asker: Asking) -> Entry:
    """The record at an index, and what later entries say about it."""
    with snapshot(here.engine) as session:
        check_visible(session, asker, index)
        return describe(session, asker, index)


@routes.get(
    "/v1/records/{index}/proof",
    tags=["audit"],
    response_class=Response,
    responses=file("text/plain"),
)
def read_proof(index: Index, request: Request, here: Here, asker: Asking) -> Response:
    """The .tlog-proof file of an entry; 404 with Retry-After until a checkpoint covers it."""
    with snapshot(here.engine) as session:
        check_visible(session, asker, index)
        proof = format_proof(prove(session, index))
    return serve(request, proof, "text/plain; charset=utf-8")


@routes.get("/v1/records/{index}/evidence", tags=["audit"], response_class=Response, responses=_ZIP)
def read_evidence(index: Index, here: Here, asker: Asking) -> Response:
    """One entry with picture, manifest, proof and what is about it, as a ZIP to check offline."""
    return _pack(here, asker, [index])


@routes.get("/v1/evidence", tags=["audit"], response_class=Response, responses=_ZIP)
def read_evidence_of_many(here: Here, asker: Asking, first: First, count: Count) -> Response:
    """The tenant's entries among `count` indexes from `first` on, as one ZIP."""
    return _pack(here, asker, range(first, first + count))


@routes.post("/v1/records/{index}/revocation", status_code=201, tags=["audit"])
def revoke_record(index: Index, reason: Reason, here: Here, asker: Asking) -> Entry:
    """Say in the log, for ever, that a record no longer stands."""
    now = datetime.now(UTC).replace(microsecond=0)
    with transaction(here.engine) as session:
        check_visible(session, asker, index)
        if any(isinstance(read_record(session, i), Revocation) for i in _about(session, index)):
            raise Problem(Kind.ALREADY_DONE, f"entry {index} is revoked already")
        leaf = read_nodes(session, [(0, index)])[0, index]
        revocation = Revocation(now, Subject(index, leaf), reason.reason)
        (made,) = append(session, [Draft(revocation)])
        return describe(session, asker, made.index)


def check_visible(session: Session, asker: Asker, index: int) -> None:
    """Raises unless the tenant may be told of this entry, or of what it is about."""
    data = session.scalar(select(EntryRow.record).where(EntryRow.index == index))
    record = None if data is None else parse_record(data)
    about = record.subject.index if isinstance(record, About) else index
    if record is None or not pictures.visible(session, [about], asker.tenant.id):
        raise not_found("entry")


def describe(session: Session, asker: Asker, index: int) -> Entry:
    """An entry as a document."""
    record = read_record(session, index)
    own = pictures.of_entries(session, [index], asker.tenant.id).get(index)
    return Entry(
        index=index,
        leaf=read_nodes(session, [(0, index)])[0, index].hex(),
        kind=record.kind,  # type: ignore[arg-type]
        record=json.loads(format_record(record).removeprefix(VERSION_LINE)),
        statements=_about(session, index),
        image=own.id if own else None,
    )


def _about(session: Session, index: int) -> list[int]:
    return find_statements_about(session, [index])


def _find(
    session: Session, asker: Asker, wanted: _Filter, *, before: int | None, limit: int
) -> tuple[list[int], int | None]:
    """Indexes of a page, and the last index that was looked at if there may be more."""
    if wanted.facts:
        return _find_by_fact(session, asker, wanted, before=before, limit=limit)
    size = limit if wanted.kind is None else SCANNED
    seen = pictures.page(session, asker.tenant.id, before=before, limit=size)
    found = [index for index in seen if _fits(session, wanted, index)][:limit]
    if len(found) == limit:
        return found, found[-1]
    return found, seen[-1] if len(seen) == size else None


def _find_by_fact(
    session: Session, asker: Asker, wanted: _Filter, *, before: int | None, limit: int
) -> tuple[list[int], int | None]:
    sets = [set(find_entries(session, name, value)) for name, value in wanted.facts]
    found = pictures.visible(session, sorted(set.intersection(*sets)), asker.tenant.id)
    newest = [
        index
        for index in reversed(found)
        if (before is None or index < before) and _fits(session, wanted, index)
    ]
    return newest[:limit], newest[limit - 1] if len(newest) > limit else None


def _fits(session: Session, wanted: _Filter, index: int) -> bool:
    return wanted.kind is None or read_record(session, index).kind == wanted.kind


def _pack(here: Installation, asker: Asker, indexes: Sequence[int]) -> Response:
    with snapshot(here.engine) as session:
        visible = pictures.visible(session, _existing(session, indexes), asker.tenant.id)
        if not visible:
            raise not_found("entry")
        own = pictures.of_entries(session, visible, asker.tenant.id)
        attached = {index: _attached(here, one) for index, one in own.items()}
        pack = gather_pack(session, visible, log=here.log, attached=attached)
    name = f"evidence-{visible[0]}-{visible[-1]}.zip"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(format_pack(pack), media_type="application/zip", headers=headers)


def _existing(session: Session, indexes: Sequence[int]) -> list[int]:
    between = EntryRow.index.between(indexes[0], indexes[-1])
    return list(session.scalars(select(EntryRow.index).where(between).order_by(EntryRow.index)))


def _attached(here: Installation, picture: pictures.Picture) -> dict[str, bytes]:
    file = here.blobs.get(picture.blob)
    store = scan(file).store
    return {"picture": file} | ({} if store is None else {"manifest.c2pa": store})
