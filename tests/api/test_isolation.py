"""Every route asks the table, and no tenant sees anything of another."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi.routing import APIRoute

from api.admission import PAGES, SCOPES, Access, Admitted
from provenance.callers import Scope
from tests.api.installations import Installed
from tests.api.toy_worker import upload

OTHER, MINE = "other", "mine"
VALUE = "bG9jYWwuMS4wMDAwMDAwMA=="  # the toy worker's mark key
FREE = {  # where nothing belongs to anyone: lists and forms that only ever show one's own
    "/v1/models",
    "/v1/models/{model}",
    "/v1/policies/{model}",  # a model's name; what is kept under it is one's own alone
    "/v1/policies/{model}/versions",
}


@pytest.fixture(scope="module")
def theirs(here: Installed) -> dict[str, str]:
    """Everything that the other tenant has, by the name of the path's parameter."""
    key = here.key(tenant=OTHER) | {"Prefer": "wait=30"}
    client = here.client
    made = client.post("/v1/generations", json={"prompt": "theirs"}, headers=key).json()
    image = made["images"][0]
    raw = key | {"Content-Type": "image/png"}
    checked = client.post("/v1/verifications", content=upload("theirs"), headers=raw).json()
    marked = client.post("/v1/marks", content=upload("theirs"), headers=raw).json()
    body = {"job": made["id"], "reason": "no"}
    appeal = client.post("/v1/appeals", json=body, headers=key).json()
    hook = {"url": "https://example.com/"}
    webhook = client.post("/v1/webhooks", json=hook, headers=key).json()
    record = client.get(f"/v1/records/{image['entry']}", headers=key).json()["record"]
    return {
        "generation": made["id"],
        "verification": checked["id"],
        "mark": marked["id"],
        "image": image["id"],
        "sha256": image["sha256"],
        "index": str(image["entry"]),
        "appeal": appeal["id"],
        "webhook": webhook["id"],
        "manifest": record["manifest"],
        "pixels": record["pixels"],
    }


def _addressed(theirs: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Method and address of every route that names something by an id."""
    for (method, path), needs in SCOPES.items():
        if "{" not in path or needs is Access.PUBLIC or path in FREE:
            continue
        filled = path.replace("{name}", "mark").replace("{place:path}", "000.p/1")
        for name in ("generation", "verification", "mark"):
            if path.startswith(f"/v1/{name}s/"):
                filled = filled.replace("{job}", theirs[name])
        for name in ("image", "index", "appeal", "manifest", "webhook"):
            filled = filled.replace(f"{{{name}}}", theirs[name])
        assert "{" not in filled, f"{path}: nothing to try it with"
        yield method, filled


def test_every_route_is_in_the_table_and_the_table_holds_no_other(here: Installed) -> None:
    routes = [one for one in here.app.routes if isinstance(one, APIRoute)]
    assert len(routes) == len(here.app.routes)
    assert all(isinstance(one, Admitted) for one in routes)
    assert {(m, one.path) for one in routes for m in one.methods or ()} == {*SCOPES, *PAGES}
    assert not set(SCOPES) & set(PAGES)


def test_a_route_without_a_line_in_the_table_cannot_be_made() -> None:
    from api.admission import router

    with pytest.raises(KeyError):
        router().get("/v1/secret")(lambda: None)


@pytest.mark.parametrize(
    ("method", "path"), [k for k, v in SCOPES.items() if v is not Access.PUBLIC]
)
def test_a_route_asks_for_its_scope(here: Installed, method: str, path: str) -> None:
    needs = SCOPES[method, path]
    wanted = {Scope.VERIFY} if isinstance(needs, Access) else set(needs)
    address = path.replace("{", "").replace("}", "").replace("index", "1")
    others = tuple(set(Scope) - wanted)
    if needs is not Access.ANONYMOUS:
        without = here.client.request(method, address)
        assert (without.status_code, without.json()["code"]) == (401, "unauthenticated")
        assert without.headers["www-authenticate"].startswith("Bearer")
    if others:
        wrong = here.client.request(method, address, headers=here.key(*others))
        assert (wrong.status_code, wrong.json()["code"]) == (403, "missing-scope")
    right = here.client.request(method, address, headers=here.key(*wanted))
    assert right.status_code not in (401, 403)


def test_every_addressed_route_finds_the_owner_and_nobody_else(
    here: Installed, theirs: dict[str, str]
) -> None:
    owner, stranger, operator = here.key(tenant=OTHER), here.key(tenant=MINE), here.key()
    tried = [one for one in _addressed(theirs) if "/tile/entries/" not in one[1]]
    assert len(tried) >= 18
    for method, address in tried:
        body = None
        if method == "POST":
            last = address.rpartition("/")[2]
            receipt = here.client.get(address, headers=owner).json()
            body = {"revocation": {"reason": "x"}, "answer": {"answer": "x"}}.get(last, receipt)
        for other in (stranger, operator):
            answer = here.client.request(method, address, headers=other, json=body)
            assert answer.status_code == 404, (method, address, answer.text)
            assert answer.json()["code"] == "not-found"
        if method == "GET" and not address.endswith("/events"):
            assert here.client.get(address, headers=owner).status_code == 200, address


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/v1/generations", "data"),
        ("/v1/verifications", "data"),
        ("/v1/appeals", "data"),
        ("/v1/webhooks", "data"),
        ("/v1/records", "data"),
        ("/v1/records?file={sha256}", "data"),
        ("/v1/records?pixels={pixels}", "data"),
        ("/v1/records?manifest={manifest}", "data"),
        (
            "/v1/matches/byBinding?alg=countermark.lexical.1&value=bG9jYWwuMS4wMDAwMDAwMA==",
            "matches",
        ),
    ],
)
def test_lists_show_the_owner_and_nobody_else(
    here: Installed, theirs: dict[str, str], path: str, field: str
) -> None:
    address = path.format(**theirs)
    assert here.client.get(address, headers=here.key(tenant=OTHER)).json()[field]
    assert here.client.get(address, headers=here.key(tenant=MINE)).json()[field] == []
    local = here.client.get(address, headers=here.key()).text
    assert theirs["image"] not in local
    assert theirs["manifest"] not in local


def test_evidence_of_a_range_leaves_out_other_tenants(
    here: Installed, theirs: dict[str, str]
) -> None:
    address = f"/v1/evidence?first={theirs['index']}&count=1"
    assert here.client.get(address, headers=here.key(tenant=OTHER)).status_code == 200
    assert here.client.get(address, headers=here.key(tenant=MINE)).status_code == 404
    assert here.client.get(address, headers=here.key()).status_code == 404


def test_a_verification_of_anothers_picture_finds_nothing(
    here: Installed, theirs: dict[str, str]
) -> None:
    address = f"/v1/images/{theirs['image']}"
    file = here.client.get(address, headers=here.key(tenant=OTHER)).content
    outcomes = {}
    for tenant in (OTHER, MINE):
        header = here.key(tenant=tenant) | {"Content-Type": "image/png", "Prefer": "wait=30"}
        answer = here.client.post("/v1/verifications", content=file, headers=header)
        outcomes[tenant] = answer.json()["verdict"]["outcome"]
        found = here.client.post("/v1/matches/byContent", content=file, headers=header).json()
        assert bool(found["matches"]) is (tenant == OTHER)
    assert outcomes == {OTHER: "intact", MINE: "no evidence"}


def test_an_idempotency_key_is_the_tenants_own(here: Installed) -> None:
    made = []
    for tenant in (OTHER, MINE):
        header = here.key(tenant=tenant) | {"Idempotency-Key": "one"}
        made.append(here.client.post("/v1/generations", json={"prompt": "x"}, headers=header))
    assert [one.status_code for one in made] == [202, 202]
    assert made[0].json()["id"] != made[1].json()["id"]


def test_a_cursor_is_the_tenants_own(here: Installed, theirs: dict[str, str]) -> None:
    key = here.key(tenant=OTHER)
    here.client.post("/v1/generations", json={"prompt": "x"}, headers=key)
    cursor = here.client.get("/v1/generations?limit=1", headers=key).json()["next"]
    address = f"/v1/generations?limit=1&cursor={cursor}"
    assert here.client.get(address, headers=key).status_code == 200
    assert here.client.get(address, headers=here.key(tenant=MINE)).status_code == 404


def test_bundles_of_records_are_for_the_installations_own_tenant(
    here: Installed, theirs: dict[str, str]
) -> None:
    size = here.client.get("/v1/log/witnesses").json()["size"]
    address = f"/v1/log/tile/entries/000.p/{size}"
    assert here.client.get(address, headers=here.key()).status_code == 200
    assert here.client.get(address, headers=here.key(tenant=OTHER)).status_code == 404


def test_who_asked_without_a_key_reads_only_what_was_asked_without_one(here: Installed) -> None:
    raw = {"Content-Type": "image/png", "Prefer": "wait=30"}
    kept = here.client.post("/v1/verifications", content=upload("a"), headers=raw | here.key())
    assert here.client.get(f"/v1/verifications/{kept.json()['id']}").status_code == 404
    free = here.client.post("/v1/verifications", content=upload("b"), headers=raw).json()
    again = here.client.get(f"/v1/verifications/{free['id']}").json()
    assert again == free
