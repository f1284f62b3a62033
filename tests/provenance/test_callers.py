"""An API key opens what it was made for, and nothing of the database opens anything."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from provenance import callers
from provenance.callers import Exists, Issued, NotACaller, NoTenant, OverQuota, Quota, Scope, Tenant
from provenance.database import transaction
from provenance.keys import Key, KeyState, Purpose
from provenance.tables import CallerRow, SpentRow, TenantRow
from tests.databases import KINDS, migrated_database
from tests.provenance.wishes import NOW, at

QUOTAS = {Quota.PICTURES: 10, Quota.CHECKS: 20}
KEY = Key(b"\x07" * 32, Purpose.TOKEN, "local", 1, KeyState.ACTIVE, NOW, NOW)
OTHER = Key(b"\x08" * 32, Purpose.TOKEN, "local", 2, KeyState.ACTIVE, NOW, NOW)


@pytest.fixture(params=KINDS, scope="module")
def engine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[sa.Engine]:
    with migrated_database(str(request.param), tmp_path_factory.mktemp("callers")) as made:
        yield made


@pytest.fixture
def session(engine: sa.Engine) -> Iterator[Session]:
    with transaction(engine) as opened:
        yield opened
        opened.execute(sa.delete(CallerRow))
        opened.execute(sa.delete(SpentRow))
        opened.execute(sa.delete(TenantRow).where(TenantRow.id != "local"))


@pytest.fixture
def tenant(session: Session) -> Tenant:
    return callers.add_tenant(session, "acme", quotas=QUOTAS, now=NOW)


@pytest.fixture
def issued(session: Session, tenant: Tenant) -> Issued:
    scopes = [Scope.VERIFY, Scope.GENERATE]
    expires = at(100)
    return callers.create(session, tenant, scopes, name="a test", key=KEY, now=NOW, expires=expires)


def test_a_key_says_whose_it_is_and_what_it_may(session: Session, issued: Issued) -> None:
    found = callers.authenticate(session, issued.token, [OTHER, KEY], now=NOW)
    assert found == issued.caller
    assert found.tenant.name == "acme"
    assert found.scopes == {Scope.VERIFY, Scope.GENERATE}
    assert issued.token.startswith(f"cm_{found.id}")


def test_the_database_holds_nothing_of_the_secret(session: Session, issued: Issued) -> None:
    row = session.execute(sa.select(CallerRow.__table__)).one()
    secret = issued.token.removeprefix(f"cm_{issued.caller.id}")
    assert all(secret not in str(value) for value in row)
    assert secret not in repr(issued)


@pytest.mark.parametrize("place", range(0, 61, 4))
def test_one_wrong_character_is_no_key(session: Session, issued: Issued, place: int) -> None:
    wrong = "x" if issued.token[place] != "x" else "y"
    token = issued.token[:place] + wrong + issued.token[place + 1 :]
    with pytest.raises(NotACaller):
        callers.authenticate(session, token, [KEY], now=NOW)


@pytest.mark.parametrize("wrong", ["", "cm", "cm_é", "x" * 61, "cm_" + "0" * 58])
def test_other_texts_are_no_keys(session: Session, issued: Issued, wrong: str) -> None:
    for token in (wrong, issued.token + wrong + "0", wrong + issued.token[3:]):
        with pytest.raises(NotACaller):
            callers.authenticate(session, token, [KEY], now=NOW)


def test_a_wrong_secret_with_a_right_checksum_is_no_key(session: Session, issued: Issued) -> None:
    part = issued.caller.id + "0" * 40
    forged = "cm_" + part + callers._checksum(part)
    assert callers._parse(forged) == issued.caller.id
    with pytest.raises(NotACaller, match="not a valid"):
        callers.authenticate(session, forged, [KEY], now=NOW)


def test_only_the_token_key_that_made_it_accepts_it(session: Session, issued: Issued) -> None:
    imposter = replace(KEY, material=secrets.token_bytes(32))
    for keys in ([], [OTHER], [imposter]):
        with pytest.raises(NotACaller):
            callers.authenticate(session, issued.token, keys, now=NOW)


def test_an_expired_key_is_none(session: Session, issued: Issued) -> None:
    assert callers.authenticate(session, issued.token, [KEY], now=at(99)) == issued.caller
    with pytest.raises(NotACaller, match="expired"):
        callers.authenticate(session, issued.token, [KEY], now=at(100))


def test_a_revoked_key_is_none_and_is_revoked_once(session: Session, issued: Issued) -> None:
    callers.revoke(session, issued.caller.id, now=at(1))
    with pytest.raises(NotACaller, match="revoked"):
        callers.authenticate(session, issued.token, [KEY], now=at(2))
    with pytest.raises(NotACaller):
        callers.revoke(session, issued.caller.id, now=at(3))
    assert callers.list_callers(session, issued.caller.tenant)[0].revoked == at(1)


def test_no_key_of_a_suspended_tenant_is_accepted(session: Session, issued: Issued) -> None:
    callers.suspend(session, issued.caller.tenant, now=at(1))
    with pytest.raises(NotACaller, match="suspended"):
        callers.authenticate(session, issued.token, [KEY], now=at(2))


def test_a_tenant_has_an_id_that_says_nothing_of_its_name(tenant: Tenant) -> None:
    assert "acme" not in tenant.id


def test_a_tenant_of_a_name_is_there_once(session: Session, tenant: Tenant) -> None:
    assert callers.find_tenant(session, "acme") == tenant
    with pytest.raises(Exists):
        callers.add_tenant(session, "acme", quotas=QUOTAS, now=NOW)
    for name in ("", "Acme", "a b", "a" * 64):
        with pytest.raises(NoTenant):
            callers.add_tenant(session, name, quotas=QUOTAS, now=NOW)


def test_a_quota_is_spent_to_the_last_and_no_further(session: Session, tenant: Tenant) -> None:
    assert callers.spend(session, tenant, Quota.PICTURES, 4, now=NOW) == 6
    assert callers.spend(session, tenant, Quota.CHECKS, 1, now=NOW) == 19
    assert callers.spend(session, tenant, Quota.PICTURES, 6, now=NOW) == 0
    with pytest.raises(OverQuota) as over:
        callers.spend(session, tenant, Quota.PICTURES, 1, now=NOW)
    assert (over.value.limit, over.value.reset) == (10, at(2 * 3600))


def test_a_quota_is_whole_again_the_next_day(session: Session, tenant: Tenant) -> None:
    callers.spend(session, tenant, Quota.PICTURES, 10, now=NOW)
    tomorrow = NOW + timedelta(days=1)
    assert callers.spend(session, tenant, Quota.PICTURES, 1, now=tomorrow) == 9
