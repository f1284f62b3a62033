"""What workers count is added up, and nothing is counted twice or forgotten on the way."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from provenance.counts import BUCKETS, LONGER, Count, Tally, totals
from provenance.database import connect, snapshot, transaction
from provenance.tables import CountRow
from tests.databases import KINDS, migrated_database


@pytest.fixture(params=KINDS, scope="module")
def shared(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[sa.Engine]:
    with migrated_database(str(request.param), tmp_path_factory.mktemp("counts")) as made:
        yield made


@pytest.fixture
def engine(shared: sa.Engine) -> sa.Engine:
    with transaction(shared) as session:
        session.execute(sa.delete(CountRow))
    return shared


def counted(engine: sa.Engine) -> dict[tuple[Count, tuple[str, ...]], float]:
    with snapshot(engine) as session:
        return totals(session)


def test_counts_of_all_workers_are_added_up(engine: sa.Engine) -> None:
    for _ in range(2):
        worker = Tally()
        worker.add(Count.VERDICTS, "no-evidence")
        worker.add(Count.VERDICTS, "no-evidence")
        worker.add(Count.ENDED, "verify", "done")
        worker.flush(engine)
        worker.flush(engine)  # nothing is new
    assert counted(engine) == {
        (Count.VERDICTS, ("no-evidence",)): 4.0,
        (Count.ENDED, ("verify", "done")): 2.0,
    }


def test_a_time_falls_into_the_smallest_bucket_that_holds_it(engine: sa.Engine) -> None:
    worker = Tally()
    for seconds in (0.0, BUCKETS[0], 0.3, BUCKETS[-1] + 1):
        worker.time("verify", "check", seconds)
    worker.flush(engine)
    found = counted(engine)
    assert found.pop((Count.STEP_SECONDS, ("verify", "check"))) == pytest.approx(301.31)
    assert {labels[-1]: value for (_, labels), value in found.items()} == {
        str(BUCKETS[0]): 2.0,
        "0.5": 1.0,
        LONGER: 1.0,
    }


def test_what_could_not_be_added_is_added_later(engine: sa.Engine) -> None:
    worker = Tally()
    worker.add(Count.VERDICTS, "no-evidence")
    with pytest.raises(OperationalError):
        worker.flush(connect("postgresql+psycopg://nobody@127.0.0.1:1/nothing"))
    worker.add(Count.VERDICTS, "no-evidence")
    worker.flush(engine)
    assert counted(engine) == {(Count.VERDICTS, ("no-evidence",)): 2.0}


def test_workers_may_tell_at_once(engine: sa.Engine) -> None:
    def work(worker: int) -> None:
        for turn in range(10):
            tally = Tally()
            for step in range(5):
                tally.time("generate", f"step {(worker + turn + step) % 5}", 0.1)
            tally.flush(engine)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    steps = {labels: value for (count, labels), value in counted(engine).items()}
    assert {steps["generate", f"step {n}", "0.1"] for n in range(5)} == {40.0}
