"""Auditing: the log as far as a visitor may see it, and the proofs that lead to its checkpoints.

Checkpoint, witnesses and consistency are for everyone, entries for the tenant they are about, as in
the API. Proof files are checked in the browser, which asks this service for nothing meanwhile.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated

from fastapi import Query, Request, Response
from sqlalchemy.orm import Session

from api.admission import Asker, Asking
from api.documents import DIGEST
from api.installation import Here, Installation
from api.lists import Cursor
from api.pages import charts, tree
from api.pages.entrance import pages
from api.pages.policies import read_policy
from api.pages.render import page, visitor
from api.problems import Problem, invalid
from api.routes.log import Witnesses, latest, read_witnesses
from api.routes.records import Entries, Index, RecordKind, check_visible, describe, list_records
from provenance import keyring
from provenance.callers import Scope
from provenance.database import snapshot
from provenance.keys import Purpose
from provenance.ledger.checkpoint import Checkpoint, parse_checkpoint
from provenance.ledger.encoding import format_base64
from provenance.ledger.errors import NotLogged
from provenance.ledger.log import log_size, prove, prove_growth
from provenance.ledger.note import format_vkey, parse_note
from provenance.ledger.record import KINDS
from provenance.pictures import OWNER

routes = pages()

KEYS = "keys.json"
PAGE = 20  # entries on a page
Filter = Annotated[str, Query(max_length=200)]
Size = Annotated[str, Query(max_length=20)]


@dataclass(frozen=True)
class Newest:
    """How many entries there are, and the newest checkpoint with its witnesses, if there is one."""

    size: int
    checkpoint: Checkpoint | None
    witnesses: Witnesses | None


@routes.get("/audit")
def show_log(
    request: Request,
    here: Here,
    kind: Filter = "",
    file: Filter = "",
    pixels: Filter = "",
    manifest: Filter = "",
    cursor: Cursor = None,
) -> Response:
    """The newest checkpoint and, for auditors, the entries they may be told of."""
    given = {"kind": kind, "file": file, "pixels": pixels, "manifest": manifest}
    asker = _auditor(request)
    entries = None if asker is None else _entries(here, asker, given, cursor)
    return page(
        request,
        "audit",
        newest=_newest(here),
        audits=asker is not None,
        entries=entries,
        given=given,
        kinds=sorted(KINDS),
        keys=[format_vkey(key) for key in here.log],
    )


@routes.get("/audit/entries/{index}")
def show_entry(index: Index, request: Request, here: Here, asker: Asking) -> Response:
    """One entry, what later ones say about it, and its path to the root."""
    with snapshot(here.engine) as session:
        check_visible(session, asker, index)
        entry = describe(session, asker, index)
        drawn = _path(session, index)
    return page(request, "entry", entry=entry.model_dump(), drawn=drawn, origin=here.origin)


@routes.get("/audit/consistency")
def show_consistency(request: Request, here: Here, old: Size = "", new: Size = "") -> Response:
    """The proof that a later log only adds to an earlier one."""
    checkpoint = _newest(here).checkpoint
    newest = checkpoint.size if checkpoint else 0
    given = {"old": old, "new": new or str(newest)}
    hashes, fault = None, None
    if old:
        try:
            with snapshot(here.engine) as session:
                proof = prove_growth(session, _size("old", old), _size("new", given["new"]))
            hashes = [format_base64(one) for one in proof]
        except Problem as e:
            fault = e.detail
        except NotLogged as e:
            fault = str(e)
    return page(request, "consistency", newest=newest, given=given, hashes=hashes, fault=fault)


@routes.get("/audit/proof")
def show_proof_check(request: Request, here: Here) -> Response:
    """The form that checks a proof file in the browser."""
    return page(request, "proof", keys=[format_vkey(key) for key in here.log])


@routes.get("/audit/keys")
def show_keys(request: Request, here: Here, asker: Asking) -> Response:
    """The keys of marks and of the log with their ages, and the policy."""
    ring = keyring.load(here.settings.data / KEYS)
    told = (Purpose.LOG, Purpose.VERDICT, Purpose.CLAIM) if asker.tenant.id == OWNER else ()
    keys = [
        key
        for key in ring.keys
        if (key.purpose is Purpose.MARK and key.owner == asker.tenant.id) or key.purpose in told
    ]
    return page(request, "keys", keys=keys, policy=read_policy(here.settings.data))


@routes.get("/audit/reports")
def show_reports(request: Request, here: Here, asker: Asking) -> Response:
    """What marks were measured to survive, as charts."""
    folder = here.settings.data / charts.FOLDER
    return page(request, "reports", reports=charts.read_reports(folder), folder=charts.FOLDER)


def _auditor(request: Request) -> Asker | None:
    """Who is signed in with a key that may audit."""
    asker = visitor(request)
    allowed = asker is not None and asker.caller is not None and Scope.AUDIT in asker.caller.scopes
    return asker if allowed else None


def _entries(
    here: Installation, asker: Asker, given: dict[str, str], cursor: str | None
) -> Entries:
    kind: RecordKind | None = given["kind"] or None  # type: ignore[assignment]
    if kind is not None and kind not in KINDS:
        raise invalid("kind", "no such kind of record", ", ".join(sorted(KINDS)))
    for name in ("file", "pixels"):
        if given[name] and not re.fullmatch(DIGEST, given[name]):
            raise invalid(name, "not a SHA-256 digest", "64 hexadecimal digits, 0-9 and a-f")
    return list_records(
        here,
        asker,
        kind=kind,
        file_digest=given["file"] or None,
        pixels=given["pixels"] or None,
        manifest=given["manifest"] or None,
        limit=PAGE,
        cursor=cursor,
    )


def _newest(here: Installation) -> Newest:
    with snapshot(here.engine) as session:
        size = log_size(session)
        try:
            found = parse_checkpoint(parse_note(latest(session)).text)
        except Problem:
            return Newest(size, None, None)
    return Newest(size, found, read_witnesses(here))


def _path(session: Session, index: int) -> tree.Drawn | None:
    """The entry's path, None until a checkpoint covers it."""
    try:
        return tree.draw_path(prove(session, index))
    except NotLogged:
        return None


def _size(field: str, text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 17):
        raise invalid(field, "a size of the log is a whole number, from 1", "from 1")
    return int(text)
