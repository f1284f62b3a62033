"""Numbers, states and problems as people read them."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime, timedelta

import pytest

from api.pages import words
from provenance.jobs import Fault
from provenance.ledger.record import KINDS
from provenance.verdict import finding
from provenance.verdict.page import MEANING
from provenance.verdict.table import Outcome


@pytest.mark.parametrize(
    ("p", "said"),
    [
        ("2.5e-7", "1 in 4 million"),
        (2.5e-7, "1 in 4 million"),
        ("0.001", "1 in 1 thousand"),
        ("1e-9", "1 in 1 billion"),
        ("8e-14", "1 in 12 trillion"),
        ("1e-20", "1 in 10²⁰"),
        ("0.04", "1 in 25"),
        ("1.0", "expected by chance"),
        ("0", "less than 1 in 10³⁰⁰"),
        ("none", "none"),
        ("7", "7"),
        ("NaN", "NaN"),
    ],
)
def test_odds_are_said_in_plain_words(p: object, said: str) -> None:
    assert words.odds(p) == said


def test_every_outcome_has_a_sentence_and_only_no_evidence_looks_like_it() -> None:
    assert set(words.SENTENCES) == set(words.TONES) == set(MEANING) == set(Outcome)
    assert [o for o, tone in words.TONES.items() if tone == "none"] == [Outcome.NO_EVIDENCE]
    assert [o for o, tone in words.TONES.items() if tone == "good"] == [Outcome.INTACT]
    assert "real" not in words.SENTENCES[Outcome.NO_EVIDENCE]


def test_every_check_state_and_fault_is_said() -> None:
    assert set(words.LOOKED_FOR) == set(finding.Findings.__dataclass_fields__)
    assert set(words.FAULTS) == set(Fault)
    named = {field.name for kind in KINDS.values() for field in fields(kind)}
    assert set(words.FIELDS) == named | {"kind"}
    for kind in (finding.RecordState, finding.ManifestState, finding.MarkState):
        assert all(words.state(one.value) != one.value for one in kind)


def test_times_have_a_zone_and_ages_a_unit() -> None:
    assert words.when("2026-11-26T01:02:03Z") == "2026-11-26 01:02:03 UTC"
    assert words.when(0) == "1970-01-01 00:00:00 UTC"
    now = datetime.now(UTC)
    assert words.age(now - timedelta(days=3)) == "3 days"
    assert words.age(now - timedelta(seconds=61)) == "1 minute"
