"""CBOR (RFC 8949) from strangers: plain values only, nothing left over, no key twice."""

from __future__ import annotations

from io import BytesIO
from typing import Any, Never

import cbor2

from provenance.manifest.errors import Malformed

_DATE, _COSE_SIGN1 = 0, 18
_MAX_DEPTH = 16
# Every other tag that the library would turn into an object: big numbers, fractions, patterns,
# references (which can make a value that contains itself), addresses, sets and the like.
_REFUSED = {1, 2, 3, 4, 5, 25, 28, 29, 30, 35, 36, 37, 52, 54, 100, 256, 258, 260, 261, 1004}
_REFUSED |= {43000, 55799}


def format_cbor(value: Any) -> bytes:
    """The bytes of a value; maps keep their order."""
    return cbor2.dumps(value)


def parse_cbor(data: bytes, *, what: str) -> Any:
    """The value that these bytes are, whole; a date stays text."""
    file = BytesIO(data)
    decoder = cbor2.CBORDecoder(
        file,
        semantic_decoders={_DATE: _text} | dict.fromkeys(_REFUSED, _refuse),
        max_depth=_MAX_DEPTH,
        allow_indefinite=False,
        allow_duplicate_keys=False,
    )
    try:
        value = decoder.decode()
    except (cbor2.CBORError, ValueError, TypeError, OverflowError) as e:
        raise Malformed(f"{what} is not CBOR of the plain kind: {e}") from e
    if file.tell() != len(data):
        raise Malformed(f"{what} has bytes after its end")
    return value


def parse_map(data: bytes, *, what: str) -> dict[str, Any]:
    """A map of which every key is a text."""
    value = parse_cbor(data, what=what)
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise Malformed(f"{what} is not a map with names")
    return value


def _text(value: Any, _immutable: bool) -> str:  # noqa: FBT001 - the library's signature
    if not isinstance(value, str):
        raise ValueError("a date that is not text")
    return value


def _refuse(_value: Any, _immutable: bool) -> Never:  # noqa: FBT001 - the library's signature
    raise ValueError("a tag that no manifest needs")
