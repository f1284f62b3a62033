"""Jobs about uploads: each is read by a confined child, then compared with the log here.

The child sees the bytes and the keys of one tenant; the log, and whose entries may be told of, are
asked here. A child that dies or hangs costs the job it worked on, which fails with that name, and
no other.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Any

from generators.catalog import GENERATORS
from provenance import jobs, pki
from provenance.blobs import Blobs, NoBlob
from provenance.database import snapshot, transaction
from provenance.errors import ProvenanceError
from provenance.fingerprint import LEAST_QUALITY, FingerprintIndex
from provenance.jobs import LEASE, Claim, Fault, Kind, Lost
from provenance.keyring import Keyring
from provenance.keys import KeyState, Purpose
from provenance.verdict.table import Verdict, decide
from provenance.wishes import Verify
from workers.commands.verify import verdict_json
from workers.examine import Records, Seen, look_up
from workers.folder import DataFolder, load_keyring
from workers.holding import fail_job, give_back, held
from workers.reader import format_key, parse_seen
from workers.sandbox import Died, Sandbox, TookTooLong
from workers.station import Station

WALL_SECONDS = 600.0  # for one question; its processor time is limited more tightly
KINDS = (Kind.VERIFY,)
OVERLAY = "the tokens of the picture, green where they are in the list of the mark that was found"
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
    """Checks the upload that waits longest; how many jobs that was."""
    with transaction(desk.folder.engine) as session:
        now = datetime.now(UTC)
        claims = jobs.claim(session, Kind.VERIFY, most=1, now=now, lease=desk.lease)
    if not claims:
        return 0
    (claim,) = claims
    with held(desk.folder.engine, claims, lease=desk.lease, stop=desk.stop):
        try:
            _end(desk, claim, _check(desk, claim))
        except Refused as e:
            fail_job(desk.folder.engine, claim, e.fault, str(e))
        except Lost as e:
            _log.info("%s", e)
        except Exception:  # noqa: BLE001 - the outermost frame of the work: a defect ends no worker
            _log.exception("checking failed, its job goes back into the queue")
            give_back(desk.folder.engine, claims)
    return 1


def _check(desk: Desk, claim: Claim) -> dict[str, Any]:
    """What comes of one upload, as plain values; raises Refused."""
    wish, asked = claim.job.wish, Verify(**claim.job.wish.request)
    data = _upload(desk, claim)
    ring = load_keyring(desk.folder.path)  # a tenant may be newer than this worker
    keys = [key for key in ring.marks().keys if key.tenant == wish.tenant]
    if not keys:
        raise Refused(Fault.NO_KEY, f"tenant {wish.tenant!r} has no mark key")
    question = {
        "name": asked.name,
        "search": asked.search,
        "keys": [format_key(key) for key in keys],
    }
    answer, overlay = _ask(desk, question, data)
    try:
        seen = parse_seen(answer["seen"], data)
        width, height = int(answer["width"]), int(answer["height"])
    except (KeyError, TypeError, ValueError, ProvenanceError) as e:
        raise Refused(Fault.CHECKER_DIED, f"the process that read it answered nonsense: {e}") from e
    verdict = _decide(desk, ring, wish.tenant, seen)
    return {
        "sha256": seen.file.hex(),
        "width": width,
        "height": height,
        **verdict_json(verdict),
        "mark": answer["mark"],
        "overlays": _overlays(desk, overlay),
        "fingerprint": seen.looks.hash.hex() if seen.looks.quality >= LEAST_QUALITY else None,
    }


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
    return answer, payload


def _decide(desk: Desk, ring: Keyring, tenant: str, seen: Seen) -> Verdict:
    """The verdict, from the log as it is now and this tenant's part of it."""
    with snapshot(desk.folder.engine) as session:
        desk.index.load(session)
        return decide(look_up(Records(session, desk.index, tenant), seen))


def _overlays(desk: Desk, png: bytes) -> list[dict[str, str]]:
    if not png:
        return []
    digest = desk.blobs.put(png).hex()
    return [{"name": "mark", "says": OVERLAY, "media": "image/png", "sha256": digest}]


def _end(desk: Desk, claim: Claim, result: dict[str, Any]) -> None:
    with transaction(desk.folder.engine) as session:
        jobs.finish(session, claim, result, now=datetime.now(UTC))
