"""The steps of a job are counted, and traced under the request that asked for it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from provenance import jobs
from provenance.counts import Count, Key, totals
from provenance.database import snapshot, transaction
from provenance.jobs import ATTEMPTS, Fault, Job
from provenance.wishes import Generate
from tests.tracing import SPAN, TRACE, TRACEPARENT, parent_of, trace_of, traced
from tests.workers.shops import Shop, opened
from workers.drawing import draw_next

STEPS = ["wait", "claim", "draw", "sign", "append"]


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with opened(tmp_path) as made:
        yield made


def ask(shop: Shop, traceparent: str | None) -> Job:
    wish = Generate("toy", "a secret wish", 1, 1, "lexical").wish("local", None)
    with transaction(shop.folder.engine) as session:
        return jobs.ask(session, wish, now=datetime.now(UTC), trace=traceparent)


def counted(shop: Shop) -> dict[Key, float]:
    shop.studio.tally.flush(shop.folder.engine)
    with snapshot(shop.folder.engine) as session:
        return totals(session)


def test_each_job_of_a_batch_has_all_its_steps_in_its_own_trace(shop: Shop) -> None:
    other = f"00-{'ab' * 16}-{SPAN}-01"
    mine, theirs = ask(shop, TRACEPARENT), ask(shop, other)
    with traced() as found:
        assert draw_next(shop.studio) == 2
        spans = found.spans
    for job, trace in ((mine, TRACE), (theirs, "ab" * 16)):
        here = [span for span in spans if trace_of(span) == trace]
        assert [span.name for span in here] == STEPS
        assert {parent_of(span) for span in here} == {SPAN}
        facts = [dict(span.attributes or {}) for span in here]
        assert {one["countermark.job"] for one in facts} == {job.id}
        assert facts[2]["countermark.together"] == 2
        times = [(span.start_time or 0, span.end_time or 0) for span in here]
        assert all(began <= ended for began, ended in times)
        assert times == sorted(times)
    assert "secret" not in str([span.to_json() for span in spans])


def test_steps_and_outcomes_are_counted_once_a_job(shop: Shop) -> None:
    for _ in range(2):
        ask(shop, None)
    draw_next(shop.studio)
    found = counted(shop)
    assert found[Count.ENDED, ("generate", "done")] == 2.0
    for step in STEPS:
        took = [v for (name, labels), v in found.items() if labels[:2] == ("generate", step)]
        assert len(took) >= 2, step
        steps = {k: v for k, v in found.items() if k[0] is Count.STEPS and k[1][1] == step}
        assert sum(steps.values()) == 2.0, step


def test_a_defect_is_a_failed_step_and_one_failed_job(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(shop, TRACEPARENT)

    def broken(name: str) -> None:
        raise ValueError("a secret wish")

    monkeypatch.setattr("workers.drawing.sign_pictures", lambda *_, **__: broken("sign"))
    with traced() as found:
        assert [draw_next(shop.studio) for _ in range(ATTEMPTS + 1)] == [1] * ATTEMPTS + [0]
        failed, spans = found.named("sign"), found.spans
    assert {dict(span.attributes or {})["error.type"] for span in failed} == {"ValueError"}
    assert [dict(s.attributes or {})["countermark.attempt"] for s in failed] == [1, 2, 3]
    assert len(found.named("wait")) == 1
    assert "secret" not in str([span.to_json() for span in spans])
    assert counted(shop)[Count.ENDED, ("generate", Fault.WORKER_FAILED)] == 1.0
