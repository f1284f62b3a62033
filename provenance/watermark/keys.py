"""Secret keys and the coins they toss.

Every coin is a keyed BLAKE2b value (RFC 7693) of a secret and a domain: the same on every machine
and library version, and independent between tenants, keys, epochs, schemes, models, codecs, lists,
scales and streams. There is no default secret. Nobody who lacks the secret can tell the coins from
fair ones; whoever sees many marked pictures can still estimate them, key or no key.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from provenance.keys import TENANT, KeyState, mark_id

__all__ = ["Domain", "Key", "KeyState", "coins", "list_for", "values"]

LEAST_SECRET_BYTES = 16
MOST_SECRET_BYTES = 64  # BLAKE2b takes no longer key

VALUES_A_BLOCK = 8  # one 64-byte digest holds eight 64-bit values


@dataclass(frozen=True)
class Key:
    """One epoch of a tenant's secret, as the coins need it; `created` is aware UTC."""

    secret: bytes = field(repr=False)
    tenant: str
    epoch: int
    state: KeyState
    created: datetime

    def __post_init__(self) -> None:
        if not LEAST_SECRET_BYTES <= len(self.secret) <= MOST_SECRET_BYTES:
            raise ValueError(f"a secret has 16 to 64 bytes, not {len(self.secret)}")
        if not TENANT.fullmatch(self.tenant):
            raise ValueError(f"a tenant is named like a host (a-z, 0-9, -), not {self.tenant!r}")
        if self.epoch < 1:
            raise ValueError(f"epochs start at 1, not {self.epoch}")
        if self.created.tzinfo is None:
            raise ValueError("a key's time of creation needs a time zone")

    @property
    def key_id(self) -> str:
        """The name of this key and no other, e.g. acme.1.9f31c2aa."""
        return mark_id(self.secret, self.tenant, self.epoch)


@dataclass(frozen=True)
class Domain:
    """What a set of coins is for; two domains that differ anywhere have independent coins."""

    scheme: str  # name and version, e.g. "pairs/1"
    model: str
    codec_digest: bytes
    list_index: int = 0
    scale: int = 0
    stream: str = ""

    def encode(self, key: Key) -> bytes:
        """Unambiguous bytes: every field, and whose key it is, after its length."""
        fields = [
            self.scheme.encode(),
            self.model.encode(),
            self.codec_digest,
            _integer(self.list_index),
            _integer(self.scale),
            self.stream.encode(),
            key.tenant.encode(),
            _integer(key.epoch),
        ]
        return b"".join(_integer(len(part)) + part for part in fields)


def _integer(value: int) -> bytes:
    return value.to_bytes(8, "big")


def values(key: Key, domain: Domain, n: int) -> NDArray[np.uint64]:
    """The first n 64-bit values (n,) of a key in a domain."""
    return values_at(key, domain, np.arange(n))


def values_at(key: Key, domain: Domain, places: NDArray[np.integer]) -> NDArray[np.uint64]:
    """The 64-bit values (n,) at places (n,) from 0 on; what one is depends on no other."""
    start = blake2b(domain.encode(key), key=key.secret, person=b"countermark.coin")
    numbers, block = np.unique(places // VALUES_A_BLOCK, return_inverse=True)
    digests = []
    for number in numbers.tolist():
        digest = start.copy()
        digest.update(_integer(number))
        digests.append(digest.digest())
    told = np.frombuffer(b"".join(digests), dtype=">u8").reshape(-1, VALUES_A_BLOCK)
    found: NDArray[np.uint64] = told[block, places % VALUES_A_BLOCK].astype(np.uint64)
    return found


def coins(key: Key, domain: Domain, n: int, gamma: float = 0.5) -> NDArray[np.bool_]:
    """Independent coins (n,), each true with probability floor(gamma * 2^64) / 2^64."""
    return coins_at(key, domain, np.arange(n), gamma)


def coins_at(
    key: Key, domain: Domain, places: NDArray[np.integer], gamma: float = 0.5
) -> NDArray[np.bool_]:
    """The coins (n,) at places (n,) of those that `coins` tosses."""
    if not 0 < gamma < 1:
        raise ValueError(f"gamma must be between 0 and 1, not {gamma}")
    threshold = np.uint64(int(Fraction(gamma) * 2**64))
    return values_at(key, domain, places) < threshold


def list_for(key: Key, request_id: str, lists: int) -> int:
    """The list of a pool that this request is marked with; even to one part in 2^64 / lists."""
    if not 0 < lists < 2**32:
        raise ValueError(f"a pool has 1 to 2^32 - 1 lists, not {lists}")
    digest = blake2b(
        request_id.encode(), key=key.secret, person=b"countermark.list", digest_size=8
    ).digest()
    return int.from_bytes(digest, "big") * lists >> 64
