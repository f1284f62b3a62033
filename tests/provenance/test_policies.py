from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from provenance.database import snapshot, transaction
from provenance.policies import (
    EVERY,
    Action,
    BadPolicy,
    current,
    effective,
    history,
    make,
    parse_concepts,
)
from tests.databases import KINDS, migrated_database

NOW = datetime(2026, 1, 1, tzinfo=UTC)
GUN: dict[str, Any] = {"name": "gun", "phrases": ["a gun", "a pistol"]}


@pytest.fixture(params=KINDS)
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[sa.Engine]:
    with migrated_database(str(request.param), tmp_path) as made:
        yield made


def put(
    engine: sa.Engine,
    *concepts: dict[str, Any],
    tenant: str = EVERY,
    model: str = EVERY,
    **more: Any,
) -> None:
    with transaction(engine) as session:
        wanted = {"concepts": list(concepts), **more}
        make(session, wanted, tenant=tenant, model=model, author="me", now=NOW)


def names(engine: sa.Engine, tenant: str, model: str) -> tuple[str, ...]:
    with snapshot(engine) as session:
        return effective(session, tenant, model).names


def named(name: str) -> dict[str, Any]:
    return {"name": name, "phrases": [f"a {name}"]}


def test_the_newest_version_counts_and_every_version_stays(engine: sa.Engine) -> None:
    put(engine, GUN)
    put(engine, GUN, named("bomb"))
    put(engine)
    assert names(engine, "t", "m") == ()
    with snapshot(engine) as session:
        versions = history(session, EVERY, EVERY)
    assert [one.number for one in versions] == [3, 2, 1]
    assert [len(one.concepts) for one in versions] == [0, 2, 1]
    assert {(one.author, one.created) for one in versions} == {("me", NOW)}


def test_a_tenant_bans_more_than_its_operator_and_never_less(engine: sa.Engine) -> None:
    put(engine, GUN)
    put(engine, named("bomb"), tenant="t")
    put(engine, named("skull"), tenant="t", model="m")
    put(engine, named("sword"), model="m")
    assert names(engine, "t", "m") == ("bomb", "gun", "skull", "sword")
    assert names(engine, "t", "other") == ("bomb", "gun")
    assert names(engine, "u", "m") == ("gun", "sword")
    put(engine, tenant="t")
    assert names(engine, "t", "other") == ("gun",)


def test_the_digest_is_of_all_that_counts(engine: sa.Engine) -> None:
    put(engine, GUN)
    with snapshot(engine) as session:
        before = effective(session, "t", "m").digest
    put(engine, named("bomb"), tenant="t")
    with snapshot(engine) as session:
        assert effective(session, "t", "m").digest != before
        assert effective(session, "u", "m").digest == before


def test_the_fewest_attempts_asked_for_count(engine: sa.Engine) -> None:
    put(engine, GUN, attempts=5)
    put(engine, named("bomb"), tenant="t", attempts=2)
    with snapshot(engine) as session:
        assert effective(session, "t", "m").attempts == 2
        assert len(current(session, "t")) == 2


def test_no_version_is_changed_or_deleted(engine: sa.Engine) -> None:
    put(engine, GUN)
    for change in ("UPDATE policies SET author = 'else'", "DELETE FROM policies"):
        with pytest.raises(DBAPIError, match="only grow"), transaction(engine) as session:
            session.execute(sa.text(change))


def test_a_version_whose_document_was_altered_is_not_applied(engine: sa.Engine) -> None:
    put(engine, GUN)
    with transaction(engine) as session:
        session.execute(
            sa.text(
                "INSERT INTO policies SELECT tenant, model, 2, :document, digest, author, created "
                "FROM policies"
            ),
            {"document": '{"concepts": [], "attempts": 3}'},
        )
    with pytest.raises(BadPolicy, match="version 2 .* was altered"):
        names(engine, "t", "m")


def test_what_is_left_out_has_the_defaults() -> None:
    (concept,), attempts = parse_concepts({"concepts": [GUN]})
    assert (concept.action, concept.strength, attempts) == (Action.STEER, 1.0, 3)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"name": ""}, r"concepts\[0\].name"),
        ({"name": "x" * 41}, r"concepts\[0\].name"),
        ({"phrases": []}, "'gun': phrases must be 1 to"),
        ({"phrases": ["of the"]}, "the phrase 'of the' says nothing"),
        ({"phrases": ["house", "owl", "apple"]}, "'gun' covers everything: .*red apple"),
        ({"action": "ban"}, "action must be one of refuse, rewrite, steer"),
        ({"action": "rewrite"}, "has no replacement"),
        ({"replacement": "a small pistol"}, "names it again"),
        ({"near": 0.9}, r"near \(0.9\) is above certain"),
        ({"strength": float("nan")}, "strength must be a number from 0 to 2"),
        ({"strength": True}, "strength must be a number"),
        ({"checker": "icons-128"}, "checker and labels belong together"),
        ({"delta": "12"}, "delta must be a SHA-256"),
        ({"sternness": 1}, "unknown fields: sternness"),
    ],
)
def test_what_is_wrong_is_named_with_its_concept(change: dict[str, Any], says: str) -> None:
    with pytest.raises(BadPolicy, match=says):
        parse_concepts({"concepts": [{**GUN, **change}]})


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ([], "a policy is"),
        ({"concepts": {}}, "concepts must be a list"),
        ({"concepts": [GUN, GUN]}, "two concepts are called 'gun'"),
        ({"concepts": ["gun"]}, r"concepts\[0\] must be an object"),
        ({"concepts": [], "attempts": 0}, "attempts must be"),
        ({"concepts": [], "attempts": True}, "attempts must be"),
        ({"concepts": [], "else": 1}, "a policy is"),
    ],
)
def test_a_document_of_another_form_is_no_policy(document: Any, says: str) -> None:
    with pytest.raises(BadPolicy, match=says):
        parse_concepts(document)


def test_a_version_keeps_its_time(engine: sa.Engine) -> None:
    with transaction(engine) as session:
        later = NOW + timedelta(microseconds=1)
        make(session, {"concepts": []}, tenant="t", model="m", author="me", now=later)
    with snapshot(engine) as session:
        assert history(session, "t", "m")[0].created == later
