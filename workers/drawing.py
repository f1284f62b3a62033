"""Jobs of drawing: a batch of wishes is claimed, drawn together, sealed and finished.

A job ends in one transaction that appends its records and keeps its pictures and its result, so
there is no picture without a record and no record without its picture; its files are blobs before.
A job that is drawn twice after a crash draws the same ids, and only the newest claim can finish it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
from torch import Tensor

from generators.catalog import Generator
from generators.checkers.interface import CannotCheck
from generators.erasing.delta import BadDelta
from generators.interface import CannotAsk
from generators.sampling import Request
from provenance import jobs, pictures, previews
from provenance.blobs import Digest, Unreachable
from provenance.database import transaction
from provenance.formats import Encoding, Format
from provenance.image import encode_png
from provenance.jobs import Claim, Fault, JobId, Kind, Lost
from provenance.keyring import UnknownKey
from provenance.ledger.log import Entry
from provenance.pictures import Picture, picture_id
from provenance.policies import BadPolicy
from provenance.previews import Preview
from provenance.reasons import Done, Reason, plain, policy_name, tell
from provenance.robustness.attacks import find
from provenance.watermark.keys import Key
from provenance.wishes import NO_ATTACK, Generate
from workers import marking
from workers.certifying import find_certificates
from workers.erasing import CannotApply, Kept, Refused, Rules, draw_kept
from workers.folder import load_claim_signer, load_keyring
from workers.generate import BATCH, How, Marked, WeakMark, check_carries, unerased
from workers.holding import Hold, Stopping, fail_job, give_back, held, put_back, take
from workers.marking import Marker
from workers.policy import CannotLabel
from workers.seal import Signed, record, sign_pictures
from workers.steps import Step, ended, step
from workers.studio import Studio

PREVIEW_SECONDS = 2.0
FAULTS: dict[type[Exception], Fault] = {
    UnknownKey: Fault.NO_KEY,
    CannotLabel: Fault.BAD_WISH,
    BadPolicy: Fault.POLICY,
    BadDelta: Fault.POLICY,
    CannotApply: Fault.POLICY,
    CannotCheck: Fault.POLICY,
}  # of what no job of a batch can be drawn without
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Batch:
    """Jobs that are drawn together: they agree in all but prompts and seeds."""

    claims: tuple[Claim, ...]
    wishes: tuple[Generate, ...]
    generator: Generator
    marker: Marker
    key: Key
    encoding: Encoding
    rules: Rules


def draw_next(studio: Studio) -> int:
    """Draws the oldest waiting jobs that fit together; how many jobs that were."""
    engine, tally = studio.folder.engine, studio.tally
    claims = take(engine, tally, Kind.GENERATE, most=BATCH, lease=studio.lease)
    if not claims:
        return 0
    with held(engine, claims, lease=studio.lease, stop=studio.stop) as hold:
        try:
            _draw(studio, claims, hold)
        except Lost as e:
            _log.info("%s", e)
        except Stopping:
            put_back(engine, claims)
        except Unreachable:
            put_back(engine, claims)  # no fault of theirs, so no attempt
            raise
        except Exception:  # noqa: BLE001 - the outermost frame of the work: a defect ends no worker
            _log.exception("drawing failed, its jobs go back into the queue")
            give_back(engine, tally, claims)
    return len(claims)


def _draw(studio: Studio, claims: Sequence[Claim], hold: Hold) -> None:
    generator = studio.generator(Generate(**claims[0].job.wish.request).model)
    try:
        batch = _batch(studio, generator, claims)
        with step(studio.tally, Step.DRAW, claims):
            made = _attempt(studio, batch, hold)
    except CannotAsk:
        _draw_apart(studio, generator, claims, hold)
        return
    except tuple(FAULTS) as e:
        fault = next(fault for kind, fault in FAULTS.items() if isinstance(e, kind))
        for claim in claims:
            fail_job(studio.folder.engine, studio.tally, claim, fault, str(e))
        return
    for claim, wish in zip(claims, batch.wishes, strict=True):
        mine, made = made[: wish.count], made[wish.count :]
        _end(studio, batch, claim, mine)


def _draw_apart(studio: Studio, generator: Generator, claims: Sequence[Claim], hold: Hold) -> None:
    """Each job alone, since a prompt of one of them cannot be asked; that one fails.

    What the prompt was is not repeated: a fault outlives it.
    """
    if len(claims) > 1:
        for claim in claims:
            _draw(studio, [claim], hold)
        return
    said = f"it cannot be asked by this prompt: {generator.name} draws {generator.spec.draws}"
    fail_job(studio.folder.engine, studio.tally, claims[0], Fault.BAD_WISH, said)


def _batch(studio: Studio, generator: Generator, claims: Sequence[Claim]) -> _Batch:
    """The jobs with all that drawing them takes; raises one of FAULTS."""
    wishes = tuple(Generate(**one.job.wish.request) for one in claims)
    keys = load_keyring(studio.folder.path).marks()  # a tenant may be newer than this worker
    tenant = claims[0].job.wish.tenant
    key = keys.active(tenant)
    encoding = Encoding(Format(wishes[0].output_format), wishes[0].output_compression)
    studio.folder.labels.check_fit(encoding)
    marker = Marker(generator.name, generator.spec, generator.codec)
    rules = studio.rules(tenant, generator)
    return _Batch(tuple(claims), wishes, generator, marker, key, encoding, rules)


def _end(studio: Studio, batch: _Batch, claim: Claim, made: Sequence[Kept | Refused]) -> None:
    """Ends one job: with all of its pictures, or with why a policy refused one."""
    reasons = [plain(reason) for n, one in enumerate(made) for reason in _of(one, n)]
    if not any(isinstance(one, Refused) for one in made):
        _finish(
            studio, batch, claim, [one.marked for one in made if isinstance(one, Kept)], reasons
        )
        return
    refused = [tell(one) for one in reasons if one["done"] == Done.REFUSED]
    told = "; ".join(dict.fromkeys(refused))
    folder, result = studio.folder, {"reasons": reasons}
    fail_job(folder.engine, studio.tally, claim, Fault.BANNED, told, result=result)


def _of(made: Kept | Refused, number: int) -> list[Reason]:
    """The reasons of a picture of a job, under its number there."""
    return [replace(reason, picture=number) for reason in made.reasons]


def _attempt(studio: Studio, batch: _Batch, hold: Hold) -> list[Kept | Refused]:
    """Every picture of the batch, in order, or why there is none."""
    first, how = batch.wishes[0], batch.generator.spec.sampling
    requests = [Request(w.prompt, w.seed + n, how) for w in batch.wishes for n in range(w.count)]
    watch = _Watch(studio, batch, hold)
    return draw_kept(
        batch.generator,
        batch.marker,
        requests,
        How(
            marking.Kind(first.mark),
            batch.key,
            unerased,
            None if first.survive == NO_ATTACK else find(first.survive),
            studio.folder.labels,
            batch.encoding,
        ),
        batch.rules,
        progress=watch.progress,
        show=watch.show,
    )


class _Watch:
    """Tells now and then how far the pictures are; ends the drawing when nobody wants them."""

    def __init__(self, studio: Studio, batch: _Batch, hold: Hold) -> None:
        self._studio, self._batch, self._hold = studio, batch, hold
        self._places = [
            (claim, n)
            for claim, wish in zip(batch.claims, batch.wishes, strict=True)
            for n in range(wish.count)
        ]
        self._told = time.monotonic()
        self._previews: dict[JobId, list[Preview]] = {}

    def show(self, numbers: Sequence[int], tokens: Tensor) -> None:
        """Decodes what is drawn of some pictures, if it is time for a preview."""
        if not self._due():
            return
        pixels = self._batch.generator.codec.decode(tokens).cpu().numpy()
        self._previews = {claim.job.id: [] for claim in self._batch.claims}
        for number, picture in zip(numbers, pixels, strict=True):
            claim, place = self._places[number]
            png = encode_png(picture.astype(np.float32))
            self._previews[claim.job.id].append(Preview(place, 0, png))

    def progress(self, done: int, total: int) -> None:
        """Keeps progress, and previews if there are new ones, in one transaction."""
        self._hold.check()
        if not self._due():
            return
        self._told = time.monotonic()
        with transaction(self._studio.folder.engine) as session:
            jobs.report(session, self._batch.claims, done=done, total=total)
            for claim in self._batch.claims:
                if claim.job.id in self._previews:
                    shown = self._previews[claim.job.id]
                    now = [Preview(one.number, done, one.png) for one in shown]
                    previews.show(session, claim, now)
        self._previews = {}

    def _due(self) -> bool:
        return time.monotonic() - self._told >= PREVIEW_SECONDS


def _finish(
    studio: Studio,
    batch: _Batch,
    claim: Claim,
    made: Sequence[Marked],
    reasons: Sequence[Mapping[str, Any]],
) -> None:
    """Seals the pictures of one job, and ends it: all of them or none."""
    try:
        for marked in made:
            check_carries(marked)
    except WeakMark as e:
        fail_job(studio.folder.engine, studio.tally, claim, Fault.WEAK_MARK, str(e))
        return
    folder, job = studio.folder, claim.job
    ids = [picture_id(job.id, n) for n in range(len(made))]
    now = datetime.now(UTC)
    with step(studio.tally, Step.SIGN, [claim]):
        signed = sign_pictures(
            load_claim_signer(folder, now=now),
            made,
            ids,
            labels=folder.labels,
            trust=studio.signers(),
            marker=batch.marker,
            key=batch.key,
            erased=batch.rules.erased,
        )
        blobs = [studio.blobs.put(one.file) for one in signed]
    try:
        with step(studio.tally, Step.APPEND, [claim]), transaction(folder.engine) as session:
            result = {"pictures": ids, "reasons": list(reasons)}
            jobs.finish(session, claim, result, now=now)
            entries = record(session, signed)
            pictures.store(session, _rows(studio, batch, claim, signed, entries, blobs))
    except Lost as e:
        _log.info("not recorded: %s", e)
    else:
        ended(studio.tally, job.wish.kind)


def _rows(
    studio: Studio,
    batch: _Batch,
    claim: Claim,
    signed: Sequence[Signed[Marked]],
    entries: Sequence[Entry],
    blobs: Sequence[Digest],
) -> list[Picture]:
    """The finished pictures of a job, each with the entry that records it."""
    return [
        Picture(
            id=one.record.id,
            entry=entry.index,
            tenant=claim.job.wish.tenant,
            job=claim.job.id,
            number=number,
            blob=blob,
            media=batch.encoding.media,
            width=one.marked.drawn.pixels.shape[1],
            height=one.marked.drawn.pixels.shape[0],
            facts=_facts(studio, one, batch),
            created=one.record.at,
        )
        for number, (one, entry, blob) in enumerate(zip(signed, entries, blobs, strict=True))
    ]


def _facts(studio: Studio, signed: Signed[Marked], batch: _Batch) -> dict[str, object]:
    """How a picture was made and what its own file shows, as plain values."""
    marked, survived = signed.marked, signed.marked.survived
    return {
        "model": batch.generator.name,
        "seed": marked.drawn.request.seed,
        "mark": marked.mark.value,
        "scheme": batch.marker.scheme(marked.mark).name,
        "key": batch.key.key_id,
        "strength": marked.strength,
        "p_corrected": marked.finding.corrected,
        "survived": None if survived is None else survived.attack,
        "p_survived": None if survived is None else survived.finding.corrected,
        "manifest": signed.record.manifest,
        "policies": [policy_name(one) for one in batch.rules.policy.versions],
        "erased": list(batch.rules.policy.names),
        "certificates": find_certificates(
            studio.folder.path, model=batch.generator.name, names=batch.rules.policy.names
        ),
    }
