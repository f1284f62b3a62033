"""What schemathesis is told that a schema cannot say: bytes, addresses, fields that do not fit."""

from __future__ import annotations

from typing import Any

import schemathesis
from hypothesis import strategies as st
from pydantic import ValidationError

from api.routes.policies import Wanted
from provenance.outbound import Reach, Refused, parse_url
from provenance.policies import BadPolicy, parse_concepts

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


def _words(characters: str) -> st.SearchStrategy[str]:
    return st.text(characters, min_size=1, max_size=20)


_ADDRESSES = st.builds("https://{}.example/{}?{}".format, *map(_words, ("abc-", "ab/~", "ab=&")))
schemathesis.openapi.format(
    "uri", _ADDRESSES.filter(lambda url: "-." not in url and "/-" not in url)
)


@schemathesis.hook
def filter_query(context: Any, query: Any) -> bool:
    """Leaves out a PNG that is to lose something."""
    return _whole(query)


@schemathesis.hook
def filter_body(context: Any, body: Any) -> bool:
    """Leaves out what a schema lets through: lossy PNGs, private addresses, senseless policies."""
    wishes = body.get("generations") if isinstance(body, dict) else None
    return (
        _public(body)
        and _coherent(body)
        and _whole(body)
        and all(map(_whole, wishes if isinstance(wishes, list) else []))
    )


def _public(body: Any) -> bool:
    """Whether this is no webhook for an address that nothing is sent to."""
    if not isinstance(body, dict) or not isinstance(body.get("url"), str):
        return True
    try:
        parse_url(body["url"], Reach.PUBLIC)
    except Refused:
        return False
    return True


def _whole(wish: Any) -> bool:
    """Whether this is no wish for a PNG with a compression."""
    if not isinstance(wish, dict) or wish.get("output_format", "png") not in ("png", None):
        return True
    return wish.get("output_compression", 100) in (None, 100)


def _coherent(body: Any) -> bool:
    """Whether this is no policy whose fields are well by themselves but do not fit together."""
    if not isinstance(body, dict) or "concepts" not in body:
        return True
    try:
        wanted = Wanted.model_validate(body)
    except ValidationError:
        return True
    try:
        parse_concepts(wanted.model_dump())
    except BadPolicy:
        return False
    return True


@schemathesis.hook
def filter_case(context: Any, case: Any) -> bool:
    """The same for what is made field by field, at the limits."""
    return _coherent(case.body)
