"""A claim key that never leaves a hardware token: ES256 through PKCS #11.

The token signs SHA-256 digests (CKM_ECDSA) and answers r and s in 32 bytes each. A probe is signed
when it is opened, so a key that is not the certificate's is found before any picture is drawn. The
session belongs to the process that opened it: open it after a fork. Needs python-pkcs11, which
`pip install countermark[pkcs11]` brings, and the token maker's library.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cryptography import x509

from provenance.manifest import cose
from provenance.manifest.chain import Refused, check_leaf
from provenance.pki import BadCredentials, DigestSigner

FORMAT = "countermark-token/1"
PROBE = b"countermark: is this the key of the certificate?"


@dataclass(frozen=True)
class Place:
    """Which key of which token, and the library (a file) that reaches it."""

    library: str
    token: str
    key: str
    pin: str = field(repr=False)


def parse_place(data: bytes, pin: bytes, *, name: str) -> Place:
    """The place that a file of the operator's names; raises BadCredentials."""
    try:
        document = json.loads(data)
        known = document.pop("format") == FORMAT and document.keys() == {"library", "token", "key"}
        if not known or not all(one and isinstance(one, str) for one in document.values()):
            raise ValueError("other fields than format, library, token and key")
        return Place(**document, pin=pin.decode().rstrip("\n"))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as e:
        raise BadCredentials(f"{name} does not name a token as {FORMAT} does: {e}") from e


def open_token(place: Place, chain: Sequence[x509.Certificate], *, now: datetime) -> DigestSigner:
    """What signs with the token's key; raises BadCredentials unless it is the certificate's."""
    try:
        public = check_leaf(chain[0], now=now)
    except Refused as e:
        raise BadCredentials(f"the certificate of the token's key: {e.reason}: {e}") from e
    signer = DigestSigner(tuple(chain), _open(place))
    try:
        cose.check_signature(public, signer.sign(PROBE), PROBE)
    except cose.NotSigned as e:
        raise BadCredentials(
            f"key {place.key!r} of token {place.token!r} is not that of the certificate"
        ) from e
    return signer


def _open(place: Place) -> Any:
    """A function from a digest to its signature, over a session that stays open."""
    try:
        import pkcs11
        from pkcs11.exceptions import PKCS11Error, UserAlreadyLoggedIn
    except ImportError as e:
        raise BadCredentials("python-pkcs11 is missing: pip install countermark[pkcs11]") from e

    try:
        token = pkcs11.lib(place.library).get_token(token_label=place.token)
        try:
            session = token.open(user_pin=place.pin)
        except UserAlreadyLoggedIn:  # by an earlier session of this process: all share the login
            session = token.open()
        key: Any = session.get_key(object_class=pkcs11.ObjectClass.PRIVATE_KEY, label=place.key)
    except (PKCS11Error, RuntimeError, OSError) as e:
        said = f"{type(e).__name__} {e}".strip()
        raise BadCredentials(
            f"cannot open key {place.key!r} of token {place.token!r} with {place.library}: {said}"
        ) from e

    def sign_digest(digest: bytes) -> bytes:
        try:
            return bytes(key.sign(digest, mechanism=pkcs11.Mechanism.ECDSA))
        except PKCS11Error as e:
            said = f"{type(e).__name__} {e}".strip()
            raise BadCredentials(f"token {place.token!r} did not sign: {said}") from e

    return sign_digest
