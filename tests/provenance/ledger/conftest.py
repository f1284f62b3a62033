"""A log on each real database."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.databases import KINDS, migrated_database
from tests.provenance.ledger.logs import LOG, Log


@pytest.fixture(params=KINDS)
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Log]:
    with migrated_database(request.param, tmp_path) as engine:
        yield Log(engine, LOG, tmp_path / "anchor")


@pytest.fixture
def sqlite_log(tmp_path: Path) -> Iterator[Log]:
    with migrated_database("sqlite", tmp_path) as engine:
        yield Log(engine, LOG, tmp_path / "anchor")
