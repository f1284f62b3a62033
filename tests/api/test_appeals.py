"""Appeals: made once, listed, answered once."""

from __future__ import annotations

from tests.api.installations import Installed


def test_an_appeal_is_kept_listed_and_answered_once(here: Installed) -> None:
    key = here.key()
    job = here.client.post("/v1/generations", json={"prompt": "x"}, headers=key).json()["id"]
    body = {"job": job, "reason": "this is my own photograph"}
    once = key | {"Idempotency-Key": "a"}
    made = here.client.post("/v1/appeals", json=body, headers=once)
    assert made.status_code == 201
    assert here.client.post("/v1/appeals", json=body, headers=once).json() == made.json()
    other = here.client.post("/v1/appeals", json=body | {"reason": "x"}, headers=once)
    assert other.json()["code"] == "idempotency-key-reused"
    second = here.client.post("/v1/appeals", json=body, headers=key).json()
    first = here.client.get("/v1/appeals?limit=1", headers=key).json()
    assert [one["id"] for one in first["data"]] == [second["id"]]
    rest = here.client.get(f"/v1/appeals?limit=1&cursor={first['next']}", headers=key).json()
    assert rest == {"data": [made.json()], "next": None}
    address = f"/v1/appeals/{made.json()['id']}"
    answered = here.client.post(f"{address}/answer", json={"answer": "you are right"}, headers=key)
    assert answered.json()["answer"] == "you are right"
    assert here.client.get(address, headers=key).json() == answered.json()
    again = here.client.post(f"{address}/answer", json={"answer": "no"}, headers=key)
    assert (again.status_code, again.json()["code"]) == (409, "already-done")


def test_an_appeal_is_about_a_job_that_is_there(here: Installed) -> None:
    body = {"job": "none", "reason": "x"}
    answer = here.client.post("/v1/appeals", json=body, headers=here.key())
    assert (answer.status_code, answer.json()["code"]) == (404, "not-found")
