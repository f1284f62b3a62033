"""Why a picture was steered, rewritten or refused, as a program can read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from provenance.policies import Concept, Version


class Kind(StrEnum):
    """What spoke for the concept."""

    PHRASE = "phrase"  # the prompt has the phrase
    LOOKALIKE = "lookalike"  # in other letters
    SPELLING = "spelling"  # or spelt so that it is not seen at once
    MEANING = "meaning"  # the prompt means nearly the same: cosine of the prompt encoder
    PICTURE = "picture"  # a checker sees it in the picture


class Done(StrEnum):
    """What was done."""

    REFUSED = "refused"
    REWRITTEN = "rewritten"
    STEERED = "steered"
    REDRAWN = "redrawn"


@dataclass(frozen=True)
class Reason:
    """One concept, what spoke for it by how much, and what was done.

    `score` is 1 for words found, a cosine for a meaning, a checker's score for a picture; it
    reached `threshold`. `start` and `end` are characters of the prompt, or None. `evidence` is in
    nats a token, once the picture was drawn away from the concept. `picture` counts from 0 within
    the job.
    """

    concept: str
    kind: Kind
    score: float
    threshold: float
    done: Done
    policy: str
    start: int | None = None
    end: int | None = None
    picture: int | None = None
    evidence: float | None = None


def policy_name(version: Version) -> str:
    """How reasons and records call a version: tenant/model/number."""
    return f"{version.tenant}/{version.model}/{version.number}"


def plain(reason: Reason) -> dict[str, Any]:
    """The reason as JSON values, numbers to four places."""
    row = {**asdict(reason), "kind": reason.kind.value, "done": reason.done.value}
    return {k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()}


def tell(reason: Reason | Mapping[str, Any]) -> str:
    """The reason in a sentence for people, without the prompt."""
    row = plain(reason) if isinstance(reason, Reason) else reason
    spoke = {
        Kind.PHRASE: "the prompt names it",
        Kind.LOOKALIKE: "the prompt names it in letters that look alike",
        Kind.SPELLING: "the prompt names it in another spelling",
        Kind.MEANING: f"the prompt means nearly that (cosine {row['score']:.2f})",
        Kind.PICTURE: f"the picture drawn shows it (score {row['score']:.2f})",
    }[Kind(row["kind"])]
    return f"{row['concept']}: {row['done']}, for {spoke}"


def found(
    concept: Concept, version: Version, kind: Kind, score: float, threshold: float, done: Done
) -> Reason:
    """A reason of a version's concept."""
    return Reason(concept.name, kind, score, threshold, done, policy_name(version))
