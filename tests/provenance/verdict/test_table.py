"""Every case is decided, by one row, and never more is said than was found."""

from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.verdict.finding import (
    ClassifierState,
    Findings,
    FingerprintState,
    ManifestState,
    MarkState,
    OriginState,
    RecordState,
    RevocationState,
)
from provenance.verdict.page import MEANING, render
from provenance.verdict.table import (
    MADE_HERE,
    MARKED_HERE,
    ON_REQUEST,
    ROWS,
    Apart,
    Case,
    Outcome,
    decide,
    read_case,
)
from tests.provenance.verdict.findings import (
    ALIKE,
    MARKED,
    NOTHING,
    OURS,
    RECORDED,
    REVOKED,
    UNBOUND,
    UPLOAD,
    finding,
    variants,
)

FOUND = (MarkState.DETECTED, MarkState.UPLOAD)
CHECKS = (RecordState, ManifestState, MarkState, FingerprintState, RevocationState, OriginState)
DOCS = Path(__file__).parents[3] / "docs"
CASES = [
    Case(*states)
    for states in product(
        RecordState,
        ManifestState,
        MarkState,
        FingerprintState,
        Apart,
        RevocationState,
        OriginState,
    )
]


@pytest.fixture(scope="module")
def everything() -> list[Findings]:
    """Every combination of findings about the two entries."""
    checks = (RecordState, ManifestState, MarkState, FingerprintState, RevocationState)
    uploads = [finding(OriginState.MADE), finding(OriginState.ON_REQUEST, 3)]
    return [Findings(*one) for one in product(*map(variants, checks), uploads)]  # type: ignore[arg-type]


def factors(found: Findings) -> int:
    """Independent reasons to say that a picture was made here."""
    return sum(
        (
            found.manifest.state in (ManifestState.OURS, ManifestState.UNBOUND),
            found.mark.state in FOUND,
            found.fingerprint.state is FingerprintState.MATCH,
        )
    )


def test_no_two_states_have_the_same_text() -> None:
    kinds = (*CHECKS, Apart)
    states = [state for kind in (*kinds, ClassifierState) for state in kind]
    assert len({state.value for state in states}) == len(states)


@pytest.mark.parametrize("case", [pytest.param(CASES, id="all")])
def test_exactly_one_row_fits_every_case(case: list[Case]) -> None:
    assert len(case) == 3 * 7 * 4 * 3 * 4 * 2 * 2
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
        if alone and found.mark.state in FOUND:
            assert decide(found).outcome in (
                Outcome.MARKED,
                Outcome.MARK_TRANSPLANTED,
                Outcome.READERS_DISAGREE,
            ), found


def test_transplanted_is_said_only_of_a_mark_that_was_detected(everything: list[Findings]) -> None:
    for found in everything:
        if decide(found).outcome is Outcome.MARK_TRANSPLANTED:
            assert found.mark.state in FOUND, found


def test_revoked_is_said_only_of_an_entry_that_is_revoked(everything: list[Findings]) -> None:
    for found in everything:
        verdict = decide(found)
        if verdict.outcome in (Outcome.REVOKED, Outcome.UPLOAD_REVOKED):
            assert set(verdict.entries) & set(found.revocation.entries), found
        elif verdict.outcome in MADE_HERE | MARKED_HERE:
            assert not set(verdict.entries) & set(found.revocation.entries), found


def test_what_was_only_marked_here_is_never_made_here(everything: list[Findings]) -> None:
    for found in everything:
        verdict = decide(found)
        if set(verdict.entries) & set(found.origin.entries):
            assert verdict.outcome not in MADE_HERE, found
        if verdict.outcome in MARKED_HERE:
            assert set(verdict.entries) & set(found.origin.entries), found
            assert "made here" not in MEANING[verdict.outcome].says


def test_an_upload_is_decided_as_a_drawing_is_but_for_the_words(everything: list[Findings]) -> None:
    """Where all entries are of uploads, and the mark is an upload's, every case has its twin."""
    uploads = finding(OriginState.ON_REQUEST, 3, 7)
    for found in everything:
        if found.origin.state is OriginState.MADE and found.mark.state is not MarkState.UPLOAD:
            mark = found.mark
            if mark.state is MarkState.DETECTED:
                mark = finding(MarkState.UPLOAD, *mark.entries)
            drawn, brought = decide(found), decide(replace(found, mark=mark, origin=uploads))
            assert brought.entries == drawn.entries
            assert brought.outcome is ON_REQUEST.get(drawn.outcome, drawn.outcome), found


def test_the_mark_of_an_upload_is_no_factor_for_a_drawing_nor_the_other_way_round() -> None:
    alike = replace(NOTHING, fingerprint=ALIKE)
    marked = finding(MarkState.UPLOAD)
    assert decide(replace(alike, mark=marked)).outcome is Outcome.MARK_TRANSPLANTED
    assert decide(replace(alike, mark=marked, origin=UPLOAD)).outcome is Outcome.UPLOAD_STRIPPED
    assert decide(replace(alike, mark=MARKED, origin=UPLOAD)).outcome is Outcome.MARK_TRANSPLANTED
    both = replace(NOTHING, fingerprint=finding(FingerprintState.MATCH, 3, 7), origin=UPLOAD)
    assert decide(replace(both, mark=MARKED)).outcome is Outcome.STRIPPED
    assert decide(replace(both, mark=MARKED)).entries == (7,)
    assert decide(replace(both, mark=marked)).outcome is Outcome.UPLOAD_STRIPPED
    assert decide(replace(both, mark=marked)).entries == (3,)


def test_a_number_alone_is_no_second_factor() -> None:
    numbered = replace(NOTHING, mark=finding(MarkState.UPLOAD, 3), origin=UPLOAD)
    assert decide(numbered).outcome is Outcome.MARKED
    assert decide(numbered).entries == (3,)
    assert decide(replace(numbered, fingerprint=ALIKE)).outcome is Outcome.UPLOAD_STRIPPED
    other = finding(FingerprintState.MATCH, 7)
    assert decide(replace(numbered, fingerprint=other)).outcome is Outcome.MARK_TRANSPLANTED


@given(st.data())
def test_the_classifier_never_decides(data: st.DataObject) -> None:
    found = Findings(*(data.draw(st.sampled_from(list(variants(kind)))) for kind in CHECKS))  # type: ignore[arg-type]
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


def test_docs_show_the_table_that_decides() -> None:
    assert (DOCS / "verdict.md").read_text() == render()
    assert set(MEANING) == set(Outcome)


def test_no_outcome_says_that_a_picture_is_real() -> None:
    for outcome, meaning in MEANING.items():
        assert not {"real", "authentic", "genuine", "human"} & {*meaning.says.split()}, outcome
        assert outcome in MADE_HERE or not meaning.says.startswith("made here"), outcome
