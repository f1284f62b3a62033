"""A record stands after a compromise only where an outside clock saw its tree before."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.ledger.checkpoint import Checkpoint, format_checkpoint, open_checkpoint
from provenance.ledger.drill import Sight, Status, judge, sights_of, use_of
from provenance.ledger.errors import NotLogged
from provenance.ledger.merkle import EMPTY_ROOT
from provenance.ledger.note import Algorithm, Signer, cosign_note, sign_note
from provenance.ledger.record import KeyRotation, Record
from tests.provenance.ledger.logs import LOG, marking, picture

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
KEY = "mark-2026-11"  # of logs.picture
WITNESS = Signer("w.example", Algorithm.COSIGNATURE, b"\x03" * 32)

TRUSTED, UNDATED = Status.TRUSTED, Status.UNDATED


def rotation(old: str, new: str, purpose: str = "claim") -> KeyRotation:
    return KeyRotation(NOON, purpose, old, new, None)


def pictures(count: int) -> list[tuple[int, Record]]:
    return [(index, picture(f"p{index}")) for index in range(count)]


def sight(size: int, hours: int) -> Sight:
    return Sight(size, NOON + hours * HOUR, "w.example")


def statuses(sights: Sequence[Sight], count: int = 4) -> list[Status]:
    found = judge(pictures(count), sights, use=use_of("mark", KEY, []), since=NOON)
    return [one.status for one in found]


def test_a_record_covered_before_the_compromise_is_trusted_and_the_rest_is_undated() -> None:
    assert statuses([sight(2, -1)]) == [TRUSTED, TRUSTED, UNDATED, UNDATED]


def test_pictures_that_were_only_marked_are_made_with_the_same_keys() -> None:
    brought: list[tuple[int, Record]] = [(0, marking("m", 7)), (1, picture("p"))]
    for purpose, key in (("mark", KEY), ("claim", "k1")):
        use = use_of(purpose, key, [])
        assert len(list(judge(brought, [], use=use, since=NOON))) == 2
    assert not list(judge(brought, [], use=use_of("mark", "another", []), since=NOON))


def test_without_a_clock_outside_nothing_is_trusted() -> None:
    assert statuses([]) == [UNDATED] * 4


@pytest.mark.parametrize(
    ("hours", "expected"), [(-1, TRUSTED), (0, UNDATED), (1, UNDATED)], ids=str
)
def test_only_a_sight_before_the_compromise_counts(hours: int, expected: Status) -> None:
    assert statuses([sight(4, hours)]) == [expected] * 4


def test_a_larger_tree_seen_earlier_covers_the_smaller_ones() -> None:
    assert statuses([sight(1, 1), sight(3, -1), sight(2, 2)]) == [TRUSTED] * 3 + [UNDATED]


def test_an_undated_record_still_says_when_it_was_first_seen() -> None:
    found = list(judge(pictures(2), [sight(2, 2)], use=use_of("mark", KEY, []), since=NOON))
    assert [one.sight for one in found] == [sight(2, 2)] * 2
    assert found[0].record == picture("p0")


@given(
    st.lists(st.builds(sight, st.integers(0, 9), st.integers(-3, 3))),
    st.integers(0, 9),
)
def test_a_status_is_what_the_definition_says(sights: list[Sight], count: int) -> None:
    expected = [
        TRUSTED if any(s.size > index and s.at < NOON for s in sights) else UNDATED
        for index in range(count)
    ]
    assert statuses(sights, count) == expected


def test_only_records_made_with_the_key_are_judged() -> None:
    entries = [*pictures(2), (2, rotation(KEY, "k2", "mark"))]
    use = use_of("mark", "another", [])
    assert list(judge(entries, [], use=use, since=NOON)) == []
    assert len(list(judge(entries, [], use=use_of("mark", KEY, []), since=NOON))) == 2


def used(purpose: str, key: str, rotations: list[tuple[int, KeyRotation]]) -> list[int]:
    about = [(i, r) for i, r in rotations if key in (r.retired, r.active)]
    use = use_of(purpose, key, about)
    named = dict(rotations)
    entries = [(index, named.get(index, picture(f"p{index}"))) for index in range(10)]
    return [index for index, record in entries if use(index, record)]


# At 3 and 5 the overlap of a and b begins and ends, at 8 that of b and c begins.
TURNS = [(3, rotation("a", "b")), (5, rotation("a", "b")), (8, rotation("b", "c"))]


@pytest.mark.parametrize(
    ("key", "expected"),
    [("a", [0, 1, 2, 4]), ("b", [4, 6, 7, 9]), ("c", [9]), ("d", [0, 1, 2, 4, 6, 7, 9])],
)
def test_a_claim_key_made_the_pictures_from_its_turn_to_the_end_of_its_overlap(
    key: str, expected: list[int]
) -> None:
    assert used("claim", key, TURNS) == expected


def test_a_key_ends_with_its_compromise() -> None:
    lost = KeyRotation(NOON, "claim", "a", "b", NOON)
    assert used("claim", "a", [(4, lost)]) == [0, 1, 2, 3]
    assert used("claim", "b", [(0, rotation("a", "b")), (4, lost)]) == [1, 2, 3, 5, 6, 7, 8, 9]


def test_a_log_key_made_every_entry_of_its_time() -> None:
    turns = [(i, rotation(r.retired, r.active, "log")) for i, r in TURNS]
    assert used("log", "a", turns[:2]) == [0, 1, 2, 3, 4, 5]


def test_a_key_that_makes_no_records_is_refused() -> None:
    with pytest.raises(NotLogged, match="token"):
        use_of("token", "t", [])


@pytest.mark.parametrize("seconds", [1_790_000_000, 2**63 - 1])
def test_a_sight_is_what_a_trusted_witness_signed(seconds: int) -> None:
    note = sign_note(format_checkpoint(Checkpoint(LOG.name, 0, EMPTY_ROOT)), [LOG])
    cosigned = cosign_note(note, WITNESS, seconds=seconds)
    log, witnesses = [LOG.verifier], [WITNESS.verifier]
    (seen,) = sights_of(open_checkpoint(cosigned, log, witnesses=witnesses))
    assert (seen.size, seen.clock) == (0, "w.example")
    assert seen.at.timestamp() == min(seconds, 253_402_300_799)
    assert sights_of(open_checkpoint(cosigned, log)) == []
