"""Traces are made if they are asked for, and otherwise cost nothing."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import TracerProvider

from provenance import tracing
from provenance.settings import BadSetting
from provenance.tracing import EXPORTER, arrive, configure, record
from tests.tracing import SPAN, TRACE, TRACEPARENT, parent_of, trace_of, traced

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 11, 25, 22, 0, tzinfo=UTC)
OFF = """
import sys
from datetime import UTC, datetime, timedelta
from provenance import tracing
tracing.configure(ASKED, "api")
tracing.arrive("GET", None).leave("GET", "/", 200)
tracing.record("draw", [None], datetime.now(UTC), timedelta(), facts=[{}])
tracing.flush()
print([name for name in sys.modules if name.partition(".")[0] == "opentelemetry"])
"""
MISSING = """
import sys
sys.modules["opentelemetry.sdk"] = None
from provenance import tracing
try:
    tracing.configure({"OTEL_TRACES_EXPORTER": "otlp"}, "api")
except tracing.BadSetting as e:
    print(e)
"""


def run(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.mark.parametrize(("exporter", "disabled"), [("", ""), ("none", ""), ("otlp", "true")])
def test_nothing_is_imported_unless_it_is_asked_for(exporter: str, disabled: str) -> None:
    asked = {"OTEL_TRACES_EXPORTER": exporter, "OTEL_SDK_DISABLED": disabled}
    assert run(OFF.replace("ASKED", repr(asked))) == "[]"


def test_what_is_asked_for_and_not_installed_is_one_clear_error() -> None:
    assert run(MISSING) == "OTEL_TRACES_EXPORTER is set: pip install 'countermark[otel]'"


def test_an_unknown_exporter_is_refused_by_name() -> None:
    with pytest.raises(BadSetting, match="OTEL_TRACES_EXPORTER.*'zipkin9'"):
        configure({EXPORTER: "zipkin9"}, "api")


def test_the_exporter_of_the_environment_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[TracerProvider] = []
    monkeypatch.setattr(tracing, "use", used.append)
    monkeypatch.setenv("OTEL_SERVICE_NAME", "ours")
    for exporter in ("console", "otlp"):
        configure({EXPORTER: exporter}, "api")
        made = used.pop()
        assert made.resource.attributes["service.name"] == "ours"
        made.shutdown()


def test_a_request_belongs_to_the_trace_that_its_header_names() -> None:
    with traced() as found:
        arrived = arrive("GET", TRACEPARENT)
        arrived.leave("GET", "/health", 200)
        (span,) = found.spans
    assert (trace_of(span), parent_of(span)) == (TRACE, SPAN)
    assert span.name == "GET /health"
    assert span.context is not None
    assert arrived.text == f"00-{TRACE}-{span.context.span_id:016x}-01"


@pytest.mark.parametrize("header", [None, "", "rubbish", f"00-{'0' * 32}-{SPAN}-01"])
def test_a_request_without_a_trace_begins_one(header: str | None) -> None:
    with traced() as found:
        arrive("GET", header).leave("GET", "/health", 503)
        (span,) = found.spans
    assert parent_of(span) is None
    assert span.status.status_code.name == "ERROR"


def test_a_trace_that_is_not_sampled_stays_so() -> None:
    with traced() as found:
        arrived = arrive("GET", f"00-{TRACE}-{SPAN}-00")
        arrived.leave("GET", "/health", 200)
        assert arrived.text is not None
        assert arrived.text.endswith("-00")
        record("draw", [arrived.text], NOW, timedelta(seconds=1), facts=[{}])
        assert found.spans == []


def test_a_step_is_a_span_in_each_of_its_traces() -> None:
    other = f"00-{'ab' * 16}-{SPAN}-01"
    facts = [{"countermark.job": "a"}, {"countermark.job": "b"}]
    with traced() as found:
        record("draw", [TRACEPARENT, other], NOW, timedelta(seconds=2), facts=facts, error="Lost")
        first, second = found.spans
    assert [trace_of(first), trace_of(second)] == [TRACE, "ab" * 16]
    assert [dict(one.attributes or {})["countermark.job"] for one in (first, second)] == ["a", "b"]
    assert first.start_time == int(NOW.timestamp()) * 10**9
    assert first.end_time == first.start_time + 2 * 10**9
    assert dict(second.attributes or {})["error.type"] == "Lost"
