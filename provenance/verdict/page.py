"""docs/verdict.md, written from the table itself, so that what is read is what decides."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from provenance.verdict.finding import (
    ClassifierState,
    FingerprintState,
    ManifestState,
    MarkState,
    OriginState,
    RecordState,
    RevocationState,
)
from provenance.verdict.table import ROWS, VERSION, Apart, Outcome, Row


@dataclass(frozen=True)
class Meaning:
    """What an outcome says about a picture, and what it does not."""

    says: str
    leaves_open: str


MEANING: dict[Outcome, Meaning] = {
    Outcome.INTACT: Meaning(
        "made here, unchanged since: the log has this file, or these pixels under our manifest",
        "whether what the picture shows is true",
    ),
    Outcome.REVOKED: Meaning(
        "made here, and its record was revoked since",
        "why: the revocation's entry in the log says it",
    ),
    Outcome.STRIPPED: Meaning(
        "made here, and its manifest was removed: the log has these pixels, or our mark is in it "
        "and it looks like a recorded picture",
        "what else was changed, unless the pixels are recorded; who removed it, and whether on "
        "purpose",
    ),
    Outcome.EDITED: Meaning(
        "goes back to a picture made here, and was changed after it was signed",
        "what was changed, and by whom; a picture drawn after ours looks like it too",
    ),
    Outcome.UPLOAD_INTACT: Meaning(
        "was brought here and marked on request, unchanged since: the log has this file, or these "
        "pixels under our manifest",
        "how it was made, and by whom: we only marked it",
    ),
    Outcome.UPLOAD_REVOKED: Meaning(
        "was brought here and marked on request, and its record was revoked since",
        "how it was made, and why the record was revoked: the revocation's entry says that",
    ),
    Outcome.UPLOAD_STRIPPED: Meaning(
        "was brought here and marked on request, and its manifest was removed: the log has these "
        "pixels, or our mark is in it and it looks like the picture that was marked",
        "how it was made, and by whom; what else was changed, unless the pixels are recorded",
    ),
    Outcome.UPLOAD_EDITED: Meaning(
        "goes back to a picture that was brought here and marked on request, and was changed after "
        "it was signed",
        "how it was made, and by whom; what was changed",
    ),
    Outcome.MANIFEST_SUBSTITUTED: Meaning(
        "its manifest belongs to another picture, or stands in place of ours",
        "whether someone meant to deceive: a program that saves a picture anew does as much; a "
        "picture of ours that was changed beyond recognition looks the same",
    ),
    Outcome.MARK_TRANSPLANTED: Meaning(
        "carries our mark, and something stronger says that it is another picture",
        "who put the mark there; a picture of ours that was changed beyond recognition and then "
        "signed elsewhere looks the same",
    ),
    Outcome.UNRECORDED: Meaning(
        "signed with our key, and the log has no such picture",
        "whether it was made here: suspect that the signing key was stolen, or the log cut",
    ),
    Outcome.READERS_DISAGREE: Meaning(
        "two readers of its manifest disagree, so nothing is decided",
        "everything: the file may be made to deceive one of them",
    ),
    Outcome.MARKED: Meaning(
        "carries our mark, origin unconfirmed",
        "whether it was made here: whoever copied or stole the mark can put it on any picture",
    ),
    Outcome.SIMILAR: Meaning(
        "looks like a picture that we recorded, origin unconfirmed",
        "which of the two was there first, and whether the likeness was made on purpose",
    ),
    Outcome.SIGNED_ELSEWHERE: Meaning(
        "carries another maker's trusted manifest; nothing confirms that it was made here",
        "whether what that maker says is true",
    ),
    Outcome.NO_EVIDENCE: Meaning(
        "no evidence",
        "how it was made: not found is not the same as not generated, and never means real",
    ),
}

_COLUMNS: dict[str, type[StrEnum]] = {
    "record": RecordState,
    "manifest": ManifestState,
    "mark": MarkState,
    "fingerprint": FingerprintState,
    "apart": Apart,
    "revocation": RevocationState,
    "origin": OriginState,
}
_BESIDE: dict[str, type[StrEnum]] = {"classifier": ClassifierState}  # no column of the table
STATES: dict[StrEnum, str] = {
    RecordState.FILE: "the log has this very file",
    RecordState.PIXELS: "the log has exactly these pixels, from another file",
    RecordState.NONE: "the log has neither",
    ManifestState.ABSENT: "the file has no manifest",
    ManifestState.OURS: "trusted, signed with our key, bound to this very file",
    ManifestState.FOREIGN: "trusted, signed by another maker, bound to this very file",
    ManifestState.UNTRUSTED: "valid, and signed by nobody we trust; anyone can make one, so it "
    "never counts for anything; so is whatever a lost key of ours signed",
    ManifestState.UNBOUND: "trusted and signed with our key, for other bytes than these",
    ManifestState.INVALID: "any other manifest that is not valid",
    ManifestState.DISAGREEMENT: "two independent readers disagree about it",
    MarkState.DETECTED: "the corrected p of the search is at most the threshold, under the "
    "colours of drawings",
    MarkState.UPLOAD: "it is, under the colours of pictures marked on request",
    MarkState.INCONCLUSIVE: "too few tokens for any answer, or found under a key that others may "
    "have",
    MarkState.NOT_DETECTED: "not with our keys",
    FingerprintState.MATCH: "a recorded picture, or its mirror image, lies within the threshold",
    FingerprintState.INCONCLUSIVE: "too flat to be told from others",
    FingerprintState.NONE: "no recorded picture does",
    Apart.NONE: "all findings that name an entry of the log can mean the same one",
    Apart.MANIFEST: "our manifest is of another entry than the pixels point to",
    Apart.MARK: "the record number in the mark is of another entry than the pixels point to, or "
    "the mark is an upload's and they all are drawings, or the other way round",
    Apart.BOTH: "both are, or the pixels point to none and the two name different ones",
    RevocationState.STANDS: "no later entry revokes what the findings point to",
    RevocationState.REVOKED: "one does",
    OriginState.MADE: "what the findings point to was drawn here",
    OriginState.ON_REQUEST: "some of it was brought here and marked on request",
    ClassifierState.OWN: "drawn by a model of ours, or passed through its codec",
    ClassifierState.EVIDENCE: "scored as only few photographs are, and still so after JPEG, "
    "resizing and a shift",
    ClassifierState.INSUFFICIENT: "nothing that speaks for a drawing; this does not speak for a "
    "photograph",
    ClassifierState.OUT_OF_SCOPE: "too small, of one colour, or a drawing or screenshot",
}

_HEAD = """\
# The verdict

`decide(findings)` puts together what the checks found about one file. It is one table, below:
exactly one row fits every case, and a test tries them all. This page is written from that table by
`python -m provenance.verdict > docs/verdict.md`. Its version is `{version}`, which changes when any
case is decided otherwise.

Five rules stand above it:

- **No evidence is "no evidence", never "real".** No outcome says that a picture was not generated.
- **One factor is not enough,** unless it is the exact picture in our log. A mark can be copied, a
  likeness can be made, a manifest can be glued in: "made here" needs two that agree.
- **Only a trusted manifest counts.** Anyone can make one that is merely valid.
- **What was only marked here was not made here.** A picture that was brought to be marked has
  outcomes of its own, and its mark is no evidence for a drawing.
- **A classifier never decides.** What it finds is shown beside the verdict, and is never "real".

## Outcomes

| outcome | it says | it leaves open |
|---|---|---|
"""
_STATES_HEAD = """
## States

Digest and fingerprint are of the pixels themselves, so the entries that they point to come first;
a manifest or a record number in a mark is held against them. A number names one entry, and is no
second factor: whoever stole the list of a mark can write any number with it.

| column | state | when |
|---|---|---|
"""
_TABLE_HEAD = """
## The table

An empty cell takes every state. *Apart* says which finding names another picture than the rest.

| row | record | manifest | mark | fingerprint | apart | revocation | origin | outcome |
|---|---|---|---|---|---|---|---|---|
"""
_TAIL = """
## What a finding carries

Each finding has the state above, a number (what was measured, and the threshold it was held
against), the version of its check, and a caveat that says what it does not mean.

- The **mark's** number is a p-value over the keys, corrected for every trial of the search.
- The **fingerprint's** is a distance in bits out of 256 (PDQ). Its finding says how sure the
  threshold is: on which pictures that was measured, or that it was not.
  `python -m bench.fingerprint --photographs FOLDER` measures it.
- The **classifier's** is a conformal p-value: how many photographs score as high, after whatever
  treatment makes them score highest. [classifier.md](classifier.md) says what it is worth.

## A verdict as evidence

    countermark verify photo.png --sign photo.verdict     # and photo.verdict.tlog-proof beside it
    countermark keys list --purpose verdict               # prints the key that checks it
    countermark verdict check photo.verdict --key KEY --picture photo.png \\
        --proof photo.verdict.tlog-proof --log VKEY       # anywhere: files and public keys alone

`format_statement` writes a verdict with its findings, the file's digests and the time as canonical
bytes. `--sign` signs them with the active verdict key (an envelope of DSSE 1.0, Ed25519) and
records them: the log's entry, of kind `verdict`, holds the digest of the statement and the key's
name, so whoever holds the statement finds it in the log, and the log alone tells nobody which file
was asked for. Nothing is written before a checkpoint covers that entry.

`parse_statement` decides the findings anew and refuses a statement
that does not follow from them, so that anyone can replay why something was said on a day. The
findings themselves it takes from the statement: to check those, the picture is needed.
"""


def render() -> str:
    """The whole page, in Markdown."""
    return "".join(
        [
            _HEAD.format(version=VERSION),
            *(_line(f"**{o}**", m.says, m.leaves_open) for o, m in MEANING.items()),
            _STATES_HEAD,
            *_states(),
            _TABLE_HEAD,
            *(_row(number, row) for number, row in enumerate(ROWS, start=1)),
            _TAIL,
        ]
    )


def _states() -> Iterator[str]:
    for column, kind in (_COLUMNS | _BESIDE).items():
        for state in kind:
            yield _line(column, state.value, STATES[state])


def _row(number: int, row: Row) -> str:
    cells = (_cell(getattr(row, column), kind) for column, kind in _COLUMNS.items())
    return _line(str(number), *cells, f"**{row.outcome}**")


def _cell(states: tuple[StrEnum, ...], kind: type[StrEnum]) -> str:
    return "" if len(states) == len(kind) else ", ".join(states).replace(" apart", "")


def _line(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |\n"
