"""The few encodings all ledger formats share, each read strictly: one text for one value."""

import base64
import binascii
import re

from provenance.ledger.errors import Malformed
from provenance.ledger.merkle import HASH_BYTES, MAX_SIZE, Hash

_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}")


def format_base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def parse_base64(text: str, *, what: str) -> bytes:
    """Standard base64 of RFC 4648, section 4, with its padding and no spare bits."""
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error) as e:
        raise Malformed(f"{what} is not base64") from e
    if format_base64(data) != text:
        raise Malformed(f"{what} is not canonical base64")
    return data


def parse_hash(text: str, *, what: str) -> Hash:
    data = parse_base64(text, what=what)
    if len(data) != HASH_BYTES:
        raise Malformed(f"{what} is {len(data)} bytes long, not {HASH_BYTES}")
    return Hash(data)


def parse_decimal(text: str, *, what: str) -> int:
    """A number from 0 to 2**63 - 1 in ASCII digits, no leading zero."""
    if not _DECIMAL.fullmatch(text) or int(text) > MAX_SIZE:
        raise Malformed(f"{what} is not a canonical number: {text[:32]!r}")
    return int(text)


def parse_utf8(data: bytes, *, what: str) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as e:
        raise Malformed(f"{what} is not UTF-8 at byte {e.start}") from e


def printable(text: str) -> str:
    """On one line, and without commands to the terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
