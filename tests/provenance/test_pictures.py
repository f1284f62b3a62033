"""A picture is there for its tenant alone, once, and with its record."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from uuid import uuid4

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from provenance import models, pictures
from provenance.blobs import Digest
from provenance.database import transaction
from provenance.jobs import JobId
from provenance.ledger.log import Draft, append
from provenance.models import Model
from provenance.pictures import NoPicture, Picture, picture_id
from tests.databases import KINDS, migrated_database
from tests.provenance.ledger.logs import picture as recorded
from tests.provenance.wishes import NOW, asked, at, drawing

MODEL = Model("toy", "grey patches", 128, "Apache-2.0", "06" * 32, ("lexical", "swap"))


@pytest.fixture(params=KINDS, scope="module")
def engine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[sa.Engine]:
    with migrated_database(str(request.param), tmp_path_factory.mktemp("pictures")) as made:
        yield made


@pytest.fixture
def session(engine: sa.Engine) -> Iterator[Session]:
    """A session whose work is abandoned: the log only grows."""
    with Session(engine) as opened:
        yield opened


def made(session: Session, tenant: str) -> Picture:
    job = asked(session, drawing(tenant))
    (entry,) = append(session, [Draft(recorded(picture_id(job.id, 0)))])
    return Picture(
        id=picture_id(job.id, 0),
        entry=entry.index,
        tenant=tenant,
        job=job.id,
        number=0,
        blob=Digest(b"\x01" * 32),
        media="image/png",
        width=128,
        height=64,
        facts={"seed": 1, "p": 1e-9},
        created=NOW,
    )


def test_a_picture_is_read_as_it_was_stored_by_its_tenant_alone(session: Session) -> None:
    one = made(session, "acme")
    pictures.store(session, [one])
    assert pictures.read(session, one.id, "acme") == one
    assert pictures.of_job(session, one.job) == [one]
    assert pictures.of_entries(session, [one.entry], "acme") == {one.entry: one}
    assert pictures.of_entries(session, [one.entry], "local") == {}
    for id, tenant in ((one.id, "local"), (str(uuid4()), "acme")):
        with pytest.raises(NoPicture):
            pictures.read(session, id, tenant)


def test_entries_are_told_to_their_owner_and_those_of_commands_to_our_own_tenant(
    session: Session,
) -> None:
    theirs, ours = made(session, "acme"), made(session, "local")
    pictures.store(session, [theirs, ours])
    (command,) = append(session, [Draft(recorded("by command"))])
    every = [theirs.entry, ours.entry, command.index]
    assert pictures.visible(session, every, "acme") == [theirs.entry]
    assert pictures.visible(session, every, "local") == [ours.entry, command.index]
    assert pictures.visible(session, every, "other") == []
    assert pictures.page(session, "acme", before=None, limit=9) == [theirs.entry]
    assert pictures.page(session, "local", before=None, limit=9) == [command.index, ours.entry]
    assert pictures.page(session, "local", before=command.index, limit=9) == [ours.entry]


def test_an_entry_records_one_picture(session: Session) -> None:
    one = made(session, "acme")
    pictures.store(session, [one])
    with pytest.raises(IntegrityError):
        pictures.store(session, [replace(one, id=str(uuid4()))])


def test_a_job_s_pictures_have_the_same_ids_whoever_draws_them() -> None:
    job, other = JobId(str(uuid4())), JobId(str(uuid4()))
    ids = [picture_id(job, 0), picture_id(job, 1), picture_id(other, 0)]
    assert len(set(ids)) == 3
    assert picture_id(job, 0) == ids[0]


def test_models_are_known_as_last_announced(engine: sa.Engine) -> None:
    changed = replace(MODEL, licence="MIT")
    for model, seconds in ((MODEL, 0), (changed, 30)):
        with transaction(engine) as session:
            models.announce(session, [model], now=at(seconds))
    with transaction(engine) as session:
        assert models.known(session) == [(changed, at(30))]
