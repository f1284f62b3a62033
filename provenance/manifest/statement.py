"""What a manifest says, taken out of its claim and assertions into plain values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from provenance.manifest.claim import WEIGHTS
from provenance.manifest.encoding import parse_map
from provenance.manifest.errors import Malformed
from provenance.manifest.finding import Binding, Statement
from provenance.manifest.jumbf import Superbox

_MAX_TEXT = 500
_SPKI = PublicFormat.SubjectPublicKeyInfo
_TIME = "%Y-%m-%dT%H:%M:%SZ"


def state_claim(
    label: str,
    digest: bytes,
    claim: Mapping[str, Any],
    assertions: Mapping[str, Superbox],
    leaf: x509.Certificate,
) -> Statement:
    """Texts are cut to a length that can be shown; a field of another type raises Malformed."""
    actions = list(_actions(assertions))
    agents = [a["softwareAgent"] for a in actions if isinstance(a.get("softwareAgent"), dict)]
    agent = agents[0] if agents else {}
    generator = claim.get("claim_generator_info")
    whens = [a["when"] for a in actions if "when" in a]
    return Statement(
        label=label,
        claim_digest=digest,
        generator=_words(generator, "name", "version"),
        actions=tuple(_word(a, "action") for a in actions),
        source_types=tuple(_word(a, "digitalSourceType").rpartition("/")[2] for a in actions),
        when=_time(whens[0]) if whens else None,
        model=_words(agent, "name", "version"),
        model_digest=_digest(_word(agent, WEIGHTS)),
        bindings=tuple(_bindings(assertions)),
        ingredients=tuple(_ingredients(assertions)),
        signer=leaf.subject.rfc4514_string()[:_MAX_TEXT],
        serial=leaf.serial_number,
        key=sha256(leaf.public_key().public_bytes(Encoding.DER, _SPKI)).digest(),
    )


def _documents(assertions: Mapping[str, Superbox], name: str) -> Iterator[dict[str, Any]]:
    """Each assertion of this name; a second and third have a number after their name."""
    for label, box in assertions.items():
        if label.partition("__")[0] == name:
            yield parse_map(box.content(b"cbor"), what=name)


def _actions(assertions: Mapping[str, Superbox]) -> Iterator[dict[str, Any]]:
    for document in _documents(assertions, "c2pa.actions.v2"):
        yield from _rows(document, "actions")


def _bindings(assertions: Mapping[str, Superbox]) -> Iterator[Binding]:
    for document in _documents(assertions, "c2pa.soft-binding"):
        for block in _rows(document, "blocks"):
            value = block.get("value")
            if isinstance(value, str):  # as some writers have it, against the specification
                value = value.encode()
            if not isinstance(value, bytes):
                raise Malformed("a soft binding without a value")
            yield Binding(_word(document, "alg"), value)


def _ingredients(assertions: Mapping[str, Superbox]) -> Iterator[str]:
    for document in _documents(assertions, "c2pa.ingredient.v3"):
        active = document.get("activeManifest")
        if active is not None:
            yield _word(active, "url").rpartition("/")[2]


def _rows(document: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    rows = document.get(name)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise Malformed(f"{name} is not a list of maps")
    return rows


def _words(document: Any, *names: str) -> str:
    return " ".join(word for name in names if (word := _word(document, name)))


def _word(document: Any, name: str) -> str:
    """A text of a map, on one line; an absent one is empty."""
    value = document.get(name, "") if isinstance(document, dict) else None
    if not isinstance(value, str):
        raise Malformed(f"{name} is not a text")
    return "".join(c if c.isprintable() else "?" for c in value[:_MAX_TEXT])


def _digest(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError as e:
        raise Malformed(f"{WEIGHTS} is not hexadecimal") from e


def _time(value: Any) -> datetime | None:
    """The time of an action if it is written as we write it; other forms are not evidence here."""
    try:
        return datetime.strptime(value, _TIME).replace(tzinfo=UTC)
    except (ValueError, TypeError):
        return None
