"""Policies: which concepts may not be drawn, by which model, for whom; versions, and who made them.

A policy is a JSON document of a tenant and a model, or of all of either (`EVERY`). Its versions are
rows that never change; the newest counts, and the rows are the audit: who, when, and the digest of
every document. Lifting a policy is a version without concepts. For a picture the policies of all,
of the tenant, of the model and of both count together: a tenant may ban more than its operator,
never less. What counted is read when a job is drawn, so that a change needs no restart, and its
digest is in the record of every picture.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from provenance.errors import ProvenanceError
from provenance.tables import PolicyRow
from provenance.wording import content, find

EVERY = "*"  # any tenant, or any model
MOST_CONCEPTS, MOST_PHRASES, LONGEST_PHRASE, LONGEST_NAME = 64, 64, 100, 40
MOST_LABELS = 64
# Prompts about nothing that anyone bans. A concept that is found in two of them covers everything.
NEUTRAL = (
    "a red apple, on a blue background",
    "a small house with a garden",
    "an owl in a tree at night",
    "two cups of tea on a table",
    "a picture of the sea",
    "portrait of a smiling woman",
    "the sun over the mountains",
    "a man with a bicycle",
)


class Action(StrEnum):
    """What is done about a prompt that asks for a concept."""

    REFUSE = "refuse"
    REWRITE = "rewrite"  # the replacement is drawn instead
    STEER = "steer"  # the prompt is drawn, away from the concept


class BadPolicy(ProvenanceError):
    """A policy that cannot be kept or applied; the text names the concept and what is wrong."""


@dataclass(frozen=True)
class Concept:
    """What may not be drawn.

    `phrases` say it; `near` and `certain` are cosines of the prompt encoder, from which a prompt is
    steered away, and from which `action` is taken even if no phrase was found. While drawing it is
    pushed out with `strength`, see generators.erasure. `labels` of `checker` may score at most
    `most` in the picture. `delta` is the SHA-256 of a delta that must be applied.
    """

    name: str
    phrases: tuple[str, ...]
    action: Action = Action.STEER
    replacement: str = ""
    near: float = 0.45
    certain: float = 0.7
    strength: float = 1.0
    opening: float = 0.25
    threshold: float = 0.0
    checker: str = ""
    labels: tuple[str, ...] = ()
    most: float = 0.5
    delta: str = ""


@dataclass(frozen=True)
class Version:
    """A policy as it was made: `number` counts from 1 for its tenant and model."""

    tenant: str
    model: str
    number: int
    concepts: tuple[Concept, ...]
    attempts: int
    digest: bytes  # SHA-256 of its document
    author: str  # a caller's id, or who ran the command
    created: datetime


@dataclass(frozen=True)
class Effective:
    """All that counts for one picture."""

    versions: tuple[Version, ...]

    @property
    def concepts(self) -> tuple[Concept, ...]:
        return tuple(concept for one in self.versions for concept in one.concepts)

    @property
    def attempts(self) -> int:
        """How often a picture may be drawn until the checkers let it pass; the fewest asked for."""
        return min((one.attempts for one in self.versions if one.concepts), default=1)

    @property
    def digest(self) -> bytes:
        """SHA-256 over the digests of the versions, in order."""
        return sha256(b"".join(one.digest for one in self.versions)).digest()

    @property
    def names(self) -> tuple[str, ...]:
        """The concepts kept out, each once, sorted."""
        return tuple(sorted({concept.name for concept in self.concepts}))


def parse_concepts(document: Any) -> tuple[tuple[Concept, ...], int]:
    """The concepts and attempts of a document; raises BadPolicy, naming what is wrong and where."""
    if not isinstance(document, dict) or not set(document) <= {"concepts", "attempts"}:
        raise BadPolicy('a policy is {"concepts": [...], "attempts": N}')
    attempts, rows = document.get("attempts", 3), document.get("concepts")
    if not isinstance(attempts, int) or isinstance(attempts, bool) or not 1 <= attempts <= 8:
        raise BadPolicy(f"attempts must be a whole number from 1 to 8, not {attempts!r}")
    if not isinstance(rows, list) or len(rows) > MOST_CONCEPTS:
        raise BadPolicy(f"concepts must be a list of at most {MOST_CONCEPTS}")
    concepts = tuple(_concept(row, f"concepts[{n}]") for n, row in enumerate(rows))
    names = [one.name for one in concepts]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise BadPolicy(f"two concepts are called {twice[0]!r}")
    return concepts, attempts


def _concept(row: Any, where: str) -> Concept:
    known = {one.name for one in fields(Concept)}
    if not isinstance(row, dict):
        raise BadPolicy(f"{where} must be an object")
    if not set(row) <= known:
        raise BadPolicy(f"{where} has unknown fields: {', '.join(sorted(set(row) - known))}")
    name = row.get("name")
    if not isinstance(name, str) or not name.strip() or len(name) > LONGEST_NAME:
        raise BadPolicy(f"{where}.name must have 1 to {LONGEST_NAME} characters")
    if not name.isprintable():
        raise BadPolicy(f"{where}.name has characters that cannot be printed")
    where = f"concept {name!r}"
    try:
        action = Action(row.get("action", Action.STEER))
    except ValueError as e:
        raise BadPolicy(f"{where}: action must be one of {', '.join(Action)}") from e
    concept = Concept(
        name=name,
        phrases=_texts(row, "phrases", where, least=1, most=MOST_PHRASES),
        action=action,
        replacement=_text(row, "replacement", where),
        labels=_texts(row, "labels", where, least=0, most=MOST_LABELS),
        checker=_text(row, "checker", where),
        delta=_text(row, "delta", where),
        **{name: _number(row, name, where) for name in _RANGES},
    )
    _check(concept, where)
    return concept


_RANGES = {
    "near": (-1.0, 1.0),
    "certain": (-1.0, 1.0),
    "strength": (0.0, 2.0),
    "opening": (0.0, 1.0),
    "threshold": (-10.0, 10.0),
    "most": (0.0, 1.0),
}


def _check(concept: Concept, where: str) -> None:
    for phrase in concept.phrases:
        if not content(phrase):
            raise BadPolicy(f"{where}: the phrase {phrase!r} says nothing")
    covered = [prompt for prompt in NEUTRAL if find(prompt, concept.phrases) is not None]
    if len(covered) > 1:
        raise BadPolicy(f"{where} covers everything: it is found in {covered[0]!r} too")
    _check_parts(concept, where)


def _check_parts(concept: Concept, where: str) -> None:
    """What belongs together is there together."""
    if concept.near > concept.certain:
        raise BadPolicy(f"{where}: near ({concept.near}) is above certain ({concept.certain})")
    if concept.action is Action.REWRITE and not content(concept.replacement):
        raise BadPolicy(f"{where} is to be rewritten, but has no replacement")
    if concept.replacement and find(concept.replacement, concept.phrases) is not None:
        raise BadPolicy(f"{where}: the replacement {concept.replacement!r} names it again")
    if bool(concept.checker) != bool(concept.labels):
        raise BadPolicy(f"{where}: checker and labels belong together")
    if concept.delta and (len(concept.delta) != 64 or not _hexadecimal(concept.delta)):
        raise BadPolicy(f"{where}: delta must be a SHA-256, 64 hexadecimal digits")


def _hexadecimal(text: str) -> bool:
    return all(one in "0123456789abcdef" for one in text)


def _text(row: Mapping[str, Any], name: str, where: str) -> str:
    value = row.get(name, "")
    if not isinstance(value, str) or len(value) > LONGEST_PHRASE:
        raise BadPolicy(f"{where}: {name} must be a text of at most {LONGEST_PHRASE} characters")
    return value


def _texts(
    row: Mapping[str, Any], name: str, where: str, *, least: int, most: int
) -> tuple[str, ...]:
    values = row.get(name, ())
    if not isinstance(values, list | tuple) or not least <= len(values) <= most:
        raise BadPolicy(f"{where}: {name} must be {least} to {most} texts")
    for value in values:
        if not isinstance(value, str) or not 0 < len(value) <= LONGEST_PHRASE:
            raise BadPolicy(f"{where}: {name} must have 1 to {LONGEST_PHRASE} characters each")
    return tuple(values)


def _number(row: Mapping[str, Any], name: str, where: str) -> float:
    low, high = _RANGES[name]
    default = next(one.default for one in fields(Concept) if one.name == name)
    value = row.get(name, default)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or not low <= value <= high:
        raise BadPolicy(f"{where}: {name} must be a number from {low:g} to {high:g}")
    return float(value)


def document(concepts: Sequence[Concept], attempts: int) -> dict[str, Any]:
    """What `parse_concepts` reads back, every field written out."""
    return {"concepts": [{**asdict(one)} for one in concepts], "attempts": attempts}


def digest(document: Mapping[str, Any]) -> bytes:
    """SHA-256 of a document, keys sorted and no spaces."""
    return sha256(
        json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    ).digest()


def make(
    session: Session,
    wanted: Any,
    *,
    tenant: str,
    model: str,
    author: str,
    now: datetime,
) -> Version:
    """A new version of the policy of a tenant and a model, which counts from now on.

    Raises BadPolicy; the session's transaction must then be abandoned.
    """
    concepts, attempts = parse_concepts(wanted)
    written = document(concepts, attempts)
    last = next(iter(_versions(session, tenant, model, most=1)), None)
    number = last.number + 1 if last else 1
    row = PolicyRow(
        tenant=tenant,
        model=model,
        number=number,
        document=json.loads(json.dumps(written)),
        digest=digest(written),
        author=author,
        created=now,
    )
    session.add(row)
    session.flush()
    return _version(row)


def history(session: Session, tenant: str, model: str, *, most: int = 100) -> list[Version]:
    """The versions of one policy, the newest first."""
    return list(_versions(session, tenant, model, most=most))


def current(session: Session, tenant: str) -> list[Version]:
    """The newest version of every policy that counts for a tenant."""
    rows = session.scalars(
        select(PolicyRow)
        .where(or_(PolicyRow.tenant == EVERY, PolicyRow.tenant == tenant))
        .order_by(PolicyRow.tenant, PolicyRow.model, PolicyRow.number)
    )
    newest = {(row.tenant, row.model): row for row in rows}
    return [_version(row) for row in newest.values()]


def effective(session: Session, tenant: str, model: str) -> Effective:
    """What counts for a tenant's picture by a model now; raises BadPolicy for a damaged row."""
    return Effective(tuple(one for one in current(session, tenant) if one.model in (EVERY, model)))


def _versions(session: Session, tenant: str, model: str, *, most: int) -> Iterator[Version]:
    rows = session.scalars(
        select(PolicyRow)
        .where(PolicyRow.tenant == tenant, PolicyRow.model == model)
        .order_by(PolicyRow.number.desc())
        .limit(most)
    )
    return (_version(row) for row in rows)


def _version(row: PolicyRow) -> Version:
    concepts, attempts = parse_concepts(row.document)
    if digest(document(concepts, attempts)) != row.digest:
        raise BadPolicy(
            f"version {row.number} of the policy of {row.tenant} for {row.model} was altered: "
            f"its digest is not that of its document"
        )
    return Version(
        row.tenant, row.model, row.number, concepts, attempts, row.digest, row.author, row.created
    )
