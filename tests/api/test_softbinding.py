"""The C2PA Soft Binding Resolution API over the service's own pictures."""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import Any

import pytest

from provenance.ledger.proof import open_proof
from provenance.manifest.container import scan
from tests.api.installations import Installed
from tests.api.toy_worker import KEY

VALUE = b64encode(KEY.encode()).decode()
ALG = "countermark.lexical.1"


@pytest.fixture(scope="module")
def made(here: Installed) -> dict[str, Any]:
    header = here.key() | {"Prefer": "wait=30"}
    job = here.client.post("/v1/generations", json={"prompt": "a fig"}, headers=header).json()
    image: dict[str, Any] = job["images"][0]
    record = here.client.get(f"/v1/records/{image['entry']}", headers=here.key()).json()["record"]
    return image | {"label": record["manifest"]}


def test_the_well_known_document_leads_to_the_api(here: Installed) -> None:
    told = here.client.get("/.well-known/c2pa-soft-binding-resolution").json()
    assert told["apiEndpoint"] == "http://testserver/v1"
    assert told["c2paSpecificationVersion"] == "2.4.0"
    for name in ("capabilitiesEndpoint", "statusEndpoint"):
        assert here.client.get(told[name].removeprefix("http://testserver")).status_code == 200
    algorithms = here.client.get("/v1/services/supportedAlgorithms").json()
    assert {"alg": ALG} in algorithms["watermarks"]


def test_a_binding_leads_to_a_manifest(here: Installed, made: dict[str, Any]) -> None:
    key = here.key()
    query = {"value": VALUE, "alg": ALG}
    got = here.client.get("/v1/matches/byBinding", params=query, headers=key).json()
    posted = here.client.post("/v1/matches/byBinding", json=query, headers=key).json()
    assert got == posted
    assert made["label"] in [one["manifestId"] for one in got["matches"]]
    store = here.client.get(f"/v1/manifests/{made['label']}", headers=key)
    assert store.headers["content-type"] == "application/c2pa"
    file = here.client.get(f"/v1/images/{made['id']}", headers=key).content
    assert store.content == scan(file).store


@pytest.mark.parametrize(
    ("value", "alg"), [("bG9jYWw=", ALG), (VALUE, "io.iscc.v0"), ("not base64!", ALG), ("", ALG)]
)
def test_a_binding_that_is_not_ours_leads_nowhere(here: Installed, value: str, alg: str) -> None:
    query = {"value": value, "alg": alg}
    answer = here.client.get("/v1/matches/byBinding", params=query, headers=here.key())
    assert (answer.status_code, answer.json()) == (200, {"matches": []})


def test_a_value_too_long_for_an_address_is_sent_to_post(here: Installed) -> None:
    query = {"value": "A" * 1001, "alg": ALG}
    answer = here.client.get("/v1/matches/byBinding", params=query, headers=here.key())
    assert (answer.status_code, answer.json()["code"]) == (414, "uri-too-long")
    assert here.client.post("/v1/matches/byBinding", json=query, headers=here.key()).json() == {
        "matches": []
    }


def test_most_results_are_kept(here: Installed, made: dict[str, Any]) -> None:
    header = here.key() | {"Prefer": "wait=30"}
    here.client.post("/v1/generations", json={"prompt": "figs", "count": 3}, headers=header)
    query = {"value": VALUE, "alg": ALG, "maxResults": "2"}
    found = here.client.get("/v1/matches/byBinding", params=query, headers=here.key()).json()
    assert len(found["matches"]) == 2


def test_a_picture_leads_to_its_manifest(here: Installed, made: dict[str, Any]) -> None:
    key = here.key()
    file = here.client.get(f"/v1/images/{made['id']}", headers=key).content
    header = key | {"Content-Type": "image/png"}
    found = here.client.post("/v1/matches/byContent", content=file, headers=header).json()
    assert [one["manifestId"] for one in found["matches"]] == [made["label"]]


def test_a_receipt_is_a_proof_of_our_log(here: Installed, made: dict[str, Any]) -> None:
    key, address = here.key(), f"/v1/manifests/{made['label']}/receipts"
    receipt = here.client.get(address, headers=key).json()
    assert receipt["@type"] == "org.c2pa.manifest-receipt"
    proven = open_proof(b64decode(receipt["anchor"]["proof"]["value"]), here.log)
    assert proven.index == made["entry"]
    checked = here.client.post(address, json=receipt, headers=key).json()
    assert (checked["verified"], checked["error"]) == (True, None)


def test_a_receipt_with_one_thing_wrong_is_not_verified(
    here: Installed, made: dict[str, Any]
) -> None:
    key, address = here.key(), f"/v1/manifests/{made['label']}/receipts"
    receipt = here.client.get(address, headers=key).json()
    header = key | {"Prefer": "wait=30"}
    other = here.client.post("/v1/generations", json={"prompt": "a nut"}, headers=header).json()
    proof = here.client.get(f"/v1/images/{other['images'][0]['id']}.proof", headers=key).content
    flipped = bytearray(b64decode(receipt["anchor"]["proof"]["value"]))
    flipped[-5] ^= 1
    for value in (b64encode(proof).decode(), b64encode(flipped).decode(), "no base64", ""):
        receipt["anchor"]["proof"]["value"] = value
        checked = here.client.post(address, json=receipt, headers=key).json()
        assert checked["verified"] is False
        assert checked["error"]
