"""The log asks its witnesses, over HTTP, to sign that it only grew (c2sp.org/tlog-witness).

A witness is asked for the newest checkpoint as long as that lacks its signature, and what it
answers is kept once its signature holds; whatever else it says is only told to the operator. No
redirect is followed, and a witness that is slow, gone or hostile costs its own thread SECONDS and
nothing else. A checkpoint that was followed by another while the witness signed goes without; the
next is asked for instead.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from provenance.database import snapshot
from provenance.errors import ProvenanceError
from provenance.ledger.anchor import add_cosignatures
from provenance.ledger.checkpoint import open_checkpoint
from provenance.ledger.encoding import parse_decimal, parse_utf8
from provenance.ledger.errors import LedgerError, Malformed, NotLogged
from provenance.ledger.log import latest_checkpoint, prove_growth
from provenance.ledger.note import Verifier, parse_vkey
from provenance.ledger.witness import ADD, SIZE_TYPE, Request, format_request
from provenance.outbound import Outbound, Reach, Refused, parse_url
from provenance.settings import BadSetting
from workers.folder import DataFolder, load_keyring

EVERY = 5.0  # seconds between two looks at whether a witness is to be asked
SECONDS = 10.0  # for a whole answer
ANSWER_BYTES = 64 * 1024  # a hundred signatures and more
_log = logging.getLogger(__name__)


class Unwitnessed(LedgerError):
    """A witness did not sign: which, and what it said."""


@dataclass(frozen=True)
class Witness:
    """Whom to ask: the prefix of the addresses it answers at, and the key it signs with."""

    url: str
    key: Verifier


@dataclass(frozen=True)
class Answer:
    """What a server said, at most ANSWER_BYTES of it."""

    status: int
    media: str
    body: bytes


def parse_witnesses(text: str) -> tuple[Witness, ...]:
    """The witnesses of a setting, `VKEY URL VKEY URL …`; raises BadSetting."""
    words = text.split()
    if len(words) % 2:
        raise BadSetting("COUNTERMARK_WITNESSES is VKEY URL VKEY URL …, each with both")
    try:
        return tuple(
            Witness(_checked(url), parse_vkey(key))
            for key, url in zip(words[::2], words[1::2], strict=True)
        )
    except Malformed as e:
        raise BadSetting(f"COUNTERMARK_WITNESSES: {e}") from e


def ask(engine: Engine, log: Sequence[Verifier], witness: Witness) -> bool:
    """Has the witness sign the newest checkpoint, unless it has; whether it did so now.

    Raises Unwitnessed, what `Outbound.send` raises, NotProven for a signature that does not hold,
    and NotLogged for a log that has no checkpoint or is smaller than the witness has seen it.
    """
    with snapshot(engine) as session:
        note = signed_note(session)
    if witness.key in open_checkpoint(note, log, witnesses=[witness.key]).witnessed:
        return False
    answer = _submit(engine, note, log, witness, since=0)
    if (answer.status, answer.media) == (409, SIZE_TYPE):
        told = parse_utf8(answer.body, what="size").rstrip("\n")
        since = parse_decimal(told, what="size of the witness")
        answer = _submit(engine, note, log, witness, since=since)
    if answer.status != 200:
        said = answer.body.decode("utf-8", "replace")[:200]
        raise Unwitnessed(f"{witness.key.name} answers {answer.status}: {said}")
    add_cosignatures(engine, note + answer.body, log, [witness.key])
    return True


def ask_again(folder: DataFolder, witness: Witness) -> None:
    """Asks, and only says what went wrong: it is asked again later."""
    try:
        ask(folder.engine, load_keyring(folder.path).log_verifiers(), witness)
    except ProvenanceError as e:
        _log.warning("not witnessed by %s: %s", witness.key.name, e)


def _submit(
    engine: Engine, note: bytes, log: Sequence[Verifier], witness: Witness, *, since: int
) -> Answer:
    with snapshot(engine) as session:
        request = format_request(growth(session, note, log, since))
    return post(f"{witness.url}/{ADD}", request)


def growth(session: Session, note: bytes, log: Sequence[Verifier], since: int) -> Request:
    """What a witness at size `since` needs to sign this checkpoint; raises NotLogged."""
    size = open_checkpoint(note, log).checkpoint.size
    proof = prove_growth(session, since, size) if since else ()
    return Request(since, proof, note)


def signed_note(session: Session) -> bytes:
    """The newest checkpoint; raises NotLogged without one."""
    note = latest_checkpoint(session)
    if note is None:
        raise NotLogged("the log has no checkpoint: run `countermark log checkpoint` first")
    return note


def post(url: str, body: bytes) -> Answer:
    """What a server answers that the operator chose; raises Refused, Unanswered, TooLong."""
    headers = {"Content-Type": "text/plain; charset=utf-8", "Connection": "close"}
    sent = Outbound(Reach.ANYWHERE, SECONDS).send("POST", url, headers=headers, body=body)
    with sent as answer:
        media = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
        return Answer(answer.status, media, answer.read(ANSWER_BYTES))


def _checked(url: str) -> str:
    """The prefix without its last slash; raises BadSetting for what is no plain address."""
    try:
        place = parse_url(url, Reach.ANYWHERE)
    except Refused as e:
        raise BadSetting(f"COUNTERMARK_WITNESSES: {url[:200]!r}: {e}") from e
    if place.query:
        raise BadSetting(f"COUNTERMARK_WITNESSES: {url[:200]!r} has a query")
    return url.rstrip("/")
