"""Uploads: read by a confined child, judged for their tenant, whatever they do to the child."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image
from starlette.responses import Response

from provenance import jobs, pictures
from provenance.blobs import Digest
from provenance.callers import Quota
from provenance.database import snapshot, transaction
from provenance.formats import Encoding
from provenance.image import Pixels
from provenance.jobs import Fault, Job, Kind, State
from provenance.ledger.log import read_record
from provenance.ledger.record import Marking
from provenance.manifest.container import sniff
from provenance.outbound import Outbound, Reach
from provenance.settings import read_settings
from provenance.wishes import Verify
from tests.api.serving import serving
from tests.workers.shops import Shop, opened
from tests.workers.toy_catalog import MARKS
from tests.workers.toy_reader import CALL, DIE, EAT, HANG, PEEK
from tests.workers.uploads import flat, photograph, toy
from workers import checking
from workers import desk as desk_
from workers.access import add_tenant
from workers.checking import check_next
from workers.desk import Desk, open_desk
from workers.drawing import draw_next
from workers.station import Station

QUOTAS = {Quota.PICTURES: 9, Quota.CHECKS: 9}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with opened(tmp_path_factory.mktemp("shop")) as made:
        yield made
        made.check()


@pytest.fixture(scope="module")
def desk(shop: Shop) -> Iterator[Desk]:
    """A desk whose child reads what the shop draws."""
    with pytest.MonkeyPatch.context() as patch:
        yield from staffed(shop, patch)


@pytest.fixture
def marking(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """A desk whose child marks uploads."""
    _, marker = toy(shop.folder.path)
    monkeypatch.setenv(MARKS, "yes")
    monkeypatch.setattr(desk_, "load_marker", lambda name: marker)
    yield from staffed(shop, monkeypatch)


def staffed(shop: Shop, patch: pytest.MonkeyPatch) -> Iterator[Desk]:
    data = shop.folder.path
    patch.setenv("COUNTERMARK_DATA", str(data))
    settings = replace(read_settings({}, data), checkers=1)
    reader = "tests.workers.toy_reader"
    made = open_desk(Station(settings, shop.folder, shop.blobs, shop.studio.stop, reader))
    yield made
    made.sandbox.close()


def checked(shop: Shop, desk: Desk, job: Job) -> Job:
    assert check_next(desk) == 1
    return shop.read(job)


def drawn(shop: Shop, tenant: str = "local", *, seed: int = 1) -> bytes:
    job = shop.draw("a", tenant=tenant, seed=seed)
    assert draw_next(shop.studio) == 1
    return shop.file(job)


def test_a_picture_of_ours_is_intact_and_its_tokens_are_shown(shop: Shop, desk: Desk) -> None:
    found = checked(shop, desk, shop.verify(drawn(shop)))
    assert found.result is not None, found.detail
    result = found.result
    assert result["verdict"]["outcome"] == "intact"
    assert result["findings"]["mark"]["state"] == "detected"
    assert result["mark"]["key"].startswith("local.1.")
    assert (result["width"], result["height"]) == (128, 128)
    assert [one["name"] for one in result["overlays"]] == ["mark", "density"]
    assert {shown(shop, one).size for one in result["overlays"]} == {(128, 128)}
    assert result["manifest"]["state"] == "trusted"
    assert result["manifest"]["statement"]["label"].startswith("urn:c2pa:")
    assert found.done == found.total - 1 == 1


def test_a_copy_is_compared_with_the_recorded_picture(shop: Shop, desk: Desk) -> None:
    copy = BytesIO()
    with Image.open(BytesIO(drawn(shop))) as picture:
        picture.convert("RGB").save(copy, "PNG")
    found = checked(shop, desk, shop.verify(copy.getvalue()))
    assert found.result is not None, found.detail
    assert found.result["verdict"]["outcome"] == "stripped"
    assert found.result["manifest"] is None
    *_, difference = found.result["overlays"]
    assert difference["name"] == "difference"
    assert shown(shop, difference).convert("L").getextrema() == (255, 255)  # equal: all white


def shown(shop: Shop, overlay: dict[str, str]) -> Image.Image:
    """The picture of an overlay."""
    return Image.open(BytesIO(shop.blobs.get(Digest(bytes.fromhex(overlay["sha256"])))))


def test_a_stranger_s_picture_is_no_evidence(shop: Shop, desk: Desk) -> None:
    found = checked(shop, desk, shop.verify(photograph(seed=1)))
    assert found.result is not None
    assert found.result["verdict"]["outcome"] == "no evidence"
    assert found.result["overlays"] == []


def test_a_tenant_sees_nothing_of_another_s_picture(shop: Shop, desk: Desk) -> None:
    acme = add_tenant(shop.folder, "acme", quotas=QUOTAS, now=datetime.now(UTC))
    data = drawn(shop, acme.id, seed=2)
    own = checked(shop, desk, shop.verify(data, tenant=acme.id))
    other = checked(shop, desk, shop.verify(data))
    assert own.result is not None
    assert other.result is not None
    assert own.result["verdict"]["outcome"] == "intact"
    found = other.result["findings"]
    assert {name: one["entries"] for name, one in found.items()} == dict.fromkeys(found, [])
    assert found["mark"]["state"] == "not detected"
    assert found["record"]["state"] == "not recorded"
    assert found["fingerprint"]["state"] != "match"
    assert acme.id not in repr(other.result)


def test_bytes_that_are_no_picture_are_named_so(shop: Shop, desk: Desk) -> None:
    for data in (b"", b"GIF89a", photograph()[:100]):
        found = checked(shop, desk, shop.verify(data))
        assert (found.state, found.fault) == (State.FAILED, Fault.UNREADABLE)


@pytest.mark.parametrize(
    ("deed", "fault", "said"),
    [
        (DIE, Fault.CHECKER_DIED, "ended with -11"),
        (HANG, Fault.CHECKER_TIMEOUT, "too long"),
        (EAT, Fault.UNREADABLE, "could not: MemoryError"),
        (CALL, Fault.UNREADABLE, "could not: PermissionError"),
        (PEEK, Fault.UNREADABLE, "could not: PermissionError"),
    ],
)
def test_a_decoder_that_is_broken_into_costs_one_job_and_gets_nothing(
    shop: Shop, desk: Desk, deed: bytes, fault: Fault, said: str
) -> None:
    found = checked(shop, desk, shop.verify(photograph() + deed))
    assert (found.state, found.fault) == (State.FAILED, fault)
    assert said in (found.detail or "")
    after = checked(shop, desk, shop.verify(photograph(seed=2)))
    assert after.state is State.DONE


def test_an_upload_that_is_gone_is_named_so(shop: Shop, desk: Desk) -> None:
    job = shop.verify(b"gone")
    assert job.wish.upload is not None
    shop.blobs.path(job.wish.upload).unlink()
    assert checked(shop, desk, job).fault is Fault.UPLOAD_GONE


def test_a_tenant_without_a_key_is_told_so(shop: Shop, desk: Desk) -> None:
    job = shop.verify(photograph(), tenant="nobody")
    assert checked(shop, desk, job).fault is Fault.NO_KEY


def test_an_upload_is_marked_signed_and_recorded_as_what_it_is(shop: Shop, marking: Desk) -> None:
    original = photograph(256, 256, seed=3)
    done = checked(shop, marking, shop.mark(original))
    assert done.state is State.DONE, done.detail
    made = shop.file(done)
    with snapshot(shop.folder.engine) as session:
        (picture,) = pictures.of_job(session, done.id)
        record = read_record(session, picture.entry)
    assert isinstance(record, Marking)
    assert (record.id, record.file) == (picture.id, sha256(made).digest())
    assert picture.facts["psnr"] >= 35
    with Image.open(BytesIO(made)) as opened_:
        assert opened_.size == (256, 256)
    found = checked(shop, marking, shop.verify(made))
    assert found.result is not None
    assert found.result["findings"]["record"]["entries"] == [picture.entry]
    assert found.result["findings"]["manifest"]["state"] == "ours"


def test_an_upload_that_cannot_carry_a_mark_is_refused(shop: Shop, marking: Desk) -> None:
    found = checked(shop, marking, shop.mark(flat()))
    assert (found.state, found.fault) == (State.FAILED, Fault.UNMARKABLE)


@pytest.mark.parametrize("kind", ["jpeg", "webp"])
def test_a_marked_upload_leaves_in_the_format_that_was_asked_for(
    shop: Shop, marking: Desk, kind: str
) -> None:
    done = checked(shop, marking, shop.mark(photograph(256, 256, seed=4), output_format=kind))
    assert done.state is State.DONE, done.detail
    made = shop.file(done)
    with snapshot(shop.folder.engine) as session:
        (picture,) = pictures.of_job(session, done.id)
        record = read_record(session, picture.entry)
    assert (picture.media, sniff(made)) == (f"image/{kind}", f"image/{kind}")
    assert isinstance(record, Marking)
    assert bytes(record.file) == bytes(picture.blob) == sha256(made).digest()
    found = checked(shop, marking, shop.verify(made))
    assert found.result is not None
    assert found.result["verdict"]["outcome"] == "marked on request, intact"


def test_an_upload_whose_mark_the_format_loses_is_refused(shop: Shop, marking: Desk) -> None:
    job = shop.mark(photograph(256, 256, seed=5), output_format="jpeg", output_compression=1)
    found = checked(shop, marking, job)
    assert (found.state, found.fault) == (State.FAILED, Fault.UNMARKABLE)


def test_a_file_from_which_the_mark_is_not_read_is_not_given_out(
    shop: Shop, marking: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Blurring(Encoding):
        def encode(self, pixels: Pixels) -> bytes:
            return super().encode(np.full_like(pixels, 0.5))

    monkeypatch.setattr(checking, "Encoding", Blurring)
    found = checked(shop, marking, shop.mark(photograph(256, 256, seed=6)))
    assert (found.state, found.fault) == (State.FAILED, Fault.WEAK_MARK)


@pytest.fixture
def fetching(desk: Desk) -> Desk:
    """The desk, fetching from this machine too."""
    return replace(desk, outbound=Outbound(Reach.ANYWHERE, 5), limit=1 << 20)


def addressed(shop: Shop, url: str) -> Job:
    return shop.ask(Verify("quick").wish_of("local", None, url))


def timeless(job: Job) -> dict[str, Any]:
    """A result without how long it took."""
    assert job.result is not None
    del job.result["mark"]["search"]["seconds"]
    return job.result


def test_a_picture_at_an_address_is_checked_as_an_upload_is(shop: Shop, fetching: Desk) -> None:
    data = drawn(shop)
    uploaded = checked(shop, fetching, shop.verify(data))
    with serving(Response(data)) as url:
        found = checked(shop, fetching, addressed(shop, f"{url}/a.png?secret"))
    assert found.state is State.DONE
    assert timeless(found) == timeless(uploaded)
    assert found.wish.upload == sha256(data).digest()
    assert found.wish.source is None


@pytest.mark.parametrize(
    ("status", "body", "fault"),
    [
        (404, b"", Fault.FETCH_FAILED),
        (200, bytes((1 << 20) + 1), Fault.FETCH_TOO_LARGE),
        (200, b"<html>", Fault.UNREADABLE),
    ],
)
def test_what_is_no_picture_at_an_address_fails_its_own_job(
    shop: Shop, fetching: Desk, status: int, body: bytes, fault: Fault
) -> None:
    with serving(Response(body, status)) as url:
        found = checked(shop, fetching, addressed(shop, f"{url}/secret"))
    assert (found.state, found.fault, found.wish.source) == (State.FAILED, fault, None)
    assert "secret" not in str(found)


def test_a_worker_that_fetches_nothing_refuses_by_name(shop: Shop, desk: Desk) -> None:
    found = checked(shop, desk, addressed(shop, "https://example.com/a.png"))
    assert (found.state, found.fault) == (State.FAILED, Fault.FETCH_REFUSED)


def test_a_file_that_was_fetched_is_not_fetched_again(shop: Shop, fetching: Desk) -> None:
    """Though the job went back into the queue."""
    blob = shop.blobs.put(drawn(shop, seed=9))
    job = addressed(shop, "http://127.0.0.1:1/gone-by-now")
    with transaction(shop.folder.engine) as session:
        (claim,) = jobs.claim(session, Kind.VERIFY, most=1, now=datetime.now(UTC))
        jobs.fetched(session, claim, blob)
        jobs.release(session, claim, now=datetime.now(UTC))
    assert checked(shop, fetching, job).state is State.DONE
