"""Every case is decided, by one row, and never more is said than was found."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from itertools import product
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.ledger.record import Digest, Number
from provenance.verdict.finding import (
    MAY_NAME,
    MUST_NAME,
    BadFinding,
    Check,
    ClassifierState,
    Finding,
    Findings,
    FingerprintState,
    ManifestState,
    MarkState,
    RecordState,
    RevocationState,
    number,
)
from provenance.verdict.page import MEANING, render
from provenance.verdict.statement import (
    MAX_BYTES,
    BadStatement,
    Statement,
    format_statement,
    parse_statement,
)
from provenance.verdict.table import MADE_HERE, ROWS, Apart, Case, Outcome, decide, read_case

DOCS = Path(__file__).parents[2] / "docs"
CHECK = Check("check/1", "bits that differ", Number("12"), Number("31"), "proves nothing alone")
CASES = [
    Case(*states)
    for states in product(
        RecordState, ManifestState, MarkState, FingerprintState, Apart, RevocationState
    )
]
S = TypeVar("S", bound=StrEnum)
"""Entries that findings may name: two are enough to agree, to differ and to overlap."""
NAMED = [(), (3,), (7,), (3, 7)]


def finding(state: S, *entries: int) -> Finding[S]:
    return Finding(state, CHECK, entries)


NOTHING = Findings(
    record=finding(RecordState.NONE),
    manifest=finding(ManifestState.ABSENT),
    mark=finding(MarkState.NOT_DETECTED),
    fingerprint=finding(FingerprintState.NONE),
    revocation=finding(RevocationState.STANDS),
)
RECORDED = replace(NOTHING, record=finding(RecordState.FILE, 3))
OURS = finding(ManifestState.OURS, 3)
UNBOUND = finding(ManifestState.UNBOUND, 3)
MARKED = finding(MarkState.DETECTED)
ALIKE = finding(FingerprintState.MATCH, 3)
REVOKED = finding(RevocationState.REVOKED, 3)


def variants(kind: type[S]) -> Iterator[Finding[S]]:
    """Every finding of one check that may be made."""
    for state, entries in product(kind, NAMED):
        if (entries or state not in MUST_NAME) and (not entries or state in MAY_NAME):
            yield finding(state, *entries)


@pytest.fixture(scope="module")
def everything() -> list[Findings]:
    """Every combination of findings about the two entries."""
    checks = (RecordState, ManifestState, MarkState, FingerprintState, RevocationState)
    return [Findings(*one) for one in product(*map(variants, checks))]  # type: ignore[arg-type]


def factors(found: Findings) -> int:
    """Independent reasons to say that a picture was made here."""
    return sum(
        (
            found.manifest.state in (ManifestState.OURS, ManifestState.UNBOUND),
            found.mark.state is MarkState.DETECTED,
            found.fingerprint.state is FingerprintState.MATCH,
        )
    )


def test_no_two_states_have_the_same_text() -> None:
    kinds = (RecordState, ManifestState, MarkState, FingerprintState, RevocationState, Apart)
    states = [state for kind in (*kinds, ClassifierState) for state in kind]
    assert len({state.value for state in states}) == len(states)


@pytest.mark.parametrize("case", [pytest.param(CASES, id="all")])
def test_exactly_one_row_fits_every_case(case: list[Case]) -> None:
    assert len(case) == 3 * 7 * 3 * 3 * 4 * 2
    wrong = [
        (one, rows) for one in case if len(rows := [row for row in ROWS if row.fits(one)]) != 1
    ]
    assert wrong == []


def test_every_row_decides_some_findings(everything: list[Findings]) -> None:
    assert {decide(one).row for one in everything} == set(range(1, len(ROWS) + 1))
    assert {row.outcome for row in ROWS} == set(Outcome)


def test_made_here_needs_the_picture_in_the_log_or_two_factors(everything: list[Findings]) -> None:
    for found in everything:
        if decide(found).outcome in MADE_HERE and found.record.state is RecordState.NONE:
            assert factors(found) >= 2, found
            assert found.fingerprint.state is FingerprintState.MATCH, found


def test_intact_needs_the_exact_pixels_in_the_log(everything: list[Findings]) -> None:
    for found in everything:
        if decide(found).outcome is Outcome.INTACT:
            assert found.record.state is not RecordState.NONE, found
            assert not found.revocation.entries or set(found.revocation.entries).isdisjoint(
                decide(found).entries
            ), found


def test_nothing_found_is_no_evidence_and_evidence_is_not_nothing(
    everything: list[Findings],
) -> None:
    silent = (ManifestState.ABSENT, ManifestState.UNTRUSTED, ManifestState.INVALID)
    for found in everything:
        nothing = (
            found.record.state is RecordState.NONE
            and found.manifest.state in silent
            and factors(found) == 0
        )
        assert (decide(found).outcome is Outcome.NO_EVIDENCE) is nothing, found


def test_an_untrusted_manifest_adds_nothing(everything: list[Findings]) -> None:
    """With it, "made here" is said only where the very file or pixels or a revocation say it."""
    for found in everything:
        if found.manifest.state is ManifestState.UNTRUSTED:
            bare = decide(replace(found, manifest=finding(ManifestState.ABSENT))).outcome
            outcome = decide(found).outcome
            assert outcome in (bare, Outcome.MANIFEST_SUBSTITUTED), found
            if outcome in MADE_HERE:
                assert found.record.state is not RecordState.NONE, found


def test_a_mark_alone_is_unconfirmed(everything: list[Findings]) -> None:
    for found in everything:
        alone = found.record.state is RecordState.NONE and factors(found) == 1
        if alone and found.mark.state is MarkState.DETECTED:
            assert decide(found).outcome in (
                Outcome.MARKED,
                Outcome.MARK_TRANSPLANTED,
                Outcome.READERS_DISAGREE,
            ), found


def test_transplanted_is_said_only_of_a_mark_that_was_detected(everything: list[Findings]) -> None:
    for found in everything:
        if decide(found).outcome is Outcome.MARK_TRANSPLANTED:
            assert found.mark.state is MarkState.DETECTED, found


def test_revoked_is_said_only_of_an_entry_that_is_revoked(everything: list[Findings]) -> None:
    for found in everything:
        verdict = decide(found)
        if verdict.outcome is Outcome.REVOKED:
            assert set(verdict.entries) & set(found.revocation.entries), found
        if verdict.outcome in MADE_HERE - {Outcome.REVOKED}:
            assert not set(verdict.entries) & set(found.revocation.entries), found


@given(st.data())
def test_the_classifier_never_decides(data: st.DataObject) -> None:
    kinds = (RecordState, ManifestState, MarkState, FingerprintState, RevocationState)
    found = Findings(*(data.draw(st.sampled_from(list(variants(kind)))) for kind in kinds))  # type: ignore[arg-type]
    verdict = decide(found)
    for state in ClassifierState:
        believed = decide(replace(found, classifier=finding(state)))
        assert replace(believed, findings=found) == verdict


@pytest.mark.parametrize(
    ("found", "outcome"),
    [
        (NOTHING, Outcome.NO_EVIDENCE),
        (RECORDED, Outcome.INTACT),
        (replace(RECORDED, revocation=REVOKED), Outcome.REVOKED),
        (replace(RECORDED, revocation=finding(RevocationState.REVOKED, 4)), Outcome.INTACT),
        (replace(NOTHING, record=finding(RecordState.PIXELS, 3)), Outcome.STRIPPED),
        (replace(NOTHING, mark=MARKED, fingerprint=ALIKE), Outcome.STRIPPED),
        (
            replace(NOTHING, mark=MARKED, fingerprint=ALIKE, revocation=REVOKED),
            Outcome.REVOKED,
        ),
        (replace(NOTHING, manifest=UNBOUND, fingerprint=ALIKE), Outcome.EDITED),
        (replace(NOTHING, manifest=UNBOUND), Outcome.MANIFEST_SUBSTITUTED),
        (
            replace(NOTHING, manifest=UNBOUND, fingerprint=finding(FingerprintState.MATCH, 4)),
            Outcome.MANIFEST_SUBSTITUTED,
        ),
        (
            replace(
                NOTHING,
                manifest=finding(ManifestState.FOREIGN),
                mark=MARKED,
                fingerprint=ALIKE,
            ),
            Outcome.MANIFEST_SUBSTITUTED,
        ),
        (
            replace(NOTHING, manifest=finding(ManifestState.FOREIGN), mark=MARKED),
            Outcome.MARK_TRANSPLANTED,
        ),
        (
            replace(NOTHING, mark=finding(MarkState.DETECTED, 4), fingerprint=ALIKE),
            Outcome.MARK_TRANSPLANTED,
        ),
        (replace(NOTHING, manifest=OURS), Outcome.UNRECORDED),
        (
            replace(NOTHING, manifest=finding(ManifestState.DISAGREEMENT), mark=MARKED),
            Outcome.READERS_DISAGREE,
        ),
        (replace(NOTHING, manifest=finding(ManifestState.FOREIGN)), Outcome.SIGNED_ELSEWHERE),
        (replace(NOTHING, mark=MARKED), Outcome.MARKED),
        (replace(NOTHING, fingerprint=ALIKE), Outcome.SIMILAR),
        (replace(NOTHING, manifest=finding(ManifestState.UNTRUSTED)), Outcome.NO_EVIDENCE),
    ],
)
def test_decide_gives_each_contradiction_its_name(found: Findings, outcome: Outcome) -> None:
    assert decide(found).outcome is outcome


@pytest.mark.parametrize(
    ("manifest", "mark", "alike", "apart", "about"),
    [
        ((3,), (3,), (3, 7), Apart.NONE, (3,)),
        ((3,), (7,), (3, 7), Apart.NONE, (3, 7)),
        ((), (), (3, 7), Apart.MANIFEST, (3, 7)),
        ((4,), (), (3, 7), Apart.MANIFEST, (3, 7)),
        ((3,), (4,), (3, 7), Apart.MARK, (3,)),
        ((4,), (4,), (3, 7), Apart.BOTH, (3, 7)),
        ((3,), (4,), (), Apart.BOTH, (3, 4)),
        ((3,), (3,), (), Apart.NONE, (3,)),
        ((3,), (), (), Apart.NONE, (3,)),
        ((), (), (), Apart.NONE, ()),
    ],
)
def test_read_case_holds_what_is_named_against_the_pixels(
    manifest: tuple[int, ...],
    mark: tuple[int, ...],
    alike: tuple[int, ...],
    apart: Apart,
    about: tuple[int, ...],
) -> None:
    state = FingerprintState.MATCH if alike else FingerprintState.NONE
    found = replace(
        NOTHING,
        manifest=finding(ManifestState.UNBOUND, *manifest),
        mark=finding(MarkState.DETECTED, *mark),
        fingerprint=finding(state, *alike),
    )
    case, entries = read_case(found)
    assert (case.apart, entries) == (apart, about)


def test_the_recorded_digest_outweighs_a_likeness() -> None:
    alike = finding(FingerprintState.MATCH, 7)
    found = replace(NOTHING, record=finding(RecordState.PIXELS, 3), manifest=OURS)
    assert decide(replace(found, fingerprint=alike)).outcome is Outcome.INTACT
    assert decide(replace(found, fingerprint=alike)).entries == (3,)


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


def digest(text: str) -> Digest:
    return Digest(sha256(text.encode()).digest())


AT = datetime(2026, 11, 22, 10, 56, 18, tzinfo=UTC)
FOUND = replace(
    RECORDED, mark=MARKED, manifest=OURS, classifier=finding(ClassifierState.LOOKS_GENERATED)
)
STATEMENT = Statement(AT, digest("file"), digest("pixels"), decide(FOUND))
GOOD = format_statement(STATEMENT)


@given(st.data())
def test_statements_are_read_as_they_were_written(data: st.DataObject) -> None:
    kinds = (RecordState, ManifestState, MarkState, FingerprintState, RevocationState)
    found = Findings(*(data.draw(st.sampled_from(list(variants(kind)))) for kind in kinds))  # type: ignore[arg-type]
    statement = replace(STATEMENT, verdict=decide(found))
    assert parse_statement(format_statement(statement)) == statement


def test_a_statement_has_no_fractions_and_sorted_keys() -> None:
    assert GOOD.startswith(b'countermark-verdict/1\n{"at":"2026-11-22T10:56:18Z","entries":[3],')
    assert b'"outcome":"intact"' in GOOD
    assert b'"threshold":"31"' in GOOD
    assert GOOD.endswith(b"}\n")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("countermark-verdict/1", "countermark-verdict/2"),
        ('"table":"verdict/1"', '"table":"verdict/2"'),
        ('"outcome":"intact"', '"outcome":"no evidence"'),
        ('"outcome":"intact"', '"outcome":"revoked"'),
        ('"row":2', '"row":3'),
        ('"row":2', '"row":2.0'),
        ('"entries":[3],"file"', '"entries":[4],"file"'),
        ('"entries":[3],"file"', '"entries":[3.0],"file"'),
        ('"entries":[3],"file"', '"entries": [3],"file"'),
        ('"entries":[3],"quantity"', '"entries":[3.0],"quantity"'),
        ('"entries":[3],"quantity"', '"entries":[true],"quantity"'),
        ('"version":"check/1"', '"version":["c","h"]'),
        ('"threshold":"31"', '"threshold":false'),
        ('"state":"file"', '"state":"not recorded"'),
        ('"state":"detected"', '"state":"match"'),
        ('"value":"12"', '"value":12'),
        ('"value":"12"', '"value":"1e+1"'),
        ("10:56:18Z", "10:56:18+00:00"),
        ("10:56:18Z", "10:56:61Z"),
        ("2026-11", "2026-1"),
        ('"classifier":{', '"klassifier":{'),
        ('{"at"', '{"aa":1,"at"'),
        ('{"at"', '{"at":"x","at"'),
        ("}\n", "}"),
        ("}\n", "}\n\n"),
        ("}\n", "\n"),
    ],
)
def test_parse_statement_rejects_one_thing_wrong(old: str, new: str) -> None:
    assert parse_statement(GOOD) == STATEMENT
    assert old in GOOD.decode()
    changed = new.join(GOOD.decode().rsplit(old, 1)) if old == "}\n" else GOOD.decode()
    with pytest.raises(BadStatement):
        parse_statement((changed if old == "}\n" else changed.replace(old, new, 1)).encode())


@pytest.mark.parametrize("data", [b"", b"\xff", b"countermark-verdict/1\n" + b"[" * 60_000])
def test_parse_statement_rejects_what_is_no_statement(data: bytes) -> None:
    with pytest.raises(BadStatement):
        parse_statement(data)


@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
def test_parse_statement_rejects_or_reads_back_every_changed_byte(place: int, flip: int) -> None:
    changed = bytearray(GOOD)
    changed[place] ^= flip
    try:
        statement = parse_statement(bytes(changed))
    except BadStatement:
        return
    assert format_statement(statement) == changed
    assert statement != STATEMENT


@pytest.mark.parametrize(
    "wrong",
    [
        replace(STATEMENT, at=AT.replace(tzinfo=None)),
        replace(STATEMENT, at=AT + timedelta(microseconds=1)),
        replace(STATEMENT, file=Digest(b"short")),
        replace(STATEMENT, verdict=replace(STATEMENT.verdict, outcome=Outcome.REVOKED)),
        replace(STATEMENT, verdict=replace(STATEMENT.verdict, findings=NOTHING)),
        replace(STATEMENT, verdict=replace(STATEMENT.verdict, table="verdict/0")),
    ],
)
def test_format_statement_refuses_what_it_could_not_read(wrong: Statement) -> None:
    with pytest.raises(BadStatement):
        format_statement(wrong)


def test_format_statement_refuses_what_no_record_could_hold() -> None:
    many = finding(FingerprintState.MATCH, *range(MAX_BYTES))
    verdict = decide(replace(NOTHING, fingerprint=many))
    with pytest.raises(BadStatement, match="longer than"):
        format_statement(replace(STATEMENT, verdict=verdict))


def test_docs_show_the_table_that_decides() -> None:
    assert (DOCS / "verdict.md").read_text() == render()
    assert set(MEANING) == set(Outcome)


def test_no_outcome_says_that_a_picture_is_real() -> None:
    for outcome, meaning in MEANING.items():
        assert not {"real", "authentic", "genuine", "human"} & {*meaning.says.split()}, outcome
        assert outcome in MADE_HERE or not meaning.says.startswith("made here"), outcome
