"""Jobs about uploads: each is read by a confined child, then compared with the log here.

The child sees the bytes and the keys of one tenant; the log, and whose entries may be told of, are
asked here. A child that dies or hangs costs the job it worked on, which fails with that name, and
no other.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from provenance import jobs, pictures
from provenance.blobs import Digest, NoBlob, Unreachable
from provenance.counts import Count
from provenance.database import snapshot, transaction
from provenance.errors import ProvenanceError
from provenance.fingerprint import LEAST_QUALITY
from provenance.formats import Encoding, Format
from provenance.jobs import Claim, Fault, Kind, Lost
from provenance.keys import KeyState
from provenance.pictures import Picture, picture_id
from provenance.verdict.finding import ManifestState, MarkState
from provenance.verdict.table import Verdict, decide
from provenance.watermark.keys import Key
from provenance.watermark.search import FULL
from provenance.wishes import Mark, Verify
from workers.answers import format_key, parse_parent, parse_pixels, parse_reading, parse_seen
from workers.commands.verify import verdict_json
from workers.desk import Desk
from workers.examine import Records, Seen, look_up
from workers.fetching import NotFetched, fetch
from workers.folder import load_claim_signer, load_keyring
from workers.holding import fail_job, give_back, held, put_back, take
from workers.maps import CROPS, DENSITY, DIFFERENCE, SAYS, TOKENS, TRACE
from workers.sandbox import Died, TookTooLong
from workers.seal import Signed, Untrusted, record, sign_upload
from workers.softbinding import fresh_number, shown
from workers.steps import Step, ended, step

KINDS = (Kind.VERIFY, Kind.MARK)
STEPS = 2  # reading the file, comparing it with the log
_log = logging.getLogger(__name__)


class Refused(RuntimeError):
    """A job that fails for good, with the fault that says why."""

    def __init__(self, fault: Fault, detail: str) -> None:
        super().__init__(detail)
        self.fault = fault


def check_next(desk: Desk) -> int:
    """Checks or marks the upload that waits longest; how many jobs that was."""
    for kind in KINDS:
        claims = take(desk.folder.engine, desk.tally, kind, most=1, lease=desk.lease)
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
                _verify(desk, claim)
        except Refused as e:
            fail_job(desk.folder.engine, desk.tally, claim, e.fault, str(e))
        except Lost as e:
            _log.info("%s", e)
        except Unreachable:
            put_back(desk.folder.engine, claims)  # no fault of theirs, so no attempt
            raise
        except Exception:  # noqa: BLE001 - the outermost frame of the work: a defect ends no worker
            _log.exception("checking failed, its job goes back into the queue")
            give_back(desk.folder.engine, desk.tally, claims)


def _verify(desk: Desk, claim: Claim) -> None:
    """Checks one upload, and ends the job with what came of it."""
    wish = claim.job.wish
    fetches = wish.upload is None and wish.source is not None
    data = _fetch(desk, claim) if fetches else _upload(desk, claim)
    with step(desk.tally, Step.CHECK, [claim]):
        result = _check(desk, claim, data)
    shown = [Digest(bytes.fromhex(one["sha256"])) for one in result["overlays"]]
    with transaction(desk.folder.engine) as session:
        jobs.finish(session, claim, result, now=datetime.now(UTC), blobs=shown)
    ended(desk.tally, claim.job.wish.kind)
    desk.tally.add(Count.VERDICTS, result["verdict"]["outcome"])


def _check(desk: Desk, claim: Claim, data: bytes) -> dict[str, Any]:
    """What comes of one upload, as plain values; raises Refused."""
    wish, asked = claim.job.wish, Verify(**claim.job.wish.request)
    keys = _keys(desk, wish.tenant)
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
        "classifier": answer["classifier"],
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


def _fetch(desk: Desk, claim: Claim) -> bytes:
    """The file at the address that the caller named, kept as if it had been uploaded."""
    source = claim.job.wish.source
    assert source is not None, "a job that fetches has an address"
    if desk.outbound is None:
        raise Refused(Fault.FETCH_REFUSED, "this worker fetches nothing: COUNTERMARK_FETCH is no")
    with step(desk.tally, Step.FETCH, [claim]):
        try:
            data = fetch(desk.outbound, source, limit=desk.limit)
        except NotFetched as e:
            raise Refused(e.fault, str(e)) from e
        blob = desk.blobs.put(data)
    with transaction(desk.folder.engine) as session:
        jobs.fetched(session, claim, blob)
    return data


def _ask(desk: Desk, question: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
    try:
        desk.start()
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
    for name in (TOKENS, DENSITY, CROPS, TRACE):
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
    if not blobs or sha256(data).digest() in blobs:
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


@dataclass(frozen=True)
class _Brought:
    """A marked upload as it is signed, with what the child measured."""

    file: bytes
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
    encoding = Encoding(Format(asked.output_format), asked.output_compression)
    question = {
        "do": "mark",
        "model": asked.model,
        "name": asked.name,
        "keys": spoken,
        "key": key.key_id,
        "number": number,
        "encoding": [encoding.format.value, encoding.quality],
    }
    with step(desk.tally, Step.MARK, [claim]):
        answer, rows = _ask(desk, question, data)
        with _sense():
            brought, parent = _parse_brought(answer, rows, encoding), parse_parent(answer["parent"])
    marker = desk.marker(asked.model)
    with step(desk.tally, Step.SIGN, [claim]):
        signed = sign_upload(
            load_claim_signer(desk.folder, now=datetime.now(UTC)),
            brought,
            picture_id(claim.job.id, 0),
            original=sha256(data).digest(),
            parent=parent,
            marker=marker,
            key=key,
        )
        _check_read_back(desk, spoken, signed)
    with step(desk.tally, Step.APPEND, [claim]):
        _keep(desk, claim, signed, marker.name, encoding)
    ended(desk.tally, claim.job.wish.kind)


def _parse_brought(answer: dict[str, Any], rows: bytes, encoding: Encoding) -> _Brought:
    width, height, number = int(answer["width"]), int(answer["height"]), answer["number"]
    pixels = parse_pixels(rows, height=height, width=width)
    facts = {name: float(answer[name]) for name in ("psnr", "ssim", "p_corrected")}
    carried = None if number is None else int(number)
    return _Brought(encoding.encode(pixels), int(answer["list"]), carried, width, height, facts)


def _check_read_back(desk: Desk, keys: list[dict[str, Any]], signed: Signed[_Brought]) -> None:
    """Raise unless the child, which reads every file, reads our manifest and mark in this one.

    Untrusted for the manifest, Refused for the mark.
    """
    question = {"do": "read", "name": "the picture just signed", "search": FULL.name, "keys": keys}
    answer, _ = _ask(desk, question, signed.file)
    with _sense():
        seen = parse_seen(answer["seen"], signed.file)
    if seen.manifest.state is not ManifestState.OURS:
        raise Untrusted(f"the manifest just signed reads as {seen.manifest.state}")
    number = None if seen.number is None else seen.number.number
    if (seen.mark.state, number) != (MarkState.UPLOAD, signed.marked.number):
        raise Refused(Fault.WEAK_MARK, "the mark cannot be read from the file as it would leave")


def _keep(
    desk: Desk, claim: Claim, signed: Signed[_Brought], model: str, encoding: Encoding
) -> None:
    """The end of the job, its record and its picture in one transaction."""
    blob, made, now = desk.blobs.put(signed.file), signed.marked, datetime.now(UTC)
    facts = {
        "model": model,
        "scheme": signed.record.mark.scheme if signed.record.mark else None,
        "key": signed.record.mark.key if signed.record.mark else None,
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
            media=encoding.media,
            width=made.width,
            height=made.height,
            facts=facts,
            created=now,
        )
        pictures.store(session, [picture])
