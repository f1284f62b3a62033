"""A prompt is nowhere once it is erased, and in no job long after its end; keys stay good."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from provenance import forgetting, jobs, pictures
from provenance.blobs import Digest
from provenance.database import transaction
from provenance.forgetting import erase, forget
from provenance.jobs import Job, State
from provenance.ledger.errors import NotLogged
from provenance.ledger.log import Draft, append, find_statements, read_subject
from provenance.ledger.record import Erasure
from provenance.pictures import Picture, picture_id
from provenance.replays import Once, Reused
from provenance.tables import JobRow, OpeningRow
from tests.databases import KINDS, migrated_database
from tests.provenance.ledger.logs import personal, picture
from tests.provenance.wishes import asked, at, checking, claimed, drawing

SECRET = "a portrait of Alice"
DAY = timedelta(days=1)


@pytest.fixture(params=KINDS)
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[sa.Engine]:
    with migrated_database(str(request.param), tmp_path) as made:
        yield made


def drawn(engine: sa.Engine, *, once: Once | None = None, count: int = 1) -> Job:
    """A finished job, its pictures recorded with openings of a prompt."""
    with transaction(engine) as session:
        job = asked(session, drawing(prompt=SECRET, count=count), once=once)
    with transaction(engine) as session:
        claim = claimed(session, seconds=1)
        ids = [picture_id(job.id, n) for n in range(count)]
        jobs.finish(session, claim, {"pictures": ids}, now=at(2))
        entries = append(session, [personal(one) for one in ids])
        made = [
            Picture(
                one, e.index, "local", job.id, n, Digest(bytes(32)), "image/png", 1, 1, {}, at(2)
            )
            for n, (one, e) in enumerate(zip(ids, entries, strict=True))
        ]
        pictures.store(session, made)
    return job


def everything(engine: sa.Engine) -> str:
    """All that the tables of jobs and openings hold."""
    with engine.connect() as connection:
        rows = [
            connection.execute(sa.text(f"SELECT * FROM {t}")).all() for t in ("jobs", "replays")
        ]
        values = connection.execute(sa.select(OpeningRow.entry, OpeningRow.field)).all()
    return repr(rows) + repr(values)


def read(engine: sa.Engine, job: Job) -> Job:
    with transaction(engine) as session:
        return jobs.read(session, job.id, "local")


def test_erasing_a_prompt_deletes_the_job_s_copy_in_the_same_transaction(
    engine: sa.Engine,
) -> None:
    job, other = drawn(engine, count=2), drawn(engine)
    with transaction(engine) as session:
        subject = read_subject(session, 0)
        erase(session, subject, ["prompt"], reason="asked for", at=at(0))
        session.rollback()
    assert read(engine, job).wish.request["prompt"] == SECRET
    with transaction(engine) as session:
        erase(session, subject, ["prompt"], reason="asked for", at=at(0))
    assert read(engine, job).wish.request["prompt"] is None
    assert read(engine, job).wish.request["seed"] == 1
    assert read(engine, other).wish.request["prompt"] == SECRET
    with transaction(engine) as session:
        assert find_statements(session, 0) == [Erasure(at(0), subject, ("prompt",), "asked for")]
        kept = session.execute(sa.select(OpeningRow.entry, OpeningRow.field)).all()
    assert sorted(kept) == [
        (0, "caller"),
        (1, "caller"),
        (1, "prompt"),
        (2, "caller"),
        (2, "prompt"),
    ]
    with pytest.raises(NotLogged), transaction(engine) as session:
        erase(session, subject, ["prompt"], reason="again", at=at(0))


def test_erasing_another_field_leaves_the_prompt(engine: sa.Engine) -> None:
    job = drawn(engine)
    with transaction(engine) as session:
        erase(session, read_subject(session, 0), ["caller"], reason="asked for", at=at(0))
    assert read(engine, job).wish.request["prompt"] == SECRET


def test_an_entry_without_a_job_is_erased_as_ever(engine: sa.Engine) -> None:
    with transaction(engine) as session:
        append(session, [personal("a"), Draft(picture("b"))])
        erase(session, read_subject(session, 0), ["prompt"], reason="asked for", at=at(0))
        assert list(session.scalars(sa.select(OpeningRow.field))) == ["caller"]


def test_an_ended_job_forgets_in_time_and_no_other_does(engine: sa.Engine) -> None:
    done = drawn(engine)
    with transaction(engine) as session:
        cancelled = asked(session, drawing(prompt=SECRET))
        jobs.cancel(session, cancelled.id, "local", now=at(3))
        late = asked(session, drawing(prompt=SECRET))
        jobs.cancel(session, late.id, "local", now=at(100))
        checked, queued = asked(session, checking()), asked(session, drawing(prompt=SECRET))
        jobs.cancel(session, checked.id, "local", now=at(3))
    with transaction(engine) as session:
        assert forget(session, before=at(50), now=at(60)) == 3
        assert forget(session, before=at(50), now=at(61)) == 0
    for job in (done, cancelled):
        assert read(engine, job).wish.request["prompt"] is None
    assert read(engine, checked).wish == replace(checking(), upload=None)
    for job in (late, queued):
        assert read(engine, job).wish.request["prompt"] == SECRET
    assert read(engine, queued).state is State.QUEUED
    with transaction(engine) as session:
        rows = session.execute(sa.select(JobRow.id, JobRow.forgotten)).all()
    times = {row.id: row.forgotten for row in rows}
    assert {times[one.id] for one in (done, cancelled, checked)} == {at(60)}
    assert times[late.id] is times[queued.id] is None


def test_so_many_are_forgotten_at_once_and_no_more(
    engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forgetting, "MOST", 2)
    for _ in range(3):
        drawn(engine)
    for count in (2, 1, 0):
        with transaction(engine) as session:
            assert forget(session, before=at(50), now=at(60)) == count
    assert SECRET not in everything(engine)


def test_an_idempotency_key_stands_for_its_job_after_it_is_forgotten(engine: sa.Engine) -> None:
    once = Once("key", b"digest of the request")
    job = drawn(engine, once=once)
    with transaction(engine) as session:
        forget(session, before=at(50), now=at(60))
    with transaction(engine) as session:
        again = jobs.ask(session, drawing(prompt=SECRET), now=at(70), once=once)
        assert (again.id, again.wish.request["prompt"]) == (job.id, None)
        with pytest.raises(Reused):
            jobs.ask(session, drawing(), now=at(70), once=Once("key", b"another request"))
