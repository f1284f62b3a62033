"""What the service counts, in the text format of Prometheus.

Requests are counted in this process; jobs and log are read from the database when asked.
"""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import Engine

from provenance import jobs
from provenance.database import snapshot
from provenance.ledger.log import log_size
from provenance.tables import CheckpointRow

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE")


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
        known = method if method in _METHODS else "other"
        self._requests.labels(known, route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

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
            counted = jobs.count(session)
            size = log_size(session)
            signed = session.scalar(sa.select(sa.func.max(CheckpointRow.size))) or 0
        states = GaugeMetricFamily("countermark_jobs", "Jobs", labels=["kind", "state"])
        for (kind, state), number in counted.items():
            states.add_metric([kind.value, state.value], number)
        yield states
        yield GaugeMetricFamily("countermark_log_entries", "Entries of the log", value=size)
        yield GaugeMetricFamily(
            "countermark_log_unsigned_entries",
            "Entries that no checkpoint covers yet",
            value=size - signed,
        )
