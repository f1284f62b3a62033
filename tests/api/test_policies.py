"""Policies over HTTP: set, listed, in versions; and what a caller learns of a refusal."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from provenance.callers import Scope
from provenance.database import transaction
from provenance.policies import EVERY, make
from tests.api.installations import NOW, Installed
from tests.api.serving import serving
from tests.api.toy_worker import BANNED, MODEL

GUN: dict[str, Any] = {"name": "gun", "phrases": ["a gun"], "action": "refuse"}


def test_a_policy_is_set_listed_and_every_version_stays(here: Installed) -> None:
    key = here.key(Scope.ADMIN, tenant="strict")
    put = here.client.put("/v1/policies/*", json={"concepts": [GUN], "attempts": 2}, headers=key)
    assert put.status_code == 200
    made = put.json()
    assert (made["version"], made["attempts"]) == (1, 2)
    assert made["concepts"][0]["near"] == 0.45, "every setting is shown, also those left out"
    lifted = here.client.put("/v1/policies/*", json={"concepts": []}, headers=key).json()
    versions = here.client.get("/v1/policies/*/versions", headers=key).json()["data"]
    assert versions == [lifted, made]
    assert here.client.get("/v1/policies", headers=key).json()["data"] == [lifted]


def test_what_is_said_for_all_is_seen_and_another_tenant_s_is_not(here: Installed) -> None:
    here.client.put(
        f"/v1/policies/{MODEL.name}", json={"concepts": [GUN]}, headers=here.key(tenant="one")
    )
    with transaction(here.engine) as session:
        wanted = {"concepts": [{"name": "bomb", "phrases": ["a bomb"]}]}
        make(session, wanted, tenant=EVERY, model="m9", author="operator", now=NOW)
    listed = here.client.get("/v1/policies", headers=here.key(tenant="two")).json()["data"]
    assert [(one["tenant"], one["model"]) for one in listed] == [("*", "m9")]


def test_the_words_of_a_prompt_are_checked_without_drawing(here: Installed) -> None:
    key = here.key(tenant="checked")
    here.client.put("/v1/policies/*", json={"concepts": [GUN]}, headers=key)
    for prompt, refused in (("an old g-u-n", True), ("a cat", False)):
        told = here.client.post("/v1/prompt-checks", json={"prompt": prompt}, headers=key).json()
        assert told["refused"] is refused
    named = here.client.post("/v1/prompt-checks", json={"prompt": "an old gun"}, headers=key)
    (reason,) = named.json()["reasons"]
    assert (reason["kind"], reason["start"], reason["end"]) == ("phrase", 7, 10)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"concepts": [{"name": "gun", "phrases": []}]}, "concepts.0.phrases"),
        ({"concepts": [{**GUN, "phrases": ["house", "owl"]}]}, "covers everything"),
        ({"concepts": [{**GUN, "sternness": 2}]}, "concepts.0.sternness"),
        ({"concepts": [GUN], "attempts": 0}, "attempts"),
        ({}, "concepts"),
    ],
)
def test_a_policy_that_cannot_be_is_refused_by_name(
    here: Installed, body: dict[str, Any], says: str
) -> None:
    key = here.key(tenant="wrong")
    told = here.client.put("/v1/policies/*", json=body, headers=key)
    assert (told.status_code, told.json()["code"]) == (422, "invalid")
    assert says in told.text
    assert here.client.get("/v1/policies/*/versions", headers=key).json() == {"data": []}


def test_drawing_alone_does_not_let_a_policy_be_changed(here: Installed) -> None:
    key = here.key(Scope.GENERATE)
    told = here.client.put("/v1/policies/*", json={"concepts": []}, headers=key)
    assert told.json()["code"] == "missing-scope"


def test_a_refusal_tells_its_reasons_to_programs(here: Installed) -> None:
    key = here.key()
    body = {"model": MODEL.name, "prompt": "something forbidden"}
    job = here.client.post("/v1/generations", json=body, headers={**key, "Prefer": "wait=30"})
    told = here.client.get(job.json()["url"].removeprefix("http://testserver"), headers=key).json()
    assert told["state"] == "failed"
    assert told["fault"]["code"] == "banned"
    assert told["reasons"] == [BANNED]


def test_the_openai_package_sees_a_content_policy_violation(here: Installed) -> None:
    token = here.key()["Authorization"].removeprefix("Bearer ")
    with (
        serving(here.app) as address,
        openai.OpenAI(base_url=f"{address}/v1", api_key=token, max_retries=0) as client,
        pytest.raises(openai.UnprocessableEntityError) as refused,
    ):
        client.images.generate(model=MODEL.name, prompt="something forbidden", size="128x128")
    assert refused.value.code == "content_policy_violation"
    assert refused.value.response.json()["reasons"] == [BANNED]
