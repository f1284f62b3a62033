"""A worker without models: it ends jobs at once, with canned results, through the real tables.

A picture is a small PNG with a manifest store that holds nothing; it is recorded in the real log. A
verification finds a recorded file by its digest, and nothing otherwise. What an upload holds after
its signature says how the job goes: `broken` fails it, `hang` leaves it queued, and the text before
the first `|` is what the picture looks like.
"""

from __future__ import annotations

import threading
import time
import zlib
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from sqlalchemy import Engine, insert
from sqlalchemy.orm import Session

from provenance import backlog, jobs, models, pictures, previews
from provenance.blobs import Blobs, Digest
from provenance.database import transaction
from provenance.formats import Encoding, Format
from provenance.jobs import Claim, Fault, Kind
from provenance.keyring import Keyring
from provenance.ledger.anchor import sign_checkpoint
from provenance.ledger.log import Draft, append, find_entries
from provenance.ledger.record import Digest as RecordDigest
from provenance.ledger.record import Mark, Picture
from provenance.manifest.container import embed, png_chunk
from provenance.manifest.jumbf import STORE, format_box, format_superbox
from provenance.models import Model
from provenance.pictures import picture_id, visible
from provenance.previews import Preview
from provenance.tables import FingerprintRow
from provenance.verdict.finding import (
    Check,
    Finding,
    Findings,
    FingerprintState,
    ManifestState,
    MarkState,
    OriginState,
    RecordState,
    RevocationState,
    number,
)
from provenance.verdict.page import MEANING
from provenance.verdict.table import decide

SIGNATURE = b"\x89PNG\r\n\x1a\n"
SIDE = 128
KEY = "local.1.00000000"
BANNED = {
    "concept": "gun",
    "kind": "phrase",
    "score": 1.0,
    "threshold": 1.0,
    "done": "refused",
    "policy": "*/*/1",
    "start": 2,
    "end": 5,
    "picture": 0,
    "evidence": None,
}
SLOW = "slowly"  # a prompt with this word is drawn in steps, with previews
_LOOK = 0.01  # seconds between two looks for work
_SPEAK = 10.0  # seconds between two announcements
MARKS = ("lexical", "swap", "both")
MODEL = Model("icons-128", "icons", SIDE, "Apache-2.0", "05" * 32, MARKS, uploads=True)


def png(text: str) -> bytes:
    """A small grey PNG that tells this text apart from others."""
    header = b"".join(n.to_bytes(4, "big") for n in (SIDE, SIDE)) + bytes([8, 0, 0, 0, 0])
    grey = sha256(text.encode()).digest()[:1]
    rows = zlib.compress((b"\0" + grey * SIDE) * SIDE)
    chunks = (b"IHDR", header), (b"tEXt", b"Title\0" + text.encode("latin-1", "replace"))
    return (
        SIGNATURE
        + b"".join(png_chunk(name, data) for name, data in chunks)
        + png_chunk(b"IDAT", rows)
        + png_chunk(b"IEND", b"")
    )


def _shown(text: str, kind: str, quality: int) -> bytes:
    """A picture that tells this text apart from others, in a file of this format."""
    if kind == Format.PNG:
        return png(text)
    noise = np.random.default_rng(list(text.encode())).random((3, SIDE, SIDE), np.float32)
    return Encoding(Format(kind), quality).encode(noise)


def upload(text: str) -> bytes:
    """Something that starts like a PNG, and says how the toy worker is to take it."""
    return SIGNATURE + text.encode()


def announce(engine: Engine, known: Sequence[Model]) -> None:
    """Says that a worker has these models."""
    with transaction(engine) as session:
        models.announce(session, known, now=datetime.now(UTC))


class ToyWorker:
    """A thread that works as long as the block lasts."""

    def __init__(self, engine: Engine, blobs: Path, ring: Keyring, anchor: Path) -> None:
        self._engine, self._blobs, self._ring, self._anchor = engine, Blobs(blobs), ring, anchor
        self._stop = threading.Event()
        self._resting = threading.Event()
        self._paused = threading.Event()
        self._turn = threading.Lock()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> ToyWorker:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Work no more."""
        self._stop.set()
        self._thread.join()

    def rest(self) -> None:
        """Leave every job queued until `resume`, from when this returns."""
        self._resting.set()
        with self._turn:
            return

    def pause(self) -> None:
        """Leave a slow drawing unfinished, all its previews shown, until `resume`."""
        self._paused.set()

    def resume(self) -> None:
        """Work again."""
        self._resting.clear()
        self._paused.clear()

    def sign(self) -> None:
        """A checkpoint over all that is recorded now."""
        sign_checkpoint(self._engine, self._ring.log_signers(), self._anchor)

    def _work(self) -> None:
        spoken = 0.0
        while not self._stop.wait(_LOOK):
            if time.monotonic() - spoken > _SPEAK:
                announce(self._engine, [MODEL])
                spoken = time.monotonic()
            for kind in Kind:
                while self._take_turn(kind):
                    pass

    def _take_turn(self, kind: Kind) -> bool:
        with self._turn:
            return not self._resting.is_set() and self._work_once(kind)

    def _work_once(self, kind: Kind) -> bool:
        with transaction(self._engine) as session:
            if not backlog.waiting(session, kind):
                return False
            claims = jobs.claim(session, kind, most=8, now=datetime.now(UTC))
        for claim in claims:
            self._finish(claim)
        if claims and kind is not Kind.VERIFY:
            self.sign()
        return bool(claims)

    def _finish(self, claim: Claim) -> None:
        wish = claim.job.wish
        if SLOW in wish.request.get("prompt", ""):
            self._draw_slowly(claim)
        with transaction(self._engine) as session:
            now = datetime.now(UTC)
            data = b"" if wish.upload is None else self._blobs.get(wish.upload)
            if b"broken" in data:
                jobs.fail(session, claim, Fault.UNREADABLE, "upload: not a picture", now=now)
            elif "unmarkable" in wish.request.get("prompt", ""):
                jobs.fail(session, claim, Fault.WEAK_MARK, "too flat to carry a mark", now=now)
            elif "forbidden" in wish.request.get("prompt", ""):
                told = {"reasons": [BANNED]}
                why = "gun: refused, for the prompt names it"
                jobs.fail(session, claim, Fault.BANNED, why, now=now, result=told)
            elif wish.kind is Kind.VERIFY:
                result = self._verify(session, claim, data)
                shown = [Digest(bytes.fromhex(one["sha256"])) for one in result["overlays"]]
                jobs.finish(session, claim, result, now=now, blobs=shown)
            else:
                jobs.finish(session, claim, self._draw(session, claim, data), now=now)

    def _draw_slowly(self, claim: Claim) -> None:
        for step in (1, 2, 3):
            with transaction(self._engine) as session:
                jobs.report(session, [claim], done=step, total=4)
                previews.show(session, claim, [Preview(0, step, png(f"preview {step}"))])
            self._stop.wait(0.15)
        while self._paused.is_set() and not self._stop.is_set():
            self._stop.wait(_LOOK)

    def _draw(self, session: Session, claim: Claim, data: bytes) -> dict[str, Any]:
        job, request = claim.job, claim.job.wish.request
        made = []
        for place in range(job.wish.size):
            picture = picture_id(job.id, place)
            text = f"{request.get('prompt', 'marked')} {request.get('seed', 0)} {picture}"
            shown = _shown(text, request["output_format"], request["output_compression"])
            box = format_box(b"free", b"a store of " + picture.encode())
            file = embed(shown, format_superbox(STORE, "c2pa", box))
            record = _record(picture, file)
            (entry,) = append(session, [Draft(record)])
            looks = {"entry": entry.index, "hash": looks_of(file), "quality": 100}
            session.execute(insert(FingerprintRow), [looks])
            made.append(self._keep(claim, place, picture, file, entry.index))
        pictures.store(session, made)
        return {"pictures": [one.id for one in made]}

    def _keep(
        self, claim: Claim, place: int, picture: str, file: bytes, entry: int
    ) -> pictures.Picture:
        return pictures.Picture(
            id=picture,
            entry=entry,
            tenant=claim.job.wish.tenant,
            job=claim.job.id,
            number=place,
            blob=self._blobs.put(file),
            media=f"image/{claim.job.wish.request['output_format']}",
            width=SIDE,
            height=SIDE,
            facts={"seed": claim.job.wish.request.get("seed", 0) + place},
            created=datetime.now(UTC),
        )

    def _verify(self, session: Session, claim: Claim, data: bytes) -> dict[str, Any]:
        every = find_entries(session, "file", sha256(data).digest())
        entries = tuple(visible(session, every, claim.job.wish.tenant))
        verdict = decide(_findings(entries))
        overlay = self._blobs.put(png("overlay"))
        return {
            "sha256": sha256(data).hexdigest(),
            "width": SIDE,
            "height": SIDE,
            "verdict": {
                "outcome": verdict.outcome.value,
                "says": MEANING[verdict.outcome].says,
                "leaves_open": MEANING[verdict.outcome].leaves_open,
                "row": verdict.row,
                "table": verdict.table,
                "entries": list(verdict.entries),
            },
            "findings": {name: _plain(one) for name, one in vars(verdict.findings).items() if one},
            "mark": {
                "outcome": "not detected",
                "p_corrected": 1.0,
                "models": ["icons-128", "other"],
                "models_left_out": {"torn": "it cannot be loaded"},
            },
            "manifest": _reading(data),
            "overlays": [
                {"name": "mark", "says": "where", "media": "image/png", "sha256": overlay.hex()}
            ],
            "fingerprint": looks_of(data).hex(),
        }


def _reading(data: bytes) -> dict[str, Any] | None:
    """What a manifest says that states what the upload holds after its signature, as text."""
    if not data.startswith(SIGNATURE + b"states "):
        return None
    text = data.removeprefix(SIGNATURE + b"states ").decode()
    opinion = {"state": "valid but untrusted", "reason": "foreign root", "detail": text}
    texts = dict.fromkeys(("label", "generator", "model", "signer"), text)
    lists = dict.fromkeys(("actions", "source_types", "ingredients", "bindings"), [text])
    statement = {**texts, **lists, "when": None}
    return {**opinion, "official": opinion, "independent": opinion, "statement": statement}


def looks_of(data: bytes) -> bytes:
    """What a toy picture looks like: the same for all that agree before the first `|`."""
    return sha256(data.partition(b"|")[0]).digest()


def _record(picture: str, file: bytes) -> Picture:
    return Picture(
        at=datetime.now(UTC).replace(microsecond=0),
        id=picture,
        software="countermark 0.1.0",
        generator="icons-128",
        weights=RecordDigest(b"\x05" * 32),
        mark=Mark("lexical/1", KEY),
        policy="marked/1",
        erased=(),
        pixels=RecordDigest(sha256(b"pixels of " + file).digest()),
        file=RecordDigest(Digest(sha256(file).digest())),
        fingerprint="pdq1:" + looks_of(file).hex(),
        manifest=f"urn:c2pa:{picture}",
        commitments=(),
    )


def _findings(entries: tuple[int, ...]) -> Findings:
    check = Check("toy/1", "entries with this digest", number(len(entries)), None, "a toy's word")
    found = RecordState.FILE if entries else RecordState.NONE
    alike = FingerprintState.MATCH if entries else FingerprintState.NONE
    return Findings(
        record=Finding(found, check, entries),
        manifest=Finding(ManifestState.ABSENT, check),
        mark=Finding(MarkState.NOT_DETECTED, check),
        fingerprint=Finding(alike, check, entries),
        revocation=Finding(RevocationState.STANDS, check),
        origin=Finding(OriginState.MADE, check),
    )


def _plain(finding: Finding[Any]) -> dict[str, Any]:
    check = finding.check
    return {
        "state": finding.state.value,
        "quantity": check.quantity,
        "value": check.value,
        "threshold": check.threshold,
        "version": check.version,
        "caveat": check.caveat,
        "entries": list(finding.entries),
    }
