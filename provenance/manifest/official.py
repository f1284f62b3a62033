"""The C2PA library (c2pa-python, over c2pa-rs): the only module that imports it.

Its defaults fetch addresses that a file names, and a setting whose name it does not know is passed
over in silence: so each setting here is proved by a canary before anything is read (canaries.py).
A context belongs to the process and the thread that made it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from io import BytesIO
from typing import Any

import c2pa

from provenance.manifest.chain import ACCEPTED_USAGES
from provenance.manifest.container import sniff
from provenance.manifest.errors import Malformed, WrongProcess
from provenance.manifest.finding import Opinion, Reason, State

Settings = Mapping[str, Mapping[str, object]]

NO_REMOTE: Settings = {"verify": {"remote_manifest_fetch": False}}
NO_HOSTS: Settings = {"core": {"allowed_network_hosts": []}}
NO_OCSP: Settings = {"verify": {"ocsp_fetch": False}}
CHECK_ALL: Settings = {"verify": {"verify_after_reading": True, "verify_trust": True}}
USAGES: Settings = {"trust": {"trust_config": "\n".join(o.dotted_string for o in ACCEPTED_USAGES)}}

_REASONS = {  # C2PA 2.4, section 15.2.2, in the order in which one of several is named
    "assertion.dataHash.mismatch": Reason.HASH_MISMATCH,
    "assertion.boxesHash.mismatch": Reason.HASH_MISMATCH,
    "assertion.bmffHash.mismatch": Reason.HASH_MISMATCH,
    "claimSignature.mismatch": Reason.BAD_SIGNATURE,
    "assertion.hashedURI.mismatch": Reason.ASSERTION_MISMATCH,
    "signingCredential.expired": Reason.EXPIRED,
    "claimSignature.outsideValidity": Reason.EXPIRED,
    "signingCredential.invalid": Reason.BAD_CERTIFICATE,
    "signingCredential.untrusted": Reason.FOREIGN_ROOT,
}
_UNBOUND = {Reason.HASH_MISMATCH}
_STATES = {"Trusted": State.TRUSTED, "Valid": State.UNTRUSTED, "Invalid": State.INVALID}


def trusting(anchors_pem: str) -> Settings:
    """The setting that makes these authorities, and no others, the trusted ones."""
    return {"trust": {"trust_anchors": anchors_pem}}


def all_settings(anchors_pem: str) -> Settings:
    """Every setting that files are read with."""
    return merge(trusting(anchors_pem), USAGES, NO_REMOTE, NO_HOSTS, NO_OCSP, CHECK_ALL)


def merge(*settings: Settings) -> Settings:
    """All of them; a later one wins."""
    merged: dict[str, dict[str, object]] = {}
    for one in settings:
        for section, values in one.items():
            merged.setdefault(section, {}).update(values)
    return merged


class Library:
    """The library under some settings, in the process that made it."""

    def __init__(self, settings: Settings) -> None:
        self._process = os.getpid()
        plain = {section: dict(values) for section, values in settings.items()}
        self._context = c2pa.Context.from_dict(plain)

    def judge(self, data: bytes) -> Opinion:
        """What the library makes of a file."""
        try:
            return self._judge(data)
        except c2pa.C2paError as e:
            return _refusal(str(e))

    def results(self, data: bytes) -> Mapping[str, Any]:
        """The validation results of a file's manifest, as the library words them."""
        try:
            reader = self._open(data)
            if reader is None:
                return {}
            with reader:
                return reader.get_validation_results() or {}
        except c2pa.C2paError as e:
            raise Malformed(f"the C2PA library cannot read the manifest: {_line(e)}") from e

    def _judge(self, data: bytes) -> Opinion:
        reader = self._open(data)
        if reader is None:
            return Opinion(State.ABSENT)
        with reader:
            state = _STATES[reader.get_validation_state() or "Invalid"]
            return weigh(state, reader.get_validation_results() or {})

    def _open(self, data: bytes) -> c2pa.Reader | None:
        if os.getpid() != self._process:
            raise WrongProcess("open the trust list in the process that reads with it")
        kind = sniff(data)
        if kind is None:
            raise c2pa.C2paError("NotSupported: not a PNG, JPEG or WebP file")
        return c2pa.Reader.try_create(kind.value, BytesIO(data), context=self._context)


def weigh(state: State, results: Mapping[str, Any]) -> Opinion:
    """The opinion that the library's state and its validation results come to."""
    if state is State.TRUSTED:
        return Opinion(state)
    failures = _failures(results)
    detail = ", ".join(failures)[:500]
    if _trusts_signer(results) and {_REASONS.get(f) for f in failures} == _UNBOUND:
        return Opinion(State.UNBOUND, Reason.HASH_MISMATCH, detail)
    found = [reason for code, reason in _REASONS.items() if code in failures]
    return Opinion(state, found[0] if found else Reason.MALFORMED, detail)


def library_version() -> str:
    """The versions of the library, for findings that are kept."""
    return str(c2pa.sdk_version())


def _failures(results: Mapping[str, Any]) -> list[str]:
    """Codes that stand against the manifest or against one of its ingredients."""
    groups = [results.get("activeManifest") or {}]
    groups += [delta["validationDeltas"] for delta in results.get("ingredientDeltas") or []]
    return [row["code"] for group in groups for row in group.get("failure", [])]


def _trusts_signer(results: Mapping[str, Any]) -> bool:
    """Whether the claim's signature holds and leads to an anchor, whatever else fails."""
    successes = (results.get("activeManifest") or {}).get("success", [])
    codes = {row["code"] for row in successes}
    return {"signingCredential.trusted", "claimSignature.validated"} <= codes


def _refusal(message: str) -> Opinion:
    reason = Reason.REMOTE if message.startswith("Remote:") else Reason.MALFORMED
    return Opinion(State.INVALID, reason, _line(message))


def _line(message: object) -> str:
    return " ".join(str(message).split())[:500]
