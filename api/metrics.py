"""What the service counts, in the text format of Prometheus.

Requests and refusals are counted in this process. What the workers count, jobs and log are read
from the database when asked, so every API process tells the same about them: take the largest, not
the sum.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from provenance import backlog, counts, jobs
from provenance.counts import BUCKETS, LONGER, Count, Key
from provenance.database import snapshot

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE")


def known_method(method: str) -> str:
    """The method, or `other`: whoever asks chooses it, and each would be counted for itself."""
    return method if method in _METHODS else "other"


class Metrics:
    """The counters of one API process."""

    def __init__(self, engine: Engine) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "countermark_requests",
            "Requests answered",
            ["method", "route", "status"],
            registry=self._registry,
        )
        self._refusals = Counter(
            "countermark_refusals",
            "Problem documents sent, by their code",
            ["code"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "countermark_request_seconds",
            "Time from the first byte of a request to the last of its answer",
            ["route"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._registry.register(_Gauges(engine))

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """One request that was answered."""
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def refuse(self, code: str) -> None:
        """One problem document that is sent."""
        self._refusals.labels(code).inc()

    def render(self) -> bytes:
        """Everything counted so far."""
        return generate_latest(self._registry)


class _Gauges(Collector):
    """States of the database, read when they are asked for."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def describe(self) -> Iterable[Metric]:
        return ()  # nothing is read before the first scrape

    def collect(self) -> Iterable[Metric]:
        with snapshot(self._engine) as session:
            return [*_jobs(session), *_work(counts.totals(session)), *_log(session)]


def _jobs(session: Session) -> Iterable[Metric]:
    """The queue and what came of it."""
    states = GaugeMetricFamily("countermark_jobs", "Jobs", labels=["kind", "state"])
    for (kind, state), number in backlog.count(session).items():
        states.add_metric([kind.value, state.value], number)
    yield states
    waits = GaugeMetricFamily(
        "countermark_oldest_wait_seconds",
        "How long the job that waits longest has waited",
        labels=["kind"],
    )
    now, oldest = datetime.now(UTC), backlog.oldest(session)
    for kind in jobs.Kind:
        waited = (now - oldest.get(kind, now)).total_seconds()
        waits.add_metric([kind.value], max(0.0, waited))
    yield waits


def _work(totals: dict[Key, float]) -> Iterable[Metric]:
    """What the workers counted."""
    ended = CounterMetricFamily(
        "countermark_jobs_ended", "Jobs done or failed, by outcome", labels=["kind", "outcome"]
    )
    verdicts = CounterMetricFamily(
        "countermark_verdicts", "Verifications done, by verdict", labels=["verdict"]
    )
    for (count, labels), value in totals.items():
        if count is Count.ENDED:
            ended.add_metric(labels, value)
        elif count is Count.VERDICTS:
            verdicts.add_metric(labels, value)
    yield ended
    yield verdicts
    yield _steps(totals)


def _steps(totals: dict[Key, float]) -> Metric:
    """How long each step of the work took."""
    family = HistogramMetricFamily(
        "countermark_step_seconds",
        "Time of a job in one step of the work on it",
        labels=["kind", "step"],
    )
    took: dict[tuple[str, str], dict[str, float]] = defaultdict(dict)
    for (count, labels), value in totals.items():
        if count is Count.STEPS:
            kind, step, bucket = labels
            took[kind, step][bucket] = value
    for (kind, step), inside in sorted(took.items()):
        buckets, sofar = [], 0.0
        for bound in (*map(str, BUCKETS), LONGER):
            sofar += inside.get(bound, 0.0)
            buckets.append((bound, sofar))
        total = totals.get((Count.STEP_SECONDS, (kind, step)), 0.0)
        family.add_metric([kind, step], buckets, sum_value=total)
    return family


def _log(session: Session) -> Iterable[Metric]:
    """How much of the log there is, and how much of it is not signed yet."""
    left, now = backlog.unsigned(session), datetime.now(UTC)
    age = (now - (left.oldest or now)).total_seconds()
    yield GaugeMetricFamily("countermark_log_entries", "Entries of the log", value=left.size)
    yield GaugeMetricFamily(
        "countermark_log_unsigned_entries",
        "Entries that no checkpoint covers yet",
        value=left.entries,
    )
    yield GaugeMetricFamily(
        "countermark_log_unsigned_seconds",
        "Age of the oldest entry that no checkpoint covers yet",
        value=max(0.0, age),
    )
