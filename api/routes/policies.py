"""Policies: which concepts the tenant's pictures may not show, and every version of them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import Path
from pydantic import BaseModel, BeforeValidator, Field

from api.admission import Asker, Asking, router
from api.documents import Taken, whole
from api.installation import Here, Installation
from api.problems import invalid
from api.reasons import Reason
from provenance import policies, wording
from provenance.database import snapshot, transaction
from provenance.policies import EVERY, Action, BadPolicy, Version
from provenance.reasons import Done, Kind, policy_name
from provenance.wishes import LONGEST_PROMPT

routes = router()

Model = Annotated[
    str,
    Path(max_length=63, pattern=r"^(\*|[a-z0-9][a-z0-9.-]*)$", description="A model, * for all."),
]


Phrase = Annotated[str, Field(min_length=1, max_length=policies.LONGEST_PHRASE)]


class Banned(Taken):
    """A concept that may not be drawn; provenance.policies says what else must fit together."""

    name: Annotated[str, Field(min_length=1, max_length=policies.LONGEST_NAME)]
    phrases: Annotated[
        list[Phrase],
        Field(min_length=1, max_length=policies.MOST_PHRASES, description="Words that name it."),
    ]
    action: Annotated[
        Literal["refuse", "rewrite", "steer"],
        Field(description="What is done about a prompt that asks for it."),
    ] = "steer"
    replacement: Annotated[
        str, Field(max_length=policies.LONGEST_PHRASE, description="Drawn instead, on rewrite.")
    ] = ""
    near: Annotated[
        float, Field(ge=-1, le=1, description="The cosine from which a prompt is steered away.")
    ] = 0.45
    certain: Annotated[
        float, Field(ge=-1, le=1, description="The cosine from which the action is taken.")
    ] = 0.7
    strength: Annotated[
        float, Field(ge=0, le=2, description="How strongly it is pushed out while drawing.")
    ] = 1.0
    opening: Annotated[
        float, Field(ge=0, le=1, description="The share of the tokens pushed at full strength.")
    ] = 0.25
    threshold: Annotated[
        float, Field(ge=-10, le=10, description="Nats a token of evidence that open the gate.")
    ] = 0.0
    checker: Annotated[
        str, Field(max_length=policies.LONGEST_PHRASE, description="What looks at the picture.")
    ] = ""
    labels: Annotated[
        list[Phrase],
        Field(max_length=policies.MOST_LABELS, description="The checker's names for it."),
    ] = []
    most: Annotated[
        float, Field(ge=0, le=1, description="The score that a picture may have at most.")
    ] = 0.5
    delta: Annotated[
        str,
        Field(pattern=r"^([0-9a-f]{64})?$", description="SHA-256 of a delta that must be applied."),
    ] = ""


class Wanted(Taken):
    """A policy as it is to be from now on; without concepts, the tenant bans nothing itself."""

    concepts: Annotated[
        list[Banned],
        Field(
            max_length=policies.MOST_CONCEPTS,
            description="What they do is in docs/erasure.md",
            examples=[[{"name": "gun", "phrases": ["a gun", "a pistol"], "action": "refuse"}]],
        ),
    ]
    attempts: Annotated[
        int,
        Field(ge=1, le=8, description="Drawings until what a checker sees is refused."),
        BeforeValidator(whole),
    ] = 3


class Known(BaseModel):
    """A version of a policy; it never changes."""

    tenant: Annotated[str, Field(description="* is said by whoever runs the service, for all.")]
    model: Annotated[str, Field(description="* is every model.")]
    version: Annotated[int, Field(ge=1)]
    sha256: Annotated[str, Field(description="Of the document; records name what counted.")]
    author: Annotated[str, Field(description="The API key's id, or who ran the command.")]
    created: datetime
    attempts: int
    concepts: list[dict[str, Any]]


class Listed(BaseModel):
    data: list[Known]


class Asked(Taken):
    """A prompt, to see what policies would say of its words."""

    prompt: Annotated[str, Field(min_length=1, max_length=LONGEST_PROMPT)]
    model: Annotated[str, Field(min_length=1, max_length=63)] = "icons-128"


class Checked(BaseModel):
    """What the words of a prompt come to. What it means, only drawing finds out."""

    refused: bool
    reasons: list[Reason]


@routes.get("/v1/policies", tags=["policies"])
def list_policies(here: Here, asker: Asking) -> Listed:
    """Every policy that counts for the tenant now: its own, and those said for all."""
    with snapshot(here.engine) as session:
        return Listed(data=[_known(one) for one in policies.current(session, asker.tenant.id)])


@routes.put("/v1/policies/{model}", tags=["policies"])
def set_policy(model: Model, wanted: Wanted, here: Here, asker: Asking) -> Known:
    """A new version of the tenant's policy for a model; it counts from the next drawing on."""
    try:
        with transaction(here.engine) as session:
            made = policies.make(
                session,
                wanted.model_dump(),
                tenant=asker.tenant.id,
                model=model,
                author=asker.caller_id or "",
                now=datetime.now(UTC),
            )
    except BadPolicy as e:
        raise invalid("concepts", str(e)) from e
    return _known(made)


@routes.get("/v1/policies/{model}/versions", tags=["policies"])
def list_versions(model: Model, here: Here, asker: Asking) -> Listed:
    """The versions of the tenant's policy for a model, newest first: who made them, and when."""
    with snapshot(here.engine) as session:
        return Listed(
            data=[_known(one) for one in policies.history(session, asker.tenant.id, model)]
        )


@routes.post("/v1/prompt-checks", tags=["policies"])
def check_prompt(asked: Asked, here: Here, asker: Asking) -> Checked:
    """What policies would do about the words of a prompt. Nothing is drawn or kept."""
    reasons = list(_named(here, asker, asked))
    refused = any(one.done == Done.REFUSED for one in reasons)
    return Checked(refused=refused, reasons=reasons)


def _named(here: Installation, asker: Asker, asked: Asked) -> list[Reason]:
    with snapshot(here.engine) as session:
        policy = policies.effective(session, asker.tenant.id, asked.model)
    acts = {Action.REFUSE: Done.REFUSED, Action.REWRITE: Done.REWRITTEN, Action.STEER: Done.STEERED}
    found = []
    for version in policy.versions:
        for concept in version.concepts:
            words = wording.find(asked.prompt, concept.phrases)
            if words is not None:
                reason = Reason(
                    concept=concept.name,
                    kind=Kind(words.how.value).value,
                    score=1.0,
                    threshold=1.0,
                    done=acts[concept.action].value,
                    policy=policy_name(version),
                    start=words.start,
                    end=words.end,
                )
                found.append(reason)
    return found


def _known(version: Version) -> Known:
    written = policies.document(version.concepts, version.attempts)
    return Known(
        tenant=version.tenant if version.tenant == EVERY else "own",
        model=version.model,
        version=version.number,
        sha256=version.digest.hex(),
        author=version.author,
        created=version.created,
        attempts=version.attempts,
        concepts=written["concepts"],
    )
