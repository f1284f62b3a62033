"""Traces (OpenTelemetry) of requests and jobs, if the operator's variables ask for them.

OTEL_TRACES_EXPORTER switches them on: it names an exporter that is installed. The other OTEL_
variables are those of OpenTelemetry's SDK and are read by it. Without it nothing of OpenTelemetry
is imported here, and every function of this module returns at once. Spans hold routes, ids, kinds,
counts and names of errors; no prompt, address, key, file or detail of an error. What cannot be
exported is dropped: tracing fails no request and no job.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from provenance.settings import BadSetting

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span, Tracer

EXPORTER, DISABLED = "OTEL_TRACES_EXPORTER", "OTEL_SDK_DISABLED"
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
Fact = str | int | float | bool
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_provider: TracerProvider | None = None  # None: nothing is traced


@dataclass(frozen=True)
class Arrived:
    """A request that is being answered; `text` is its traceparent, None if nothing is traced."""

    text: str | None
    span: Span | None

    def leave(self, method: str, route: str, status: int) -> None:
        """The request was answered."""
        if self.span is None:
            return
        self.span.update_name(f"{method} {route}")
        self.span.set_attribute("http.route", route)
        self.span.set_attribute("http.response.status_code", status)
        if status >= 500:
            _mark_failed(self.span, str(status))
        self.span.end()


def configure(environment: Mapping[str, str], process: str) -> None:
    """Trace this process from now on, if its environment asks for it; raises BadSetting."""
    exporter = environment.get(EXPORTER, "").strip()
    if exporter in ("", "none") or environment.get(DISABLED, "").lower() == "true":
        return
    try:
        from opentelemetry.sdk.resources import OTELResourceDetector, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as e:
        raise BadSetting(f"{EXPORTER} is set: pip install 'countermark[otel]'") from e
    named = Resource.create({"service.name": f"countermark-{process}"})
    provider = TracerProvider(resource=named.merge(OTELResourceDetector().detect()))
    provider.add_span_processor(BatchSpanProcessor(_load_exporter(exporter, environment)()))
    use(provider)


def use(provider: TracerProvider | None) -> None:
    """Trace with this provider from now on; with None nothing."""
    global _provider
    _provider = provider


def flush() -> None:
    """What was traced so far is on its way, before the process ends."""
    if _provider is not None:
        _provider.force_flush()


def arrive(method: str, traceparent: str | None) -> Arrived:
    """A request at the door, in the trace that its header names or in one of its own."""
    if _provider is None:
        return Arrived(None, None)
    from opentelemetry.trace import SpanKind

    span = _tracer(_provider).start_span(
        method,
        context=_context(traceparent),
        kind=SpanKind.SERVER,
        attributes={"http.request.method": method},
    )
    return Arrived(_text(span), span)


def record(
    name: str,
    parents: Sequence[str | None],
    began: datetime,
    lasted: timedelta,
    *,
    facts: Sequence[Mapping[str, Fact]],
    error: str | None = None,
) -> None:
    """A span that is over, once in each of these traces with its own facts."""
    if _provider is None:
        return
    tracer, start, end = _tracer(_provider), _nanoseconds(began), _nanoseconds(began + lasted)
    for parent, told in zip(parents, facts, strict=True):
        span = tracer.start_span(
            name, context=_context(parent), start_time=start, attributes=dict(told)
        )
        if error is not None:
            _mark_failed(span, error)
        span.end(end_time=end)


def _tracer(provider: TracerProvider) -> Tracer:
    return provider.get_tracer("countermark")


def _context(traceparent: str | None) -> Context:
    """The trace that a header names; one that is no traceparent names none."""
    from opentelemetry.context import Context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier = {} if traceparent is None else {"traceparent": traceparent}
    return TraceContextTextMapPropagator().extract(carrier, context=Context())


def _text(span: Span) -> str:
    here = span.get_span_context()
    return f"00-{here.trace_id:032x}-{here.span_id:016x}-{here.trace_flags:02x}"


def _mark_failed(span: Span, error: str) -> None:
    from opentelemetry.trace import Status, StatusCode

    span.set_attribute("error.type", error)
    span.set_status(Status(StatusCode.ERROR))


def _nanoseconds(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(microseconds=1) * 1000


def _load_exporter(name: str, environment: Mapping[str, str]) -> type:
    """The exporter of a name that OpenTelemetry gives; raises BadSetting."""
    from importlib.metadata import entry_points

    if name == "otlp":
        protocol = next((environment[one] for one in PROTOCOLS if environment.get(one)), "")
        name = "otlp_proto_grpc" if protocol == "grpc" else "otlp_proto_http"
    found = [*entry_points(group="opentelemetry_traces_exporter", name=name)]
    if not found:
        raise BadSetting(f"{EXPORTER}: no exporter {name[:100]!r} is installed")
    loaded: type = found[0].load()
    return loaded
