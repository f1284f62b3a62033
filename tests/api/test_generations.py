"""Jobs that draw: asked for, once, many at once, followed, cancelled, listed."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from provenance import models
from provenance.callers import Quota, Scope
from provenance.database import transaction
from tests.api.installations import Installed
from tests.api.toy_worker import MODEL

WAIT = {"Prefer": "wait=30"}
WISH = {"prompt": "a red apple", "count": 2, "seed": 7}


def events(text: str) -> list[tuple[str, str, dict[str, Any]]]:
    """Id, name and data of every event of a stream."""
    found = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line)
        if "event" in fields:
            found.append((fields["id"], fields["event"], json.loads(fields["data"])))
    return found


def test_a_wish_is_queued_and_can_be_read_until_it_is_done(here: Installed) -> None:
    key = here.key(Scope.GENERATE)
    here.worker.rest()
    asked = here.client.post("/v1/generations", json=WISH, headers=key)
    assert asked.status_code == 202
    queued = asked.json()
    assert (queued["state"], queued["images"]) == ("queued", [])
    assert (
        asked.headers["location"]
        == queued["url"]
        == f"http://testserver/v1/generations/{queued['id']}"
    )
    here.worker.resume()
    here.client.get(f"/v1/generations/{queued['id']}/events", headers=key)
    done = here.client.get(f"/v1/generations/{queued['id']}", headers=key).json()
    assert done["state"] == "done"
    assert [one["facts"]["seed"] for one in done["images"]] == [7, 8]


def test_waiting_answers_200_with_the_pictures(here: Installed) -> None:
    made = here.client.post("/v1/generations", json=WISH, headers=here.key() | WAIT)
    assert made.status_code == 200
    assert made.headers["preference-applied"] == "wait=30"
    assert len(made.json()["images"]) == 2


def test_a_model_whose_worker_is_silent_may_be_asked_for_again_and_an_unknown_one_not(
    here: Installed,
) -> None:
    with transaction(here.engine) as session:
        gone = replace(MODEL, name="gone")
        models.announce(session, [gone], now=datetime.now(UTC) - timedelta(minutes=5))
    silent = here.client.post("/v1/generations", json=WISH | {"model": "gone"}, headers=here.key())
    assert (silent.status_code, silent.json()["code"]) == (503, "unavailable")
    assert silent.headers["retry-after"] == "30"
    assert "one had 5 minutes ago" in silent.json()["detail"]
    unknown = here.client.post("/v1/generations", json=WISH | {"model": "no"}, headers=here.key())
    assert (unknown.status_code, unknown.json()["errors"][0]["field"]) == (404, "model")
    assert "gone" not in here.client.get("/v1/models", headers=here.key()).text


def test_the_same_idempotency_key_gives_the_same_job_and_no_other_request(here: Installed) -> None:
    key = here.key() | {"Idempotency-Key": "order-1"} | WAIT
    first = here.client.post("/v1/generations", json=WISH, headers=key).json()
    again = here.client.post("/v1/generations", json=WISH, headers=key).json()
    assert again == first
    other = here.client.post("/v1/generations", json=WISH | {"count": 1}, headers=key)
    assert (other.status_code, other.json()["code"]) == (409, "idempotency-key-reused")
    assert other.json()["errors"][0]["field"] == "Idempotency-Key"


def test_a_whole_number_may_be_written_with_a_point(here: Installed) -> None:
    body = b'{"prompt": "x", "count": 2.0, "seed": 7.0}'
    header = here.key() | {"Content-Type": "application/json"}
    made = here.client.post("/v1/generations", content=body, headers=header)
    assert made.status_code == 202
    assert (made.json()["request"]["count"], made.json()["request"]["seed"]) == (2, 7)


def test_a_batch_may_ask_for_a_format_each(here: Installed) -> None:
    key = here.key()
    wishes: list[dict[str, object]] = [
        {"prompt": "a"},
        {"prompt": "b", "output_format": "jpeg", "output_compression": 0},
        {"prompt": "c", "output_format": "webp"},
        {"prompt": "d", "output_format": "png", "output_compression": 100},
    ]
    asked = here.client.post("/v1/generations/batch", json={"generations": wishes}, headers=key)
    assert asked.status_code == 202
    requests = [one["request"] for one in asked.json()["generations"]]
    assert [(one["output_format"], one["output_compression"]) for one in requests] == [
        ("png", 100),
        ("jpeg", 0),
        ("webp", 100),
        ("png", 100),
    ]
    wishes[1]["output_compression"] = 101
    bad = here.client.post("/v1/generations/batch", json={"generations": wishes}, headers=key)
    assert bad.json()["errors"][0]["field"] == "generations.1.output_compression"


def test_a_batch_is_queued_whole_or_not_at_all(here: Installed) -> None:
    key = here.key(tenant="batches") | {"Idempotency-Key": "batch"}
    good = {"generations": [WISH, {"prompt": "a pear"}]}
    asked = here.client.post("/v1/generations/batch", json=good, headers=key)
    assert asked.status_code == 202
    jobs = [one["id"] for one in asked.json()["generations"]]
    again = here.client.post("/v1/generations/batch", json=good, headers=key).json()
    assert [one["id"] for one in again["generations"]] == jobs
    bad = {"generations": [WISH, {"prompt": "a pear", "model": "unknown"}]}
    refused = here.client.post(
        "/v1/generations/batch", json=bad, headers=here.key(tenant="batches")
    )
    assert refused.status_code == 404
    assert refused.json()["errors"] == [
        {"field": "model", "detail": "not known here", "limit": "icons-128"}
    ]
    listed = here.client.get("/v1/generations", headers=key).json()["data"]
    assert {one["id"] for one in listed} == set(jobs)


def test_a_quota_is_used_up_and_says_until_when(here: Installed) -> None:
    here.tenant("poor", {Quota.PICTURES: 3, Quota.CHECKS: 0})
    key = here.key(tenant="poor")
    assert here.client.post("/v1/generations", json=WISH, headers=key).status_code == 202
    refused = here.client.post("/v1/generations", json=WISH, headers=key)
    assert (refused.status_code, refused.json()["code"]) == (429, "quota-exceeded")
    assert 0 < int(refused.headers["retry-after"]) <= 86_400
    assert refused.json()["detail"] == "more than 3 pictures today"
    small = here.client.post("/v1/generations", json={"prompt": "x"}, headers=key)
    assert small.status_code == 202  # what was refused was not counted


def test_a_replay_costs_no_quota(here: Installed) -> None:
    here.tenant("thrifty", {Quota.PICTURES: 2, Quota.CHECKS: 0})
    key = here.key(tenant="thrifty") | {"Idempotency-Key": "k"}
    codes = [
        here.client.post("/v1/generations", json=WISH, headers=key).status_code for _ in range(3)
    ]
    assert codes == [202, 202, 202]


def test_a_queued_job_is_cancelled_once(here: Installed) -> None:
    here.worker.rest()
    key = here.key()
    job = here.client.post("/v1/generations", json=WISH, headers=key).json()["id"]
    cancelled = here.client.post(f"/v1/generations/{job}/cancel", headers=key)
    here.worker.resume()
    assert (cancelled.status_code, cancelled.json()["state"]) == (200, "cancelled")
    again = here.client.post(f"/v1/generations/{job}/cancel", headers=key)
    assert (again.status_code, again.json()["code"]) == (409, "already-done")


def test_events_tell_progress_previews_and_the_end(here: Installed) -> None:
    key = here.key()
    job = here.client.post("/v1/generations", json={"prompt": "slowly"}, headers=key).json()["id"]
    stream = here.client.get(f"/v1/generations/{job}/events", headers=key)
    assert stream.headers["content-type"].startswith("text/event-stream")
    told = events(stream.text)
    assert told[-1][:2] == ("end", "done")
    assert told[-1][2]["state"] == "done"
    steps = [one[2]["done"] for one in told if one[1] == "progress"]
    assert steps == sorted(set(steps))
    assert 3 in steps
    shown = [one[2] for one in told if one[1] == "preview"]
    assert all(str(one["b64_json"]).startswith("iVBORw0KGgo") for one in shown)
    assert shown


def test_events_are_taken_up_after_the_last_id(here: Installed) -> None:
    key = here.key()
    job = here.client.post("/v1/generations", json={"prompt": "slowly"}, headers=key).json()["id"]
    address = f"/v1/generations/{job}/events"
    rest = events(here.client.get(address, headers=key | {"Last-Event-ID": "1-2"}).text)
    assert all(one[2]["done"] > 2 for one in rest if one[1] == "progress")
    assert rest[-1][1] == "done"
    ended = here.client.get(address, headers=key | {"Last-Event-ID": "end"})
    assert (ended.status_code, ended.content) == (204, b"")


def test_a_list_goes_on_where_it_stopped_whatever_comes_in_meanwhile(here: Installed) -> None:
    key = here.key(tenant="lister")
    made = [
        here.client.post("/v1/generations", json={"prompt": f"n{n}"}, headers=key).json()["id"]
        for n in range(5)
    ]
    first = here.client.get("/v1/generations?limit=2", headers=key).json()
    here.client.post("/v1/generations", json={"prompt": "late"}, headers=key)
    seen, cursor = [one["id"] for one in first["data"]], first["next"]
    while cursor:
        page = here.client.get(f"/v1/generations?limit=2&cursor={cursor}", headers=key).json()
        seen += [one["id"] for one in page["data"]]
        cursor = page["next"]
    assert seen == made[::-1]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("prompt", ""),
        ("prompt", "x" * 501),
        ("prompt", "two\nlines"),
        ("count", 0),
        ("count", "1"),
        ("count", 1.5),
        ("count", True),
        ("seed", -1),
        ("seed", 2**53),
        ("mark", "none"),
        ("survive", "a b"),
        ("model", "../etc"),
        ("unknown", 1),
        ("output_format", "gif"),
        ("output_compression", 99),
        ("output_compression", "100"),
    ],
)
def test_a_field_outside_its_limits_is_named(here: Installed, field: str, value: object) -> None:
    answer = here.client.post("/v1/generations", json=WISH | {field: value}, headers=here.key())
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
    assert [one["field"] for one in answer.json()["errors"]] == [field]


@pytest.mark.parametrize("key", ["", "a b", "x" * 201])
def test_an_idempotency_key_outside_its_limits_is_named(here: Installed, key: str) -> None:
    header = here.key() | {"Idempotency-Key": key}
    answer = here.client.post("/v1/generations", json=WISH, headers=header)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "Idempotency-Key"
