"""Jobs about uploads: each is read by a confined child, then compared with the log here.

The child sees the bytes and the keys of one tenant; the log, and whose entries may be told of, are
asked here. A child that dies or hangs costs the job it worked on, which fails with that name, and
no other.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from threading import Event
from typing import Any

from generators.catalog import GENERATORS
from provenance import jobs, pictures, pki
from provenance.blobs import Blobs, NoBlob
from provenance.database import snapshot, transaction
from provenance.errors import ProvenanceError
from provenance.fingerprint import LEAST_QUALITY, FingerprintIndex
from provenance.image import encode_png
from provenance.jobs import LEASE, Claim, Fault, Kind, Lost
from provenance.keys import KeyState, Purpose
from provenance.pictures import Picture, picture_id
from provenance.verdict.finding import ManifestState
from provenance.verdict.table import Verdict, decide
from provenance.watermark.keys import Key
from provenance.watermark.search import QUICK
from provenance.wishes import Mark, Verify
from workers.answers import format_key, parse_parent, parse_pixels, parse_reading, parse_seen
from workers.commands.verify import verdict_json
from workers.examine import Records, Seen, look_up
from workers.folder import DataFolder, load_claim_signer, load_keyring
from workers.holding import fail_job, give_back, held
from workers.maps import DENSITY, DIFFERENCE, SAYS, TOKENS
from workers.marking import Marker, load_marker
from workers.sandbox import Died, Sandbox, TookTooLong
from workers.seal import Signed, Untrusted, record, sign_upload
from workers.softbinding import fresh_number, shown
from workers.station import Station

WALL_SECONDS = 600.0  # for one question; its processor time is limited more tightly
KINDS = (Kind.VERIFY, Kind.MARK)
STEPS = 2  # reading the file, comparing it with the log
_log = logging.getLogger(__name__)


class Refused(RuntimeError):
    """A job that fails for good, with the fault that says why."""

    def __init__(self, fault: Fault, detail: str) -> None:
        super().__init__(detail)
        self.fault = fault


@dataclass
class Desk:
    """What checking needs: an installation, a child to read with, and the fingerprints so far."""

    folder: DataFolder
    blobs: Blobs
    sandbox: Sandbox
    index: FingerprintIndex
    stop: Event
    lease: timedelta = LEASE
    loaded: dict[str, Marker] = field(default_factory=dict)

    def marker(self, name: str) -> Marker:
        """The marks of a generator, in memory from now on."""
        if name not in self.loaded:
            self.loaded[name] = load_marker(name)
        return self.loaded[name]


def open_desk(station: Station) -> Desk:
    """A desk whose child is not started yet."""
    folder = station.folder
    keys = folder.keyring
    lost = [k for k in keys.keys if (k.purpose, k.state) == (Purpose.CLAIM, KeyState.COMPROMISED)]
    greeting = {
        "model": next(iter(GENERATORS)),
        "anchors": (folder.path / pki.ROOT).read_text(encoding="ascii"),
        "ours": [key.material.hex() for key in keys.checking(Purpose.CLAIM)],
        "lost": [key.material.hex() for key in lost],
    }
    sandbox = Sandbox(station.reader, greeting, seconds=WALL_SECONDS)
    return Desk(folder, station.blobs, sandbox, FingerprintIndex(), station.stop, station.lease)


def check_next(desk: Desk) -> int:
    """Checks or marks the upload that waits longest; how many jobs that was."""
    for kind in KINDS:
        with transaction(desk.folder.engine) as session:
            now = datetime.now(UTC)
            claims = jobs.claim(session, kind, most=1, now=now, lease=desk.lease)
        if claims:
            _work(desk, claims)
            return 1
    return 0


def _work(desk: Desk, claims: Sequence[Claim]) -> None:
    (claim,) = claims
    with held(desk.folder.engine, claims, lease=desk.lease, stop=desk.stop):
        try:
            if claim.job.wish.kind is Kind.MARK:
                _mark(desk, claim)
            else:
                _end(desk, claim, _check(desk, claim))
        except Refused as e:
            fail_job(desk.folder.engine, claim, e.fault, str(e))
        except Lost as e:
            _log.info("%s", e)
        except Exception:  # noqa: BLE001 - the outermost frame of the work: a defect ends no worker
            _log.exception("checking failed, its job goes back into the queue")
            give_back(desk.folder.engine, claims)


def _check(desk: Desk, claim: Claim) -> dict[str, Any]:
    """What comes of one upload, as plain values; raises Refused."""
    wish, asked = claim.job.wish, Verify(**claim.job.wish.request)
    data, keys = _upload(desk, claim), _keys(desk, wish.tenant)
    question = {
        "do": "read",
        "name": asked.name,
        "search": asked.search,
        "keys": [format_key(key) for key in keys],
    }
    answer, payload = _ask(desk, question, data)
    with _sense():
        seen = parse_seen(answer["seen"], data)
        width, height = int(answer["width"]), int(answer["height"])
        reading, maps = parse_reading(answer["manifest"]), _parse_maps(answer["maps"], payload)
    with transaction(desk.folder.engine) as session:
        jobs.report(session, [claim], done=1, total=STEPS)
    verdict = _decide(desk, wish.tenant, seen)
    maps |= _compare(desk, claim, data, verdict)
    return {
        "sha256": seen.file.hex(),
        "width": width,
        "height": height,
        **verdict_json(verdict),
        "mark": answer["mark"],
        "manifest": reading,
        "overlays": [_overlay(desk, name, png) for name, png in maps.items()],
        "fingerprint": seen.looks.hash.hex() if seen.looks.quality >= LEAST_QUALITY else None,
    }


def _keys(desk: Desk, tenant: str) -> list[Key]:
    """The tenant's mark keys as they are now: a tenant may be newer than this worker."""
    ring = load_keyring(desk.folder.path)
    keys = [key for key in ring.marks().keys if key.tenant == tenant]
    if not keys:
        raise Refused(Fault.NO_KEY, f"tenant {tenant!r} has no mark key")
    return keys


@contextmanager
def _sense() -> Iterator[None]:
    """Around parsing what the child says, which is not believed to be well-formed."""
    try:
        yield
    except (KeyError, TypeError, ValueError, ProvenanceError) as e:
        raise Refused(Fault.CHECKER_DIED, f"the process that read it answered nonsense: {e}") from e


def _upload(desk: Desk, claim: Claim) -> bytes:
    upload = claim.job.wish.upload
    if upload is None:
        raise Refused(Fault.UPLOAD_GONE, "nothing was uploaded")
    try:
        return desk.blobs.get(upload)
    except NoBlob as e:
        raise Refused(Fault.UPLOAD_GONE, str(e)) from e


def _ask(desk: Desk, question: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
    try:
        answer, payload = desk.sandbox.ask(question, data)
    except TookTooLong as e:
        raise Refused(Fault.CHECKER_TIMEOUT, str(e)) from e
    except Died as e:
        raise Refused(Fault.CHECKER_DIED, str(e)) from e
    if "unreadable" in answer:
        raise Refused(Fault.UNREADABLE, str(answer["unreadable"])[:500])
    if "unmarkable" in answer:
        raise Refused(Fault.UNMARKABLE, str(answer["unmarkable"])[:500])
    return answer, payload


def _decide(desk: Desk, tenant: str, seen: Seen) -> Verdict:
    """The verdict, from the log as it is now and this tenant's part of it."""
    with snapshot(desk.folder.engine) as session:
        desk.index.load(session)
        return decide(look_up(Records(session, desk.index, tenant), seen))


def _parse_maps(lengths: dict[str, Any], payload: bytes) -> dict[str, bytes]:
    """The maps that the child sent, one after another; raises ValueError."""
    maps, start = {}, 0
    for name in (TOKENS, DENSITY):
        if name in lengths:
            maps[name], start = payload[start : start + lengths[name]], start + lengths[name]
    if len(maps) != len(lengths) or start != len(payload):
        raise ValueError("maps that are none, or of another length")
    return maps


def _compare(desk: Desk, claim: Claim, data: bytes, verdict: Verdict) -> dict[str, bytes]:
    """What differs from the recorded picture that the verdict is about, if there is one.

    It only illustrates: where the child fails over it, the verdict goes out without it.
    """
    with snapshot(desk.folder.engine) as session:
        own = pictures.of_entries(session, verdict.entries, claim.job.wish.tenant)
    blobs = [own[entry].blob for entry in sorted(own)]
    if not blobs or claim.job.wish.upload in blobs:
        return {}
    question = {"do": "compare", "name": "upload", "length": len(data), "keys": []}
    try:
        _, png = _ask(desk, question, data + desk.blobs.get(blobs[0]))
    except (Refused, NoBlob) as e:
        _log.warning("no map of what differs: %s", e)
        return {}
    return {DIFFERENCE: png} if png else {}


def _overlay(desk: Desk, name: str, png: bytes) -> dict[str, str]:
    digest = desk.blobs.put(png).hex()
    return {"name": name, "says": SAYS[name], "media": "image/png", "sha256": digest}


def _end(desk: Desk, claim: Claim, result: dict[str, Any]) -> None:
    with transaction(desk.folder.engine) as session:
        jobs.finish(session, claim, result, now=datetime.now(UTC))


@dataclass(frozen=True)
class _Brought:
    """A marked upload as it is signed, with what the child measured."""

    png: bytes
    list_index: int
    number: int | None
    width: int
    height: int
    facts: dict[str, float]


def _mark(desk: Desk, claim: Claim) -> None:
    """Marks an upload, signs it, has it read back, and ends the job with its record.

    The child gives back raw pixels, so that what it made is encoded here and never decoded.
    """
    wish, asked = claim.job.wish, Mark(**claim.job.wish.request)
    data, keys = _upload(desk, claim), _keys(desk, wish.tenant)
    key = next((one for one in keys if one.state is KeyState.ACTIVE), None)
    if key is None:
        raise Refused(Fault.NO_KEY, f"tenant {wish.tenant!r} has no active mark key")
    with snapshot(desk.folder.engine) as session:
        number = fresh_number(session)
    spoken = [format_key(one) for one in keys]
    question = {"do": "mark", "name": asked.name, "keys": spoken}
    answer, rows = _ask(desk, {**question, "key": key.key_id, "number": number}, data)
    with _sense():
        brought, parent = _parse_brought(answer, rows), parse_parent(answer["parent"])
    marker = desk.marker(asked.model)
    signed = sign_upload(
        load_claim_signer(desk.folder, now=datetime.now(UTC)),
        brought,
        picture_id(claim.job.id, 0),
        original=sha256(data).digest(),
        parent=parent,
        marker=marker,
        key=key,
    )
    _check_read_back(desk, spoken, signed.file)
    _keep(desk, claim, signed, marker.name, key)


def _parse_brought(answer: dict[str, Any], rows: bytes) -> _Brought:
    width, height, number = int(answer["width"]), int(answer["height"]), answer["number"]
    pixels = parse_pixels(rows, height=height, width=width)
    facts = {name: float(answer[name]) for name in ("psnr", "ssim", "p_corrected")}
    carried = None if number is None else int(number)
    return _Brought(encode_png(pixels), int(answer["list"]), carried, width, height, facts)


def _check_read_back(desk: Desk, keys: list[dict[str, Any]], file: bytes) -> None:
    """Raise Untrusted unless the child, which reads every file, reads our manifest in this one."""
    question = {"do": "read", "name": "the picture just signed", "search": QUICK.name, "keys": keys}
    answer, _ = _ask(desk, question, file)
    with _sense():
        state = parse_seen(answer["seen"], file).manifest.state
    if state is not ManifestState.OURS:
        raise Untrusted(f"the manifest just signed reads as {state}")


def _keep(desk: Desk, claim: Claim, signed: Signed[_Brought], model: str, key: Key) -> None:
    """The end of the job, its record and its picture in one transaction."""
    blob, made, now = desk.blobs.put(signed.file), signed.marked, datetime.now(UTC)
    facts = {
        "model": model,
        "scheme": signed.record.mark.scheme if signed.record.mark else None,
        "key": key.key_id,
        "list": made.list_index,
        "number": None if made.number is None else shown(made.number),
        "manifest": signed.record.manifest,
        **made.facts,
    }
    with transaction(desk.folder.engine) as session:
        jobs.finish(session, claim, {"pictures": [signed.record.id]}, now=now)
        (entry,) = record(session, [signed])
        picture = Picture(
            id=signed.record.id,
            entry=entry.index,
            tenant=claim.job.wish.tenant,
            job=claim.job.id,
            number=0,
            blob=blob,
            media="image/png",
            width=made.width,
            height=made.height,
            facts=facts,
            created=now,
        )
        pictures.store(session, [picture])
