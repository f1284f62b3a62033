"""The log for those who watch it: checkpoint, keys, witnesses, consistency, tiles.

The tiles of hashes are public, as witnesses and monitors need them; they say nothing of a record
but that it is there. The records themselves (`tile/entries`) are for auditors of the whole log: for
the installation's own tenant. Paths under /v1/log are those of c2sp.org/tlog-tiles.
"""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import Path, Query, Request, Response
from pydantic import BaseModel, Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from api.admission import Asking, router
from api.answers import file
from api.conditional import serve
from api.documents import LARGEST_INDEX
from api.installation import Here
from api.problems import Problem, not_found
from provenance.database import snapshot
from provenance.ledger.checkpoint import parse_checkpoint
from provenance.ledger.encoding import format_base64
from provenance.ledger.log import latest_checkpoint, prove_growth, read_nodes
from provenance.ledger.note import format_vkey, parse_note
from provenance.ledger.tiles import WIDTH, Tile, bundle_path, format_bundle, tile_path
from provenance.pictures import OWNER
from provenance.tables import EntryRow

routes = router()

_TEXT = "text/plain; charset=utf-8"
_NOTE, _TILE = file("text/plain"), file("application/octet-stream")
_FOREVER = {"Cache-Control": "public, max-age=31536000, immutable"}
_PRIVATE = {"Cache-Control": "private, max-age=31536000, immutable"}
_PLACE = re.compile(r"((?:x[0-9]{3}/)*[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?", re.ASCII)
_COSIGNATURE_BYTES = 72  # a time of 8 bytes, then Ed25519

Place = Annotated[
    str, Path(max_length=60, description="As in tlog-tiles, e.g. x001/067 or 000.p/8")
]
Size = Annotated[int, Query(ge=1, le=LARGEST_INDEX, description="A size of the log, in entries.")]


class LogKeys(BaseModel):
    origin: Annotated[str, Field(description="The log's name.")]
    keys: Annotated[
        list[str],
        Field(description="Every verifier key the log ever signed with (C2SP vkey); newest last."),
    ]


class Cosignature(BaseModel):
    name: str
    key_id: Annotated[str, Field(description="8 hexadecimal digits.")]
    seconds: Annotated[int, Field(description="By the witness's clock: s since 1970 UTC.")]


class Witnesses(BaseModel):
    size: Annotated[int, Field(description="Of the newest checkpoint, in entries.")]
    cosignatures: list[Cosignature]


class Consistency(BaseModel):
    old: int
    new: int
    hashes: Annotated[list[str], Field(description="The proof of RFC 6962, in base64.")]


@routes.get("/v1/log/checkpoint", tags=["audit"], response_class=Response, responses=_NOTE)
def read_checkpoint(request: Request, here: Here) -> Response:
    """The newest checkpoint, a signed note with the cosignatures of witnesses."""
    with snapshot(here.engine) as session:
        note = latest(session)
    return serve(request, note, _TEXT, {"Cache-Control": "no-cache"})


@routes.get("/v1/log/keys", tags=["audit"])
def read_keys(here: Here) -> LogKeys:
    """The log's verifier keys; take them from a source you trust instead if you can."""
    return LogKeys(origin=here.origin, keys=[format_vkey(key) for key in here.log])


@routes.get("/v1/log/witnesses", tags=["audit"])
def read_witnesses(here: Here) -> Witnesses:
    """Who cosigned the newest checkpoint, and when."""
    with snapshot(here.engine) as session:
        note = parse_note(latest(session))
    return Witnesses(
        size=parse_checkpoint(note.text).size,
        cosignatures=[
            Cosignature(
                name=one.name,
                key_id=one.key_id.hex(),
                seconds=int.from_bytes(one.blob[:8], "big"),
            )
            for one in note.signatures
            if len(one.blob) == _COSIGNATURE_BYTES
        ],
    )


@routes.get("/v1/log/consistency", tags=["audit"])
def read_consistency(here: Here, old: Size, new: Size) -> Consistency:
    """The proof that the log of size `new` only adds to that of size `old`."""
    with snapshot(here.engine) as session:
        hashes = prove_growth(session, old, new)
    return Consistency(old=old, new=new, hashes=[format_base64(one) for one in hashes])


@routes.get(
    "/v1/log/tile/entries/{place:path}",
    tags=["audit"],
    response_class=Response,
    responses=_TILE,
)
def read_bundle(place: Place, request: Request, here: Here, asker: Asking) -> Response:
    """Up to 256 records in a row; only for the installation's own tenant."""
    if asker.tenant.id != OWNER:
        raise not_found("tile")
    with snapshot(here.engine) as session:
        tile = _find_tile(session, 0, place)
        if bundle_path(tile) != f"tile/entries/{place}":
            raise not_found("tile")
        first, last = tile.nodes[0][1], tile.nodes[-1][1]
        records = select(EntryRow.record).where(EntryRow.index.between(first, last))
        data = format_bundle(session.scalars(records.order_by(EntryRow.index)))
    return serve(request, data, "application/octet-stream", _PRIVATE)


@routes.get(
    "/v1/log/tile/{level}/{place:path}",
    tags=["audit"],
    response_class=Response,
    responses=_TILE,
)
def read_tile(
    level: Annotated[int, Path(ge=0, le=63, description="From the leaves up, in eights.")],
    place: Place,
    request: Request,
    here: Here,
) -> Response:
    """Up to 256 hashes of one level in a row."""
    with snapshot(here.engine) as session:
        tile = _find_tile(session, level, place)
        if tile_path(tile) != f"tile/{level}/{place}":
            raise not_found("tile")
        hashes = read_nodes(session, tile.nodes)
    data = b"".join(hashes[node] for node in tile.nodes)
    return serve(request, data, "application/octet-stream", _FOREVER)


def latest(session: Session) -> bytes:
    """The newest checkpoint; raises if none was ever signed."""
    note = latest_checkpoint(session)
    if note is None:
        raise not_found("checkpoint yet")
    return note


def _find_tile(session: Session, level: int, place: str) -> Tile:
    """The tile of a path, if the newest checkpoint covers it."""
    found = _PLACE.fullmatch(place)
    if found is None:
        raise _no_tile()
    number = int(found[1].replace("x", "").replace("/", ""))
    tile = Tile(level, number, int(found[2] or WIDTH))
    signed = parse_checkpoint(parse_note(latest(session)).text).size
    if tile.width > WIDTH or number * WIDTH + tile.width > signed >> (8 * level):
        raise _no_tile()
    return tile


def _no_tile() -> Problem:
    return not_found("tile")
