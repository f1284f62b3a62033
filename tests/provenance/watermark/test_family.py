"""All that was tried is paid for."""

from provenance.watermark.family import Family, Trials

FAMILY = Family((Trials("one", "pairs/1", 3, 4, 5), Trials("two", "clusters/1", 2, 1, 5)))


def test_the_family_counts_every_key_list_and_view_of_every_scheme() -> None:
    assert FAMILY.size == 3 * 4 * 5 + 2 * 5


def test_the_smallest_p_is_multiplied_by_the_family_and_never_exceeds_one() -> None:
    assert FAMILY.correct(1e-8) == 70 * 1e-8
    assert FAMILY.correct(0.5) == 1.0


def test_the_family_says_what_it_is_made_of() -> None:
    assert str(FAMILY) == (
        "70 trials (one pairs/1: 3 keys x 4 lists x 5 views; "
        "two clusters/1: 2 keys x 1 lists x 5 views)"
    )
