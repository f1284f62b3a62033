"""The door on PostgreSQL: the same answers as on SQLite, for the routes whose SQL is particular."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.exc import InternalError
from starlette.requests import Request
from starlette.testclient import TestClient

from api.app import create_app
from api.problems import Kind
from api.refusals import to_problem
from tests.api.installations import Installed, installed
from tests.api.toy_worker import upload

RAW = {"Content-Type": "image/png", "Prefer": "wait=30"}


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    with installed(Path(tmp_path_factory.mktemp("postgresql")), "postgresql") as found:
        yield found


def test_a_picture_is_drawn_listed_verified_and_audited(there: Installed) -> None:
    key = there.key() | {"Idempotency-Key": "one"}
    made = there.client.post(
        "/v1/generations", json={"prompt": "slowly"}, headers=key | {"Prefer": "wait=30"}
    ).json()
    image = made["images"][0]
    listed = there.client.get("/v1/generations?limit=1", headers=key).json()
    assert [one["id"] for one in listed["data"]] == [made["id"]]
    file = there.client.get(f"/v1/images/{image['id']}", headers=key).content
    checked = there.client.post("/v1/verifications", content=file, headers=there.key() | RAW).json()
    assert checked["verdict"]["outcome"] == "intact"
    records = there.client.get("/v1/records", headers=key).json()["data"]
    assert [one["image"] for one in records] == [image["id"]]
    assert there.client.get(f"/v1/images/{image['id']}.proof", headers=key).status_code == 200
    assert there.client.get("/ready").json()["status"] == "ready"
    assert there.client.get("/metrics", headers=key).status_code == 200


def test_probing_is_counted(there: Installed) -> None:
    codes = []
    for number in range(21):
        there.app.state.installation.buckets.__init__()
        data = upload(f"probed|{number}")
        codes.append(there.client.post("/v1/verifications", content=data, headers=RAW).status_code)
    assert codes == [200] * 20 + [429]


def test_appeals_and_cursors_work(there: Installed) -> None:
    key = there.key()
    job = there.client.post("/v1/generations", json={"prompt": "x"}, headers=key).json()["id"]
    for reason in ("one", "two"):
        body = {"job": job, "reason": reason}
        assert there.client.post("/v1/appeals", json=body, headers=key).status_code == 201
    first = there.client.get("/v1/appeals?limit=1", headers=key).json()
    second = there.client.get(f"/v1/appeals?limit=1&cursor={first['next']}", headers=key).json()
    assert [one["data"][0]["reason"] for one in (first, second)] == ["two", "one"]
    address = f"/v1/appeals/{first['data'][0]['id']}/answer"
    codes = [
        there.client.post(address, json={"answer": "x"}, headers=key).status_code for _ in range(2)
    ]
    assert codes == [200, 409]


def test_a_record_is_revoked(there: Installed) -> None:
    key = there.key() | {"Prefer": "wait=30"}
    made = there.client.post("/v1/generations", json={"prompt": "x"}, headers=key).json()
    entry = made["images"][0]["entry"]
    address = f"/v1/records/{entry}/revocation"
    assert there.client.post(address, json={"reason": "x"}, headers=key).status_code == 201
    told = there.client.get(f"/v1/records/{entry}", headers=key).json()
    assert len(told["statements"]) == 1


def test_a_copy_that_can_only_be_read_serves_the_log(there: Installed) -> None:
    """As `python -m api` on a read replica."""
    key = there.key()
    there.client.post("/v1/generations", json={"prompt": "x"}, headers=key | {"Prefer": "wait=30"})
    only_read = "?options=-c%20default_transaction_read_only%3Don"
    app = create_app(replace(there.settings, database=there.settings.database + only_read))
    paths = ("log/checkpoint", "log/tile/0/000.p/1", "records", "records/0/proof")
    with TestClient(app, raise_server_exceptions=False) as copy:
        for path in paths:
            here, same = (one.get(f"/v1/{path}", headers=key) for one in (there.client, copy))
            assert (same.status_code, same.content) == (200, here.content)


@pytest.mark.parametrize("code", ["25006", "0A000"])
def test_writing_to_a_copy_is_unavailable(there: Installed, code: str) -> None:
    """Which of the two PostgreSQL says depends on what the connection did before."""
    error = InternalError("INSERT", {}, psycopg.errors.lookup(code)("secret"))
    problem = to_problem(Request({"type": "http", "app": there.app}), error)
    assert (problem.kind, problem.detail) == (
        Kind.UNAVAILABLE,
        "this is a copy that can only be read",
    )
