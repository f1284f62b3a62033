from collections.abc import Iterator
from pathlib import Path

import pytest

from provenance.database import snapshot
from provenance.fingerprint import Fingerprint
from provenance.ledger.log import Draft
from provenance.ledger.record import Mark
from provenance.manifest.finding import Binding
from tests.databases import migrated_database
from tests.provenance.ledger.logs import LOG, Log, marking, picture
from workers.softbinding import bind_looks, bind_mark, find_marked, fresh_number, shown

MARK = Mark("posthoc/2", "mark-2026-11")  # of tests.provenance.ledger.logs.marking


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    with migrated_database("sqlite", tmp_path) as engine:
        yield Log(engine, LOG, tmp_path / "anchor")


def test_bindings_name_the_record_or_else_list_and_looks() -> None:
    assert bind_mark(MARK, 3, 0xBEEF) == Binding(
        "countermark.posthoc.2", b"mark-2026-11:000000beef"
    )
    assert bind_mark(MARK, 3, None) == Binding("countermark.posthoc.2", b"mark-2026-11:list-3")
    looks = Fingerprint(bytes(range(32)), bytes(32), 99)
    assert bind_looks(looks) == Binding("countermark.pdq1", bytes(range(32)))
    assert shown(2**40 - 1) == "ffffffffff"


def test_a_number_is_that_of_a_record_only_under_the_same_scheme_and_key(log: Log) -> None:
    log.append(Draft(picture("p")), Draft(marking("m", 7)))
    with snapshot(log.engine) as session:
        assert find_marked(session, MARK, 7) == 1
        assert find_marked(session, MARK, 8) is None
        assert find_marked(session, Mark("posthoc/2", "another"), 7) is None
        assert find_marked(session, Mark("another", "mark-2026-11"), 7) is None


def test_fresh_numbers_are_no_sequence_and_have_forty_bits(log: Log) -> None:
    with snapshot(log.engine) as session:
        numbers = {fresh_number(session) for _ in range(50)}
    assert len(numbers) == 50
    assert all(0 < number < 2**40 for number in numbers)
    assert max(numbers) > 2**38
