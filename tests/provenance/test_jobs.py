"""A job ends once, whoever dies; alike on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from provenance import backlog, jobs, previews
from provenance.database import transaction
from provenance.jobs import (
    ATTEMPTS,
    LEASE,
    RESEND,
    Ended,
    Fault,
    Kind,
    Lost,
    NoJob,
    State,
)
from provenance.previews import Preview
from provenance.replays import Once, Reused
from provenance.tables import JobRow, PreviewRow, ReplayRow
from tests.databases import KINDS, migrated_database
from tests.provenance.wishes import asked, at, checking, claimed, drawing

LEASED = LEASE.total_seconds()


@pytest.fixture(params=KINDS, scope="module")
def shared(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[sa.Engine]:
    with migrated_database(str(request.param), tmp_path_factory.mktemp("jobs")) as made:
        yield made


@pytest.fixture
def engine(shared: sa.Engine) -> sa.Engine:
    with transaction(shared) as session:
        for table in (PreviewRow, ReplayRow, JobRow):
            session.execute(sa.delete(table))
    return shared


@pytest.fixture
def session(engine: sa.Engine) -> Iterator[Session]:
    with transaction(engine) as opened:
        yield opened


def test_a_job_is_read_as_it_was_asked(session: Session) -> None:
    wish = drawing(prompt="ein roter Apfel, 🍎", count=3)
    job = asked(session, wish)
    assert (job.wish, job.state, job.attempts, job.created) == (wish, State.QUEUED, 0, at(0))
    assert jobs.read(session, job.id, "local") == job


def test_a_job_is_there_for_its_tenant_alone(session: Session) -> None:
    job = asked(session, drawing("acme"))
    assert jobs.read(session, job.id, "acme") == job
    with pytest.raises(NoJob):
        jobs.read(session, job.id, "local")
    with pytest.raises(NoJob):
        jobs.cancel(session, job.id, "local", now=at(1))
    assert jobs.page(session, "local", limit=10) == []
    assert jobs.read(session, job.id, "acme").state is State.QUEUED


def test_claim_takes_the_oldest_and_each_job_once(session: Session) -> None:
    late, early = asked(session, drawing(), seconds=2), asked(session, drawing(), seconds=1)
    first, second = (claimed(session, seconds=3) for _ in range(2))
    assert [first.job.id, second.job.id] == [early.id, late.id]
    assert first.job.state is State.RUNNING
    assert jobs.claim(session, Kind.GENERATE, most=1, now=at(3)) == []
    assert not backlog.waiting(session, Kind.GENERATE)


def test_claim_takes_along_what_fits_and_nothing_else(session: Session) -> None:
    first = asked(session, drawing(count=3), seconds=0)
    asked(session, drawing("acme"), seconds=1)
    asked(session, drawing(model="other"), seconds=2)
    asked(session, checking(), seconds=3)
    asked(session, drawing(count=6), seconds=4)
    mate = asked(session, drawing(prompt="b", count=5), seconds=5)
    asked(session, drawing(), seconds=6)
    claims = jobs.claim(session, Kind.GENERATE, most=8, now=at(7))
    assert [one.job.id for one in claims] == [first.id, mate.id]


def test_a_job_larger_than_a_batch_comes_alone(session: Session) -> None:
    large = asked(session, drawing(count=9))
    asked(session, drawing(), seconds=1)
    (only,) = jobs.claim(session, Kind.GENERATE, most=8, now=at(2))
    assert only.job.id == large.id


def test_a_job_that_was_tried_before_comes_alone(session: Session) -> None:
    tried = asked(session, drawing(), seconds=0)
    asked(session, drawing(), seconds=1)
    jobs.release(session, claimed(session, seconds=1), now=at(2))
    (only,) = jobs.claim(session, Kind.GENERATE, most=8, now=at(3))
    assert (only.job.id, only.job.attempts) == (tried.id, 2)
    asked(session, drawing(), seconds=4)
    jobs.release(session, only, now=at(4))
    mates = jobs.claim(session, Kind.GENERATE, most=8, now=at(5))
    assert [one.job.id for one in mates] == [tried.id]


def test_finish_keeps_the_result(session: Session) -> None:
    job = asked(session, drawing())
    jobs.finish(session, claimed(session, seconds=1), {"pictures": ["x"]}, now=at(2))
    done = jobs.read(session, job.id, "local")
    assert (done.state, done.result, done.finished) == (State.DONE, {"pictures": ["x"]}, at(2))


def test_fail_keeps_the_reason(session: Session) -> None:
    job = asked(session, drawing())
    jobs.fail(session, claimed(session), Fault.WEAK_MARK, "too flat", now=at(2))
    failed = jobs.read(session, job.id, "local")
    assert (failed.state, failed.fault, failed.detail) == (
        State.FAILED,
        Fault.WEAK_MARK,
        "too flat",
    )


OUTDATE: dict[str, Callable[[Session, jobs.Claim], object]] = {
    "cancelled": lambda session, claim: jobs.cancel(session, claim.job.id, "local", now=at(1)),
    "done already": lambda session, claim: jobs.finish(session, claim, {}, now=at(1)),
    "failed already": lambda s, claim: jobs.fail(s, claim, Fault.NO_KEY, "x", now=at(1)),
    "given back": lambda session, claim: jobs.release(session, claim, now=at(1)),
    "unclaimed": lambda session, claim: jobs.unclaim(session, claim, now=at(1)),
    "swept": lambda session, claim: jobs.sweep(session, now=at(LEASED + 1)),
    "someone else's": lambda session, claim: (
        jobs.sweep(session, now=at(LEASED + 1)),
        claimed(session, seconds=LEASED + 2),
    ),
}


@pytest.mark.parametrize("how", OUTDATE)
def test_an_outdated_claim_changes_nothing(session: Session, how: str) -> None:
    job = asked(session, drawing())
    claim = claimed(session)
    assert jobs.renew(session, [claim], now=at(0)) == [claim]
    OUTDATE[how](session, claim)
    before = jobs.read(session, job.id, "local")
    assert jobs.renew(session, [claim], now=at(500)) == []
    jobs.report(session, [claim], done=5, total=9)
    jobs.release(session, claim, now=at(500))
    jobs.unclaim(session, claim, now=at(500))
    previews.show(session, claim, [Preview(0, 1, b"png")])
    with pytest.raises(Lost):
        jobs.finish(session, claim, {"pictures": []}, now=at(500))
    with pytest.raises(Lost):
        jobs.fail(session, claim, Fault.NO_KEY, "", now=at(500))
    assert jobs.read(session, job.id, "local") == before
    assert previews.read(session, job.id) == []


def test_sweep_takes_back_what_is_not_renewed_and_leaves_the_rest(session: Session) -> None:
    lost, kept = asked(session, drawing()), asked(session, drawing(), seconds=1)
    claimed(session)
    second = claimed(session)
    jobs.renew(session, [second], now=at(LEASED))
    swept = jobs.sweep(session, now=at(LEASED + 1))
    assert (swept.requeued, swept.failed) == ((lost.id,), ())
    assert (Kind.GENERATE, lost.id) in swept.unsent
    assert jobs.read(session, lost.id, "local").state is State.QUEUED
    assert jobs.read(session, kept.id, "local").state is State.RUNNING


def test_a_job_whose_every_worker_dies_fails_with_that_name(session: Session) -> None:
    job = asked(session, drawing())
    swept = []
    for turn in range(ATTEMPTS):
        claimed(session, seconds=turn * 2 * LEASED)
        swept.append(jobs.sweep(session, now=at((turn * 2 + 1) * LEASED + 1)))
    assert [one.failed for one in swept] == [(), (), ((Kind.GENERATE, job.id),)]
    assert [one.requeued for one in swept] == [(job.id,), (job.id,), ()]
    assert jobs.read(session, job.id, "local").fault is Fault.WORKER_DIED


def test_a_job_given_back_too_often_fails(session: Session) -> None:
    job = asked(session, drawing())
    for _ in range(ATTEMPTS):
        jobs.release(session, claimed(session), now=at(1))
    assert jobs.read(session, job.id, "local").fault is Fault.WORKER_FAILED


def test_unclaim_is_no_attempt(session: Session) -> None:
    job = asked(session, drawing())
    for _ in range(ATTEMPTS + 2):
        jobs.unclaim(session, claimed(session), now=at(1))
    assert jobs.read(session, job.id, "local").attempts == 0


def test_sweep_sends_again_what_waited_and_not_twice_at_once(session: Session) -> None:
    job = asked(session, drawing())
    waited = RESEND.total_seconds()
    assert jobs.sweep(session, now=at(waited - 1)).unsent == ()
    assert jobs.sweep(session, now=at(waited)).unsent == ((Kind.GENERATE, job.id),)
    assert jobs.sweep(session, now=at(waited + 1)).unsent == ()


def test_cancel_ends_a_job_that_waits_or_runs_and_none_that_has_ended(session: Session) -> None:
    for run in (False, True):
        job = asked(session, drawing())
        if run:
            claimed(session)
        assert jobs.cancel(session, job.id, "local", now=at(1)).state is State.CANCELLED
        with pytest.raises(Ended):
            jobs.cancel(session, job.id, "local", now=at(2))
    assert jobs.claim(session, Kind.GENERATE, most=8, now=at(3)) == []


def test_an_idempotency_key_gives_the_same_job_whatever_became_of_it(session: Session) -> None:
    once = Once("key", b"\x01" * 32)
    job = asked(session, drawing(), once=once)
    assert asked(session, drawing(), seconds=5, once=once) == job
    jobs.finish(session, claimed(session), {}, now=at(6))
    assert asked(session, drawing(), seconds=7, once=once).state is State.DONE
    assert asked(session, drawing("acme"), once=once).id != job.id
    assert asked(session, drawing()).id != job.id


def test_an_idempotency_key_stands_for_one_request(session: Session) -> None:
    once = Once("key", b"\x01" * 32)
    asked(session, drawing(), once=once)
    with pytest.raises(Reused):
        asked(session, drawing(), once=replace(once, digest=b"\x02" * 32))


def test_page_gives_every_job_once_the_newest_first(session: Session) -> None:
    made = [asked(session, drawing(), seconds=n // 2) for n in range(6)]
    asked(session, checking(), seconds=9)
    found: list[jobs.Job] = []
    while rest := jobs.page(
        session,
        "local",
        kind=Kind.GENERATE,
        before=(found[-1].created, found[-1].id) if found else None,
        limit=2,
    ):
        found += rest
    assert sorted(one.id for one in found) == sorted(one.id for one in made)
    assert [one.created for one in found] == sorted((m.created for m in made), reverse=True)


def test_count_is_by_kind_and_state(session: Session) -> None:
    for _ in range(3):
        asked(session, drawing())
    asked(session, checking())
    claimed(session)
    assert backlog.count(session) == {
        (Kind.GENERATE, State.QUEUED): 2,
        (Kind.GENERATE, State.RUNNING): 1,
        (Kind.VERIFY, State.QUEUED): 1,
    }


def test_previews_are_replaced_and_go_when_the_job_ends(session: Session) -> None:
    job = asked(session, drawing(count=2))
    claim = claimed(session)
    previews.show(session, claim, [Preview(0, 3, b"a"), Preview(1, 3, b"b")])
    previews.show(session, claim, [Preview(0, 7, b"c")])
    assert previews.read(session, job.id) == [Preview(0, 7, b"c")]
    assert previews.read(session, job.id, after=7) == []
    jobs.finish(session, claim, {}, now=at(1))
    assert previews.read(session, job.id) == []


def test_workers_at_once_claim_each_job_once(engine: sa.Engine) -> None:
    with transaction(engine) as session:
        made = {asked(session, drawing(), seconds=n).id for n in range(24)}

    def work(_: int) -> list[str]:
        taken: list[str] = []
        while True:
            with transaction(engine) as session:
                claims = jobs.claim(session, Kind.GENERATE, most=2, now=at(30))
            if not claims:
                return taken
            taken += [one.job.id for one in claims]

    with ThreadPoolExecutor(4) as pool:
        found = [job for taken in pool.map(work, range(4)) for job in taken]
    assert sorted(found) == sorted(made)


def test_requests_at_once_with_one_idempotency_key_make_one_job(engine: sa.Engine) -> None:
    def ask(_: int) -> str:
        with transaction(engine) as session:
            return asked(session, drawing(), once=Once("same", b"\x01" * 32)).id

    with ThreadPoolExecutor(4) as pool:
        found = set(pool.map(ask, range(8)))
    with transaction(engine) as session:
        assert len(jobs.page(session, "local", limit=10)) == len(found) == 1
