"""The application as a whole: its problems, its headers, its description."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from api.admission import SCOPES
from api.app import STATUS, create_app
from api.broker import Broker
from api.problems import MEANING, Kind
from api.routes.state import LATE
from provenance import jobs
from provenance.callers import Scope
from provenance.counts import Count, Tally
from provenance.database import snapshot
from provenance.pictures import OWNER
from tests.api.installations import Installed, installed
from tests.tracing import SPAN, TRACE, TRACEPARENT, parent_of, trace_of, traced

BOUNDS = ("0.01", "0.05", "0.25", "300.0", "+Inf")
DOCS = Path(__file__).parents[2] / "docs" / "api.md"


def test_every_problem_has_a_meaning_and_a_status_and_is_in_the_docs() -> None:
    text = DOCS.read_text(encoding="utf-8")
    for kind in Kind:
        assert kind in MEANING
        assert f"| `{kind}` | {STATUS[kind]} |" in text


def test_every_route_is_in_the_docs_with_its_scopes() -> None:
    text = DOCS.read_text(encoding="utf-8")
    for (method, path), needs in SCOPES.items():
        line = next(
            (x for x in text.splitlines() if f"`{method} {path.replace(':path', '')}`" in x), ""
        )
        assert line, f"{method} {path} is not in the docs"
        if isinstance(needs, tuple) and needs != tuple(Scope):
            assert all(f"`{scope}`" in line for scope in needs), line


def test_problems_are_listed_at_their_types(here: Installed) -> None:
    for one in here.client.get("/problems").json()["data"]:
        assert here.client.get(one["type"]).json() == one


@pytest.mark.parametrize(
    ("method", "path", "code", "status"),
    [
        ("GET", "/nothing", "not-found", 404),
        ("DELETE", "/health", "method-not-allowed", 405),
        ("TRACE", "/v1/models", "method-not-allowed", 405),
        ("GET", "/v1/models", "unauthenticated", 401),
    ],
)
def test_what_the_framework_refuses_is_a_problem_too(
    here: Installed, method: str, path: str, code: str, status: int
) -> None:
    answer = here.client.request(method, path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"] == f"/problems/{code}"
    assert problem["status"] == status
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert problem["error"]["code"] == code


def test_405_names_every_method_of_the_path(here: Installed) -> None:
    answer = here.client.delete("/v1/generations")
    assert answer.headers["allow"] == "GET, HEAD, POST"


def test_a_body_that_is_no_json_is_malformed_and_a_field_out_of_limits_is_named(
    here: Installed,
) -> None:
    header = here.key(Scope.GENERATE) | {"Content-Type": "application/json"}
    broken = here.client.post("/v1/generations", content=b"{", headers=header)
    assert (broken.status_code, broken.json()["code"]) == (400, "malformed-request")
    wide = here.client.post("/v1/generations", json={"prompt": "x", "count": 9}, headers=header)
    assert wide.status_code == 422
    assert wide.json()["errors"] == [
        {"field": "count", "detail": "Input should be less than or equal to 8", "limit": "le 8"}
    ]


@pytest.mark.parametrize("body", [b"\xff\xfe", b"[" * 100_000, b'{"prompt": "\\ud800"}', b""])
def test_hostile_json_is_refused(here: Installed, body: bytes) -> None:
    header = here.key(Scope.GENERATE) | {"Content-Type": "application/json"}
    answer = here.client.post("/v1/generations", content=body, headers=header)
    assert answer.status_code in (400, 422)
    assert answer.json()["code"] in ("malformed-request", "invalid")


def test_json_over_the_limit_is_refused_with_the_limit(here: Installed) -> None:
    header = here.key(Scope.GENERATE) | {"Content-Type": "application/json"}
    body = json.dumps({"prompt": "x" * 300_000}).encode()
    answer = here.client.post("/v1/generations", content=body, headers=header)
    assert answer.status_code == 413
    assert "262144 bytes" in answer.json()["detail"]


def test_answers_carry_a_request_id_and_security_headers(here: Installed) -> None:
    answer = here.client.get("/health", headers={"X-Request-Id": "abc-1"})
    assert answer.headers["x-request-id"] == "abc-1"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert answer.headers["cache-control"] == "no-store"
    made = here.client.get("/health", headers={"X-Request-Id": "a b\x7f"}).headers["x-request-id"]
    assert re.fullmatch(r"[0-9a-f]{32}", made)


def test_head_is_answered_as_get_without_the_body(here: Installed) -> None:
    get, head = here.client.get("/health"), here.client.head("/health")
    assert head.status_code == 200
    assert head.content == b""
    assert head.headers["content-length"] == get.headers["content-length"]


def test_a_defect_is_a_problem_without_detail_and_a_line_in_the_log(
    here: Installed, caplog: pytest.LogCaptureFixture
) -> None:
    app = create_app(here.settings)

    @app.get("/defect")
    def fail() -> None:
        raise RuntimeError("the secret of the house")

    with TestClient(app, raise_server_exceptions=False) as client:
        answer = client.get("/defect")
    assert answer.status_code == 500
    assert answer.json()["code"] == "internal"
    assert "secret" not in answer.text
    assert "x-request-id" in answer.headers
    [line] = [
        one
        for one in caplog.records
        if one.levelname == "ERROR" and one.name.startswith("countermark")
    ]
    assert line.request_id == answer.json()["request_id"]  # type: ignore[attr-defined]


def test_ready_says_how_the_parts_are(here: Installed) -> None:
    ready = here.client.get("/ready").json()
    assert ready["status"] == "ready"
    assert ready["models"] == ["icons-128"]
    assert (ready["broker"], ready["unsigned_seconds"]) == ("none", 0)


def test_a_broker_that_is_down_is_not_ready(here: Installed) -> None:
    for up, status in ((True, 200), (False, 503)):
        there = here.app.state.installation
        broker = Broker("amqp://", answers=lambda url, up=up: up)  # type: ignore[misc]
        here.app.state.installation = replace(there, broker=broker)
        try:
            ready = here.client.get("/ready")
        finally:
            here.app.state.installation = there
        assert (ready.status_code, ready.json()["broker"]) == (status, "ok" if up else "down")


def test_a_log_that_nobody_signs_is_not_ready(tmp_path: Path) -> None:
    with installed(tmp_path) as there:
        there.append_unsigned()
        ready = there.client.get("/ready")
    assert (ready.status_code, ready.json()["unsigned_entries"]) == (503, 1)
    assert ready.json()["unsigned_seconds"] > LATE


def test_metrics_count_requests_jobs_and_log(here: Installed) -> None:
    here.client.get("/health")
    text = here.client.get("/metrics", headers=here.key(Scope.ADMIN)).text
    assert 'countermark_requests_total{method="GET",route="/health",status="200"}' in text
    assert "countermark_log_entries " in text


def test_metrics_tell_the_queue_the_log_and_refusals(here: Installed) -> None:
    key = here.key(Scope.ADMIN)
    here.worker.rest()
    try:
        wish = {"prompt": "a", "model": "icons-128"}
        here.client.post("/v1/generations", json=wish, headers=here.key(Scope.GENERATE))
        before = metrics(here, key)
        here.client.get("/v1/no/such/path")
        here.append_unsigned()
        after = metrics(here, key)
    finally:
        here.worker.resume()
    assert before['countermark_jobs{kind="generate",state="queued"}'] >= 1
    assert 0 < after['countermark_oldest_wait_seconds{kind="generate"}'] < 60
    assert after['countermark_oldest_wait_seconds{kind="mark"}'] == 0
    refused = 'countermark_refusals_total{code="not-found"}'
    assert after[refused] == before.get(refused, 0) + 1
    assert after["countermark_log_unsigned_entries"] == 1
    assert after["countermark_log_unsigned_seconds"] >= 0


def test_metrics_tell_what_the_workers_counted(here: Installed) -> None:
    worker = Tally()
    worker.add(Count.VERDICTS, "no-evidence")
    worker.add(Count.ENDED, "mark", "weak-mark")
    for seconds in (0.02, 0.2, 999.0):
        worker.time("mark", "sign", seconds)
    worker.flush(here.engine)
    found = metrics(here, here.key(Scope.ADMIN))
    assert found['countermark_verdicts_total{verdict="no-evidence"}'] == 1
    assert found['countermark_jobs_ended_total{kind="mark",outcome="weak-mark"}'] == 1
    name, labels = "countermark_step_seconds", 'kind="mark",step="sign"'
    assert found[f"{name}_count{{{labels}}}"] == 3
    assert found[f"{name}_sum{{{labels}}}"] == pytest.approx(999.22)
    within = {le: found[f'{name}_bucket{{kind="mark",le="{le}",step="sign"}}'] for le in BOUNDS}
    assert within == {"0.01": 0, "0.05": 1, "0.25": 2, "300.0": 2, "+Inf": 3}


def test_a_request_is_traced_and_so_is_its_job(here: Installed) -> None:
    here.worker.rest()
    try:
        with traced() as found:
            headers = {**here.key(Scope.GENERATE), "traceparent": TRACEPARENT}
            wish = {"prompt": "a secret wish", "model": "icons-128"}
            job = here.client.post("/v1/generations", json=wish, headers=headers).json()["id"]
            here.client.get("/v1/nothing?secret")
            made, lost = found.spans
    finally:
        here.worker.resume()
    assert (made.name, lost.name) == ("POST /v1/generations", "GET unknown")
    assert (trace_of(made), parent_of(made), parent_of(lost)) == (TRACE, SPAN, None)
    with snapshot(here.engine) as session:
        kept = jobs.read(session, job, OWNER).trace
    assert made.context is not None
    assert kept == f"00-{TRACE}-{made.context.span_id:016x}-01"
    assert "secret" not in made.to_json() + lost.to_json()


def metrics(here: Installed, key: dict[str, str]) -> dict[str, float]:
    """Every sample of /metrics by its name and labels."""
    lines = here.client.get("/metrics", headers=key).text.splitlines()
    samples = (line.rpartition(" ") for line in lines if not line.startswith("#"))
    return {name: float(value) for name, _, value in samples}


def test_the_description_names_every_route_once(here: Installed) -> None:
    paths = here.client.get("/openapi.json").json()["paths"]
    ids = [operation["operationId"] for item in paths.values() for operation in item.values()]
    assert len(ids) == len(set(ids)) > 40
