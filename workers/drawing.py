"""Jobs of drawing: a batch of wishes is claimed, drawn together, sealed and finished.

A job ends in one transaction that appends its records and keeps its pictures and its result, so
there is no picture without a record and no record without its picture; its files are blobs before.
A job that is drawn twice after a crash draws the same ids, and only the newest claim can finish it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from threading import Event
from typing import Any

import numpy as np
from torch import Tensor

from generators.catalog import GENERATORS, Generator, load_generator
from generators.checkers.interface import CannotCheck
from generators.devices import NoDevice, find_device
from generators.erasing.delta import BadDelta
from generators.sampling import Request
from provenance import jobs, pictures, previews
from provenance.blobs import Digest, Store, Unreachable
from provenance.counts import Tally
from provenance.database import snapshot, transaction
from provenance.formats import Encoding, Format
from provenance.image import encode_png
from provenance.jobs import LEASE, Claim, Fault, JobId, Kind, Lost
from provenance.keyring import UnknownKey
from provenance.ledger.log import Entry
from provenance.manifest.read import Trust
from provenance.models import Model
from provenance.pictures import Picture, picture_id
from provenance.policies import BadPolicy, effective
from provenance.previews import Preview
from provenance.reasons import Done, Reason, plain, policy_name, tell
from provenance.robustness.attacks import find
from provenance.settings import BadSetting
from provenance.watermark.keys import Key
from provenance.wishes import NO_ATTACK, Generate
from workers import marking
from workers.certifying import find_certificates
from workers.eraser import Eraser
from workers.erasing import CannotApply, Kept, Refused, Rules, draw_kept
from workers.folder import DataFolder, load_claim_signer, load_keyring, load_trust
from workers.generate import BATCH, How, Marked, WeakMark, check_carries, unerased
from workers.holding import Hold, Stopping, fail_job, give_back, held, put_back, take
from workers.marking import Marker
from workers.policy import CannotLabel
from workers.seal import Signed, record, sign_pictures
from workers.station import Station
from workers.steps import Step, ended, step

PREVIEW_SECONDS = 2.0
_log = logging.getLogger(__name__)

Load = Callable[[str], Generator]


@dataclass
class Studio:
    """What drawing needs: an installation, and its generators once they are loaded."""

    folder: DataFolder
    blobs: Store
    load: Load = load_generator
    lease: timedelta = LEASE
    stop: Event = field(default_factory=Event)
    tally: Tally = field(default_factory=Tally)
    trust: Trust | None = None
    loaded: dict[str, Generator] = field(default_factory=dict)
    eraser: Eraser | None = None

    def generator(self, name: str) -> Generator:
        """The generator of a name, in memory from now on."""
        if name not in self.loaded:
            self.loaded[name] = self.load(name)
        return self.loaded[name]

    def rules(self, tenant: str, generator: Generator) -> Rules:
        """What policies say now for a tenant's pictures, applied to the generator's weights.

        Raises BadPolicy, BadDelta and CannotApply.
        """
        if self.eraser is None:
            self.eraser = Eraser(self.folder)
        with snapshot(self.folder.engine) as session:
            policy = effective(session, tenant, generator.name)
        return self.eraser.rules(policy, generator)

    def signers(self) -> Trust:
        """The authority that verifying trusts; another one needs another worker."""
        if self.trust is None:
            self.trust = load_trust(self.folder, now=datetime.now(UTC))
        return self.trust


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


def open_studio(station: Station) -> Studio:
    """A studio with every generator in memory, on the device of the settings; raises BadSetting."""
    try:
        device = find_device(station.settings.device)
    except NoDevice as e:
        raise BadSetting(f"COUNTERMARK_DEVICE: {e}") from e
    studio = Studio(
        station.folder,
        station.blobs,
        load=partial(load_generator, device=device),
        stop=station.stop,
        lease=station.lease,
        tally=station.tally,
    )
    for name in GENERATORS:
        studio.generator(name)
    return studio


def announced(studio: Studio) -> list[Model]:
    """The generators in memory, as the table of models has them."""
    return [
        Model(
            name=one.name,
            draws=one.spec.draws,
            side=one.spec.side,
            licence=one.spec.licence,
            weights=one.spec.transformer.digest.hex(),
            marks=tuple(marking.Kind),
        )
        for one in studio.loaded.values()
    ]


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
    wishes = tuple(Generate(**one.job.wish.request) for one in claims)
    generator = studio.generator(wishes[0].model)
    marker = Marker(generator.name, generator.spec, generator.codec)
    keys = load_keyring(studio.folder.path).marks()  # a tenant may be newer than this worker
    try:
        key = keys.active(claims[0].job.wish.tenant)
    except UnknownKey as e:
        for claim in claims:
            fail_job(studio.folder.engine, studio.tally, claim, Fault.NO_KEY, str(e))
        return
    encoding = Encoding(Format(wishes[0].output_format), wishes[0].output_compression)
    try:
        studio.folder.labels.check_fit(encoding)
    except CannotLabel as e:
        for claim in claims:
            fail_job(studio.folder.engine, studio.tally, claim, Fault.BAD_WISH, str(e))
        return
    try:
        rules = studio.rules(claims[0].job.wish.tenant, generator)
        batch = _Batch(tuple(claims), wishes, generator, marker, key, encoding, rules)
        with step(studio.tally, Step.DRAW, claims):
            made = _attempt(studio, batch, hold)
    except (BadPolicy, BadDelta, CannotApply, CannotCheck) as e:
        for claim in claims:
            fail_job(studio.folder.engine, studio.tally, claim, Fault.POLICY, str(e))
        return
    for claim, wish in zip(claims, wishes, strict=True):
        mine, made = made[: wish.count], made[wish.count :]
        _end(studio, batch, claim, mine)


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
    first = batch.wishes[0]
    requests = [Request(w.prompt, w.seed + n) for w in batch.wishes for n in range(w.count)]
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
