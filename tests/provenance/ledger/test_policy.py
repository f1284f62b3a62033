"""A policy is one line, written and read in one form."""

import pytest

from provenance.ledger.errors import Malformed
from provenance.ledger.policy import Policy, format_policy, parse_policy

WHOLE = "marked/1; test certificate; tc260 00119; label made by AI; really"


def test_a_policy_is_read_as_it_was_written() -> None:
    whole = Policy("marked/1", test=True, producer="00119", label="made by AI; really")
    assert (format_policy(whole), parse_policy(WHOLE)) == (WHOLE, whole)
    for text in ("marked/1", "house/12", "marked/1; label AI", "marked/1; tc260 1"):
        assert format_policy(parse_policy(text)) == text


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("marked/1", "marked/0"),
        ("marked/1", "marked"),
        ("; test certificate", "; test"),
        ("; tc260 00119", "; tc260 "),
        ("; tc260 00119; label", "; label AI; tc260 00119"),
        ("marked/1", "marked/1;"),
        ("; label made by AI; really", "; label "),
        ("made", "m" * 30),
        ("made", "ma\nde"),
    ],
)
def test_parse_policy_refuses_one_thing_wrong(old: str, new: str) -> None:
    bad = WHOLE.replace(old, new, 1)
    try:
        read = parse_policy(bad)
    except Malformed:
        return
    assert read.producer is None  # only a label may hold what looks like another part
    assert format_policy(read) == bad


@pytest.mark.parametrize(
    "policy",
    [
        Policy("marked"),
        Policy("marked/1", producer="a b"),
        Policy("marked/1", label=""),
        Policy("marked/1; test certificate"),
        Policy("marked/1; label x", label="y"),
    ],
)
def test_format_policy_refuses_what_would_be_read_otherwise(policy: Policy) -> None:
    with pytest.raises(Malformed):
        format_policy(policy)
