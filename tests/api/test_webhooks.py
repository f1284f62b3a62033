"""Webhooks over HTTP: made, listed, deleted; their events arrive while the service works."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from provenance import outbox
from provenance.callers import Scope
from provenance.database import snapshot, transaction
from provenance.outbox import Event
from provenance.webhooks import MOST, parse_secret
from tests.api.installations import Installed, installed
from tests.api.toy_worker import upload

URL = "https://example.com/hook"


@pytest.fixture(scope="module")
def private(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    """An installation that lets events go anywhere."""
    folder = Path(tmp_path_factory.mktemp("private"))
    with installed(folder, private_addresses=True) as found:
        yield found


def test_a_webhook_is_made_listed_and_deleted(here: Installed) -> None:
    key = here.key(Scope.ADMIN, tenant="hooks")
    body = {"url": URL, "events": ["mark.done", "appeal.answered"]}
    made = here.client.post("/v1/webhooks", json=body, headers=key)
    assert made.status_code == 201
    shown = made.json()
    assert len(parse_secret(shown.pop("secret"))) == 32
    assert (shown["url"], sorted(shown["events"])) == (URL, sorted(body["events"]))
    every = here.client.post("/v1/webhooks", json={"url": URL}, headers=key).json()
    assert sorted(every["events"]) == sorted(Event)
    listed = here.client.get("/v1/webhooks", headers=key).json()["data"]
    assert listed == [shown, {k: v for k, v in every.items() if k != "secret"}]
    gone = here.client.delete(f"/v1/webhooks/{shown['id']}", headers=key)
    assert (gone.status_code, gone.content) == (204, b"")
    again = here.client.delete(f"/v1/webhooks/{shown['id']}", headers=key)
    assert (again.status_code, again.json()["code"]) == (404, "not-found")
    left = here.client.get("/v1/webhooks", headers=key).json()["data"]
    assert [one["id"] for one in left] == [every["id"]]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("url", "ftp://example.com/"),
        ("url", "http://example.com/"),
        ("url", "https://user@example.com/"),
        ("url", "https://example.com:22/"),
        ("url", "https://example.com/ x"),
        ("url", 5),
        ("events", []),
        ("events", ["mark.gone"]),
        ("unknown", 1),
    ],
)
def test_a_webhook_that_cannot_be_is_named(here: Installed, field: str, value: object) -> None:
    body = {"url": URL} | {field: value}
    answer = here.client.post("/v1/webhooks", json=body, headers=here.key())
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
    assert answer.json()["errors"][0]["field"].split(".")[0] == field


def test_http_is_for_those_whom_the_operator_lets(private: Installed) -> None:
    body = {"url": "http://127.0.0.1:9/"}
    made = private.client.post("/v1/webhooks", json=body, headers=private.key())
    assert made.status_code == 201


def test_a_tenant_has_so_many_and_no_more(here: Installed) -> None:
    key = here.key(tenant="hoarder")
    codes = [
        here.client.post("/v1/webhooks", json={"url": URL}, headers=key).status_code
        for _ in range(MOST + 1)
    ]
    assert codes == [201] * MOST + [429]


def test_ends_of_jobs_and_answers_to_appeals_are_on_their_way(here: Installed) -> None:
    key = here.key(tenant="told")
    client, wait = here.client, {"Prefer": "wait=30"}
    hook = client.post("/v1/webhooks", json={"url": URL}, headers=key).json()
    drawn = client.post("/v1/generations", json={"prompt": "Alice"}, headers=key | wait).json()
    raw = key | wait | {"Content-Type": "image/png"}
    checked = client.post("/v1/verifications", content=upload("w"), headers=raw).json()
    client.post("/v1/marks", content=upload("broken"), headers=raw)
    appeal = client.post("/v1/appeals", json={"job": drawn["id"], "reason": "Bob"}, headers=key)
    address = f"/v1/appeals/{appeal.json()['id']}/answer"
    client.post(address, json={"answer": "no, Bob"}, headers=key)
    shown = client.get(f"/v1/webhooks/{hook['id']}/deliveries", headers=key).json()["data"]
    assert sorted(one["event"] for one in shown) == [
        "appeal.answered",
        "generation.done",
        "mark.failed",
        "verification.done",
    ]
    assert {(one["outcome"], one["attempts"]) for one in shown} == {("pending", 0)}
    with snapshot(here.engine) as session:
        bodies = b"".join(one.body for one in outbox.page(session, hook["id"], limit=9))
    for said in (drawn["id"], drawn["images"][0]["id"], checked["id"], appeal.json()["id"]):
        assert said.encode() in bodies
    for unsaid in (b"Alice", b"Bob"):
        assert unsaid not in bodies


def test_the_log_of_deliveries_says_how_an_attempt_went(here: Installed) -> None:
    key = here.key(tenant="logged")
    hook = here.client.post("/v1/webhooks", json={"url": URL}, headers=key).json()
    here.worker.rest()
    job = here.client.post("/v1/generations", json={"prompt": "a"}, headers=key).json()
    here.client.post(f"/v1/generations/{job['id']}/cancel", headers=key)
    here.worker.resume()
    with transaction(here.engine) as session:
        mine = [
            one for one in outbox.claim(session, now=datetime.now(UTC)) if one.webhook == hook["id"]
        ]
        outbox.settle(session, mine[0], status=500, error="answered 500", now=datetime.now(UTC))
    address = f"/v1/webhooks/{hook['id']}/deliveries"
    (shown,) = here.client.get(address, headers=key).json()["data"]
    assert (shown["attempts"], shown["status"], shown["error"]) == (1, 500, "answered 500")
    assert shown["due"] > shown["created"]
