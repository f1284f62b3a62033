"""A finding that contradicts itself, or cannot be written down, is not made."""

from dataclasses import replace
from enum import StrEnum

import pytest

from provenance.verdict.finding import (
    BadFinding,
    FingerprintState,
    ManifestState,
    MarkState,
    RecordState,
    RevocationState,
    number,
)
from tests.provenance.verdict.findings import (
    CHECK,
    finding,
)


@pytest.mark.parametrize(
    ("state", "entries"),
    [
        (RecordState.FILE, ()),
        (RecordState.NONE, (1,)),
        (ManifestState.FOREIGN, (1,)),
        (ManifestState.UNTRUSTED, (1,)),
        (MarkState.NOT_DETECTED, (1,)),
        (FingerprintState.MATCH, ()),
        (FingerprintState.INCONCLUSIVE, (1,)),
        (RevocationState.STANDS, (1,)),
        (RevocationState.REVOKED, ()),
        (MarkState.DETECTED, (2, 1)),
        (MarkState.DETECTED, (1, 1)),
        (MarkState.DETECTED, (-1,)),
        (MarkState.DETECTED, (2**53,)),
    ],
)
def test_a_finding_that_contradicts_itself_is_refused(
    state: StrEnum, entries: tuple[int, ...]
) -> None:
    with pytest.raises(BadFinding):
        finding(state, *entries)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("version", ""),
        ("caveat", "two\nlines"),
        ("quantity", "x" * 513),
        ("value", "1.0e"),
        ("value", "nan"),
        ("value", "01"),
        ("threshold", "1e+6"),
    ],
)
def test_a_check_says_everything_in_canonical_text(field: str, value: object) -> None:
    with pytest.raises(BadFinding):
        replace(CHECK, **{field: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (-0.0, "0"),
        (12, "12"),
        (0.1, "0.1"),
        (1 / 3, "0.333333"),
        (1e-6, "1e-6"),
        (1.25e-300, "1.25e-300"),
        (-1.5, "-1.5"),
        (1e20, "1e20"),
    ],
)
def test_number_writes_decimal_text(value: float, text: str) -> None:
    assert number(value) == text
    assert replace(CHECK, value=number(value)).value == text


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_number_refuses_what_is_none(value: float) -> None:
    with pytest.raises(BadFinding):
        number(value)
