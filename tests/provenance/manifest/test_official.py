"""What the library's validation results come to."""

from __future__ import annotations

import pytest

from provenance.manifest.finding import Opinion, Reason, State
from provenance.manifest.official import weigh

CHANGED, FOREIGN = "assertion.dataHash.mismatch", "signingCredential.untrusted"
SIGNED = ("signingCredential.trusted", "claimSignature.validated")


def results(success: tuple[str, ...], failure: tuple[str, ...]) -> dict[str, object]:
    rows = {"success": success, "failure": failure}
    return {"activeManifest": {k: [{"code": code} for code in v] for k, v in rows.items()}}


def test_changed_file_of_a_trusted_signer_is_unbound() -> None:
    seen = weigh(State.INVALID, results(SIGNED, (CHANGED,)))
    assert seen == Opinion(State.UNBOUND, Reason.HASH_MISMATCH, CHANGED)


@pytest.mark.parametrize(
    ("success", "failure", "reason"),
    [
        (SIGNED[:1], (CHANGED,), Reason.HASH_MISMATCH),  # no word of a signature that holds
        (SIGNED[1:], (CHANGED,), Reason.HASH_MISMATCH),  # nor of whose it is
        ((), (CHANGED,), Reason.HASH_MISMATCH),
        (SIGNED, (CHANGED, "assertion.hashedURI.mismatch"), Reason.HASH_MISMATCH),
        (SIGNED, (CHANGED, "unheard.of"), Reason.HASH_MISMATCH),
        (SIGNED, ("unheard.of",), Reason.MALFORMED),
        (SIGNED, (), Reason.MALFORMED),
    ],
)
def test_anything_less_is_invalid(
    success: tuple[str, ...], failure: tuple[str, ...], reason: Reason
) -> None:
    seen = weigh(State.INVALID, results(success, failure))
    assert (seen.state, seen.reason) == (State.INVALID, reason)


def test_failure_of_an_ingredient_counts() -> None:
    delta = {"validationDeltas": {"failure": [{"code": "assertion.hashedURI.mismatch"}]}}
    seen = weigh(State.INVALID, results(SIGNED, ()) | {"ingredientDeltas": [delta]})
    assert (seen.state, seen.reason) == (State.INVALID, Reason.ASSERTION_MISMATCH)


def test_valid_is_not_trusted() -> None:
    seen = weigh(State.UNTRUSTED, results(SIGNED[1:], (FOREIGN,)))
    assert seen == Opinion(State.UNTRUSTED, Reason.FOREIGN_ROOT, FOREIGN)
