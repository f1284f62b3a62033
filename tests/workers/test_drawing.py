"""Jobs of drawing: drawn together, ended each for itself, with all their pictures or with none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import pytest
import sqlalchemy as sa
from PIL import Image
from sqlalchemy.orm import Session

from provenance import jobs, pictures, previews
from provenance.blobs import Blobs, Digest, Unreachable
from provenance.callers import Quota
from provenance.counts import Tally
from provenance.database import snapshot, transaction
from provenance.jobs import ATTEMPTS, Claim, Fault, Kind, State
from provenance.keyring import UnknownKey
from provenance.ledger.log import find_entries, log_size, read_record
from provenance.ledger.record import Picture as PictureRecord
from provenance.manifest.container import sniff
from provenance.previews import Preview
from provenance.tables import CheckpointRow
from provenance.verdict.finding import number
from provenance.watermark.search import QUICK
from tests.workers.shops import Shop, opened
from tests.workers.toys import generator
from workers import drawing, seal
from workers.access import add_tenant
from workers.drawing import draw_next
from workers.keeping import forget, sequence, sweep
from workers.policy import Labels
from workers.verify import verify

QUOTAS = {Quota.PICTURES: 9, Quota.CHECKS: 9}


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with opened(tmp_path) as made:
        yield made
        made.check()


def test_a_wish_ends_as_recorded_pictures(shop: Shop) -> None:
    job = shop.draw("two of them", count=2, seed=5)
    assert draw_next(shop.studio) == 1
    done = shop.read(job)
    assert done.state is State.DONE
    assert done.result is not None
    with snapshot(shop.folder.engine) as session:
        made = pictures.of_job(session, job.id)
        assert [one.id for one in made] == done.result["pictures"]
        assert [one.facts["seed"] for one in made] == [5, 6]
        for one in made:
            assert find_entries(session, "id", one.id.encode()) == [one.entry]
            assert pictures.read(session, one.id, "local") == one
    with Image.open(BytesIO(shop.file(job, 1))) as picture:
        assert picture.size == (128, 128)


def test_waiting_jobs_are_drawn_together_and_no_more_than_a_batch(shop: Shop) -> None:
    for n in range(3):
        shop.draw(f"picture {n}", count=3)
    assert [draw_next(shop.studio) for _ in range(3)] == [2, 1, 0]


def test_the_same_wish_is_the_same_picture_alone_and_in_company(shop: Shop) -> None:
    alone = shop.draw("x", seed=3)
    draw_next(shop.studio)
    together = [shop.draw("y", seed=4), shop.draw("x", seed=3)]
    draw_next(shop.studio)
    with (
        Image.open(BytesIO(shop.file(alone))) as one,
        Image.open(BytesIO(shop.file(together[1]))) as two,
    ):
        assert one.tobytes() == two.tobytes()


def test_a_picture_that_cannot_carry_a_mark_fails_its_own_job(tmp_path: Path) -> None:
    sure = generator(tmp_path, sure=100.0)[0]
    with opened(tmp_path, toy=sure) as shop:
        job = shop.draw()
        draw_next(shop.studio)
        found = shop.read(job)
        assert (found.state, found.fault) == (State.FAILED, Fault.WEAK_MARK)
        with snapshot(shop.folder.engine) as session:
            assert log_size(session) == 0
        shop.check()


def test_a_job_cancelled_while_it_is_drawn_leaves_nothing(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, sealed = shop.draw(), seal.sign_pictures

    def late(*given: object, **named: object) -> object:
        with transaction(shop.folder.engine) as session:
            jobs.cancel(session, job.id, "local", now=datetime.now(UTC))
        return sealed(*given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(drawing, "sign_pictures", late)
    draw_next(shop.studio)
    assert shop.read(job).state is State.CANCELLED
    with snapshot(shop.folder.engine) as session:
        assert log_size(session) == 0


def test_a_worker_that_is_told_to_stop_draws_no_further_and_gives_the_job_back(shop: Shop) -> None:
    job = shop.draw()
    shop.studio.stop.set()
    draw_next(shop.studio)
    assert shop.read(job).state is State.QUEUED
    with snapshot(shop.folder.engine) as session:
        assert log_size(session) == 0


def test_a_worker_that_lost_its_lease_records_nothing_and_the_next_one_does(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, sealed = shop.draw(), seal.sign_pictures

    def slow(*given: object, **named: object) -> object:
        monkeypatch.undo()
        with transaction(shop.folder.engine) as session:
            jobs.sweep(session, now=datetime.now(UTC) + timedelta(hours=1))
        assert draw_next(shop.studio) == 1, "another worker takes over"
        return sealed(*given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(drawing, "sign_pictures", slow)
    draw_next(shop.studio)
    assert shop.read(job).state is State.DONE
    with snapshot(shop.folder.engine) as session:
        assert log_size(session) == 1


@pytest.mark.parametrize("where", ["draw_kept", "sign_pictures", "record"])
def test_a_defect_gives_the_job_back_and_ends_it_in_the_end(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    job = shop.draw()

    def broken(*given: object, **named: object) -> object:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(drawing, where, broken)
        draw_next(shop.studio)
        assert shop.read(job).state is State.QUEUED
        for _ in range(ATTEMPTS - 1):
            draw_next(shop.studio)
    failed = shop.read(job)
    assert (failed.state, failed.fault) == (State.FAILED, Fault.WORKER_FAILED)
    with snapshot(shop.folder.engine) as session:
        assert log_size(session) == 0


def test_a_job_that_fails_once_is_drawn_the_next_time(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = shop.draw()
    with monkeypatch.context() as patch:
        patch.delattr(drawing, "record")
        draw_next(shop.studio)
    draw_next(shop.studio)
    assert (shop.read(job).state, shop.read(job).attempts) == (State.DONE, 2)


def test_each_tenant_draws_with_a_key_of_its_own(shop: Shop) -> None:
    acme = add_tenant(shop.folder, "acme", quotas=QUOTAS, now=datetime.now(UTC))
    jobs_ = [shop.draw(tenant=acme.id), shop.draw()]
    assert [draw_next(shop.studio) for _ in range(2)] == [1, 1]
    with snapshot(shop.folder.engine) as session:
        keys = [pictures.of_job(session, job.id)[0].facts["key"] for job in jobs_]
        record = read_record(session, 0)
        assert pictures.visible(session, [0, 1], acme.id) == [0]
        assert pictures.visible(session, [0, 1], "local") == [1]
    assert [key.split(".")[0] for key in keys] == [acme.id, "local"]
    assert "acme" not in repr(record)


def test_a_tenant_without_a_key_is_told_so(shop: Shop) -> None:
    with pytest.raises(UnknownKey):
        shop.folder.keyring.marks().active("nobody")
    job = shop.draw(tenant="nobody")
    draw_next(shop.studio)
    assert shop.read(job).fault is Fault.NO_KEY


def test_previews_show_the_picture_while_it_grows(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, show, seen = shop.draw(count=2), previews.show, []

    def look(session: Session, claim: Claim, shown: list[Preview]) -> None:
        show(session, claim, shown)
        seen.append((previews.read(session, job.id), jobs.read(session, job.id, "local")))

    monkeypatch.setattr(drawing, "PREVIEW_SECONDS", 0.01)
    monkeypatch.setattr(previews, "show", look)
    draw_next(shop.studio)
    shown, running = seen[-1]
    assert [(one.number, one.step) for one in shown] == [(0, running.done), (1, running.done)]
    assert (running.total, running.state) == (256, State.RUNNING)
    with Image.open(BytesIO(shown[0].png)) as picture:
        assert picture.size == (128, 128)
    with snapshot(shop.folder.engine) as session:
        assert previews.read(session, job.id) == []


def test_a_checkpoint_covers_new_entries_and_is_signed_once(shop: Shop) -> None:
    shop.draw(count=2)
    draw_next(shop.studio)
    assert [sequence(shop.folder) for _ in range(2)] == [2, 0]
    with snapshot(shop.folder.engine) as session:
        count = session.scalar(sa.select(sa.func.count()).select_from(CheckpointRow))
    assert count == 2, "the empty log's, and one more"


def test_a_job_that_ended_long_ago_forgets_its_prompt_and_a_fault_never_told_it(
    tmp_path: Path,
) -> None:
    with opened(tmp_path, toy=generator(tmp_path, sure=100.0)[0]) as shop:
        job = shop.draw("a portrait of Alice")
        draw_next(shop.studio)
        assert forget(shop.folder.engine, timedelta(hours=1)) == 0
        assert shop.read(job).wish.request["prompt"] == "a portrait of Alice"
        assert forget(shop.folder.engine, timedelta(0)) == 1
        found = shop.read(job)
        assert found.fault is Fault.WEAK_MARK
        assert "Alice" not in repr(found)


def test_a_sweep_sends_what_it_takes_back(shop: Shop) -> None:
    job, sent = shop.draw(), []
    with transaction(shop.folder.engine) as session:
        past = datetime.now(UTC) - timedelta(hours=1)
        jobs.claim(session, Kind.GENERATE, most=1, now=past)
    sweep(shop.folder.engine, Tally(), lambda kind, id: sent.append((kind, id)))
    assert sent == [("generate", job.id)]
    assert shop.read(job).state is State.QUEUED


@pytest.mark.parametrize("kind", ["jpeg", "webp"])
def test_a_picture_leaves_in_the_format_that_was_asked_for(shop: Shop, kind: str) -> None:
    job = shop.draw(output_format=kind)
    draw_next(shop.studio)
    file = shop.file(job)
    with snapshot(shop.folder.engine) as session:
        (picture,) = pictures.of_job(session, job.id)
        record = read_record(session, picture.entry)
    assert (picture.media, sniff(file)) == (f"image/{kind}", f"image/{kind}")
    assert isinstance(record, PictureRecord)
    assert bytes(record.file) == bytes(picture.blob) == sha256(file).digest()
    marker, key = generator(shop.folder.path)[1], shop.folder.keyring.marks().active("local")
    found = verify(file, name="it", marks=marker, keys=[key], plan=QUICK).mark
    assert number(found.corrected) == number(picture.facts["p_corrected"])


def test_a_picture_whose_format_loses_the_mark_fails_its_job(shop: Shop) -> None:
    job = shop.draw(output_format="jpeg", output_compression=10)
    draw_next(shop.studio)
    assert shop.read(job).fault is Fault.WEAK_MARK


def test_jobs_of_other_formats_are_drawn_apart(shop: Shop) -> None:
    shop.draw(output_format="jpeg")
    shop.draw(output_format="jpeg", output_compression=95)
    assert [draw_next(shop.studio) for _ in range(3)] == [1, 1, 0]


def test_a_format_that_cannot_carry_the_policy_s_label_is_a_bad_wish(shop: Shop) -> None:
    labels = Labels(producer="001191440101MA9Y9T4H7A00000")
    studio = replace(shop.studio, folder=replace(shop.folder, labels=labels))
    jobs_ = [shop.draw(output_format=kind) for kind in ("webp", "jpeg")]
    while draw_next(studio):
        pass
    assert shop.read(jobs_[0]).fault is Fault.BAD_WISH
    assert shop.read(jobs_[1]).state is State.DONE


class Gone(Blobs):
    """Blobs that do not answer."""

    def put(self, data: bytes) -> Digest:
        raise Unreachable("nobody there")


def test_blobs_that_do_not_answer_cost_a_job_no_attempt(shop: Shop) -> None:
    job, studio = shop.draw(), shop.studio
    gone = replace(studio, blobs=Gone(shop.blobs.folder))
    for _ in range(ATTEMPTS + 1):
        with pytest.raises(Unreachable):
            draw_next(gone)
        found = shop.read(job)
        assert (found.state, found.attempts) == (State.QUEUED, 0)
    assert draw_next(studio) == 1
    assert shop.read(job).state is State.DONE


def test_a_banned_prompt_fails_its_own_job_with_reasons(shop: Shop) -> None:
    shop.ban()
    jobs_ = [shop.draw("a g-u-n"), shop.draw("a cat")]
    draw_next(shop.studio)
    refused, drawn = (shop.read(one) for one in jobs_)
    assert (refused.state, refused.fault) == (State.FAILED, Fault.BANNED)
    assert refused.result is not None
    (reason,) = refused.result["reasons"]
    assert (reason["concept"], reason["kind"], reason["done"]) == ("gun", "spelling", "refused")
    assert "g-u-n" not in (refused.detail or "")
    assert drawn.state is State.DONE
    with snapshot(shop.folder.engine) as session:
        (picture,) = pictures.of_job(session, jobs_[1].id)
        record = read_record(session, picture.entry)
    assert picture.facts["erased"] == ["gun"]
    assert isinstance(record, PictureRecord)
    assert record.erased == ("gun",)
    assert "; concepts " in record.policy


def test_a_policy_counts_from_the_next_drawing_on_without_a_restart(shop: Shop) -> None:
    job = shop.draw("a gun")
    shop.ban()
    draw_next(shop.studio)
    assert shop.read(job).fault is Fault.BANNED


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"checker": "nobody", "labels": ["a"]}, "asks for the checker 'nobody'"),
        ({"delta": "ab" * 32}, "takes no deltas"),
    ],
)
def test_a_policy_that_cannot_be_applied_fails_every_job(
    shop: Shop, more: dict[str, object], says: str
) -> None:
    shop.ban(**more)
    job = shop.draw("a cat")
    draw_next(shop.studio)
    found = shop.read(job)
    assert (found.state, found.fault) == (State.FAILED, Fault.POLICY)
    assert says in (found.detail or "")
    with snapshot(shop.folder.engine) as session:
        assert log_size(session) == 0
