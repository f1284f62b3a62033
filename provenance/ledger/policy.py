"""What a record's policy says was done to a picture besides drawing it, in one line of text.

    marked/1
    marked/1; test certificate
    marked/1; tc260 001191440101MA9Y9T4H7A00000; label AI generated

The first word says what was done about marks; the rest is there only if it was done. A policy is
for a person to read and for `fieldmap` to answer from; whoever writes records checks it here.
"""

import re
from dataclasses import dataclass

from provenance.ledger.errors import Malformed

_FORM = re.compile(
    r"(?P<name>[a-z]+/[1-9][0-9]*)"
    r"(?P<test>; test certificate)?"
    r"(; tc260 (?P<producer>[A-Za-z0-9:._/-]{1,128}))?"
    r"(; label (?P<label>.{1,40}))?"
)


@dataclass(frozen=True)
class Policy:
    """`test`: signed by a certificate that proves nothing; `producer`: in China's label."""

    name: str
    test: bool = False
    producer: str | None = None
    label: str | None = None


def format_policy(policy: Policy) -> str:
    """The text for a record; raises Malformed if it would not be read back."""
    text = policy.name
    if policy.test:
        text += "; test certificate"
    if policy.producer is not None:
        text += f"; tc260 {policy.producer}"
    if policy.label is not None:
        text += f"; label {policy.label}"
    if parse_policy(text) != policy:
        raise Malformed(f"a policy that cannot be written down: {text[:200]!r}")
    return text


def parse_policy(text: str) -> Policy:
    found = _FORM.fullmatch(text)
    if found is None:
        raise Malformed(f"not a policy like 'marked/1; label AI': {text[:200]!r}")
    test = found["test"] is not None
    return Policy(found["name"], test, found["producer"], found["label"])
