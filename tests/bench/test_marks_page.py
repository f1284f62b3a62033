from datetime import date

import pytest

from bench.marks.page import NoMarkers, Table, format_table, insert

TABLE = Table("size", ("a", "b"), (("1", "2"), ("3", "4")), ("Five drawings.",))
PAGE = "# T\n\nbefore\n<!-- size -->\nold\n<!-- /size -->\nafter\n<!-- power -->\n<!-- /power -->\n"


def test_a_table_says_when_and_where_before_its_rows() -> None:
    assert format_table(TABLE, day=date(2026, 1, 2), machine="one core") == (
        "Measured 2026-01-02 on one core. Five drawings.\n\n"
        "| a | b |\n| --- | --- |\n| 1 | 2 |\n| 3 | 4 |"
    )


def test_a_row_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="table size"):
        Table("size", ("a", "b"), (("1",),), ())


def test_only_what_stands_between_its_markers_is_replaced() -> None:
    page = insert(PAGE, "size", "new")
    assert page == PAGE.replace("old", "new")
    assert insert(insert(page, "power", "x"), "power", "y").count("<!-- power -->\ny\n") == 1


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<!-- size -->\n", ""),
        ("<!-- /size -->\n", ""),
        ("old", "<!-- size -->"),
        ("old", "<!-- /size -->"),
    ],
)
def test_a_page_without_one_place_is_refused(old: str, new: str) -> None:
    with pytest.raises(NoMarkers, match="size"):
        insert(PAGE.replace(old, new, 1), "size", "new")
