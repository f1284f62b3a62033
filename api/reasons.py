"""Why a policy acted, as the API tells it; see provenance.reasons."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field


class Reason(BaseModel):
    """What spoke for a concept that a policy bans, by how much, and what was done."""

    concept: str
    kind: Annotated[
        str,
        Field(
            description="phrase, lookalike or spelling: the prompt names it; meaning: it means "
            "nearly that; picture: a checker sees it in what was drawn."
        ),
    ]
    score: Annotated[float, Field(description="1 for words, else a cosine or a checker's score.")]
    threshold: Annotated[float, Field(description="What the score reached.")]
    done: Annotated[str, Field(description="refused, rewritten, steered or redrawn.")]
    policy: Annotated[str, Field(description="tenant/model/version of the policy.")]
    start: Annotated[int | None, Field(description="First character in the prompt.")] = None
    end: Annotated[int | None, Field(description="The character after the last.")] = None
    picture: Annotated[int | None, Field(description="Which of the job, from 0.")] = None
    evidence: Annotated[
        float | None,
        Field(description="Nats a token by which the drawing spoke for the concept."),
    ] = None
