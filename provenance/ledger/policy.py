"""What a record's policy says was done to a picture besides drawing it, in one line of text.

    marked/1
    marked/1; test certificate
    marked/1; concepts 6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b
    marked/1; tc260 001191440101MA9Y9T4H7A00000; label AI generated

`concepts` is the SHA-256 of the policies that said which concepts to keep out
(provenance.policies), `deltas` are those of the deltas that were on the weights. The first word
says what was done about marks; the rest is there only if it was done. A policy is for a person to
read and for `fieldmap` to answer from; whoever writes records checks it here.
"""

import re
from dataclasses import dataclass

from provenance.ledger.errors import Malformed

_FORM = re.compile(
    r"(?P<name>[a-z]+/[1-9][0-9]*)"
    r"(?P<test>; test certificate)?"
    r"(; concepts (?P<concepts>[0-9a-f]{64}))?"
    r"(; deltas (?P<deltas>[0-9a-f]{64}(,[0-9a-f]{64}){0,4}))?"
    r"(; tc260 (?P<producer>[A-Za-z0-9:._/-]{1,128}))?"
    r"(; label (?P<label>.{1,40}))?"
)


@dataclass(frozen=True)
class Policy:
    """What was done; `test`: signed by a certificate that proves nothing; `producer`: China's."""

    name: str
    test: bool = False
    concepts: str | None = None  # 64 hexadecimal digits
    deltas: tuple[str, ...] = ()  # the same each, at most five
    producer: str | None = None
    label: str | None = None


def format_policy(policy: Policy) -> str:
    """The text for a record; raises Malformed if it would not be read back."""
    text = policy.name
    if policy.test:
        text += "; test certificate"
    if policy.concepts is not None:
        text += f"; concepts {policy.concepts}"
    if policy.deltas:
        text += f"; deltas {','.join(policy.deltas)}"
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
    deltas = tuple(found["deltas"].split(",")) if found["deltas"] else ()
    return Policy(found["name"], test, found["concepts"], deltas, found["producer"], found["label"])
