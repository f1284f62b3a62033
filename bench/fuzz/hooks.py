"""What schemathesis is told about this service: which bytes are a picture."""

from __future__ import annotations

import schemathesis
from hypothesis import strategies as st

HEADS = {
    "image/png": b"\x89PNG\r\n\x1a\n",
    "image/jpeg": b"\xff\xd8\xff\xe0",
    "image/webp": b"RIFF\x04\0\0\0WEBP",
}


def _pictures(head: bytes) -> st.SearchStrategy[bytes]:
    return st.binary(max_size=64).map(lambda rest: head + rest)


for _media, _head in HEADS.items():
    schemathesis.openapi.media_type(_media, _pictures(_head))
schemathesis.openapi.format("binary", _pictures(HEADS["image/png"]))
