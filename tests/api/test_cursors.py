"""Cursors: good for the list they were made for, and for nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.cursors import MAX_CURSOR, format_cursor, parse_cursor
from api.problems import Kind, Problem

SECRET, PLACE = b"s" * 32, "records/local/picture"
GOOD = format_cursor(SECRET, PLACE, "41")


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=60), st.text(max_size=30))
def test_a_cursor_gives_its_position_back(position: str, place: str) -> None:
    place = place.encode("utf-8", "replace").decode()
    cursor = format_cursor(SECRET, place, position)
    assert parse_cursor(SECRET, place, cursor) == position


def test_cursors_are_short_and_fit_an_address() -> None:
    longest = format_cursor(SECRET, PLACE, "1234567890123456/" + "f" * 36)
    assert len(longest) < MAX_CURSOR
    assert longest.replace("-", "").replace("_", "").isalnum()


@pytest.mark.parametrize(
    "cursor",
    ["", "x", GOOD[:-1], GOOD + "A", GOOD + "=", GOOD.swapcase(), "é", "\n" + GOOD, GOOD + "\n"]
    + [GOOD[:n] + ("A" if GOOD[n] != "A" else "B") + GOOD[n + 1 :] for n in range(len(GOOD))],
)
def test_a_cursor_with_one_thing_wrong_is_refused(cursor: str) -> None:
    assert parse_cursor(SECRET, PLACE, GOOD) == "41"
    with pytest.raises(Problem) as refused:
        parse_cursor(SECRET, PLACE, cursor)
    assert refused.value.kind is Kind.NOT_FOUND
    assert refused.value.errors[0].field == "cursor"


def test_a_cursor_of_another_list_or_secret_is_refused() -> None:
    with pytest.raises(Problem):
        parse_cursor(SECRET, "records/other/picture", GOOD)
    with pytest.raises(Problem):
        parse_cursor(b"t" * 32, PLACE, GOOD)
